package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// A Key is a public key that one algorithm verifies signatures with.
type Key struct {
	// ID is "kid", or empty.
	ID string
	// Algorithm is the one algorithm that the key is used with.
	Algorithm string
	// Public is an *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey that
	// passed [CheckKey] for the algorithm.
	Public crypto.PublicKey
}

// ParseJWK reads a JSON Web Key for the verification of signatures (RFC 7517,
// section 4). It refuses secret and private keys, keys that "use", "key_ops"
// or "alg" mean for something else, and those that fail [CheckKey].
//
// The algorithm of an elliptic curve key follows from its curve. An RSA key
// that does not name one is used with rsaAlgorithm; if that is empty, it is
// refused. No token has a say in it.
func ParseJWK(data []byte, rsaAlgorithm string) (Key, error) {
	var j jwk
	if err := Members(data, j.member); err != nil {
		return Key{}, err
	}
	switch {
	case j.private:
		return Key{}, errors.New("jws: JWK with private or secret members")
	case j.use != "" && j.use != "sig":
		return Key{}, fmt.Errorf("jws: JWK with use %.20q", j.use)
	case j.hasOps && !slices.Contains(j.ops, "verify"):
		return Key{}, errors.New("jws: JWK without \"verify\" among its key_ops")
	case len(j.kid) > MaxKeyIDBytes:
		return Key{}, errors.New("jws: JWK with a kid that is too long")
	}
	key, err := j.key(rsaAlgorithm)
	if err != nil {
		return Key{}, err
	}
	if j.alg != "" && Canonical(j.alg) != key.Algorithm {
		return Key{}, fmt.Errorf("jws: JWK with alg %.20q for a key of %s", j.alg, key.Algorithm)
	}
	if err := CheckKey(key.Algorithm, key.Public); err != nil {
		return Key{}, err
	}
	return key, nil
}

type jwk struct {
	kty, kid, use, alg, crv string
	n, e, x, y              string
	ops                     []string
	hasOps, private         bool
}

func (j *jwk) member(name, value []byte) error {
	var dst *string
	switch string(name) {
	case "kty":
		dst = &j.kty
	case "kid":
		dst = &j.kid
	case "use":
		dst = &j.use
	case "alg":
		dst = &j.alg
	case "crv":
		dst = &j.crv
	case "n":
		dst = &j.n
	case "e":
		dst = &j.e
	case "x":
		dst = &j.x
	case "y":
		dst = &j.y
	case "key_ops":
		j.hasOps = true
		ops, ok := Strings(value)
		if !ok {
			return errors.New("jws: JWK with key_ops that are not an array of strings")
		}
		j.ops = ops
		return nil
	case "d", "p", "q", "dp", "dq", "qi", "oth", "k":
		j.private = true
		return nil
	default:
		return nil
	}
	s, ok := String(value)
	if !ok {
		return fmt.Errorf("jws: JWK member %q is not a string", string(name))
	}
	*dst = s
	return nil
}

func (j *jwk) key(rsaAlgorithm string) (Key, error) {
	switch j.kty {
	case "RSA":
		alg := rsaAlgorithm
		if j.alg != "" {
			alg = Canonical(j.alg)
		}
		if alg == "" {
			return Key{}, errors.New("jws: RSA key that names no algorithm for signatures")
		}
		public, err := j.rsa()
		return Key{j.kid, alg, public}, err
	case "EC":
		return j.ec()
	case "OKP":
		if j.crv != "Ed25519" {
			return Key{}, fmt.Errorf("jws: JWK on the curve %.20q is not supported", j.crv)
		}
		x, err := Decode(j.x)
		if err != nil || len(x) != ed25519.PublicKeySize {
			return Key{}, errors.New("jws: JWK with a malformed Ed25519 key")
		}
		return Key{j.kid, EdDSA, ed25519.PublicKey(x)}, nil
	}
	return Key{}, fmt.Errorf("jws: JWK with kty %.20q is not supported", j.kty)
}

func (j *jwk) rsa() (*rsa.PublicKey, error) {
	n, errN := Decode(j.n)
	e, errE := Decode(j.e)
	if errN != nil || errE != nil || len(n) == 0 || len(e) == 0 || len(e) > 4 || len(n) > MaxRSABits/8+1 {
		return nil, errors.New("jws: JWK with a malformed RSA key")
	}
	exponent := 0
	for _, b := range e {
		exponent = exponent<<8 | int(b)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: exponent}, nil
}

