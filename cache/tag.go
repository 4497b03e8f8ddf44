package cache

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// A tag stands for a token inside this process. It is compared whole on every
// hit, so two tokens share an answer only if they share all 128 bits of a MAC
// under a key that nobody outside the process knows.
type tag [16]byte

// word is the part of the tag that ristretto files the entry under.
func (t tag) word() uint64 { return binary.LittleEndian.Uint64(t[:]) }

// A tagger computes tags. GMAC costs a fraction of SHA-256 for tokens of JWT
// length. Its nonce is constant, which GCM forbids for messages: here no tag
// and no ciphertext ever leaves the process, so what remains is the keyed
// universal hash of the token and its length.
type tagger struct {
	pool sync.Pool // of *scratch
}

type scratch struct {
	sum  func(dst, token []byte) []byte
	in   []byte
	out  []byte
	hash hash.Hash
}

func newTagger() *tagger {
	var key [16]byte
	rand.Read(key[:])
	t := &tagger{}
	if gcm := newGCM(key[:]); gcm != nil {
		var nonce [12]byte
		t.pool.New = func() any {
			s := &scratch{out: make([]byte, 0, 16)}
			s.sum = func(dst, token []byte) []byte { return gcm.Seal(dst, nonce[:], nil, token) }
			return s
		}
		return t
	}
	t.pool.New = func() any {
		s := &scratch{out: make([]byte, 0, sha256.Size), hash: hmac.New(sha256.New, key[:])}
		s.sum = func(dst, token []byte) []byte {
			s.hash.Reset()
			s.hash.Write(token)
			return s.hash.Sum(dst)
		}
		return s
	}
	return t
}

// newGCM returns nil where the runtime allows GCM only with random nonces
// (GODEBUG=fips140=only).
func newGCM(key []byte) (aead cipher.AEAD) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil
	}
	aead, err = cipher.NewGCM(block)
	if err != nil {
		return nil
	}
	return aead
}

func (t *tagger) tag(token string) tag {
	s := t.pool.Get().(*scratch)
	s.in = append(s.in[:0], token...)
	out := tag(s.sum(s.out, s.in))
	clear(s.in) // the token must not outlive the request in a pool
	t.pool.Put(s)
	return out
}
