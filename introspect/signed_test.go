package introspect_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/internal/lyingserver"
	"github.com/sneckauth/sneck/introspect"
)

const (
	signedType = "application/token-introspection+jwt"
	jwksAt     = "https://as.example.com/jwks"
	askAt      = "https://as.example.com/introspect"
)

// claims are those of a good signed answer, with changes; nil removes one.
func claims(changes map[string]any) map[string]any {
	all := map[string]any{
		"iss": "https://as.example.com", "aud": "api", "iat": now.Unix(),
		"token_introspection": map[string]any{"active": true, "sub": "ada", "scope": "read"},
	}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

func jws(t *testing.T, algorithm jose.SignatureAlgorithm, key any, kid, typ string, claims any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithHeader("kid", kid)
	if typ != "" {
		options = options.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	require.NoError(t, err)
	payload, ok := claims.(string)
	if !ok {
		encoded, err := json.Marshal(claims)
		require.NoError(t, err)
		payload = string(encoded)
	}
	signed, err := signer.Sign([]byte(payload))
	require.NoError(t, err)
	compact, err := signed.CompactSerialize()
	require.NoError(t, err)
	return compact
}

func keySet(t *testing.T, keys ...jose.JSONWebKey) http.Handler {
	t.Helper()
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	require.NoError(t, err)
	return lyingserver.Answer(string(set))
}

func signedPages(t *testing.T, answer http.Handler) *pages {
	keys := testKeys()
	return &pages{pages: map[string]http.Handler{
		wellKnown: lyingserver.Answer(fmt.Sprintf(`{"issuer":"https://as.example.com","introspection_endpoint":%q,"jwks_uri":%q}`, askAt, jwksAt)),
		jwksAt: keySet(t,
			jose.JSONWebKey{Key: keys.rsa.Public(), KeyID: "rsa", Use: "sig"},
			jose.JSONWebKey{Key: keys.rsa.Public(), KeyID: "rsa-pss", Algorithm: "PS256"},
			jose.JSONWebKey{Key: keys.ec.Public(), KeyID: "ec"},
			jose.JSONWebKey{Key: keys.ed25519.Public(), KeyID: "ed"},
			jose.JSONWebKey{Key: keys.ec384.Public(), KeyID: "enc", Use: "enc"},
		),
		askAt: answer,
	}}
}

func signedClient(t *testing.T, p *pages, change ...func(*introspect.Config)) *introspect.Client {
	all := append([]func(*introspect.Config){discovering("https://as.example.com"), func(cfg *introspect.Config) {
		cfg.Now = func() time.Time { return now }
		cfg.Timeout = time.Minute
		cfg.Signed = &introspect.SignedAnswers{Audience: "api"}
	}}, change...)
	return scriptedClient(t, p.RoundTrip, all...)
}

func TestIC16_SignedAnswer(t *testing.T) {
	keys := testKeys()
	const typ = "token-introspection+jwt"
	for _, test := range []struct {
		name, compact string
		ok            bool
	}{
		{"RS256", jws(t, jose.RS256, keys.rsa, "rsa", typ, claims(nil)), true},
		{"PS256", jws(t, jose.PS256, keys.rsa, "rsa-pss", typ, claims(nil)), true},
		{"PS256 by a key for RS256", jws(t, jose.PS256, keys.rsa, "rsa", typ, claims(nil)), false},
		{"ES256", jws(t, jose.ES256, keys.ec, "ec", typ, claims(nil)), true},
		{"EdDSA", jws(t, jose.EdDSA, keys.ed25519, "ed", typ, claims(nil)), true},
		{"no kid", jws(t, jose.ES256, keys.ec, "", typ, claims(nil)), true},
		{"long typ", jws(t, jose.ES256, keys.ec, "ec", "application/"+typ, claims(nil)), true},
		{"aud array", jws(t, jose.ES256, keys.ec, "ec", typ, claims(map[string]any{"aud": []string{"x", "api"}})), true},
		{"exp ahead", jws(t, jose.ES256, keys.ec, "ec", typ, claims(map[string]any{"exp": now.Unix() + 1})), true},
		{"iat within the skew", jws(t, jose.ES256, keys.ec, "ec", typ, claims(map[string]any{"iat": now.Unix() + 60})), true},

		{"typ missing", jws(t, jose.ES256, keys.ec, "ec", "", claims(nil)), false},
		{"typ JWT", jws(t, jose.ES256, keys.ec, "ec", "JWT", claims(nil)), false},
		{"typ of an access token", jws(t, jose.ES256, keys.ec, "ec", "at+jwt", claims(nil)), false},
		{"iss other", jws(t, jose.ES256, keys.ec, "ec", typ, claims(map[string]any{"iss": "https://evil.example.com"})), false},
		{"iss missing", jws(t, jose.ES256, keys.ec, "ec", typ, claims(map[string]any{"iss": nil})), false},
		{"aud other", jws(t, jose.ES256, keys.ec, "ec", typ, claims(map[string]any{"aud": "other"})), false},
		{"aud missing", jws(t, jose.ES256, keys.ec, "ec", typ, claims(map[string]any{"aud": nil})), false},
		{"iat old", jws(t, jose.ES256, keys.ec, "ec", typ, claims(map[string]any{"iat": now.Unix() - 61})), false},
		{"iat ahead", jws(t, jose.ES256, keys.ec, "ec", typ, claims(map[string]any{"iat": now.Unix() + 61})), false},
		{"iat missing", jws(t, jose.ES256, keys.ec, "ec", typ, claims(map[string]any{"iat": nil})), false},
		{"exp past", jws(t, jose.ES256, keys.ec, "ec", typ, claims(map[string]any{"exp": now.Unix()})), false},
		{"exp negative", jws(t, jose.ES256, keys.ec, "ec", typ, claims(map[string]any{"exp": -5})), false},
		{"active outside", jws(t, jose.ES256, keys.ec, "ec", typ, claims(map[string]any{"token_introspection": nil, "active": true})), false},
		{"active outside and an empty object", jws(t, jose.ES256, keys.ec, "ec", typ, claims(map[string]any{"token_introspection": map[string]any{}, "active": true})), false},
		{"object as string", jws(t, jose.ES256, keys.ec, "ec", typ, claims(map[string]any{"token_introspection": `{"active":true}`})), false},
		{"object twice", jws(t, jose.ES256, keys.ec, "ec", typ, `{"iss":"https://as.example.com","aud":"api","iat":1700000000,"token_introspection":{"active":false},"token_introspection":{"active":true}}`), false},
		{"payload no JSON", jws(t, jose.ES256, keys.ec, "ec", typ, "active"), false},
		{"unknown kid", jws(t, jose.ES256, keys.ec, "ec2", typ, claims(nil)), false},
		{"key of another kid", jws(t, jose.ES256, keys.ec, "ed", typ, claims(nil)), false},
		{"key to encrypt with", jws(t, jose.ES384, keys.ec384, "enc", typ, claims(nil)), false},
		{"HS256 by the public key", jws(t, jose.HS256, keys.rsa.N.Bytes(), "rsa", typ, claims(nil)), false},
		{"none", "eyJhbGciOiJub25lIiwidHlwIjoidG9rZW4taW50cm9zcGVjdGlvbitqd3QifQ." + strings.Split(jws(t, jose.ES256, keys.ec, "ec", typ, claims(nil)), ".")[1] + ".", false},
		{"signature changed", jws(t, jose.ES256, keys.ec, "ec", typ, claims(nil))[:20] + "x" + jws(t, jose.ES256, keys.ec, "ec", typ, claims(nil))[21:], false},
		{"JSON", good, false},
		{"empty", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := signedClient(t, signedPages(t, lyingserver.Typed(signedType, test.compact)))
			got, err := c.Verify(t.Context(), "abc")
			if !test.ok {
				requireUnavailable(t, got, err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "ada", got.Subject)
			assert.Equal(t, "https://as.example.com", got.Issuer)
			assert.JSONEq(t, `{"active":true,"sub":"ada","scope":"read"}`, string(got.RawClaims))
		})
	}
	t.Run("inactive", func(t *testing.T) {
		compact := jws(t, jose.ES256, keys.ec, "ec", typ, claims(map[string]any{"token_introspection": map[string]any{"active": false}}))
		got, err := signedClient(t, signedPages(t, lyingserver.Typed(signedType, compact))).Verify(t.Context(), "abc")
		requireInvalid(t, got, err)
	})
	t.Run("algorithm not wanted", func(t *testing.T) {
		compact := jws(t, jose.ES256, keys.ec, "ec", typ, claims(nil))
		got, err := signedClient(t, signedPages(t, lyingserver.Typed(signedType, compact)), func(cfg *introspect.Config) {
			cfg.Signed.Algorithms = []string{"PS256"}
		}).Verify(t.Context(), "abc")
		requireUnavailable(t, got, err)
	})
}

func TestIC15_PlainAnswerIsRefusedWhereASignedOneWasAskedFor(t *testing.T) {
	var accept string
	p := signedPages(t, nil)
	p.pages[askAt] = lyingserver.Answer(good)
	c := signedClient(t, p, func(cfg *introspect.Config) {
		cfg.Transport = scripted(func(r *http.Request) (*http.Response, error) {
			accept = r.Header.Get("Accept")
			return p.RoundTrip(r)
		})
	})
	got, err := c.Verify(t.Context(), "abc")
	requireUnavailable(t, got, err)
	assert.Equal(t, signedType, accept)
}

func TestSignedAnswerThatIsEncrypted(t *testing.T) {
	keys := testKeys()
	compact := jws(t, jose.ES256, keys.ec, "ec", "token-introspection+jwt", claims(nil))
	encrypted := func(algorithm jose.KeyAlgorithm, key any) string {
		e, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: algorithm, Key: key}, (&jose.EncrypterOptions{}).WithContentType("JWT"))
		require.NoError(t, err)
		sealed, err := e.Encrypt([]byte(compact))
		require.NoError(t, err)
		out, err := sealed.CompactSerialize()
		require.NoError(t, err)
		return out
	}
	for _, test := range []struct {
		name, body string
		key        introspect.PrivateKey
		ok         bool
	}{
		{"RSA-OAEP-256", encrypted(jose.RSA_OAEP_256, keys.rsa.Public()), introspect.PrivateKey{Key: keys.rsa}, true},
		{"ECDH-ES", encrypted(jose.ECDH_ES, keys.ec384.Public()), introspect.PrivateKey{Key: keys.ec384}, true},
		{"RSA1_5", encrypted(jose.RSA1_5, keys.rsa.Public()), introspect.PrivateKey{Key: keys.rsa}, false},
		{"other key", encrypted(jose.ECDH_ES, keys.ec384.Public()), introspect.PrivateKey{Key: keys.rsa}, false},
		{"not encrypted", compact, introspect.PrivateKey{Key: keys.rsa}, false},
		{"key that can not decrypt", encrypted(jose.ECDH_ES, keys.ec384.Public()), introspect.PrivateKey{Key: keys.ed25519}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := signedClient(t, signedPages(t, lyingserver.Typed(signedType, test.body)), func(cfg *introspect.Config) {
				cfg.Signed.Decryption = introspect.StaticKey(test.key)
			})
			got, err := c.Verify(t.Context(), "abc")
			if !test.ok {
				requireUnavailable(t, got, err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "ada", got.Subject)
		})
	}
	t.Run("encrypted without a key of ours", func(t *testing.T) {
		c := signedClient(t, signedPages(t, lyingserver.Typed(signedType, encrypted(jose.RSA_OAEP_256, keys.rsa.Public()))))
		got, err := c.Verify(t.Context(), "abc")
		requireUnavailable(t, got, err)
	})
}

