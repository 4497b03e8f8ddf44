package authserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// A challenge binds an authorization code to who asked for it (RFC 7636). The
// zero challenge binds nothing.
type challenge struct {
	Value  string `json:"challenge,omitempty"`
	Method string `json:"method,omitempty"`
}

const (
	pkceS256  = "S256"
	pkcePlain = "plain"
)

// readChallenge reads the challenge of an authorization request. A method that
// is left out means plain (RFC 7636, section 4.3).
func readChallenge(value, method string, plainAllowed bool) (challenge, error) {
	switch {
	case value == "" && method == "":
		return challenge{}, nil
	case value == "":
		return challenge{}, invalidRequest("code_challenge is missing")
	case method == "":
		method = pkcePlain
	}
	switch method {
	case pkceS256:
		if sum, err := base64.RawURLEncoding.Strict().DecodeString(value); err != nil || len(sum) != sha256.Size {
			return challenge{}, invalidRequest("code_challenge is not the base64url encoding of a SHA-256 digest")
		}
	case pkcePlain:
		if !plainAllowed {
			return challenge{}, invalidRequest("code_challenge_method must be S256")
		}
		if !validVerifier(value) {
			return challenge{}, invalidRequest("code_challenge must have 43 to 128 unreserved characters")
		}
	default:
		return challenge{}, invalidRequest("code_challenge_method must be S256")
	}
	return challenge{value, method}, nil
}

// met reports whether the verifier is the one of the challenge. Without a
// challenge there must be no verifier, or else somebody has taken the challenge
// away on its way (RFC 9700, section 4.8.2).
func (c challenge) met(verifier string) bool {
	if c.Value == "" {
		return verifier == ""
	}
	if !validVerifier(verifier) {
		return false
	}
	if c.Method == pkceS256 {
		sum := sha256.Sum256([]byte(verifier))
		verifier = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return subtle.ConstantTimeCompare([]byte(verifier), []byte(c.Value)) == 1
}

// validVerifier reports whether s is 43*128unreserved (RFC 7636, section 4.1).
func validVerifier(s string) bool {
	if len(s) < 43 || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isBase62(c) && c != '-' && c != '.' && c != '_' && c != '~' {
			return false
		}
	}
	return true
}
