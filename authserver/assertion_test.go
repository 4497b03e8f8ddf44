package authserver_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

const bearerType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// A signer is a client's key and how it signs.
type signer struct {
	alg jose.SignatureAlgorithm
	key any // a crypto.Signer, or a secret
	kid string
}

func newSigner(t testing.TB, alg jose.SignatureAlgorithm, kid string) signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case jose.EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case jose.ES384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.ES512:
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case jose.RS256, jose.PS256:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	require.NoError(t, err)
	return signer{alg, key, kid}
}

func (s signer) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: s.key.(crypto.Signer).Public(), KeyID: s.kid, Algorithm: string(s.alg), Use: "sig"}
}

// set returns a JWK Set.
func keySet(t testing.TB, signers ...signer) json.RawMessage {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, s := range signers {
		set.Keys = append(set.Keys, s.public())
	}
	data, err := json.Marshal(set)
	require.NoError(t, err)
	return data
}

// sign makes a JWT with go-jose.
func (s signer) sign(t testing.TB, claims map[string]any, header ...any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	require.NoError(t, err)
	return s.signBytes(t, payload, header...)
}

func (s signer) signBytes(t testing.TB, payload []byte, header ...any) string {
	t.Helper()
	options := &jose.SignerOptions{}
	if s.kid != "" {
		options.WithHeader("kid", s.kid)
	}
	for i := 0; i < len(header); i += 2 {
		options.WithHeader(jose.HeaderKey(header[i].(string)), header[i+1])
	}
	j, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: s.key}, options)
	require.NoError(t, err)
	signed, err := j.Sign(payload)
	require.NoError(t, err)
	compact, err := signed.CompactSerialize()
	require.NoError(t, err)
	return compact
}

var jtis atomic.Int64

// asserted returns the claims of a good assertion at epoch.
func asserted(client string, change ...any) map[string]any {
	claims := map[string]any{
		"iss": client, "sub": client, "aud": issuer, "jti": fmt.Sprintf("jti-%d", jtis.Add(1)),
		"iat": epoch.Unix(), "exp": epoch.Add(time.Minute).Unix(),
	}
	for i := 0; i < len(change); i += 2 {
		if change[i+1] == nil {
			delete(claims, change[i].(string))
		} else {
			claims[change[i].(string)] = change[i+1]
		}
	}
	return claims
}

func assertionForm(assertion string) string {
	return "&" + url.Values{"client_assertion_type": {bearerType}, "client_assertion": {assertion}}.Encode()
}

// putClient registers a client that may get tokens and introspect.
func (w *world) putClient(t testing.TB, c authserver.Client) {
	t.Helper()
	if c.ID == "" {
		c.ID = "signer"
	}
	c.Grants, c.Scopes, c.Audience = []string{authserver.GrantClientCredentials}, scopes.Set{"read"}, []string{api}
	c.Introspect, c.Serves = true, []string{api}
	require.NoError(t, w.memory.PutClient(t.Context(), &c))
}

var (
	badAssertion = refusal(401, "invalid_client", "the client assertion is not valid here")
	malformed    = refusal(401, "invalid_client", "the client assertion is malformed")
)

