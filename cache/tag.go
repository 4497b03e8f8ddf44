package cache

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"unsafe"
)

// A tag stands for a token inside this process. It is compared whole on every
// hit, so two tokens share an answer only if they share all 128 bits of a MAC
// under a key that nobody outside the process knows.
type tag [16]byte

// word is the part of the tag that ristretto files the entry under.
func (t tag) word() uint64 { return binary.LittleEndian.Uint64(t[:]) }

// slot is where the entry stands in front of the store.
func (t tag) slot() int { return int(binary.LittleEndian.Uint16(t[8:]) % frontSlots) }

// A tagger computes tags. GMAC costs a fraction of SHA-256 for tokens of JWT
// length. Its nonce is constant, which GCM forbids for messages: here no tag
// and no ciphertext ever leaves the process, so what remains is the keyed
// universal hash of the token and its length.
type tagger struct {
	gcm  cipher.AEAD // nil: HMAC
	key  [16]byte
	sums sync.Pool // of *[16]byte; the interface call would make one escape
}

func newTagger() *tagger {
	t := &tagger{sums: sync.Pool{New: func() any { return new([16]byte) }}}
	rand.Read(t.key[:])
	// The runtime may allow GCM only with random nonces (GODEBUG=fips140=only).
	if block, err := aes.NewCipher(t.key[:]); err == nil {
		if gcm, err := cipher.NewGCM(block); err == nil {
			t.gcm = gcm
		}
	}
	return t
}

var zeroNonce [12]byte

func (t *tagger) tag(token string) tag {
	// A MAC neither keeps nor changes its input, so it may read the string in
	// place; a copy of the token would have to be cleared again.
	data := unsafe.Slice(unsafe.StringData(token), len(token))
	if t.gcm == nil {
		mac := hmac.New(sha256.New, t.key[:])
		mac.Write(data)
		return tag(mac.Sum(nil)[:16])
	}
	sum := t.sums.Get().(*[16]byte)
	t.gcm.Seal(sum[:0], zeroNonce[:], nil, data)
	out := tag(*sum)
	t.sums.Put(sum)
	return out
}
