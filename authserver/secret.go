package authserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// MinSecretLength is the shortest generated client secret, in base62
	// characters: 128 bits need 22.
	MinSecretLength = 22
	// DefaultSecretLength is the length of generated client secrets.
	DefaultSecretLength = 128
	// maxSecret is the longest secret that is looked at.
	maxSecret = 1024
)

// A Secret is a client secret at rest.
type Secret struct {
	// Hash is the hashed secret, as returned by [HashGenerated].
	Hash string
	// Expires is the first moment the secret is no longer accepted; zero for
	// never.
	Expires time.Time
}

// HashGenerated returns the form in which a generated secret is stored: its
// SHA-256 digest, "$sha256$" and 43 characters of base64. That is enough for
// a secret with 128 random bits or more, which nobody can search for, and it
// keeps authentication cheap. It is not enough for a secret that a person
// chose.
func HashGenerated(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return sha256Prefix + base64.RawStdEncoding.EncodeToString(sum[:])
}

const sha256Prefix = "$sha256$"

func (s Secret) check() error {
	digest, ok := strings.CutPrefix(s.Hash, sha256Prefix)
	if !ok {
		return errors.New("the hash of a secret is of an unknown kind (hint: HashGenerated)")
	}
	if raw, err := base64.RawStdEncoding.DecodeString(digest); err != nil || len(raw) != sha256.Size {
		return errors.New("the hash of a secret is damaged (hint: HashGenerated)")
	}
	return nil
}

func (s Secret) expiredAt(now time.Time) bool {
	return !s.Expires.IsZero() && !now.Before(s.Expires)
}

// verifySecret reports whether the presented secret is one of the client's.
// It takes as long for a client without secrets, and for no client at all.
func verifySecret(c *Client, presented string, now time.Time) bool {
	if len(presented) > maxSecret {
		return false
	}
	hash := HashGenerated(presented)
	if c == nil || len(c.Secrets) == 0 {
		subtle.ConstantTimeCompare([]byte(hash), []byte(nobody))
		return false
	}
	found := 0
	for _, s := range c.Secrets {
		if !s.expiredAt(now) {
			found |= subtle.ConstantTimeCompare([]byte(hash), []byte(s.Hash))
		}
	}
	return found == 1
}

// nobody has the length of a hash and is the hash of nothing.
const nobody = sha256Prefix + "-------------------------------------------"

// checkSecret refuses a generated secret that is too easily guessed or can
// not be sent.
func checkSecret(secret string) error {
	if len(secret) < MinSecretLength || len(secret) > maxSecret || !isVSCHAR(secret) {
		return fmt.Errorf("authserver: a generated secret must have %d to %d visible ASCII characters", MinSecretLength, maxSecret)
	}
	return nil
}