// AC-10, AC-11: what is taken, and every way that is not.
func TestAC10_AC11_PrivateKeyJWT(t *testing.T) {
	k := newSigner(t, jose.ES256, "a")
	good := func(claims map[string]any) string { return k.sign(t, claims) }
	forged := func(header string, claims map[string]any, sign func(input string) []byte) string {
		payload, err := json.Marshal(claims)
		require.NoError(t, err)
		input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload)
		return input + "." + base64.RawURLEncoding.EncodeToString(sign(input))
	}
	der, err := x509.MarshalPKIXPublicKey(k.key.(crypto.Signer).Public())
	require.NoError(t, err)
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	hs := func(key []byte) func(string) []byte {
		return func(input string) []byte {
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(input))
			return mac.Sum(nil)
		}
	}
	nothing := func(string) []byte { return nil }
	now := epoch.Unix()
	token := issued("read")

	for _, test := range []struct {
		name, assertion string
		want            reply
	}{
		{"good", good(asserted("signer")), token},
		{"typ JWT", k.sign(t, asserted("signer"), "typ", "JWT"), token},
		{"typ client-authentication+jwt", k.sign(t, asserted("signer"), "typ", "client-authentication+jwt"), token},
		{"aud is a list of one", good(asserted("signer", "aud", []string{issuer})), token},
		{"no iat", good(asserted("signer", "iat", nil)), token},
		{"fractions", good(asserted("signer", "exp", float64(now)+0.5, "nbf", float64(now)-0.5)), token},
		{"the longest life", good(asserted("signer", "exp", now+300)), token},
		{"a clock that is ahead", good(asserted("signer", "iat", now+30, "nbf", now+30, "exp", now+330)), token},
		{"further claims", good(asserted("signer", "x", map[string]any{"y": 1})), token},
		{"without kid, as there is one key only", signer{k.alg, k.key, ""}.sign(t, asserted("signer")), token},

		{"alg none", forged(`{"alg":"none"}`, asserted("signer"), nothing), malformed},
		{"alg none, with kid", forged(`{"alg":"none","kid":"a"}`, asserted("signer"), hs(nil)), badAssertion},
		{"alg NONE", forged(`{"alg":"NONE","kid":"a"}`, asserted("signer"), hs(nil)), badAssertion},
		{"no signature", forged(`{"alg":"ES256","kid":"a"}`, asserted("signer"), nothing), malformed},
		{"HS256 with the public key as PEM", forged(`{"alg":"HS256","kid":"a"}`, asserted("signer"), hs(publicPEM)), badAssertion},
		{"HS256 with the public key as DER", forged(`{"alg":"HS256","kid":"a"}`, asserted("signer"), hs(der)), badAssertion},
		{"HS256 with the JWK", forged(`{"alg":"HS256","kid":"a"}`, asserted("signer"), hs(keySet(t, k))), badAssertion},
		{"HS256 with nothing", forged(`{"alg":"HS256","kid":"a"}`, asserted("signer"), hs(nil)), badAssertion},
		{"another key", signer{k.alg, p256(t), "a"}.sign(t, asserted("signer")), badAssertion},
		{"another algorithm", newSigner(t, jose.ES384, "a").sign(t, asserted("signer")), badAssertion},
		{"another kid", signer{k.alg, k.key, "b"}.sign(t, asserted("signer")), badAssertion},
		{"brings its key", k.sign(t, asserted("signer"), "jwk", k.public()), malformed},
		{"points to its key", k.sign(t, asserted("signer"), "jku", "https://evil.example/"), malformed},
		{"critical header", k.sign(t, asserted("signer"), "crit", []string{"exp"}), malformed},
		{"an access token", k.sign(t, asserted("signer"), "typ", "at+jwt"), malformed},
		{"a DPoP proof", k.sign(t, asserted("signer"), "typ", "dpop+jwt"), malformed},
		{"a grant", k.sign(t, asserted("signer"), "typ", "authorization-grant+jwt"), badAssertion},

		{"aud of another server", good(asserted("signer", "aud", "https://evil.example.com")), badAssertion},
		{"aud is the token endpoint", good(asserted("signer", "aud", issuer+"/token")), badAssertion},
		{"aud with a slash", good(asserted("signer", "aud", issuer+"/")), badAssertion},
		{"aud in capitals", good(asserted("signer", "aud", strings.ToUpper(issuer))), badAssertion},
		{"two audiences", good(asserted("signer", "aud", []string{issuer, "https://evil.example.com"})), badAssertion},
		{"empty aud", good(asserted("signer", "aud", []string{})), badAssertion},
		{"no aud", good(asserted("signer", "aud", nil)), badAssertion},
		{"aud is a number", good(asserted("signer", "aud", 1)), malformed},
		{"expired", good(asserted("signer", "exp", now-1)), badAssertion},
		{"just expired", good(asserted("signer", "exp", now)), badAssertion},
		{"far future", good(asserted("signer", "exp", now+331)), badAssertion},
		{"exp beyond all calendars", good(asserted("signer", "exp", 1e18)), malformed},
		{"exp is a string", good(asserted("signer", "exp", "tomorrow")), malformed},
		{"exp is negative", good(asserted("signer", "exp", -1)), malformed},
		{"no exp", good(asserted("signer", "exp", nil)), badAssertion},
		{"not yet", good(asserted("signer", "nbf", now+31)), badAssertion},
		{"issued in the future", good(asserted("signer", "iat", now+31)), badAssertion},
		{"no jti", good(asserted("signer", "jti", nil)), badAssertion},
		{"empty jti", good(asserted("signer", "jti", "")), badAssertion},
		{"long jti", good(asserted("signer", "jti", strings.Repeat("x", 257))), badAssertion},
		{"jti is a number", good(asserted("signer", "jti", 7)), malformed},
		{"iss is another", good(asserted("signer", "iss", "app")), badAssertion},
		{"no iss", good(asserted("signer", "iss", nil)), badAssertion},
		{"no sub", good(asserted("signer", "sub", nil)), badAssertion},
		{"client of nobody", good(asserted("nobody")), badAssertion},
		{"client with a secret", good(asserted("app")), badAssertion},
		{"public client", good(asserted("public")), badAssertion},
		{"client with another key", good(asserted("other signer")), badAssertion},
		{"claim in another case", good(asserted("signer", "Exp", now+60)), malformed},
		{"claim twice", k.signBytes(t, []byte(`{"iss":"app","iss":"signer"}`)), malformed},
		{"not an object", k.signBytes(t, []byte(`[]`)), malformed},
		{"trailing data", k.signBytes(t, []byte(`{} {}`)), malformed},
		{"not UTF-8", k.signBytes(t, []byte("{\"iss\":\"\xff\"}")), malformed},
		{"too long", good(asserted("signer", "x", strings.Repeat("x", 8192))), malformed},
		{"two parts", "a.b", malformed},
		{"five parts", "a.b.c.d.e", malformed},
		{"garbage", "!", malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			w := newWorld(t, withLog(&log))
			w.putClient(t, authserver.Client{AuthMethod: "private_key_jwt", JWKS: keySet(t, k)})
			w.putClient(t, authserver.Client{ID: "other signer", AuthMethod: "private_key_jwt", JWKS: keySet(t, newSigner(t, jose.ES256, "a"))})
			require.Equal(t, test.want, w.post("/token", credentialsGrant+assertionForm(test.assertion)))
			for _, path := range []string{"/introspect", "/revoke", "/token"} {
				got := w.post(path, credentialsGrant+"&token=x"+assertionForm(test.assertion))
				assert.Equal(t, 401, got.status, "at %s, as it was used before or is not good", path)
			}
			for part := range strings.SplitSeq(test.assertion, ".") {
				assert.False(t, len(part) > 8 && strings.Contains(log.String(), part), "it is in the log")
			}
			assert.NotContains(t, log.String(), "jti-")
		})
	}
}

