package authserver

import (
	"context"
	"strings"
)

// A SecretHasher turns client secrets into what is stored of them, in place of
// the built-in ways. What it makes begins with "$x-"; everything else is
// verified by the server as before and, if the clients implement
// SecretUpgrader, replaced when it is used.
//
// It may be slow: the server remembers for a minute what it has verified, and
// calls VerifySecret and HashSecret for only some at a time. It must be safe for
// concurrent use.
type SecretHasher interface {
	// HashSecret returns the hash of a secret, which was generated and has 128
	// random bits or more, or was chosen by a person.
	HashSecret(ctx context.Context, secret string, generated bool) (string, error)
	// VerifySecret reports whether a hash is that of the secret. An error
	// means that it could not find out.
	VerifySecret(ctx context.Context, hash, secret string) (bool, error)
	// Outdated reports whether HashSecret would now make something better.
	Outdated(hash string) bool
}

// ForeignPrefix is what the hashes of a [SecretHasher] begin with, and no others.
const ForeignPrefix = "$x-"

func isForeign(hash string) bool { return strings.HasPrefix(hash, ForeignPrefix) }

// A foreignHash is one of a SecretHasher, who alone can read it.
type foreignHash struct{}

func (foreignHash) matches(string) bool { return false }
func (foreignHash) current() bool       { return true }

// isGenerated reports whether a hash is one of a generated secret.
func isGenerated(hash string) bool {
	return strings.HasPrefix(hash, sha256Prefix) || strings.HasPrefix(hash, pepperedPrefix)
}
