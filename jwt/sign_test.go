package jwt_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/jwt"
)

const issuerID = "https://as.example"

// now is the time of all tests that do not run a clock.
var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func fixedNow() time.Time { return now }

// validClaims are the claims of a valid token of the RFC 9068
// profile, to be changed by tests.
const validClaims = `{"iss":"https://as.example","sub":"alice","aud":"https://api.example","exp":1795521900,"iat":1795521500,"jti":"t1","client_id":"app","scope":"orders:read orders:write"}`

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// A signer is the private side of a key.
type signer struct {
	alg, kid string
	private  crypto.Signer
}

// signers returns one signer for every algorithm; the keys are made once.
var signers = sync.OnceValue(func() map[string]signer {
	must := func(k crypto.Signer, err error) crypto.Signer {
		if err != nil {
			panic(err)
		}
		return k
	}
	r := must(rsa.GenerateKey(rand.Reader, 2048))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	m := map[string]signer{
		"ES256": {"ES256", "es256", must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))},
		"ES384": {"ES384", "es384", must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))},
		"ES512": {"ES512", "es512", must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))},
		"EdDSA": {"EdDSA", "eddsa", must(ed, err)},
	}
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		m[alg] = signer{alg, strings.ToLower(alg), r}
	}
	return m
})

func (s signer) header() string {
	return fmt.Sprintf(`{"typ":"at+jwt","alg":"%s","kid":"%s"}`, s.alg, s.kid)
}

// token signs a valid token.
func (s signer) token() string { return s.sign(s.header(), validClaims) }

// sign signs whatever it is given.
func (s signer) sign(header, payload string) string {
	input := b64(header) + "." + b64(payload)
	return input + "." + base64.RawURLEncoding.EncodeToString(s.signature(input))
}

func (s signer) hash() crypto.Hash {
	return map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[s.alg[2:]]
}

func (s signer) signature(input string) []byte {
	if s.alg == "EdDSA" {
		return ed25519.Sign(s.private.(ed25519.PrivateKey), []byte(input))
	}
	h := s.hash().New()
	h.Write([]byte(input))
	digest := h.Sum(nil)
	switch s.alg[0] {
	case 'R':
		sig, err := rsa.SignPKCS1v15(nil, s.private.(*rsa.PrivateKey), s.hash(), digest)
		check(err)
		return sig
	case 'P':
		sig, err := rsa.SignPSS(rand.Reader, s.private.(*rsa.PrivateKey), s.hash(), digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		check(err)
		return sig
	}
	key := s.private.(*ecdsa.PrivateKey)
	r, t, err := ecdsa.Sign(rand.Reader, key, digest)
	check(err)
	return concat(key.Curve, r, t)
}

func concat(c elliptic.Curve, r, s *big.Int) []byte {
	size := (c.Params().BitSize + 7) / 8
	return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
}

// jwk returns the public key as JSON, with extra members before the end, such
// as `,"use":"sig"`.
func (s signer) jwk(extra string) string {
	return fmt.Sprintf(`{"kid":"%s",%s%s}`, s.kid, publicMembers(s.private.Public()), extra)
}

func publicMembers(public crypto.PublicKey) string {
	enc := base64.RawURLEncoding.EncodeToString
	switch k := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf(`"kty":"RSA","n":"%s","e":"%s"`, enc(k.N.Bytes()), enc(big.NewInt(int64(k.E)).Bytes()))
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		check(err)
		half := (len(point) - 1) / 2
		return fmt.Sprintf(`"kty":"EC","crv":"%s","x":"%s","y":"%s"`, k.Curve.Params().Name, enc(point[1:1+half]), enc(point[1+half:]))
	case ed25519.PublicKey:
		return fmt.Sprintf(`"kty":"OKP","crv":"Ed25519","x":"%s"`, enc(k))
	}
	panic("unknown key")
}

// jwks returns a key set of JWKs.
func jwks(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

// allKeys is the key set of all signers.
func allKeys(t testing.TB) *jwt.KeySet {
	t.Helper()
	var keys []string
	for alg, s := range signers() {
		keys = append(keys, s.jwk(`,"alg":"`+alg+`"`))
	}
	set, err := jwt.ParseJWKS([]byte(jwks(keys...)))
	require.NoError(t, err)
	return set
}

// newVerifier returns a Verifier for one issuer with the given keys.
func newVerifier(t testing.TB, keys jwt.KeySource, change ...func(*jwt.Config)) *jwt.Verifier {
	t.Helper()
	c := jwt.Config{Issuers: []jwt.Issuer{{ID: issuerID, Keys: keys}}, Now: fixedNow}
	for _, f := range change {
		f(&c)
	}
	v, err := jwt.New(c)
	require.NoError(t, err)
	t.Cleanup(func() { v.Close() })
	return v
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