// Every algorithm that the metadata lists works, and a client that is
// registered for one has no other.
func TestAssertionAlgorithms(t *testing.T) {
	for _, alg := range []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.ES384, jose.ES512, jose.PS256, jose.RS256} {
		k, other := newSigner(t, alg, "a"), newSigner(t, jose.ES256, "b")
		if alg == jose.ES256 {
			other = newSigner(t, jose.ES384, "b")
		}
		w := newWorld(t)
		w.putClient(t, authserver.Client{AuthMethod: "private_key_jwt", JWKS: keySet(t, k, other)})
		assert.Equal(t, issued("read"), w.post("/token", credentialsGrant+assertionForm(k.sign(t, asserted("signer")))), alg)
		w.putClient(t, authserver.Client{AuthMethod: "private_key_jwt", AuthAlgorithm: string(alg), JWKS: keySet(t, k, other)})
		assert.Equal(t, 200, w.post("/token", credentialsGrant+assertionForm(k.sign(t, asserted("signer")))).status, alg)
		assert.Equal(t, badAssertion, w.post("/token", credentialsGrant+assertionForm(other.sign(t, asserted("signer")))), alg)
	}
	// An RSA key that names no algorithm is for the client's.
	k := newSigner(t, jose.PS256, "a")
	public := k.public()
	public.Algorithm = ""
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}})
	require.NoError(t, err)
	w := newWorld(t)
	w.putClient(t, authserver.Client{AuthMethod: "private_key_jwt", JWKS: set})
	assert.Equal(t, badAssertion, w.post("/token", credentialsGrant+assertionForm(k.sign(t, asserted("signer")))))
	w.putClient(t, authserver.Client{AuthMethod: "private_key_jwt", AuthAlgorithm: "PS256", JWKS: set})
	assert.Equal(t, issued("read"), w.post("/token", credentialsGrant+assertionForm(k.sign(t, asserted("signer")))))
}

// Two keys, and the assertion does not say which: none is tried.
func TestAssertionWithoutKeyID(t *testing.T) {
	a, b := newSigner(t, jose.ES256, "a"), newSigner(t, jose.ES256, "b")
	w := newWorld(t)
	w.putClient(t, authserver.Client{AuthMethod: "private_key_jwt", JWKS: keySet(t, a, b)})
	for _, k := range []signer{a, b} {
		assert.Equal(t, 200, w.post("/token", credentialsGrant+assertionForm(k.sign(t, asserted("signer")))).status)
		k.kid = ""
		assert.Equal(t, badAssertion, w.post("/token", credentialsGrant+assertionForm(k.sign(t, asserted("signer")))))
	}
}

