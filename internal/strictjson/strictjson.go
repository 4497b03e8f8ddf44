// Package strictjson decodes JSON from a network peer: exact member names, no
// duplicate members, no trailing data, valid UTF-8, bounded nesting.
//
// encoding/json takes {"active":false,"ACTIVE":true} for active and "ſcope"
// for scope, so it must not read what a decision is made from.
package strictjson

import (
	"errors"

	"github.com/go-json-experiment/json"
)

// MaxDepth is the deepest nesting of arrays and objects that is decoded.
const MaxDepth = 32

// Unmarshal decodes exactly one JSON value into v. Member names match field
// tags byte by byte; unknown members are skipped, but checked for form. The
// error may name members and offsets, and never quotes a value.
func Unmarshal(data []byte, v any) error {
	if Deeper(data, MaxDepth) {
		return errors.New("strictjson: nested too deep")
	}
	return redact(json.Unmarshal(data, v))
}

// redact takes values out of an error: one may be a secret, and its place is
// enough.
func redact(err error) error {
	var semantic *json.SemanticError
	if errors.As(err, &semantic) && semantic.JSONValue != nil {
		redacted := *semantic
		redacted.JSONValue = nil
		return &redacted
	}
	return err
}

// Deeper reports whether arrays and objects are nested deeper than most. It
// counts brackets outside of strings and need not understand JSON: in what is
// not JSON, the decoder finds the mistake.
func Deeper(data []byte, most int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > most {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
