package authserver_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

var allAlgorithms = []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.ES512, jose.EdDSA, jose.RS256, jose.PS256}

// newJWTWorld is newWorld with a client "jwt" whose tokens are JWTs signed by
// the key.
func newJWTWorld(t *testing.T, signer crypto.Signer, change ...func(*authserver.Config)) *world {
	t.Helper()
	keys, err := authserver.StaticKeys(authserver.SigningKey{Signer: signer, ID: "k1"})
	require.NoError(t, err)
	w := newWorld(t, append([]func(*authserver.Config){func(c *authserver.Config) { c.Keys = keys }}, change...)...)
	w.putJWTClient(t)
	return w
}

func (w *world) putJWTClient(t *testing.T) {
	t.Helper()
	require.NoError(t, w.memory.PutClient(t.Context(), &authserver.Client{
		ID: "jwt", Grants: []string{authserver.GrantClientCredentials}, Scopes: scopes.Set{"read", "write"}, Audience: []string{api},
		Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}}, AccessTokenFormat: authserver.FormatJWT,
	}))
}

func p256(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// keysAt returns what a server publishes.
func keysAt(t *testing.T, h http.Handler) jose.JSONWebKeySet {
	t.Helper()
	got := get(h, issuer+"/jwks")
	require.Equal(t, 200, got.status, got.body)
	var set jose.JSONWebKeySet
	require.NoError(t, json.Unmarshal([]byte(got.body), &set))
	return set
}

// opened verifies a token by go-jose and returns its header and claims.
func opened(t *testing.T, token string, set jose.JSONWebKeySet) (header, claims map[string]any) {
	t.Helper()
	parsed, err := josejwt.ParseSigned(token, allAlgorithms)
	require.NoError(t, err)
	require.NoError(t, parsed.Claims(set, &claims), "signature")
	first, _, _ := strings.Cut(token, ".")
	data, err := base64.RawURLEncoding.DecodeString(first)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &header))
	return header, claims
}

// AC-24: every claim of RFC 9068, section 2.2, for every kind of key.
func TestAC24_JWTAccessToken(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	for alg, signer := range map[string]crypto.Signer{"ES256": p256(t), "EdDSA": ed, "RS256": r, "ES384": p384} {
		t.Run(alg, func(t *testing.T) {
			w := newJWTWorld(t, signer)
			w.now = epoch.Add(300 * time.Millisecond)
			token := w.issue(t, "jwt", "scope=read+write")
			header, claims := opened(t, token, keysAt(t, w))
			assert.Equal(t, map[string]any{"typ": "at+jwt", "alg": alg, "kid": "k1"}, header)
			jti, _ := claims["jti"].(string)
			assert.Len(t, jti, 22)
			assert.Equal(t, map[string]any{
				"iss": issuer, "sub": "jwt", "aud": api, "client_id": "jwt", "scope": "read write", "jti": jti,
				"iat": float64(epoch.Unix()), "exp": float64(epoch.Add(3601 * time.Second).Unix()),
			}, claims)
			assert.NotEqual(t, token, w.issue(t, "jwt", "scope=read+write"), "two of one second are not the same")

			// IE-12: introspection says the same.
			got := w.post("/introspect", "token="+token, as("api")...)
			assert.Equal(t, jsonReply(200, fmt.Sprintf(`{"active":true,"scope":"read write","client_id":"jwt","token_type":"Bearer",`+
				`"exp":%d,"iat":%d,"nbf":%[2]d,"sub":"jwt","aud":"https://api.example.com","iss":"https://auth.example.com","jti":%[3]q}`,
				epoch.Add(3601*time.Second).Unix(), epoch.Unix(), jti)), got)
			verified, err := w.Verify(t.Context(), token)
			require.NoError(t, err)
			assert.Equal(t, jti, verified.ID)

			// And a revoked one is dead to all who ask.
			assert.Equal(t, 200, w.post("/revoke", "token="+token, as("jwt")...).status)
			assert.JSONEq(t, `{"active":false}`, w.post("/introspect", "token="+token, as("api")...).body)
			_, err = w.Verify(t.Context(), token)
			require.ErrorIs(t, err, sneck.ErrInvalid)
		})
	}
}