// An assertion is good once, on all servers that share a store, whoever is
// first.
func TestAC10_AssertionOnce(t *testing.T) {
	k := newSigner(t, jose.ES256, "a")
	m := authserver.NewMemory()
	var servers []*world
	for range 2 {
		w := newWorld(t, func(c *authserver.Config) {
			c.Store, c.Clients, c.AccessToken, c.RecognizeToken = m, m, nil, nil
		})
		w.memory = m
		servers = append(servers, w)
	}
	servers[0].putClient(t, authserver.Client{AuthMethod: "private_key_jwt", JWKS: keySet(t, k)})
	servers[0].putClient(t, authserver.Client{ID: "twin", AuthMethod: "private_key_jwt", JWKS: keySet(t, k)})
	form := credentialsGrant + assertionForm(k.sign(t, asserted("signer", "jti", "once")))
	var ok, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			switch got := servers[i%2].post("/token", form); {
			case got.status == 200:
				ok.Add(1)
			case assert.Equal(t, badAssertion, got):
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	assert.Equal(t, []int64{1, 63}, []int64{ok.Load(), refused.Load()})
	// The identifier is the client's own, and one that failed is not spent.
	assert.Equal(t, 200, servers[0].post("/token", credentialsGrant+assertionForm(k.sign(t, asserted("twin", "jti", "once")))).status)
	bad := signer{k.alg, p256(t), "a"}
	assert.Equal(t, 401, servers[0].post("/token", credentialsGrant+assertionForm(bad.sign(t, asserted("signer", "jti", "twice")))).status)
	assert.Equal(t, 200, servers[0].post("/token", credentialsGrant+assertionForm(k.sign(t, asserted("signer", "jti", "twice")))).status)

	// Revoking all that the client has makes it good for nothing again.
	_, err := m.Revoke(t.Context(), authserver.Selector{Client: "signer"})
	require.NoError(t, err)
	assert.Equal(t, badAssertion, servers[0].post("/token", form))

	// Once it is forgotten, it has expired, also by a clock that is behind that
	// of whoever has deleted it.
	n, err := m.DeleteExpired(t.Context(), epoch.Add(time.Minute+30*time.Second-1), 100)
	require.NoError(t, err)
	assert.Zero(t, n)
	servers[0].now = epoch.Add(time.Minute - 1)
	assert.Equal(t, badAssertion, servers[0].post("/token", form))
	n, err = m.DeleteExpired(t.Context(), epoch.Add(time.Minute+30*time.Second), 100)
	require.NoError(t, err)
	assert.Equal(t, int64(3), n)
	servers[0].now = epoch.Add(time.Minute)
	assert.Equal(t, badAssertion, servers[0].post("/token", form))
}

// AC-04: one way per request, and the one that the client is registered for.
func TestAC04_AssertionAndNothingElse(t *testing.T) {
	k := newSigner(t, jose.ES256, "a")
	w := newWorld(t, func(c *authserver.Config) { c.Sealer = sealer(t, 1) })
	w.putClient(t, authserver.Client{AuthMethod: "private_key_jwt", JWKS: keySet(t, k)})
	twice := refusal(400, "invalid_request", "the client authenticates in two ways at once")
	form := func(more string) string {
		return credentialsGrant + assertionForm(k.sign(t, asserted("signer"))) + more
	}
	assert.Equal(t, issued("read"), w.post("/token", form("&client_id=signer")))
	assert.Equal(t, twice, w.post("/token", form("&client_secret=x&client_id=signer")))
	assert.Equal(t, twice, w.post("/token", form(""), as("app")...))
	assert.Equal(t, twice, w.post("/token", credentialsGrant+"&client_assertion_type=x", as("app")...))
	assert.Equal(t, refusal(400, "invalid_request", "the client_id differs from the one in the client assertion"), w.post("/token", form("&client_id=app")))
	unknown := refusal(401, "invalid_client", "the client_assertion_type is missing or not supported")
	assert.Equal(t, unknown, w.post("/token", credentialsGrant+"&client_assertion="+k.sign(t, asserted("signer"))))
	assert.Equal(t, unknown, w.post("/token", credentialsGrant+"&client_assertion=x&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:saml2-bearer"))
	assert.Equal(t, malformed, w.post("/token", credentialsGrant+"&client_assertion_type="+bearerType))
	assert.Equal(t, 400, w.post("/token", form(assertionForm("x"))).status, "repeated")

	// A client of keys has no secret, and is not public.
	failed := refusal(401, "invalid_client", "client authentication failed")
	assert.Equal(t, failed, w.post("/token", credentialsGrant, as("signer")...))
	assert.Equal(t, failed, w.post("/token", credentialsGrant, basic("signer", "x")...))
	assert.Equal(t, failed, w.post("/token", credentialsGrant+"&client_id=signer&client_secret=x"))
	assert.Equal(t, refusal(401, "invalid_client", "the client does not authenticate"), w.post("/token", credentialsGrant+"&client_id=signer"))

	// Neither does the secret of one that signs with it work by itself.
	c, plain, err := w.NewClient(t.Context(), authserver.Client{
		ID: "hmac", AuthMethod: "client_secret_jwt", Grants: []string{authserver.GrantClientCredentials}, Scopes: scopes.Set{"read"}, Audience: []string{api},
	}, true)
	require.NoError(t, err)
	require.NoError(t, w.memory.PutClient(t.Context(), c))
	assert.Equal(t, failed, w.post("/token", credentialsGrant, basic("hmac", plain)...))
	assert.Equal(t, failed, w.post("/token", credentialsGrant+"&client_id=hmac&client_secret="+plain))
}

func TestClientSecretJWT(t *testing.T) {
	w := newWorld(t, func(c *authserver.Config) { c.Sealer = sealer(t, 1) })
	client := authserver.Client{
		ID: "hmac", AuthMethod: "client_secret_jwt", Grants: []string{authserver.GrantClientCredentials}, Scopes: scopes.Set{"read"}, Audience: []string{api},
	}
	c, plain, err := w.NewClient(t.Context(), client, true)
	require.NoError(t, err)
	require.Len(t, c.Secrets, 1)
	assert.Empty(t, c.Secrets[0].Hash)
	assert.NotContains(t, c.Secrets[0].Sealed, plain)
	require.NoError(t, w.memory.PutClient(t.Context(), c))
	hs := func(alg jose.SignatureAlgorithm, secret string) string {
		return credentialsGrant + assertionForm(signer{alg, []byte(secret), ""}.sign(t, asserted("hmac")))
	}
	assert.Equal(t, issued("read"), w.post("/token", hs(jose.HS256, plain)))
	assert.Equal(t, badAssertion, w.post("/token", hs(jose.HS256, plain+"x")))
	assert.Equal(t, badAssertion, w.post("/token", hs(jose.HS512, plain)))
	k := newSigner(t, jose.ES256, "")
	assert.Equal(t, badAssertion, w.post("/token", credentialsGrant+assertionForm(k.sign(t, asserted("hmac")))))

	// A secret that has expired, beside one that has not.
	two, another, err := w.NewClient(t.Context(), *c, true)
	require.NoError(t, err)
	two.Secrets[0].Expires = epoch
	require.NoError(t, w.memory.PutClient(t.Context(), two))
	assert.Equal(t, badAssertion, w.post("/token", hs(jose.HS256, plain)))
	assert.Equal(t, 200, w.post("/token", hs(jose.HS256, another)).status)

	// The secret of one client is of no use in the record of another, and
	// without the sealing key nothing can be said.
	thief := *c
	thief.ID = "thief"
	require.NoError(t, w.memory.PutClient(t.Context(), &thief))
	down := refusal(503, "temporarily_unavailable", "the server can not answer at the moment")
	form := credentialsGrant + assertionForm(signer{jose.HS256, []byte(plain), ""}.sign(t, asserted("thief")))
	assert.Equal(t, down, w.post("/token", form))
	without := newWorld(t)
	require.NoError(t, without.memory.PutClient(t.Context(), c))
	assert.Equal(t, down, without.post("/token", hs(jose.HS256, plain)))

	_, _, err = without.NewClient(t.Context(), client, true)
	require.ErrorContains(t, err, "client_secret_jwt needs Config.Sealer, as the secret can not be kept as a digest (hint: private_key_jwt)")
	short := newWorld(t, func(c *authserver.Config) { c.Sealer, c.ClientSecretLength = sealer(t, 1), 31 })
	_, _, err = short.NewClient(t.Context(), client, true)
	require.ErrorContains(t, err, "client_secret_jwt needs a secret of 32 characters or more")
}

// For clients that can not do otherwise, the token endpoint is an audience.
func TestInsecureEndpointAudience(t *testing.T) {
	k := newSigner(t, jose.ES256, "a")
	w := newWorld(t, func(c *authserver.Config) {
		c.Assertions = authserver.Assertions{InsecureEndpointAudience: true, MaxLifetime: time.Hour}
	})
	w.putClient(t, authserver.Client{AuthMethod: "private_key_jwt", JWKS: keySet(t, k)})
	for aud, want := range map[string]int{issuer: 200, issuer + "/token": 200, issuer + "/introspect": 401, issuer + "/token/": 401} {
		form := assertionForm(k.sign(t, asserted("signer", "aud", aud, "exp", epoch.Add(time.Hour).Unix())))
		assert.Equal(t, want, w.post("/token", credentialsGrant+form).status, aud)
	}
	m := authserver.NewMemory()
	for _, bad := range []authserver.Assertions{
		{MaxLifetime: -1}, {MaxLifetime: time.Hour + 1}, {HTTPClient: http.DefaultClient, InsecurePrivateKeySets: true},
	} {
		_, err := authserver.New(authserver.Config{Issuer: issuer, Store: m, Clients: m, Assertions: bad})
		assert.ErrorContains(t, err, "authserver: Assertions.")
	}
}

// A remote is where a client has its keys.
type remote struct {
	*httptest.Server
	mu    sync.Mutex
	asked int
	serve http.HandlerFunc
}

func newRemote(t *testing.T, serve http.HandlerFunc) *remote {
	r := &remote{serve: serve}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		r.asked++
		serve := r.serve
		r.mu.Unlock()
		serve(w, q)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *remote) set(serve http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serve = serve
}

func (r *remote) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

func serving(data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }
}

