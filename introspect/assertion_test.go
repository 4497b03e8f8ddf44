package introspect_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/internal/lyingserver"
	"github.com/sneckauth/sneck/introspect"
)

// Keys are made once: an RSA key takes its time.
var testKeys = sync.OnceValue(func() (k struct {
	rsa     *rsa.PrivateKey
	ec      *ecdsa.PrivateKey
	ec384   *ecdsa.PrivateKey
	ed25519 ed25519.PrivateKey
}) {
	k.rsa, _ = rsa.GenerateKey(rand.Reader, 2048)
	k.ec, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	k.ec384, _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, k.ed25519, _ = ed25519.GenerateKey(rand.Reader)
	return k
})

// opened returns header and claims of an assertion, after its signature was
// checked.
func opened(t *testing.T, assertion string, key crypto.Signer, algorithm jose.SignatureAlgorithm) (jose.Header, map[string]any) {
	t.Helper()
	signed, err := jose.ParseSignedCompact(assertion, []jose.SignatureAlgorithm{algorithm})
	require.NoError(t, err)
	payload, err := signed.Verify(key.Public())
	require.NoError(t, err)
	var claims map[string]any
	require.NoError(t, json.Unmarshal(payload, &claims))
	return signed.Signatures[0].Protected, claims
}

func TestIC03_AssertionIsForTheIssuerAndFresh(t *testing.T) {
	keys := testKeys()
	for _, test := range []struct {
		key  introspect.PrivateKey
		want jose.SignatureAlgorithm
	}{
		{introspect.PrivateKey{Key: keys.rsa, ID: "k1"}, jose.PS256},
		{introspect.PrivateKey{Key: keys.rsa, ID: "k1", Algorithm: "RS256"}, jose.RS256},
		{introspect.PrivateKey{Key: keys.ec, ID: "k1"}, jose.ES256},
		{introspect.PrivateKey{Key: keys.ec384, ID: "k1"}, jose.ES384},
		{introspect.PrivateKey{Key: keys.ed25519, ID: "k1"}, jose.EdDSA},
	} {
		t.Run(string(test.want), func(t *testing.T) {
			s := lyingserver.New(t, lyingserver.Status(503, ""), lyingserver.Answer(good))
			c := asking(t, s, clockAndIssuer, func(cfg *introspect.Config) {
				cfg.Credential = introspect.PrivateKeyJWT(introspect.Assertion{ClientID: "api", Key: introspect.StaticKey(test.key), Now: cfg.Now})
			})
			_, err := c.Verify(t.Context(), "abc")
			require.NoError(t, err)
			ids := map[any]bool{}
			for _, seen := range s.Seen() {
				assert.Equal(t, "abc", seen.Form.Get("token"))
				assert.Equal(t, "api", seen.Form.Get("client_id"))
				assert.Equal(t, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", seen.Form.Get("client_assertion_type"))
				header, claims := opened(t, seen.Form.Get("client_assertion"), test.key.Key, test.want)
				assert.Equal(t, "k1", header.KeyID)
				ids[claims["jti"]] = true
				delete(claims, "jti")
				assert.Equal(t, map[string]any{
					"iss": "api", "sub": "api", "aud": "https://as.example.com",
					"iat": float64(now.Unix()), "exp": float64(now.Unix() + 60),
				}, claims)
			}
			assert.Len(t, ids, 2, "each try has its own")
		})
	}
}

func TestAssertionKeyRotates(t *testing.T) {
	keys := testKeys()
	current := introspect.PrivateKey{Key: keys.ec, ID: "old"}
	s := lyingserver.New(t, lyingserver.Answer(good))
	c := asking(t, s, func(cfg *introspect.Config) {
		cfg.Credential = introspect.PrivateKeyJWT(introspect.Assertion{
			ClientID: "api", Audience: "https://aud.example.com",
			Key: func(context.Context) (introspect.PrivateKey, error) { return current, nil },
		})
	})
	_, err := c.Verify(t.Context(), "abc")
	require.NoError(t, err)
	opened(t, s.Last(t).Form.Get("client_assertion"), keys.ec, jose.ES256)
	current = introspect.PrivateKey{Key: keys.ed25519, ID: "new"}
	_, err = c.Verify(t.Context(), "abc")
	require.NoError(t, err)
	header, claims := opened(t, s.Last(t).Form.Get("client_assertion"), keys.ed25519, jose.EdDSA)
	assert.Equal(t, "new", header.KeyID)
	assert.Equal(t, "https://aud.example.com", claims["aud"])
	current = introspect.PrivateKey{}
	got, err := c.Verify(t.Context(), "abc")
	requireUnavailable(t, got, err)
}

func TestKeyFile(t *testing.T) {
	keys := testKeys()
	path := filepath.Join(t.TempDir(), "key")
	source := introspect.KeyFile(path)
	_, err := source(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)

	jwk, err := jose.JSONWebKey{Key: keys.rsa, KeyID: "k7", Algorithm: "RS256"}.MarshalJSON()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, jwk, 0o600))
	got, err := source(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "k7", got.ID)
	assert.Equal(t, "RS256", got.Algorithm)
	assert.True(t, keys.rsa.Equal(got.Key))

	der, err := x509.MarshalPKCS8PrivateKey(keys.ec)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	got, err = source(t.Context())
	require.NoError(t, err)
	assert.True(t, keys.ec.Equal(got.Key))

	public, err := jose.JSONWebKey{Key: keys.ec.Public()}.MarshalJSON()
	require.NoError(t, err)
	t.Setenv("GODEBUG", "rsa1024min=0") // or the library neither makes nor takes such a key
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	der, err = x509.MarshalPKCS8PrivateKey(small)
	require.NoError(t, err)
	for name, bad := range map[string][]byte{
		"public": public, "small": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		"symmetric": []byte(`{"kty":"oct","k":"c2VjcmV0"}`), "text": []byte("s3cr3t"), "PEM of nothing": []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
	} {
		t.Run(name, func(t *testing.T) {
			bad2 := filepath.Join(t.TempDir(), "key")
			require.NoError(t, os.WriteFile(bad2, bad, 0o600))
			_, err := introspect.KeyFile(bad2)(t.Context())
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "s3cr3t")
			require.NoError(t, os.WriteFile(path, bad, 0o600))
			kept, err := source(t.Context())
			require.NoError(t, err)
			assert.True(t, keys.ec.Equal(kept.Key))
		})
	}
}

func TestAssertionWithMistakes(t *testing.T) {
	_, err := introspect.New(introspect.Config{
		Endpoint: "https://as.example.com/i", Credential: introspect.PrivateKeyJWT(introspect.Assertion{Lifetime: time.Hour}),
	})
	for _, want := range []string{"ClientID is missing", "Key is missing", "Lifetime is not between", "set the Issuer"} {
		assert.ErrorContains(t, err, want)
	}
}