func (j *jwk) ec() (Key, error) {
	alg, ok := map[string]string{"P-256": ES256, "P-384": ES384, "P-521": ES512}[j.crv]
	if !ok {
		return Key{}, fmt.Errorf("jws: JWK on the curve %.20q is not supported", j.crv)
	}
	c := curve(alg)
	size := (c.Params().BitSize + 7) / 8
	x, errX := Decode(j.x)
	y, errY := Decode(j.y)
	if errX != nil || errY != nil || len(x) != size || len(y) != size {
		return Key{}, errors.New("jws: JWK with a malformed elliptic curve key")
	}
	point := append(append([]byte{4}, x...), y...)
	public, err := ecdsa.ParseUncompressedPublicKey(c, point)
	if err != nil {
		return Key{}, errors.New("jws: JWK with a point that is not on its curve")
	}
	return Key{j.kid, alg, public}, nil
}

// Thumbprint returns the base64url SHA-256 thumbprint of the public key (RFC
// 7638; RFC 8037, section 2). It is empty for a type that has none here.
func (k Key) Thumbprint() string {
	enc := base64.RawURLEncoding.EncodeToString
	var members string
	switch public := k.Public.(type) {
	case *rsa.PublicKey:
		members = `{"e":"` + enc(big.NewInt(int64(public.E)).Bytes()) + `","kty":"RSA","n":"` + enc(public.N.Bytes()) + `"}`
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			return ""
		}
		half := (len(point) - 1) / 2
		members = `{"crv":"` + public.Curve.Params().Name + `","kty":"EC","x":"` + enc(point[1:1+half]) + `","y":"` + enc(point[1+half:]) + `"}`
	case ed25519.PublicKey:
		members = `{"crv":"Ed25519","kty":"OKP","x":"` + enc(public) + `"}`
	default:
		return ""
	}
	sum := sha256.Sum256([]byte(members))
	return enc(sum[:])
}

// ParseSet reads a JWK Set (RFC 7517, section 5). Entries that [ParseJWK]
// refuses are left out and told in skipped, so that one key of a kind that is
// not known here does not cost the others. The set itself must be well formed
// and have at most [MaxKeys] entries.
func ParseSet(data []byte, rsaAlgorithm string) (keys []Key, skipped []error, err error) {
	found := false
	err = Members(data, func(name, value []byte) error {
		if string(name) != "keys" {
			return nil
		}
		found = true
		entries, ok := elements(value)
		if !ok {
			return errNoKeys
		}
		if len(entries) > MaxKeys {
			return fmt.Errorf("jws: JWK set of more than %d keys", MaxKeys)
		}
		for i, entry := range entries {
			key, err := ParseJWK(entry, rsaAlgorithm)
			if err != nil {
				skipped = append(skipped, fmt.Errorf("key %d: %w", i, err))
				continue
			}
			keys = append(keys, key)
		}
		return nil
	})
	if err == nil && !found {
		err = errNoKeys
	}
	if err != nil {
		return nil, nil, err
	}
	return keys, skipped, nil
}

// MaxKeys is the largest number of keys in a set.
const MaxKeys = 256

var errNoKeys = errors.New("jws: not a JWK set: no array \"keys\"")

// elements returns the elements of a JSON array that is known to be valid.
func elements(array []byte) ([]jsontext.Value, bool) {
	if len(array) == 0 || array[0] != '[' {
		return nil, false
	}
	r := readers.Get().(*reader)
	defer r.put()
	d := r.reset(array)
	if _, err := d.ReadToken(); err != nil {
		return nil, false
	}
	var values []jsontext.Value
	for d.PeekKind() != ']' {
		v, err := d.ReadValue()
		if err != nil {
			return nil, false
		}
		values = append(values, v.Clone())
	}
	return values, true
}

// Strings decodes a JSON array of strings, as a value of [Members]. It
// reports false for any other value.
func Strings(value []byte) ([]string, bool) {
	values, ok := elements(value)
	if !ok {
		return nil, false
	}
	list := make([]string, len(values))
	for i, v := range values {
		if list[i], ok = String(v); !ok {
			return nil, false
		}
	}
	return list, true
}
