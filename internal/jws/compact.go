package jws

import (
	"encoding/base64"
	"errors"
	"strings"
)

// A Compact is a JWS in compact serialization, taken apart but not decoded.
// Its segments are parts of the string given to [Split].
type Compact struct {
	// Header, Payload and Signature are the base64url segments.
	Header, Payload, Signature string
	// Input is what was signed: header, dot, payload.
	Input string
}

// ErrNotCompact means that a string does not have the form of a JWS.
var ErrNotCompact = errors.New("jws: not a compact serialization")

// Split takes a compact serialization apart: exactly two dots, and something
// before and between them. A detached payload is of no use to anybody here;
// an unsigned token is taken apart, so that it can be known for one, and no
// empty signature verifies. The cost is that of finding the dots, so a string
// of a million dots is refused at the third.
func Split(token string) (Compact, error) {
	first := strings.IndexByte(token, '.')
	if first <= 0 {
		return Compact{}, ErrNotCompact
	}
	second := strings.IndexByte(token[first+1:], '.')
	if second <= 0 {
		return Compact{}, ErrNotCompact
	}
	second += first + 1
	c := Compact{token[:first], token[first+1 : second], token[second+1:], token[:second]}
	if strings.IndexByte(c.Signature, '.') >= 0 {
		return Compact{}, ErrNotCompact
	}
	return c, nil
}

// Decode decodes a base64url segment: no padding, no white space, no bits
// that decode to nothing (RFC 7515, section 2). There is exactly one segment
// for any sequence of bytes.
func Decode(segment string) ([]byte, error) {
	return AppendDecoded(nil, segment)
}

// AppendDecoded is [Decode] into a buffer that the caller has at hand.
func AppendDecoded(dst []byte, segment string) ([]byte, error) {
	// The decoder of the standard library skips line breaks, even if strict.
	if strings.IndexByte(segment, '\n') >= 0 || strings.IndexByte(segment, '\r') >= 0 {
		return nil, errBase64
	}
	n := strict.DecodedLen(len(segment))
	if cap(dst) < n {
		dst = make([]byte, n)
	}
	n, err := strict.Decode(dst[:n], []byte(segment))
	if err != nil {
		return nil, errBase64
	}
	return dst[:n], nil
}

var (
	strict    = base64.RawURLEncoding.Strict()
	errBase64 = errors.New("jws: not base64url")
)