// What the hooks say about a token is in it.
func TestJWTHasTheClaimsOfHooks(t *testing.T) {
	w := newJWTWorld(t, p256(t), func(c *authserver.Config) {
		c.Hooks.Claims = func(context.Context, *authserver.TokenRequest) (json.RawMessage, error) {
			return json.RawMessage(` {"tenant":"t1","groups":["a","b"]} `), nil
		}
		c.Hooks.Introspect = func(context.Context, *authserver.Client, authserver.Record) (json.RawMessage, error) {
			return json.RawMessage(`{"fresh":true}`), nil
		}
	})
	token := w.issue(t, "jwt", "")
	_, claims := opened(t, token, keysAt(t, w))
	assert.Equal(t, "t1", claims["tenant"])
	assert.Equal(t, []any{"a", "b"}, claims["groups"])
	assert.NotContains(t, claims, "fresh")
	var asked map[string]any
	require.NoError(t, json.Unmarshal([]byte(w.post("/introspect", "token="+token, as("api")...).body), &asked))
	assert.Equal(t, claims["jti"], asked["jti"])
	assert.Equal(t, "t1", asked["tenant"])
	assert.Equal(t, true, asked["fresh"])
}

// A JWT is not taken for one of the server's for its form: neither one of
// another server, nor one with another signature or other claims.
func TestForeignJWTs(t *testing.T) {
	w, other := newJWTWorld(t, p256(t)), newJWTWorld(t, p256(t))
	token, foreign := w.issue(t, "jwt", ""), other.issue(t, "jwt", "")
	h, rest, _ := strings.Cut(token, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	_, theirs, _ := strings.Cut(foreign, ".")
	theirPayload, theirSignature, _ := strings.Cut(theirs, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt","kid":"k1"}`))
	for name, forged := range map[string]string{
		"of another server": foreign, "other signature": h + "." + payload + "." + theirSignature,
		"other claims": h + "." + theirPayload + "." + signature, "no signature": h + "." + payload + ".",
		"alg none": none + "." + payload + ".", "alg none, signed": none + "." + payload + "." + signature,
		"more": token + ".x", "cut": token[:len(token)-1],
	} {
		assert.JSONEq(t, `{"active":false}`, w.post("/introspect", "token="+forged, as("api")...).body, name)
		_, err := w.Verify(t.Context(), forged)
		require.Error(t, err, name)
		assert.Equal(t, 200, w.post("/revoke", "token="+forged, as("jwt")...).status, name)
	}
	_, err := w.Verify(t.Context(), token)
	require.NoError(t, err)

	// One of a key that is not there at all is left to others.
	keys, err := authserver.StaticKeys(authserver.SigningKey{Signer: p256(t), ID: "k2"})
	require.NoError(t, err)
	third := newWorld(t, func(c *authserver.Config) { c.Keys, c.RecognizeToken = keys, authserver.WellFormed })
	_, err = third.Verify(t.Context(), token)
	require.ErrorIs(t, err, sneck.ErrUnrecognized)
}

func TestAccessTokenFormat(t *testing.T) {
	opaque := newJWTWorld(t, p256(t))
	assert.Equal(t, "token-1", opaque.issue(t, "app", ""), "by default")
	all := newJWTWorld(t, p256(t), func(c *authserver.Config) { c.AccessTokenFormat = authserver.FormatJWT })
	assert.Equal(t, 2, strings.Count(all.issue(t, "app", ""), "."))

	m := authserver.NewMemory()
	_, err := authserver.New(authserver.Config{Issuer: issuer, Store: m, Clients: m, AccessTokenFormat: authserver.FormatJWT})
	require.EqualError(t, err, "authserver: AccessTokenFormat jwt needs Keys (hint: NewKeyRing, NewFileKeys or StaticKeys)")
	_, err = authserver.New(authserver.Config{Issuer: issuer, Store: m, Clients: m, AccessTokenFormat: "saml"})
	require.EqualError(t, err, `authserver: AccessTokenFormat "saml" is not known (hint: opaque or jwt)`)
	require.ErrorContains(t, (&authserver.Client{ID: "x", AccessTokenFormat: "JWT"}).Check(), `AccessTokenFormat "JWT" is not known`)

	// A client that wants what the server can not do gets nothing.
	w := newWorld(t)
	_, _, err = w.NewClient(t.Context(), authserver.Client{AccessTokenFormat: authserver.FormatJWT}, true)
	require.ErrorContains(t, err, "needs Config.Keys")
	w.putJWTClient(t)
	assert.Equal(t, refusal(503, "temporarily_unavailable", "the server can not answer at the moment"),
		w.post("/token", credentialsGrant, as("jwt")...))
}

// A key of a key management service may fail.
type brokenSigner struct{ crypto.Signer }

func TestSignerThatFails(t *testing.T) {
	w := newJWTWorld(t, brokenSigner{p256(t)})
	assert.Equal(t, refusal(503, "temporarily_unavailable", "the server can not answer at the moment"),
		w.post("/token", credentialsGrant, as("jwt")...))
}

func (brokenSigner) Sign(_ io.Reader, _ []byte, _ crypto.SignerOpts) ([]byte, error) {
	return nil, errBroken
}

func TestKeysEndpoint(t *testing.T) {
	w := newJWTWorld(t, p256(t))
	got := get(w, issuer+"/jwks")
	etag := got.header.Get("Etag")
	assert.Regexp(t, `^"[0-9A-Za-z_-]{22}"$`, etag)
	cached := http.Header{"Cache-Control": {"public, max-age=600"}, "Etag": {etag}, "Access-Control-Allow-Origin": {"*"}}
	full := cached.Clone()
	full.Set("Content-Type", "application/jwk-set+json")
	assert.Equal(t, reply{200, full, got.body}, got)
	set := keysAt(t, w)
	require.Len(t, set.Keys, 1)
	assert.True(t, set.Keys[0].IsPublic())
	assert.Equal(t, []string{"k1", "ES256", "sig"}, []string{set.Keys[0].KeyID, set.Keys[0].Algorithm, set.Keys[0].Use})

	ask := func(method string, header ...string) reply {
		r := request("/jwks", "", header...)
		r.Method = method
		return send(w, r)
	}
	for _, tag := range []string{etag, "W/" + etag, `"x", ` + etag, "*"} {
		assert.Equal(t, reply{304, cached, ""}, ask("GET", "If-None-Match", tag), tag)
	}
	assert.Equal(t, 200, ask("GET", "If-None-Match", `"x"`).status)
	assert.Equal(t, 200, ask("HEAD").status)
	assert.Equal(t, refusal(405, "invalid_request", "the method is not allowed here, but GET, HEAD", "Allow", "GET, HEAD",
		"Access-Control-Allow-Origin", "*"), ask("POST"))

	metadata := func(w *world) string { return get(w, issuer+"/.well-known/oauth-authorization-server").body }
	assert.Contains(t, metadata(w), `"jwks_uri":"https://auth.example.com/jwks"`)
	without := newWorld(t)
	assert.NotContains(t, metadata(without), "jwks_uri")
	assert.Equal(t, 404, get(without, issuer+"/jwks").status)

	broken := newWorld(t, func(c *authserver.Config) { c.Keys, c.RecognizeToken = brokenKeys{}, authserver.WellFormed })
	assert.Equal(t, 503, get(broken, issuer+"/jwks").status)
	assert.Equal(t, 503, broken.post("/introspect", "token=a.b.c", as("api")...).status)
}

type brokenKeys struct{}

func (brokenKeys) KeySet(context.Context) (*authserver.KeySet, error) { return nil, errBroken }

func TestKeySetMistakes(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	good := authserver.SigningKey{Signer: p256(t), ID: "a"}
	for name, c := range map[string]authserver.KeySetConfig{
		"needs a key that signs":                     {},
		"negative time":                              {Signing: good, MaxAge: -1},
		"RSA key of 1024 bits":                       {Signing: authserver.SigningKey{Signer: weak}},
		"do not belong together":                     {Signing: authserver.SigningKey{Signer: p256(t), Algorithm: "RS256"}},
		`can not be used with algorithm "HS256"`:     {Signing: authserver.SigningKey{Signer: p256(t), Algorithm: "HS256"}},
		`can not be used with algorithm "none"`:      {Signing: authserver.SigningKey{Signer: p256(t), Algorithm: "none"}},
		`two keys have the ID "a"`:                   {Signing: good, Others: []authserver.PublicKey{good.Public()}},
		"can not be used with algorithm \"\"":        {Signing: good, Others: []authserver.PublicKey{{Key: "no key"}}},
		"a key ID must have at most 512 visible ASC": {Signing: authserver.SigningKey{Signer: p256(t), ID: "a\n"}},
	} {
		_, err := authserver.NewKeySet(c)
		assert.ErrorContains(t, err, name)
	}
}

// How the user was authenticated is in the token, also in those that come of a
// refresh.
func TestJWTSaysHowTheUserWasAuthenticated(t *testing.T) {
	keys, err := authserver.StaticKeys(authserver.SigningKey{Signer: p256(t)})
	require.NoError(t, err)
	w := newCodeWorld(t, func(c *authserver.Config) { c.Keys, c.AccessTokenFormat = keys, authserver.FormatJWT })
	got := w.post("/token", exchange(w.code(t, "web")), as("web")...)
	for range 2 {
		var a pair
		require.NoError(t, json.Unmarshal([]byte(got.body), &a), got.body)
		_, claims := opened(t, a.Access, keysAt(t, w))
		assert.Equal(t, map[string]any{
			"iss": issuer, "sub": "user-1", "aud": api, "client_id": "web", "scope": "read write", "jti": claims["jti"],
			"iat": float64(epoch.Unix()), "exp": float64(epoch.Add(time.Hour).Unix()),
			"auth_time": float64(epoch.Unix() - 60), "acr": "mfa", "username": "alice", "org": "acme",
		}, claims)
		verified, err := w.Verify(t.Context(), a.Access)
		require.NoError(t, err)
		assert.Equal(t, []any{"alice", "mfa", epoch.Unix() - 60}, []any{verified.Username, verified.ACR, verified.AuthTime.Unix()})
		got = w.post("/token", "grant_type=refresh_token&refresh_token="+a.Refresh, as("web")...)
	}
}

// Who reads a JWT without an audience could take it for one that is meant for
// everybody.
func TestJWTNeedsAnAudience(t *testing.T) {
	var log strings.Builder
	w := newJWTWorld(t, p256(t), withLog(&log), func(c *authserver.Config) {
		c.Grants = []authserver.Grant{{
			Type: authserver.GrantClientCredentials,
			Handle: func(context.Context, *authserver.GrantRequest) (*authserver.Issue, error) {
				return &authserver.Issue{Audience: []string{}}, nil
			},
		}}
	})
	assert.Equal(t, refusal(503, "temporarily_unavailable", "the server can not answer at the moment"), w.post("/token", credentialsGrant, as("jwt")...))
	assert.Contains(t, log.String(), "a JWT needs an audience (hint: Issue.Audience)")
}

// An event names a JWT as the token itself and its introspection do.
func TestEventsNameJWTs(t *testing.T) {
	var events []authserver.Event
	w := newJWTWorld(t, p256(t), func(c *authserver.Config) {
		c.ObserveIntrospections = true
		c.Observe = func(_ context.Context, e authserver.Event) { events = append(events, e) }
	})
	token := w.issue(t, "jwt", "")
	_, claims := opened(t, token, keysAt(t, w))
	w.post("/introspect", "token="+token, as("api")...)
	w.post("/revoke", "token="+token, as("jwt")...)
	require.Len(t, events, 3)
	for i, kind := range []authserver.EventKind{authserver.EventTokenIssued, authserver.EventTokenIntrospected, authserver.EventTokenRevoked} {
		assert.Equal(t, []any{kind, claims["jti"]}, []any{events[i].Kind, events[i].Token})
	}
}
