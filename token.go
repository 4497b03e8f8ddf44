package sneck

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sneckauth/sneck/scopes"
)

// A Token is what an authority says about a bearer token: the members of an
// introspection answer (RFC 7662, section 2.2) or the claims of a JWT access
// token (RFC 9068, section 2.2). It never holds the token itself.
//
// Many requests share one Token, so it is read-only from the moment Verify
// returns it. The nil Token is valid and grants nothing.
type Token struct {
	// Issuer identifies the authority that issued the token ("iss").
	Issuer string
	// Subject is the resource owner, or the client itself where the client
	// acts for nobody else ("sub").
	Subject string
	// ClientID is the client that the token was issued to ("client_id").
	ClientID string
	// Username is a name for people to read; it is not an identifier
	// ("username").
	Username string
	// Audience lists the resource servers that the token is meant for
	// ("aud").
	Audience []string
	// Scopes is what the token grants ("scope").
	Scopes scopes.Set
	// ID is the token's identifier ("jti").
	ID string
	// Type is the way the token must be presented, such as "Bearer" or
	// "DPoP" ("token_type").
	Type string
	// IssuedAt is when the token was issued ("iat"); zero if not stated.
	IssuedAt time.Time
	// NotBefore is the first moment the token is valid ("nbf"); zero if not
	// stated. A Verifier that allows for a clock elsewhere that is ahead of
	// ours does not leave it in the future.
	NotBefore time.Time
	// Expires is the first moment the token is no longer valid ("exp"); zero
	// if not stated.
	Expires time.Time
	// AuthTime is when the resource owner last signed in ("auth_time"); zero
	// if not stated (RFC 9470, section 6.2).
	AuthTime time.Time
	// ACR is the authentication context class that the sign-in reached
	// ("acr").
	ACR string
	// Confirmation binds the token to a key of its holder ("cnf"); nil for
	// a plain bearer token.
	Confirmation *Confirmation

	// VerifiedAt is when the question that this Token answers was asked. An
	// answer from a cache keeps the moment of the original question, so that
	// time.Since(VerifiedAt) bounds how long a revocation can go unnoticed.
	VerifiedAt time.Time
	// Source says for people how the verdict was reached: "introspection",
	// "jwt", "store". Nothing is decided by it.
	Source string
	// RawClaims is the JSON object that the Token was read from, or nil.
	// [Token.Claims] decodes it.
	RawClaims []byte
}

// A Confirmation says which key the presenter of a token must prove to hold
// (RFC 7800). A Confirmation with none of the known members set came from a
// method this package does not know, and can not be met.
type Confirmation struct {
	// JKT is the base64url SHA-256 JWK thumbprint of the DPoP key (RFC 9449,
	// section 6.1).
	JKT string
	// X5TS256 is the base64url SHA-256 digest of the client certificate (RFC
	// 8705, section 3.1).
	X5TS256 string
	// Unknown is true if the authority named a further confirmation method.
	// It must be refused, as the key it names can not be checked.
	Unknown bool
}

// Has reports whether the token grants every one of the named scopes. It is
// false for a nil Token, and true for any other if no scope is named.
func (t *Token) Has(scope ...string) bool {
	if t == nil {
		return false
	}
	for _, name := range scope {
		if !t.Scopes.Has(name) {
			return false
		}
	}
	return true
}

// MeantFor reports whether the audience of the token names at least one of
// the given identifiers, compared byte by byte (RFC 7519, section 4.1.3).
func (t *Token) MeantFor(audience ...string) bool {
	if t == nil {
		return false
	}
	for _, name := range audience {
		if slices.Contains(t.Audience, name) {
			return true
		}
	}
	return false
}

// ExpiredAt reports whether the token is expired at the given moment: now is
// at or after Expires. A token without an expiry never expires.
func (t *Token) ExpiredAt(now time.Time) bool {
	return !t.Expires.IsZero() && !now.Before(t.Expires)
}

// Claims decodes everything the authority said about the token into v, a
// pointer as for [json.Unmarshal]. Use it for claims that have no field here,
// and take identity and grants from the fields: they were read strictly,
// whereas encoding/json folds the case of member names.
func (t *Token) Claims(v any) error {
	if t == nil || t.RawClaims == nil {
		return errors.New("sneck: the token has no claims to decode")
	}
	if err := json.Unmarshal(t.RawClaims, v); err != nil {
		return fmt.Errorf("sneck: decode claims: %w", err)
	}
	return nil
}