// newRemoteWorld is a server with a client whose keys are elsewhere, and how it
// authenticates with one.
func newRemoteWorld(t *testing.T, keys ...signer) (r *remote, w *world, ask func(signer) int) {
	r = newRemote(t, serving(keySet(t, keys...)))
	w = newWorld(t, func(c *authserver.Config) { c.Assertions.HTTPClient = r.Client() })
	w.putClient(t, authserver.Client{AuthMethod: "private_key_jwt", JWKSURI: r.URL})
	return r, w, func(k signer) int {
		claims := asserted("signer", "iat", nil, "exp", w.now.Add(time.Minute).Unix())
		return w.post("/token", credentialsGrant+assertionForm(k.sign(t, claims))).status
	}
}

// The keys of a client that are elsewhere are fetched within bounds, and rotate.
func TestAC10_RemoteKeySet(t *testing.T) {
	a, b := newSigner(t, jose.ES256, "a"), newSigner(t, jose.ES256, "b")
	r, w, ask := newRemoteWorld(t, a)
	for range 10 {
		assert.Equal(t, 200, ask(a))
	}
	assert.Equal(t, 1, r.count(), "fetched once")
	for range 10 {
		assert.Equal(t, 401, ask(b))
	}
	assert.Equal(t, 1, r.count(), "an unknown key does not have it fetched again at once")
	r.set(serving(keySet(t, a, b)))
	w.now = w.now.Add(30 * time.Second)
	assert.Equal(t, 200, ask(b), "a new key")
	assert.Equal(t, 200, ask(a))
	assert.Equal(t, 2, r.count())

	// A key that was taken out is not used for longer than ten minutes.
	r.set(serving(keySet(t, b)))
	w.now = w.now.Add(10*time.Minute - 1)
	assert.Equal(t, 200, ask(a))
	w.now = w.now.Add(1)
	assert.Equal(t, 401, ask(a))
	assert.Equal(t, 200, ask(b))

	// If it can not be had, the last one does for an hour; nobody is told
	// that a key is wrong.
	r.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	count := r.count()
	w.now = w.now.Add(10 * time.Minute)
	for range 10 {
		assert.Equal(t, 200, ask(b))
	}
	assert.Equal(t, count+1, r.count(), "one that fails is left alone for some time")
	w.now = w.now.Add(50 * time.Minute)
	assert.Equal(t, 503, ask(b))
}

