package cache

import (
	"crypto/fips140"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"unsafe"

	"golang.org/x/crypto/poly1305" //lint:ignore SA1019 what it is deprecated for does not happen here, see tagger
)

// A tag stands for a token inside this process. It is compared whole on every
// hit, so two tokens share an answer only if they share all 128 bits of a MAC
// under a key that nobody outside the process knows.
type tag [16]byte

// word is the part of the tag that ristretto files the entry under.
func (t tag) word() uint64 { return binary.LittleEndian.Uint64(t[:]) }

// slot is where the entry stands in front of the store.
func (t tag) slot() int { return int(binary.LittleEndian.Uint16(t[8:]) % frontSlots) }

// A tagger computes tags. Poly1305 costs a third of SHA-256. Its key is used
// for every token, which is forbidden for messages: who sees two tags may learn
// the key. Here no tag ever leaves the process, so what remains is a keyed
// universal hash of the token and its length: for any two tokens that somebody
// chooses without the key, the tags are equal with a probability below 2^-93.
type tagger struct {
	key      [32]byte
	approved bool // HMAC, where only that will do
}

func newTagger() *tagger {
	t := &tagger{approved: fips140.Enabled()}
	rand.Read(t.key[:])
	return t
}

func (t *tagger) tag(token string) (sum tag) {
	// A MAC neither keeps nor changes its input, so it may read the string in
	// place; a copy of the token would have to be cleared again.
	data := unsafe.Slice(unsafe.StringData(token), len(token))
	if t.approved {
		mac := hmac.New(sha256.New, t.key[:])
		mac.Write(data)
		return tag(mac.Sum(nil)[:16])
	}
	poly1305.Sum((*[16]byte)(&sum), data, &t.key)
	return sum
}
