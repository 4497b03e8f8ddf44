package jws

import (
	"bytes"
	"errors"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of the JSON objects that [Members] reads.
const (
	// MaxDepth is the deepest nesting of arrays and objects.
	MaxDepth = 16
	// MaxMembers is the largest number of members of the object itself.
	MaxMembers = 256
)

var (
	errNotObject = errors.New("jws: not one JSON object")
	errDeep      = errors.New("jws: JSON nested too deep")
	errMembers   = errors.New("jws: JSON object with too many members")
)

// Members reads exactly one JSON object and calls f with each of its members,
// in order: the decoded name and the value as it is written. It refuses
// duplicate names at every depth, invalid UTF-8, trailing data, and what is
// over the bounds above. name and value are valid during the call only. An
// error of f ends the reading and is returned as it is; others never quote
// what was read.
func Members(object []byte, f func(name, value []byte) error) error {
	if tooDeep(object) {
		return errDeep
	}
	r := readers.Get().(*reader)
	defer r.put()
	d := r.reset(object)
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return errNotObject
	}
	var unescaped []byte
	for n := 0; d.PeekKind() != '}'; n++ {
		if n == MaxMembers {
			return errMembers
		}
		raw, err := d.ReadValue()
		if err != nil {
			return shape(err)
		}
		// The decoder's slice is good until the next read; this one stays.
		end := int(d.InputOffset())
		name := object[end-len(raw) : end]
		if bytes.IndexByte(name, '\\') < 0 {
			name = name[1 : len(name)-1]
		} else {
			// The names of a JOSE object have no need of escapes, but may.
			if unescaped, err = jsontext.AppendUnquote(unescaped[:0], name); err != nil {
				return shape(err)
			}
			name = unescaped
		}
		value, err := d.ReadValue()
		if err != nil {
			return shape(err)
		}
		if err := f(name, value); err != nil {
			return err
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return shape(err)
	}
	if len(bytes.TrimLeft(object[d.InputOffset():], " \t\r\n")) != 0 {
		return errNotObject
	}
	return nil
}

// A reader is a decoder and its source. Decoders are dear to make, and one is
// needed for every token.
type reader struct {
	buf bytes.Buffer
	dec jsontext.Decoder
}

// readers saves allocations and holds nothing else.
var readers = sync.Pool{New: func() any { return new(reader) }}

func (r *reader) reset(data []byte) *jsontext.Decoder {
	r.buf = *bytes.NewBuffer(data)
	r.dec.Reset(&r.buf)
	return &r.dec
}

// put gives the reader back, without the claims that it read last.
func (r *reader) put() {
	r.reset(nil)
	readers.Put(r)
}

// String decodes a JSON string. It reports false for any other value.
func String(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1]), true
	}
	s, err := jsontext.AppendUnquote(nil, value)
	return string(s), err == nil
}

// Variant reports whether name is one of the known names in another case, as
// readers that fold case would take it for one: "Exp", "ſub". All of known
// must be ASCII.
func Variant(name []byte, known []string) bool {
	plain := true
	for _, c := range name {
		if c >= 'A' && c <= 'Z' || c >= 0x80 {
			plain = false
			break
		}
	}
	if plain {
		// Nothing here to fold. A known name with capitals has no variant
		// that is taken for it by a reader that prefers the exact name.
		return false
	}
	for _, k := range known {
		if len(name) >= len(k) && string(name) != k && strings.EqualFold(string(name), k) {
			return true
		}
	}
	return false
}

// shape keeps the duplicate apart, as it is worth a word in a log, and drops
// everything that could hold a part of the input.
func shape(err error) error {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return errDuplicate
	}
	return errNotObject
}

var errDuplicate = errors.New("jws: JSON object with a duplicate member")

// tooDeep counts brackets outside of strings. It need not understand JSON:
// in what is not JSON, the decoder finds the mistake.
func tooDeep(data []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
