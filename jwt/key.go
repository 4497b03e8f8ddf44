package jwt

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/sneckauth/sneck/internal/jws"
)

// The algorithms that can be listed (RFC 7518, section 3.1; RFC 8037, section
// 3.1). EdDSA means Ed25519, by this name or its own (RFC 9864).
const (
	RS256 = jws.RS256
	RS384 = jws.RS384
	RS512 = jws.RS512
	PS256 = jws.PS256
	PS384 = jws.PS384
	PS512 = jws.PS512
	ES256 = jws.ES256
	ES384 = jws.ES384
	ES512 = jws.ES512
	EdDSA = jws.EdDSA
)

// A KeySource finds the keys of one issuer. It must be safe for concurrent
// use. [KeySet] and [Remote] are KeySources; package keysourcetest checks
// others.
//
// Key returns the one key that verifies signatures of the algorithm and has
// the key ID, which is empty if the token names none. Both come from a token
// that is not verified, so kid is opaque data that anyone may have written:
// it must not become a part of a path, query or URL. An error that wraps
// [ErrNoKey] says that the issuer has no such key, any other that it could
// not be found out, best with a *sneck.UnavailableError.
type KeySource interface {
	Key(ctx context.Context, alg, kid string) (*Key, error)
}

// ErrNoKey means that an issuer has no such key.
var ErrNoKey = errors.New("jwt: the issuer has no such key")

// A Key verifies the signatures of one algorithm. Make it with [NewKey]. It
// is read-only and safe for concurrent use.
type Key struct{ jws jws.Key }

// NewKey returns a Key with an ID, which may be empty, for an algorithm and
// an *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey. If alg is empty,
// it follows from the key: the curve's own for elliptic curves, RS256 for
// RSA. Keys that are weak, malformed or of another algorithm are refused.
func NewKey(id, alg string, public crypto.PublicKey) (*Key, error) {
	if alg == "" {
		alg = usual(public)
	}
	canonical := jws.Canonical(alg)
	if canonical == "" && alg != "" {
		return nil, fmt.Errorf("jwt: algorithm %q is not supported (hint: RS256, PS256, ES256, EdDSA)", alg)
	}
	if err := jws.CheckKey(canonical, public); err != nil {
		return nil, fmt.Errorf("jwt: key %q: %w", id, err)
	}
	return &Key{jws.Key{ID: id, Algorithm: canonical, Public: public}}, nil
}

// usual returns the algorithm that a key has if nobody names one.
func usual(public crypto.PublicKey) string {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return RS256
	case ed25519.PublicKey:
		return EdDSA
	case *ecdsa.PublicKey:
		if public != nil && public.Curve != nil {
			return map[string]string{"P-256": ES256, "P-384": ES384, "P-521": ES512}[public.Curve.Params().Name]
		}
	}
	return ""
}

// ID returns the key ID, or an empty string.
func (k *Key) ID() string { return k.jws.ID }

// Algorithm returns the one algorithm that the key is used with.
func (k *Key) Algorithm() string { return k.jws.Algorithm }

// Thumbprint returns the base64url SHA-256 thumbprint of the key (RFC 7638).
func (k *Key) Thumbprint() string { return k.jws.Thumbprint() }

// A KeySet is a [KeySource] of keys that do not change. It is read-only and
// safe for concurrent use.
//
// A key is found by its ID and algorithm. A key without an ID is found by any
// ID, and any key by the empty one, if it is the only such key of the
// algorithm: no signature is tried on one key after the other.
type KeySet struct {
	named   map[[2]string]*Key // by algorithm and ID
	unnamed map[string]*Key    // the key without an ID, by algorithm; nil if several
	only    map[string]*Key    // the key of an algorithm; nil if several
	ids     map[string]bool
	size    int
}

// NewKeySet returns the set of the given keys, of which there must be one at
// least. Of two keys with the same ID and algorithm the first counts.
func NewKeySet(keys ...*Key) (*KeySet, error) {
	if len(keys) == 0 {
		return nil, errors.New("jwt: key set without a usable key")
	}
	s := &KeySet{map[[2]string]*Key{}, map[string]*Key{}, map[string]*Key{}, map[string]bool{}, 0}
	for _, k := range keys {
		if k == nil || k.jws.Public == nil {
			return nil, errors.New("jwt: key set with a key that NewKey did not make")
		}
		id, alg := k.ID(), k.Algorithm()
		if _, again := s.named[[2]string{alg, id}]; again && id != "" {
			continue
		}
		s.size++
		if id == "" {
			single(s.unnamed, alg, k)
		} else {
			s.named[[2]string{alg, id}] = k
			s.ids[id] = true
		}
		single(s.only, alg, k)
	}
	return s, nil
}

// single sets m[alg] to the key if it is the first, and to nil otherwise.
func single(m map[string]*Key, alg string, k *Key) {
	if _, several := m[alg]; several {
		k = nil
	}
	m[alg] = k
}

// Key implements [KeySource].
func (s *KeySet) Key(_ context.Context, alg, kid string) (*Key, error) {
	if k := s.find(alg, kid); k != nil {
		return k, nil
	}
	return nil, ErrNoKey
}

func (s *KeySet) find(alg, kid string) *Key {
	if kid == "" {
		return s.only[alg]
	}
	if k := s.named[[2]string{alg, kid}]; k != nil {
		return k
	}
	return s.unnamed[alg]
}

// Len returns the number of keys.
func (s *KeySet) Len() int { return s.size }

// ParseJWKS reads a JWK Set (RFC 7517, section 5). Entries that can not
// verify signatures are left out: secret and private keys, keys for other
// uses, of other kinds, or weak. An RSA key that names no algorithm is used
// with RS256. It is an error if no key is left.
func ParseJWKS(data []byte) (*KeySet, error) { return parseSet(data, RS256) }

func parseSet(data []byte, rsaAlgorithm string) (*KeySet, error) {
	found, skipped, err := jws.ParseSet(data, rsaAlgorithm)
	if err != nil {
		return nil, fmt.Errorf("jwt: %w", err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("jwt: key set without a usable key: %w", errors.Join(skipped...))
	}
	keys := make([]*Key, len(found))
	for i, k := range found {
		keys[i] = &Key{k}
	}
	return NewKeySet(keys...)
}

// ParsePEM reads public keys and certificates: blocks of the types PUBLIC
// KEY, RSA PUBLIC KEY and CERTIFICATE. A certificate is a wrapping for its
// key, nothing else in it is looked at. The keys have no ID and the algorithm
// that [NewKey] takes for them. A block of any other type is an error.
func ParsePEM(data []byte) (*KeySet, error) {
	var keys []*Key
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return NewKeySet(keys...)
		}
		public, err := parseBlock(block)
		if err != nil {
			return nil, err
		}
		key, err := NewKey("", "", public)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
}

func parseBlock(block *pem.Block) (public crypto.PublicKey, err error) {
	switch block.Type {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			public = certificate.PublicKey
		}
	default:
		return nil, fmt.Errorf("jwt: PEM block of type %q is not a public key (hint: openssl pkey -pubout)", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("jwt: PEM block of type %q: %w", block.Type, err)
	}
	return public, nil
}
