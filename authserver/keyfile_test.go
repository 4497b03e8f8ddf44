package authserver_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
)

func pemOf(t testing.TB, kind string, key any) []byte {
	t.Helper()
	var der []byte
	var err error
	switch kind {
	case "EC PRIVATE KEY":
		der, err = x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	case "RSA PRIVATE KEY":
		der = x509.MarshalPKCS1PrivateKey(key.(*rsa.PrivateKey))
	case "PUBLIC KEY":
		der, err = x509.MarshalPKIXPublicKey(key.(crypto.Signer).Public())
	default:
		der, err = x509.MarshalPKCS8PrivateKey(key)
	}
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestParseSigningKey(t *testing.T) {
	ec := p256(t)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	jwk := func(k jose.JSONWebKey) []byte {
		data, err := json.Marshal(k)
		require.NoError(t, err)
		return data
	}
	for name, test := range map[string]struct {
		data []byte
		want authserver.SigningKey
	}{
		"PKCS #8 EC":      {pemOf(t, "PRIVATE KEY", ec), authserver.SigningKey{Signer: ec, Algorithm: "ES256"}},
		"PKCS #8 Ed25519": {pemOf(t, "PRIVATE KEY", ed), authserver.SigningKey{Signer: ed, Algorithm: "EdDSA"}},
		"PKCS #8 RSA":     {pemOf(t, "PRIVATE KEY", r), authserver.SigningKey{Signer: r, Algorithm: "RS256"}},
		"SEC 1":           {pemOf(t, "EC PRIVATE KEY", ec), authserver.SigningKey{Signer: ec, Algorithm: "ES256"}},
		"PKCS #1":         {pemOf(t, "RSA PRIVATE KEY", r), authserver.SigningKey{Signer: r, Algorithm: "RS256"}},
		"JWK":             {jwk(jose.JSONWebKey{Key: ec, KeyID: "k", Use: "sig"}), authserver.SigningKey{Signer: ec, ID: "k", Algorithm: "ES256"}},
		"JWK with alg":    {jwk(jose.JSONWebKey{Key: r, KeyID: "k", Algorithm: "PS256"}), authserver.SigningKey{Signer: r, ID: "k", Algorithm: "PS256"}},
	} {
		got, err := authserver.ParseSigningKey(test.data)
		require.NoError(t, err, name)
		if test.want.ID == "" {
			public := jose.JSONWebKey{Key: test.want.Signer.Public()}
			sum, err := public.Thumbprint(crypto.SHA256)
			require.NoError(t, err)
			test.want.ID = base64.RawURLEncoding.EncodeToString(sum)
		}
		assert.True(t, test.want.Signer.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(got.Signer.Public()), name)
		got.Signer, test.want.Signer = nil, nil
		assert.Equal(t, test.want, got, name)
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "text": []byte("x"), "public PEM": pemOf(t, "PUBLIC KEY", ec), "damaged PEM": []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
		"public JWK": jwk(jose.JSONWebKey{Key: ec.Public()}), "JWK to encrypt": jwk(jose.JSONWebKey{Key: ec, Use: "enc"}),
		"secret": jwk(jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef")}),
		"weak":   pemOf(t, "PRIVATE KEY", weak), "wrong alg": jwk(jose.JSONWebKey{Key: ec, Algorithm: "RS256"}), "none": jwk(jose.JSONWebKey{Key: ec, Algorithm: "none"}),
	} {
		_, err := authserver.ParseSigningKey(data)
		assert.ErrorContains(t, err, "authserver: ", name)
	}
}

// Files are read again when they have changed, and keep working while they are
// wrong.
func TestFileKeys(t *testing.T) {
	var log bytes.Buffer
	c := newClock(epoch)
	dir := t.TempDir()
	signing, others := filepath.Join(dir, "signing.pem"), filepath.Join(dir, "others.json")
	first, second := p256(t), p256(t)
	write := func(path string, data []byte) { require.NoError(t, os.WriteFile(path, data, 0o600)) }
	set := func(keys ...crypto.Signer) []byte {
		data := []byte(`{"keys":[`)
		for i, k := range keys {
			jwk, err := jose.JSONWebKey{Key: k.Public(), KeyID: "other"}.MarshalJSON()
			require.NoError(t, err)
			if i > 0 {
				data = append(data, ',')
			}
			data = append(data, jwk...)
		}
		return append(data, ']', '}')
	}
	write(signing, pemOf(t, "PRIVATE KEY", first))
	write(others, set())
	config := authserver.FileKeysConfig{Signing: signing, Others: others, Now: c.Now, MaxTTL: time.Minute, Logger: bareLogger(&log)}
	keys, err := authserver.NewFileKeys(config)
	require.NoError(t, err)
	w := newWorld(t, func(config *authserver.Config) { config.Keys, config.Now = keys, c.Now })
	w.putJWTClient(t)
	token := w.issue(t, "jwt", "")
	assert.Len(t, keysAt(t, w).Keys, 1)
	kid := kidOf(t, token)

	write(others, set(second))
	assert.Len(t, keysAt(t, w).Keys, 1, "it looks every ten seconds")
	c.set(c.Now().Add(10 * time.Second))
	assert.Len(t, keysAt(t, w).Keys, 2)
	write(others, set(second, second))
	c.set(c.Now().Add(10 * time.Second))
	assert.Len(t, keysAt(t, w).Keys, 2)
	require.NoError(t, os.Remove(signing))
	c.set(c.Now().Add(10 * time.Second))
	assert.Equal(t, kid, kidOf(t, w.issue(t, "jwt", "")))
	assert.Contains(t, log.String(), `two keys have the ID "other"`)
	assert.Contains(t, log.String(), "no such file")
	write(signing, pemOf(t, "PRIVATE KEY", second))
	write(others, pemOf(t, "PUBLIC KEY", first))
	c.set(c.Now().Add(10 * time.Second))
	assert.NotEqual(t, kid, kidOf(t, w.issue(t, "jwt", "")))
	opened(t, token, keysAt(t, w))
	assert.Contains(t, w.post("/token", credentialsGrant, as("jwt")...).body, `"expires_in":60,`)

	write(filepath.Join(dir, "long"), bytes.Repeat([]byte("x"), 256<<10+1))
	for name, alter := range map[string]func(*authserver.FileKeysConfig){
		"no such file":                func(c *authserver.FileKeysConfig) { c.Others = "nowhere" },
		"is a directory":              func(c *authserver.FileKeysConfig) { c.Signing = dir },
		"is longer than 262144 bytes": func(c *authserver.FileKeysConfig) { c.Others = filepath.Join(dir, "long") },
		`a PEM block of type "PRIVATE KEY" is no public key`:              func(c *authserver.FileKeysConfig) { c.Others = signing },
		"others.json: authserver: the PEM block is no private key to sig": func(c *authserver.FileKeysConfig) { c.Signing = others },
		"negative time": func(c *authserver.FileKeysConfig) { c.MaxAge = -1 },
	} {
		bad := config
		alter(&bad)
		_, err := authserver.NewFileKeys(bad)
		assert.ErrorContains(t, err, name)
	}
}

// What is no key is refused, and never is a crash.
func FuzzParseSigningKey(f *testing.F) {
	key := p256(f)
	f.Add(pemOf(f, "PRIVATE KEY", key))
	f.Add(pemOf(f, "EC PRIVATE KEY", key))
	jwk, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: "k"})
	require.NoError(f, err)
	f.Add(jwk)
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := authserver.ParseSigningKey(data)
		if err != nil {
			return
		}
		_, err = authserver.NewKeySet(authserver.KeySetConfig{Signing: key})
		require.NoError(t, err)
	})
}
