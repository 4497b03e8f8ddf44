package authserver

import (
	"context"
	"crypto/rand"
	"hash/crc32"
	"strings"

	"github.com/sneckauth/sneck/scopes"
)

// A TokenGenerator makes up the token that is issued for a request. A value
// that exists already is generated anew. What it returns must be a b64token
// (RFC 6750, section 2.1) that nobody can guess: at least 128 random bits or
// a signature.
type TokenGenerator func(ctx context.Context, r *TokenRequest) (string, error)

// A TokenRequest describes a token that is about to be issued. It is
// read-only.
type TokenRequest struct {
	// GrantType is the way in which the token was asked for.
	GrantType string
	// Client is who asked.
	Client *Client
	// Subject is the resource owner, or the client itself.
	Subject string
	// Scopes is what will be granted.
	Scopes scopes.Set
	// Audience lists the resource servers it will be meant for.
	Audience []string
}

// AccessTokenPrefix begins every access token of the built-in generator, so
// that scanners can find tokens that were published by mistake.
const AccessTokenPrefix = "sneck_at_"

const (
	// randomLen base62 characters carry 256.03 bits.
	randomLen = 43
	// checksumLen base62 characters hold any 32-bit number.
	checksumLen = 6
)

// WellFormed reports whether token has the form of an access token of the
// built-in generator: [AccessTokenPrefix], 43 random base62 characters, and
// six more that are the CRC-32 of all before. It tells tokens from garbage
// without asking anyone, and is no proof of anything.
func WellFormed(token string) bool { return minted(AccessTokenPrefix, token) }

// NewAccessToken returns a new access token in the form of the built-in
// generator. It is nothing but random until its record is in a store.
func NewAccessToken() string { return mint(AccessTokenPrefix) }

// mint returns a new unguessable value with the prefix.
func mint(prefix string) string {
	b := make([]byte, 0, len(prefix)+randomLen+checksumLen)
	b = append(b, prefix...)
	b = appendRandom(b, randomLen)
	sum := checksum(b)
	return string(append(b, sum[:]...))
}

// minted reports whether s has the form of what mint returns.
func minted(prefix, s string) bool {
	if len(s) != len(prefix)+randomLen+checksumLen || !strings.HasPrefix(s, prefix) {
		return false
	}
	for i := len(prefix); i < len(s); i++ {
		if !isBase62(s[i]) {
			return false
		}
	}
	body := len(s) - checksumLen
	sum := checksum(s[:body])
	return s[body:] == string(sum[:])
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func isBase62(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// appendRandom appends n base62 characters, each equally likely.
func appendRandom(b []byte, n int) []byte {
	var buf [64]byte
	for {
		rand.Read(buf[:]) // never fails
		for _, c := range buf {
			if n == 0 {
				return b
			}
			// 248 = 4 * 62: what is above would make some characters likelier.
			if c < 248 {
				b = append(b, base62[c%62])
				n--
			}
		}
	}
}

// checksum returns the CRC-32 of s in base62.
func checksum[T string | []byte](s T) (digits [checksumLen]byte) {
	sum := crc32.ChecksumIEEE([]byte(s))
	for i := checksumLen - 1; i >= 0; i-- {
		digits[i] = base62[sum%62]
		sum /= 62
	}
	return digits
}
