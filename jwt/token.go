package jwt

import (
	"errors"
	"fmt"
	"time"

	"github.com/sneckauth/sneck"
)

// token checks the claims of a token of an issuer and makes a Token of them.
func (v *Verifier) token(is *issuer, c *claims, now time.Time) (*sneck.Token, error) {
	if c.refused != nil {
		return nil, &invalid{"claims", c.refused}
	}
	if err := c.complete(is.profile); err != nil {
		return nil, err
	}
	if err := v.timely(c, now); err != nil {
		return nil, err
	}
	granted, err := c.scopes(is.profile)
	if err != nil {
		return nil, &invalid{"scope", err}
	}
	return &sneck.Token{
		Issuer:       is.id,
		Subject:      c.sub,
		ClientID:     c.client(is.profile),
		Username:     first(c.username, c.preferred),
		Audience:     c.aud,
		Scopes:       granted,
		ID:           c.jti,
		IssuedAt:     c.iat,
		NotBefore:    begin(c.nbf, now),
		Expires:      c.exp,
		AuthTime:     c.authTime,
		ACR:          c.acr,
		Confirmation: c.cnf,
		VerifiedAt:   now,
		Source:       "jwt",
	}, nil
}

// begin returns nbf, or now if that is before: then the clock of the issuer is
// ahead, and by ours, the token begins now. Who compares it later, such as a
// guard, knows nothing of the leeway.
func begin(nbf, now time.Time) time.Time {
	if now.Before(nbf) {
		return now.Truncate(time.Second)
	}
	return nbf
}

// complete refuses a token that lacks what its profile requires.
func (c *claims) complete(p Profile) error {
	if c.exp.IsZero() {
		return refusal("exp is missing")
	}
	if p == Legacy {
		if c.mark == foreign || c.mark == hint {
			return refusal("claim " + c.markedBy + " is not one of an access token")
		}
		return nil
	}
	switch {
	case c.aud == nil:
		return refusal("aud is missing")
	case c.sub == "":
		return refusal("sub is missing")
	case c.clientID == "":
		return refusal("client_id is missing")
	case c.iat.IsZero():
		return refusal("iat is missing")
	case c.jti == "":
		return refusal("jti is missing")
	}
	return nil
}

// timely refuses a token that is not valid at the moment.
func (v *Verifier) timely(c *claims, now time.Time) error {
	switch {
	case !now.Before(c.exp.Add(v.expiryLeeway)):
		return refusal("exp is in the past")
	case now.Add(v.leeway).Before(c.nbf):
		return refusal("nbf is in the future")
	case now.Add(v.leeway).Before(c.iat):
		return refusal("iat is in the future")
	case v.maxLifetime == 0:
		return nil
	case c.iat.IsZero():
		return refusal("iat is missing, and the lifetime is bounded")
	case c.exp.Sub(c.iat) > v.maxLifetime:
		return refusal("lifetime is longer than allowed")
	}
	return nil
}

// A refusal is why a token is not valid, if that is all there is to say.
type refusal string

func (e refusal) Error() string        { return "jwt: token refused: " + string(e) }
func (e refusal) Is(target error) bool { return target == sneck.ErrInvalid }

// An invalid is a part of a token that is not valid, and the cause.
type invalid struct {
	part string
	err  error
}

func (e *invalid) Error() string        { return fmt.Sprintf("jwt: token refused: %s: %v", e.part, e.err) }
func (e *invalid) Is(target error) bool { return target == sneck.ErrInvalid }
func (e *invalid) Unwrap() error        { return e.err }

// unrecognized tells what is not a JWT from what is not a token at all.
func unrecognized(token string) error {
	if !sneck.ValidToken(token) {
		return refusal("has characters outside of b64token")
	}
	return sneck.ErrUnrecognized
}

var errClosed = errors.New("jwt: closed")
