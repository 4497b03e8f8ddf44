package jws

import (
	"bytes"
	"errors"
	"fmt"
)

// Bounds of a header.
const (
	// MaxHeaderBytes bounds the decoded header. A certificate chain does not
	// fit, and none is ever used.
	MaxHeaderBytes = 4096
	// MaxKeyIDBytes bounds "kid".
	MaxKeyIDBytes = 512
)

// A Header is the JOSE header of a JWS (RFC 7515, section 4).
type Header struct {
	// Algorithm is "alg" as it is written. It may name anything.
	Algorithm string
	// KeyID is "kid", opaque; empty if absent.
	KeyID string
	// Type is "typ" as it is written; see [Header.TypeIs].
	Type string
	// JWK is "jwk" as it is written, or nil. A DPoP proof brings its key
	// here; for anything else it is an attack (RFC 8725, section 3.10).
	JWK []byte
	// KeyByReference is true if the header brings or points to a key or
	// certificate by "jku", "x5u" or "x5c".
	KeyByReference bool
}

// ErrNotHeader means that bytes are not the header of a JWS: they are not a
// JSON object with a string "alg". Any other error of [ParseHeader] means
// that they are one, which must be refused.
var ErrNotHeader = errors.New("jws: not a JOSE header")

// headerNames are all the names that mean something to a JOSE library.
var headerNames = []string{
	"alg", "kid", "typ", "cty", "crit", "b64", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "enc", "zip", "epk", "nonce",
}

// ParseHeader reads a decoded header. It refuses duplicate members, members
// whose names are variants in case of known ones, wrong JSON types, and every
// header that says it must be understood in a way that is not understood
// here: "crit" whatever it names, as no extension is known (RFC 7515, section
// 4.1.11), "b64" (RFC 7797), and "enc" and "zip", which belong to encryption.
func ParseHeader(data []byte) (*Header, error) {
	if len(data) == 0 || data[0] != '{' {
		return nil, ErrNotHeader // white space before the object is allowed, but nobody writes it
	}
	if len(data) > MaxHeaderBytes {
		return nil, errors.New("jws: header is too long")
	}
	h, hasAlg := new(Header), false
	var refused error
	refuse := func(format string, args ...any) {
		if refused == nil {
			refused = fmt.Errorf(format, args...)
		}
	}
	text := func(name string, value []byte, dst *string) {
		s, ok := String(value)
		if !ok {
			refuse("jws: header %q is not a string", name)
		}
		*dst = s
	}
	err := Members(data, func(name, value []byte) error {
		switch string(name) {
		case "alg":
			hasAlg = true
			text("alg", value, &h.Algorithm)
		case "kid":
			if text("kid", value, &h.KeyID); len(h.KeyID) > MaxKeyIDBytes {
				refuse("jws: header \"kid\" is longer than %d bytes", MaxKeyIDBytes)
			}
		case "typ":
			text("typ", value, &h.Type)
		case "cty":
			var contentType string
			text("cty", value, &contentType)
		case "jwk":
			h.JWK = bytes.Clone(value)
		case "jku", "x5u", "x5c":
			h.KeyByReference = true
		case "crit", "b64", "enc", "zip":
			refuse("jws: header %q is not understood", string(name))
		default:
			if Variant(name, headerNames) {
				refuse("jws: header with a known name in another case")
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, errNotObject):
		return nil, ErrNotHeader
	case err != nil:
		return nil, err
	case refused != nil:
		return nil, refused
	case !hasAlg:
		return nil, ErrNotHeader
	}
	return h, nil
}

// TypeIs reports whether "typ" is the given media type, which may be written
// without its "application/" and in any case (RFC 7515, section 4.1.9). want
// is in lower case and without the prefix.
func (h *Header) TypeIs(want string) bool {
	typ := h.Type
	const prefix = "application/"
	if len(typ) > len(prefix) && equalASCII(typ[:len(prefix)], prefix) {
		typ = typ[len(prefix):]
	}
	return equalASCII(typ, want)
}

// equalASCII compares s with a lower-case string. Unlike strings.EqualFold it
// folds nothing but ASCII, so that "ſ" is not "s".
func equalASCII(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
