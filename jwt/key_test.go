package jwt_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/jwt"
	"github.com/sneckauth/sneck/jwt/keysourcetest"
)

func TestNewKey(t *testing.T) {
	r, e, d := signers()["RS256"].private.Public(), signers()["ES384"].private.Public(), signers()["EdDSA"].private.Public()
	for _, test := range []struct {
		alg    string
		public any
		want   string // empty: refused
	}{
		{"", r, "RS256"}, {"PS512", r, "PS512"}, {"ES256", r, ""}, {"EdDSA", r, ""}, {"HS256", r, ""}, {"none", r, ""}, {"rs256", r, ""},
		{"", e, "ES384"}, {"ES384", e, "ES384"}, {"ES256", e, ""}, {"RS256", e, ""},
		{"", d, "EdDSA"}, {"Ed25519", d, "EdDSA"}, {"ES256", d, ""},
		{"", nil, ""}, {"", []byte("secret"), ""}, {"HS256", []byte("secret"), ""}, {"", (*rsa.PublicKey)(nil), ""}, {"", (*ecdsa.PublicKey)(nil), ""},
		{"", &rsa.PublicKey{}, ""}, {"", &ecdsa.PublicKey{}, ""}, {"", ed25519.PublicKey{}, ""}, {"", r.(*rsa.PublicKey).N, ""},
		{"", signers()["RS256"].private, ""},
		{"", &ecdsa.PublicKey{Curve: elliptic.P224()}, ""},
		{"", &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}, ""},
		{"", &rsa.PublicKey{N: r.(*rsa.PublicKey).N, E: 3}, ""},
	} {
		k, err := jwt.NewKey("id", test.alg, test.public)
		if test.want == "" {
			assert.Error(t, err, "%s %T", test.alg, test.public)
			assert.Nil(t, k)
			continue
		}
		require.NoError(t, err, "%s %T", test.alg, test.public)
		assert.Equal(t, []string{"id", test.want}, []string{k.ID(), k.Algorithm()})
		assert.Len(t, k.Thumbprint(), 43)
	}
}

// Under a key of small order some signature fits any message.
func TestNewKeySmallOrder(t *testing.T) {
	for _, y := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		point, err := hex.DecodeString(y)
		require.NoError(t, err)
		_, err = jwt.NewKey("", "", ed25519.PublicKey(point))
		assert.ErrorContains(t, err, "small order", y)
	}
}

func TestKeySetFinds(t *testing.T) {
	key := func(id, alg string) *jwt.Key {
		k, err := jwt.NewKey(id, alg, signers()[alg].private.Public())
		require.NoError(t, err)
		return k
	}
	a, b, c := key("a", "ES256"), key("b", "ES384"), key("", "EdDSA")
	r1, r2 := key("r", "RS256"), key("r", "PS256")
	p1, p2 := key("", "RS512"), key("", "RS512")
	again := key("a", "ES256")
	set, err := jwt.NewKeySet(a, b, c, r1, r2, p1, p2, again)
	require.NoError(t, err)
	assert.Equal(t, 7, set.Len())
	for _, test := range []struct {
		alg, kid string
		want     *jwt.Key
	}{
		{"ES256", "a", a}, {"ES256", "", a}, {"ES256", "b", nil}, {"ES256", "x", nil},
		{"ES384", "b", b}, {"ES384", "a", nil},
		{"EdDSA", "any", c}, {"EdDSA", "", c},
		{"RS256", "r", r1}, {"PS256", "r", r2}, {"RS384", "r", nil},
		{"RS512", "", nil}, {"RS512", "any", nil},
		{"none", "", nil}, {"", "", nil},
	} {
		got, err := set.Key(t.Context(), test.alg, test.kid)
		assert.Same(t, test.want, got, "%s %q", test.alg, test.kid)
		if test.want == nil {
			assert.ErrorIs(t, err, jwt.ErrNoKey)
		}
	}
	for _, bad := range [][]*jwt.Key{nil, {nil}, {new(jwt.Key)}} {
		_, err := jwt.NewKeySet(bad...)
		assert.Error(t, err)
	}
}

func TestParsePEM(t *testing.T) {
	r, e := signers()["RS256"], signers()["ES256"]
	block := func(typ string, der []byte, err error) string {
		require.NoError(t, err)
		return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}))
	}
	pkix1 := func(public any) string {
		der, err := x509.MarshalPKIXPublicKey(public)
		return block("PUBLIC KEY", der, err)
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "as"}, NotAfter: time.Unix(1, 0),
	}, &x509.Certificate{}, signers()["EdDSA"].private.Public(), e.private)
	require.NoError(t, err)
	set, err := jwt.ParsePEM([]byte("# keys\n" + block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(r.private.Public().(*rsa.PublicKey)), nil) +
		pkix1(e.private.Public()) + block("CERTIFICATE", certificate, nil)))
	require.NoError(t, err)
	assert.Equal(t, 3, set.Len())
	v := newVerifier(t, set)
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		_, err := v.Verify(t.Context(), signers()[alg].token())
		assert.NoError(t, err, alg)
	}
	_, err = v.Verify(t.Context(), signers()["PS256"].token())
	assert.Error(t, err)

	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(e.private)
	for name, text := range map[string]string{
		"nothing":     "",
		"no PEM":      "ssh-rsa AAAA",
		"private key": block("PRIVATE KEY", private, err),
		"weak key":    pkix1(&small.PublicKey),
		"garbage":     block("PUBLIC KEY", []byte("x"), nil),
		"one of two":  pkix1(e.private.Public()) + block("EC PRIVATE KEY", []byte("x"), nil),
	} {
		_, err := jwt.ParsePEM([]byte(text))
		assert.Error(t, err, name)
	}
}

func TestKeySourceContract(t *testing.T) {
	s := withKid("a")
	t.Run("KeySet", func(t *testing.T) {
		set, err := jwt.ParseJWKS([]byte(jwks(s.jwk(""))))
		require.NoError(t, err)
		keysourcetest.Run(t, set, jwt.ES256, "a")
	})
	t.Run("Remote", func(t *testing.T) {
		_, r := remote(t, nil, "a")
		keysourcetest.Run(t, r, jwt.ES256, "a")
	})
}