// A stranger who names a key that there is not has the keys fetched again, and
// the client does not wait for that.
func TestRemoteKeySetWhileAStrangerWaits(t *testing.T) {
	a, b := newSigner(t, jose.ES256, "a"), newSigner(t, jose.ES256, "b")
	r, w, ask := newRemoteWorld(t, a)
	require.Equal(t, 200, ask(a))
	w.now = w.now.Add(30 * time.Second)
	asked, answer, done := make(chan struct{}), make(chan struct{}), make(chan int, 1)
	r.set(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-answer
		_, _ = w.Write(keySet(t, a))
	})
	go func() { done <- ask(b) }()
	<-asked
	assert.Equal(t, 200, ask(a))
	select {
	case <-done:
		assert.Fail(t, "the client has waited for the stranger")
		close(answer)
	default:
		close(answer)
		assert.Equal(t, 401, <-done)
	}
}

func TestRemoteKeySetThatIsBad(t *testing.T) {
	k := newSigner(t, jose.ES256, "a")
	good := keySet(t, k)
	many := make([]signer, 33)
	for i := range many {
		many[i] = signer{k.alg, k.key, fmt.Sprint(i)}
	}
	many[0].kid = "a"
	elsewhere := newRemote(t, serving(good))
	for name, serve := range map[string]http.HandlerFunc{
		"too many keys": serving(keySet(t, many...)),
		"too long":      serving(append(bytes.Repeat([]byte(" "), 64<<10), good...)),
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat(" ", 1<<16)); err != nil {
					return
				}
			}
		},
		"redirect":   func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"404":        http.NotFound,
		"not JSON":   serving([]byte("<html>")),
		"duplicate":  serving([]byte(`{"keys":[],"keys":[]}`)),
		"not a set":  serving([]byte(`{}`)),
		"deep":       serving([]byte(strings.Repeat("[", 100) + strings.Repeat("]", 100))),
		"two values": serving(append(append([]byte(nil), good...), good...)),
	} {
		r := newRemote(t, serve)
		w := newWorld(t, func(c *authserver.Config) { c.Assertions.HTTPClient = r.Client() })
		w.putClient(t, authserver.Client{AuthMethod: "private_key_jwt", JWKSURI: r.URL})
		assert.Equal(t, 503, w.post("/token", credentialsGrant+assertionForm(k.sign(t, asserted("signer")))).status, name)
	}
	assert.Zero(t, elsewhere.count())
}

