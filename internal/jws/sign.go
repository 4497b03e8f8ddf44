package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// A Signer makes signed tokens that differ in nothing but their payloads. Make
// one with [NewSigner]. It is safe for concurrent use if its key is.
type Signer struct {
	key    crypto.Signer
	alg    string
	header string // encoded, with the dot
	size   int    // of each half of an ECDSA signature, else 0
}

// NewSigner returns a Signer whose tokens have a header with the algorithm,
// the type and the ID of the key. The key may be kept anywhere; its public
// half must have passed [CheckKey] for the algorithm, which is a [Canonical]
// one.
func NewSigner(alg string, key crypto.Signer, typ, id string) (*Signer, error) {
	if err := CheckKey(alg, key.Public()); err != nil {
		return nil, err
	}
	header, err := json.Marshal(struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
		Type      string `json:"typ"`
	}{alg, id, typ})
	if err != nil {
		return nil, err
	}
	s := &Signer{key: key, alg: alg, header: base64.RawURLEncoding.EncodeToString(header) + "."}
	if public, ok := key.Public().(*ecdsa.PublicKey); ok {
		s.size = (public.Params().BitSize + 7) / 8
	}
	return s, nil
}

// roomRSA is room for a signature by an RSA key of 2048 bits.
const roomRSA = 256

// Sign returns the payload in compact serialization (RFC 7515, section 7.1).
// An error is that of the key, or says that what it returned is no signature.
func (s *Signer) Sign(payload []byte) (string, error) {
	encoding := base64.RawURLEncoding
	token := make([]byte, 0, len(s.header)+encoding.EncodedLen(len(payload))+1+encoding.EncodedLen(max(2*s.size, roomRSA)))
	token = encoding.AppendEncode(append(token, s.header...), payload)
	signature, err := s.signature(token)
	if err != nil {
		return "", err
	}
	return string(encoding.AppendEncode(append(token, '.'), signature)), nil
}

func (s *Signer) signature(input []byte) ([]byte, error) {
	if s.alg == EdDSA {
		return s.key.Sign(rand.Reader, input, crypto.Hash(0))
	}
	var buf [sha512.Size]byte
	h, digest := hash(&buf, s.alg, input)
	var opts crypto.SignerOpts = h
	if s.alg[0] == 'P' {
		// The salt is as long as the hash (RFC 7518, section 3.5).
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}
	}
	signature, err := s.key.Sign(rand.Reader, digest, opts)
	if err != nil || s.size == 0 {
		return signature, err
	}
	return fixed(signature, s.size)
}

var errNoSignature = errors.New("jws: the signer returned no ECDSA signature in ASN.1")

// fixed returns the numbers of an ECDSA signature in ASN.1, both with the same
// number of bytes (RFC 7518, section 3.4).
func fixed(signature []byte, size int) ([]byte, error) {
	der := cryptobyte.String(signature)
	var body cryptobyte.String
	var r, s []byte
	if !der.ReadASN1(&body, asn1.SEQUENCE) || !der.Empty() ||
		!body.ReadASN1Integer(&r) || !body.ReadASN1Integer(&s) || !body.Empty() {
		return nil, errNoSignature
	}
	if len(r) > size || len(s) > size {
		return nil, fmt.Errorf("%w: it is too long", errNoSignature)
	}
	out := make([]byte, 2*size)
	copy(out[size-len(r):size], r)
	copy(out[2*size-len(s):], s)
	return out, nil
}
