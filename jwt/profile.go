package jwt

import (
	"strings"

	"github.com/sneckauth/sneck/internal/jws"
)

// A Profile says which JWTs of an issuer are access tokens.
type Profile int

const (
	// RFC9068 is the JWT Profile for OAuth 2.0 Access Tokens, and the
	// default. The header has "typ" at+jwt; the claims iss, exp, aud, sub,
	// client_id, iat and jti are all there (RFC 9068, section 2).
	RFC9068 Profile = iota

	// Legacy is for issuers that predate RFC 9068. It differs in this:
	//
	//   - "typ" may also be JWT or absent.
	//   - Of the claims, only iss and exp are required. A token without an
	//     audience passes here; a Guard with an audience refuses it.
	//   - Scopes may come from "scp", a string or an array; the client from
	//     "azp" or "cid".
	//   - The headers "jku", "x5u" and "x5c" are ignored, not refused.
	//
	// Without a type, tokens that the issuer signs for other purposes could
	// be taken for access tokens, so those that can be told apart by their
	// claims are refused: ID tokens with a nonce or a hash, logout and
	// security event tokens, DPoP proofs, introspection answers, and tokens
	// whose "typ" or "token_use" claim says so. An ID token without any of
	// these is told apart by its audience only: configure the Guard's.
	Legacy
)

// typed reports whether the header's "typ" is that of an access token. What
// any other issuer calls its ID tokens, proofs and events is refused by not
// being on this list (RFC 8725, section 3.12).
func (p Profile) typed(h *jws.Header) bool {
	if h.TypeIs("at+jwt") {
		return true
	}
	return p == Legacy && (h.Type == "" || h.TypeIs("jwt"))
}

// foreign returns the name of the claim by which a token of the Legacy profile
// is known to be no access token, or "".
func foreign(name string, value []byte) string {
	switch name {
	case "nonce", "at_hash", "c_hash", "s_hash", "events", "htm", "htu", "token_introspection":
		return name
	case "typ":
		if s, ok := jws.String(value); !ok || !strings.EqualFold(s, "Bearer") && !strings.EqualFold(s, "DPoP") {
			return name
		}
	case "token_use":
		if s, ok := jws.String(value); !ok || s != "access" {
			return name
		}
	}
	return ""
}