func TestKeysOfTheAuthorityRotate(t *testing.T) {
	keys := testKeys()
	synctest.Test(t, func(t *testing.T) {
		answer := func(kid string, key any, algorithm jose.SignatureAlgorithm) http.Handler {
			return lyingserver.Typed(signedType, jws(t, algorithm, key, kid, "token-introspection+jwt", claims(map[string]any{"iat": time.Now().Unix()})))
		}
		p := signedPages(t, answer("ec", keys.ec, jose.ES256))
		c := signedClient(t, p, func(cfg *introspect.Config) { cfg.Now = nil })
		ask := func() error {
			_, err := c.Verify(t.Context(), "abc")
			synctest.Wait()
			return err
		}
		require.NoError(t, ask())
		require.NoError(t, ask())
		require.Equal(t, 1, p.count(jwksAt))

		// A flood of unknown keys is no flood of fetches.
		p.set(askAt, answer("new", keys.rsa, jose.PS256))
		for range 20 {
			require.Error(t, ask())
		}
		require.Equal(t, 1, p.count(jwksAt))
		time.Sleep(31 * time.Second)
		p.set(jwksAt, keySet(t, jose.JSONWebKey{Key: keys.rsa.Public(), KeyID: "new", Algorithm: "PS256"}))
		p.set(askAt, answer("new", keys.rsa, jose.PS256))
		require.NoError(t, ask(), "a new key is found at once")
		require.Equal(t, 2, p.count(jwksAt))
		p.set(askAt, answer("ec", keys.ec, jose.ES256))
		require.Error(t, ask(), "a key that is withdrawn is taken no more")

		// An outage of the set is bridged for an hour.
		p.set(jwksAt, lyingserver.Answer(`{"keys":[]}`))
		time.Sleep(50 * time.Minute)
		p.set(askAt, answer("new", keys.rsa, jose.PS256))
		require.NoError(t, ask())
		time.Sleep(20 * time.Minute)
		p.set(askAt, answer("new", keys.rsa, jose.PS256))
		require.Error(t, ask())
		require.NoError(t, c.Close())
	})
}

func TestSignedAnswersWithMistakes(t *testing.T) {
	_, err := introspect.New(introspect.Config{
		Endpoint: askAt, Credential: introspect.Bearer("x"),
		Signed: &introspect.SignedAnswers{JWKS: "http://as.example.com/", Algorithms: []string{"none", "HS256", "ES256"}},
	})
	for _, want := range []string{"Config.Issuer is missing", "SignedAnswers.Audience is missing", "SignedAnswers.JWKS must begin", `"none" is not`, `"HS256" is not`} {
		assert.ErrorContains(t, err, want)
	}
	assert.NotContains(t, err.Error(), "ES256")
}