// Nobody has the server ask around in its own network, unless that is wanted.
func TestRemoteKeySetAtPrivateAddresses(t *testing.T) {
	k := newSigner(t, jose.ES256, "a")
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write(keySet(t, k))
	}))
	defer server.Close()
	for _, allowed := range []bool{false, true} {
		w := newWorld(t, func(c *authserver.Config) { c.Assertions.InsecurePrivateKeySets = allowed })
		w.putClient(t, authserver.Client{AuthMethod: "private_key_jwt", JWKSURI: server.URL})
		got := w.post("/token", credentialsGrant+assertionForm(k.sign(t, asserted("signer"))))
		if allowed {
			assert.Equal(t, issued("read"), got)
		} else {
			assert.Equal(t, 503, got.status)
			assert.Zero(t, asked.Load())
		}
	}
	assert.Equal(t, int64(1), asked.Load())
}

func TestClientCheckOfKeys(t *testing.T) {
	k := newSigner(t, jose.ES256, "a")
	set := keySet(t, k)
	sealed := []authserver.Secret{{Sealed: "$aes256-gcm$x$AAAA"}}
	hashed := []authserver.Secret{{Hash: authserver.HashGenerated(secret)}}
	for _, test := range []struct {
		client authserver.Client
		want   string
	}{
		{authserver.Client{AuthMethod: "private_key_jwt", JWKS: set}, ""},
		{authserver.Client{AuthMethod: "private_key_jwt", JWKSURI: "https://app.example/keys"}, ""},
		{authserver.Client{AuthMethod: "private_key_jwt", JWKS: set, AuthAlgorithm: "ES256", Grants: []string{authserver.GrantClientCredentials}, Introspect: true}, ""},
		{authserver.Client{AuthMethod: "client_secret_jwt", Secrets: sealed, AuthAlgorithm: "HS256"}, ""},
		{authserver.Client{AuthMethod: "tls_client_auth", Certificate: authserver.ClientCertificate{DNS: "app.example"}}, ""},
		{authserver.Client{AuthMethod: "private_key_jwt"}, "private_key_jwt needs JWKS or JWKSURI"},
		{authserver.Client{AuthMethod: "self_signed_tls_client_auth"}, "self_signed_tls_client_auth needs JWKS or JWKSURI"},
		{authserver.Client{AuthMethod: "self_signed_tls_client_auth", JWKS: set}, `JWKS has no certificate (hint: "x5c")`},
		{authserver.Client{AuthMethod: "private_key_jwt", JWKS: set, JWKSURI: "https://app.example/keys"}, "JWKS and JWKSURI are both set"},
		{authserver.Client{AuthMethod: "private_key_jwt", JWKSURI: "http://app.example/keys"}, "JWKSURI: fetch: https only"},
		{authserver.Client{AuthMethod: "private_key_jwt", JWKSURI: "/keys"}, "JWKSURI: fetch: not a URL of the form https://host/path"},
		{authserver.Client{AuthMethod: "private_key_jwt", JWKS: json.RawMessage(`{"keys":[]}`)}, "JWKS has no public key that can be used"},
		{authserver.Client{AuthMethod: "private_key_jwt", JWKS: json.RawMessage(`{`)}, "JWKS: a key set that is not JSON of the right form"},
		{authserver.Client{AuthMethod: "private_key_jwt", JWKS: set, Secrets: hashed}, "private_key_jwt goes without Secrets"},
		{authserver.Client{AuthMethod: "private_key_jwt", JWKS: set, AuthAlgorithm: "HS256"}, `AuthAlgorithm "HS256" does not go with AuthMethod "private_key_jwt"`},
		{authserver.Client{AuthMethod: "private_key_jwt", JWKS: set, AuthAlgorithm: "none"}, `AuthAlgorithm "none" does not go with AuthMethod "private_key_jwt"`},
		{authserver.Client{AuthMethod: "private_key_jwt", JWKS: set, AuthAlgorithm: "x"}, `AuthAlgorithm "x" does not go with AuthMethod "private_key_jwt"`},
		{authserver.Client{AuthAlgorithm: "ES256", Secrets: hashed}, `AuthAlgorithm "ES256" does not go with AuthMethod ""`},
		{authserver.Client{AuthMethod: "client_secret_jwt", Secrets: sealed, AuthAlgorithm: "ES256"}, `AuthAlgorithm "ES256" does not go with client_secret_jwt`},
		{authserver.Client{AuthMethod: "client_secret_jwt", Secrets: hashed}, "Sealed secrets and client_secret_jwt need each other"},
		{authserver.Client{AuthMethod: "client_secret_jwt"}, "client_secret_jwt needs a secret"},
		{authserver.Client{AuthMethod: "client_secret_basic", Secrets: sealed}, "Sealed secrets and client_secret_jwt need each other"},
		{authserver.Client{AuthMethod: "client_secret_jwt", Secrets: []authserver.Secret{{Sealed: "x"}}}, "it has not the form of what is sealed"},
		{authserver.Client{AuthMethod: "client_secret_jwt", Secrets: []authserver.Secret{{Sealed: sealed[0].Sealed, Hash: hashed[0].Hash}}}, "a secret has both Hash and Sealed"},
		{authserver.Client{AuthMethod: "tls_client_auth"}, "tls_client_auth needs exactly one member of Certificate"},
		{authserver.Client{AuthMethod: "tls_client_auth", Certificate: authserver.ClientCertificate{DNS: "a", IP: "::1"}}, "tls_client_auth needs exactly one member of Certificate"},
		{authserver.Client{AuthMethod: "tls_client_auth", Certificate: authserver.ClientCertificate{IP: "x"}}, `Certificate.IP "x" is not an address`},
		{authserver.Client{Certificate: authserver.ClientCertificate{DNS: "a"}, Secrets: hashed}, "Certificate is for tls_client_auth"},
	} {
		test.client.ID = "c"
		err := test.client.Check()
		if test.want == "" {
			require.NoError(t, err)
			continue
		}
		assert.EqualError(t, err, `authserver: client "c": `+test.want)
	}
}

