package introspect

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/jws"
)

// A Recognizer looks at a token and says whether to ask about it: nil to ask,
// an error that wraps [sneck.ErrUnrecognized] if it is not one of this
// authority's, [sneck.ErrInvalid] if it is meant to be one and can not be. Any
// other error means that it could not find out. The error must not contain the
// token.
//
// It is called for every question, so it should cost little, and must be safe
// for concurrent use. Nothing it reads in a token is proven; it decides about
// asking, never about admitting.
type Recognizer func(token string) error

var (
	errForeign = fmt.Errorf("introspect: the token has not the form of this authority's: %w", sneck.ErrUnrecognized)
	errDamaged = invalid("the token is damaged or made up")
	errStale   = invalid("the token is expired by its own word")
)

// All asks each Recognizer in turn, until one does not say nil.
func All(recognizers ...Recognizer) Recognizer {
	recognizers = slices.Clone(recognizers)
	return func(token string) error {
		for _, recognize := range recognizers {
			if err := recognize(token); err != nil {
				return err
			}
		}
		return nil
	}
}

// HasPrefix recognizes tokens that begin with one of the prefixes.
func HasPrefix(prefix ...string) Recognizer {
	prefix = slices.Clone(prefix)
	return func(token string) error {
		if slices.ContainsFunc(prefix, func(p string) bool { return strings.HasPrefix(token, p) }) {
			return nil
		}
		return errForeign
	}
}

// HasLength recognizes tokens of least to most bytes.
func HasLength(least, most int) Recognizer {
	return func(token string) error {
		if len(token) < least || len(token) > most {
			return errForeign
		}
		return nil
	}
}

// WellFormed refuses tokens of which ok is false, such as those with a wrong
// checksum. Let [HasPrefix] come before it, which tells other authorities'
// tokens from damaged ones of this.
func WellFormed(ok func(token string) bool) Recognizer {
	return func(token string) error {
		if !ok(token) {
			return errDamaged
		}
		return nil
	}
}

// Opaque is a Recognizer of tokens that are no JWTs.
func Opaque(token string) error {
	if _, _, ok := unproven(token); ok {
		return errForeign
	}
	return nil
}

// JWTForm recognizes JWTs that say that they are from one of the issuers
// ("iss"), and refuses those that say that they are expired ("exp"). That is a
// hint whom to ask, and proves nothing.
type JWTForm struct {
	// Issuers are those whose tokens the authority knows.
	Issuers []string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Recognize is a [Recognizer].
func (f JWTForm) Recognize(token string) error {
	issuer, expires, ok := unproven(token)
	if !ok || !slices.Contains(f.Issuers, issuer) {
		return errForeign
	}
	now := time.Now
	if f.Now != nil {
		now = f.Now
	}
	if !expires.IsZero() && !now().Before(expires) {
		return errStale
	}
	return nil
}

// unproven reads what a JWT says about itself, and reports whether it is one.
func unproven(token string) (issuer string, expires time.Time, ok bool) {
	signed, err := jws.Split(token)
	if err != nil {
		return "", expires, false
	}
	payload, err := jws.Decode(signed.Payload)
	if err != nil {
		return "", expires, false
	}
	var m members
	err = jws.Members(payload, func(name, value []byte) error {
		switch string(name) {
		case "iss":
			issuer = m.text("iss", value)
		case "exp":
			if expires = m.expiry("exp", value); m.past {
				expires = time.Unix(0, 0)
			}
		}
		return nil
	})
	return issuer, expires, err == nil && m.fault == ""
}
