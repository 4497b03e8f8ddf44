// Package dpoptest makes DPoP proofs for tests, good ones and others.
package dpoptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// A Signer is a key and what its proofs say about it.
type Signer struct {
	key crypto.Signer
	alg string
	// JWK is the public key, as the header of a proof has it.
	JWK map[string]any
}

// New returns a signer with a fresh key for the algorithm.
func New(t testing.TB, alg string) *Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	require.NoError(t, err)
	s := &Signer{key: key, alg: alg}
	switch public := key.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		require.NoError(t, err)
		half := (len(point) - 1) / 2
		s.JWK = map[string]any{"kty": "EC", "crv": public.Params().Name, "x": encode(point[1 : 1+half]), "y": encode(point[1+half:])}
	case ed25519.PublicKey:
		s.JWK = map[string]any{"kty": "OKP", "crv": "Ed25519", "x": encode(public)}
	case *rsa.PublicKey:
		s.JWK = map[string]any{"kty": "RSA", "n": encode(public.N.Bytes()), "e": encode(big.NewInt(int64(public.E)).Bytes())}
	}
	return s
}

// Thumbprint returns the thumbprint of the key (RFC 7638).
func (s *Signer) Thumbprint(t testing.TB) string {
	// encoding/json writes members in the order of their names.
	canonical, err := json.Marshal(s.JWK)
	require.NoError(t, err)
	sum := sha256.Sum256(canonical)
	return encode(sum[:])
}

// Proof signs a proof with the claims. The members of header, which may be
// nil, replace those that a good header has; nil removes one.
func (s *Signer) Proof(t testing.TB, header, claims map[string]any) string {
	t.Helper()
	full := map[string]any{"typ": "dpop+jwt", "alg": s.alg, "jwk": s.JWK}
	maps.Copy(full, header)
	maps.DeleteFunc(full, func(_ string, v any) bool { return v == nil })
	h, err := json.Marshal(full)
	require.NoError(t, err)
	c, err := json.Marshal(claims)
	require.NoError(t, err)
	return s.Sign(t, h, c)
}

// Sign signs any header and payload.
func (s *Signer) Sign(t testing.TB, header, payload []byte) string {
	t.Helper()
	input := encode(header) + "." + encode(payload)
	digest := []byte(input)
	var opts crypto.SignerOpts = crypto.Hash(0)
	switch s.alg {
	case "ES384":
		sum := sha512.Sum384(digest)
		digest, opts = sum[:], crypto.SHA384
	case "ES512":
		sum := sha512.Sum512(digest)
		digest, opts = sum[:], crypto.SHA512
	case "EdDSA":
	default:
		sum := sha256.Sum256(digest)
		digest, opts = sum[:], crypto.SHA256
	}
	if s.alg == "PS256" {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	}
	signature, err := s.key.Sign(rand.Reader, digest, opts)
	require.NoError(t, err)
	if public, ok := s.key.Public().(*ecdsa.PublicKey); ok {
		var rs struct{ R, S *big.Int }
		_, err := asn1.Unmarshal(signature, &rs)
		require.NoError(t, err)
		size := (public.Params().BitSize + 7) / 8
		signature = append(rs.R.FillBytes(make([]byte, size)), rs.S.FillBytes(make([]byte, size))...)
	}
	return input + "." + encode(signature)
}

// TokenHash returns the "ath" of a token.
func TokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return encode(sum[:])
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