// Whatever comes for an assertion, it is refused, and it never is a crash.
func FuzzAssertion(f *testing.F) {
	k := newSigner(f, jose.ES256, "a")
	for _, claims := range []map[string]any{asserted("signer"), asserted("signer", "aud", []string{issuer}), asserted("signer", "exp", 1.5)} {
		f.Add(signer{k.alg, p256(f), "a"}.sign(f, claims))
	}
	f.Add("e30.e30.e30")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	m := authserver.NewMemory()
	server, err := authserver.New(authserver.Config{
		Issuer: issuer, Store: m, Clients: m, Now: func() time.Time { return epoch },
		Limits: authserver.Limits{Token: authserver.EndpointLimit{Client: none, Address: none}, Failures: authserver.EndpointLimit{Client: none, Address: none}},
	})
	require.NoError(f, err)
	w := &world{Server: server, memory: m}
	w.putClient(f, authserver.Client{AuthMethod: "private_key_jwt", JWKS: keySet(f, k)})
	f.Fuzz(func(t *testing.T, assertion string) {
		got := w.post("/token", credentialsGrant+assertionForm(assertion))
		if !utf8.ValidString(assertion) { // so the form is none
			assert.Equal(t, 400, got.status)
			return
		}
		assert.Equal(t, 401, got.status)
		assert.Equal(t, noStore("Content-Type", "application/json", "WWW-Authenticate", `Basic realm="https://auth.example.com"`), got.header)
	})
}

// Whatever is registered as a key set, it is refused or a client can be made
// of it that authenticates nobody by chance.
func FuzzClientKeySet(f *testing.F) {
	k := newSigner(f, jose.ES256, "a")
	f.Add([]byte(keySet(f, k)))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`))
	f.Add([]byte(`{"keys":[{"x5c":["AAAA"]}]}`))
	stranger := newSigner(f, jose.ES256, "a").sign(f, asserted("signer"))
	f.Fuzz(func(t *testing.T, set []byte) {
		c := authserver.Client{ID: "signer", AuthMethod: "private_key_jwt", JWKS: set}
		m := authserver.NewMemory()
		if m.PutClient(t.Context(), &c) != nil {
			return
		}
		server, err := authserver.New(authserver.Config{Issuer: issuer, Store: m, Clients: m, Now: func() time.Time { return epoch }})
		require.NoError(t, err)
		assert.Equal(t, badAssertion, send(server, request("/token", credentialsGrant+assertionForm(stranger))))
	})
}
