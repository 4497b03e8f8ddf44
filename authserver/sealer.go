package authserver

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// A Sealer encrypts what a store has to keep and can not keep as a digest: the
// private keys of a [KeyRing], and the secrets of clients that sign with them
// ("client_secret_jwt"). It seals with AES-256 in Galois/Counter Mode, each
// text for its place, so that nobody who can write to the database can move
// one to another. Its keys are in the configuration: the database alone gives
// nothing away.
//
// It is safe for concurrent use.
type Sealer struct{ keys []sealingKey }

type sealingKey struct {
	id   string // names it in what is sealed, and does not lead back to it
	aead cipher.AEAD
}

const (
	// SealingKeySize is the length of the keys of a [Sealer], in bytes.
	SealingKeySize = 32

	sealedPrefix = "$aes256-gcm$"
)

// NewSealer returns a Sealer that seals with the given random key, of
// [SealingKeySize] bytes, and opens what was sealed with that or an old one.
func NewSealer(key []byte, old ...[]byte) (*Sealer, error) {
	s := new(Sealer)
	for i, k := range append([][]byte{key}, old...) {
		if len(k) != SealingKeySize {
			return nil, fmt.Errorf("authserver: sealing key %d has %d bytes and not %d (hint: openssl rand -base64 32)", i, len(k), SealingKeySize)
		}
		block, err := aes.NewCipher(k)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		id := sha256.Sum256(append([]byte("sneck sealing key\x00"), k...))
		s.keys = append(s.keys, sealingKey{base64.RawURLEncoding.EncodeToString(id[:6]), aead})
	}
	return s, nil
}

// seal returns the sealed form of a text, for the place with the given name
// and for no other.
func (s *Sealer) seal(place string, text []byte) string {
	k := s.keys[0]
	return sealedPrefix + k.id + "$" + base64.RawStdEncoding.EncodeToString(k.aead.Seal(nil, nil, text, []byte(place)))
}

// open returns what was sealed for a place.
func (s *Sealer) open(place, sealed string) ([]byte, error) {
	id, data, err := parseSealed(sealed)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, errors.New("it is sealed, and there is no sealing key")
	}
	for _, k := range s.keys {
		if k.id != id {
			continue
		}
		text, err := k.aead.Open(nil, nil, data, []byte(place))
		if err != nil {
			return nil, errors.New("it is not what was sealed for this place")
		}
		return text, nil
	}
	return nil, errors.New("it was sealed with another key (hint: keep old sealing keys)")
}

// parseSealed takes the form of what seal returns apart.
func parseSealed(sealed string) (id string, data []byte, err error) {
	rest, ok := strings.CutPrefix(sealed, sealedPrefix)
	id, encoded, found := strings.Cut(rest, "$")
	data, err = base64.RawStdEncoding.Strict().DecodeString(encoded)
	if !ok || !found || id == "" || err != nil || len(data) == 0 {
		return "", nil, errors.New("it has not the form of what is sealed")
	}
	return id, data, nil
}
