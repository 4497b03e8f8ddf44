package authserver

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A pepper is a key that the server has and its database has not. Whoever
// reads the hashes can not even test a guess.
type pepper struct {
	id  string // names it in hashes, and does not lead back to it
	key []byte
}

const (
	pepperedPrefix = "$hmac-sha256$"
	minPepper      = 16
	pepperIDLen    = 6
)

func newPepper(key []byte) pepper {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("sneck pepper id"))
	return pepper{base64.RawStdEncoding.EncodeToString(mac.Sum(nil)[:pepperIDLen]), key}
}

// checkPeppers refuses peppers that could be guessed or that are there twice.
func checkPeppers(peppers [][]byte) error {
	seen := map[string]bool{}
	for i, key := range peppers {
		if len(key) < minPepper {
			return fmt.Errorf("authserver: SecretPeppers[%d] has fewer than %d bytes (hint: openssl rand -hex 32)", i, minPepper)
		}
		if seen[string(key)] {
			return fmt.Errorf("authserver: SecretPeppers[%d] is there twice", i)
		}
		seen[string(key)] = true
	}
	return nil
}

func (p pepper) sum(secret string) []byte {
	mac := hmac.New(sha256.New, p.key)
	mac.Write([]byte(secret))
	return mac.Sum(nil)
}

func (p pepper) hash(secret string) string {
	return pepperedPrefix + p.id + "$" + base64.RawStdEncoding.EncodeToString(p.sum(secret))
}

// A pepperedHash is "$hmac-sha256$id$sum".
type pepperedHash struct {
	id  string
	mac [sha256.Size]byte
}

func parsePeppered(text string) (hash, error) {
	id, sum, found := strings.Cut(text[len(pepperedPrefix):], "$")
	raw, err := base64.RawStdEncoding.Strict().DecodeString(sum)
	if rawID, err := base64.RawStdEncoding.Strict().DecodeString(id); err != nil || len(rawID) != pepperIDLen {
		return nil, errDamagedHash
	}
	if !found || err != nil || len(raw) != sha256.Size {
		return nil, errDamagedHash
	}
	return pepperedHash{id, [sha256.Size]byte(raw)}, nil
}

// matches is never asked: it takes a pepper to tell.
func (pepperedHash) matches(string) bool { return false }

func (pepperedHash) current() bool { return true }

// fitsPeppered looks for the pepper of the hash.
func (k *keeper) fitsPeppered(h pepperedHash, presented string) (bool, error) {
	for _, p := range k.peppers {
		if p.id == h.id {
			return subtle.ConstantTimeCompare(p.sum(presented), h.mac[:]) == 1, nil
		}
	}
	return false, errors.New("the pepper of a secret is not configured (hint: SecretPeppers must keep old ones until all secrets have been used)")
}

func clonePeppers(peppers [][]byte) [][]byte {
	peppers = slices.Clone(peppers)
	for i := range peppers {
		peppers[i] = slices.Clone(peppers[i])
	}
	return peppers
}
