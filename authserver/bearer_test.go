package authserver_test

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

const idp = "https://idp.example.org"

// about returns the claims of a JWT of the identity provider.
func about(person string, change ...any) map[string]any {
	return asserted(person, append([]any{"iss", idp}, change...)...)
}

func bearerForm(assertion string, more ...string) string {
	form := url.Values{"grant_type": {authserver.GrantJWTBearer}, "assertion": {assertion}}
	for i := 0; i < len(more); i += 2 {
		form.Add(more[i], more[i+1])
	}
	return form.Encode()
}

// peopleOf says whom the identity provider means.
func peopleOf(_ context.Context, sub string) (string, error) {
	switch sub {
	case "alice@example.org":
		return "user-1", nil
	case "robot":
		return "staff", nil
	case "left":
		return "", &authserver.Error{Code: "access_denied", Description: "has left"}
	case "broken":
		return "", errBroken
	}
	return "", authserver.ErrNotFound
}

// newBearerWorld is a server that trusts the identity provider, with a client
// that authenticates and one that can not.
func newBearerWorld(t *testing.T, issuer authserver.TrustedIssuer, change ...func(*authserver.Config)) *world {
	t.Helper()
	grant, err := authserver.JWTBearer(issuer)
	require.NoError(t, err)
	w := newWorld(t, append([]func(*authserver.Config){func(c *authserver.Config) {
		c.AccessToken, c.Grants = nil, []authserver.Grant{authserver.ClientCredentials(), grant, authserver.RefreshToken()}
	}}, change...)...)
	for _, c := range []authserver.Client{
		{ID: "staff", Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}}},
		{ID: "app of staff", Grants: []string{authserver.GrantJWTBearer, authserver.GrantRefreshToken}},
	} {
		if c.Grants == nil {
			c.Grants = []string{authserver.GrantJWTBearer, authserver.GrantRefreshToken}
		}
		c.Scopes, c.Audience, c.Resources = scopes.Set{"read", "write"}, []string{api}, []string{"https://b.example.com"}
		require.NoError(t, w.memory.PutClient(t.Context(), &c))
	}
	return w
}

func TestAC12_JWTBearerGrant(t *testing.T) {
	k, other := newSigner(t, jose.ES256, "a"), newSigner(t, jose.ES256, "a")
	w := newBearerWorld(t, authserver.TrustedIssuer{Issuer: idp, JWKS: keySet(t, k), Subject: peopleOf})
	const alice = "alice@example.org"

	// An access token for the person, and no refresh token.
	for client, header := range map[string][]string{"staff": as("staff"), "app of staff": nil} {
		got := w.post("/token", bearerForm(k.sign(t, about(alice)), "client_id", client, "scope", "read"), header...)
		require.Equal(t, 200, got.status, got.body)
		var answer map[string]any
		require.NoError(t, json.Unmarshal([]byte(got.body), &answer))
		token, err := w.Verify(t.Context(), answer["access_token"].(string))
		require.NoError(t, err)
		assert.Equal(t, []any{"user-1", client, scopes.Set{"read"}, []string{api}}, []any{token.Subject, token.ClientID, token.Scopes, token.Audience})
		assert.NotContains(t, answer, "refresh_token")
	}

	bad := refusal(400, "invalid_grant", "what was presented is not valid, not for this client, or was used before")
	used := k.sign(t, about(alice))
	require.Equal(t, 200, w.post("/token", bearerForm(used, "scope", "read"), as("staff")...).status)
	long := strings.Repeat("x", 9000)
	for name, assertion := range map[string]string{
		"used before":              used,
		"no JWT":                   "x",
		"too long":                 long,
		"not signed":               strings.Join(strings.Split(k.sign(t, about(alice)), ".")[:2], ".") + ".",
		"another key":              other.sign(t, about(alice)),
		"another issuer":           k.sign(t, about(alice, "iss", "https://evil.example.org")),
		"no issuer":                k.sign(t, about(alice, "iss", nil)),
		"nobody":                   k.sign(t, about(alice, "sub", nil)),
		"somebody unknown":         k.sign(t, about("bob@example.org")),
		"who could be a client":    k.sign(t, about("robot")),
		"for somebody else":        k.sign(t, about(alice, "aud", "https://elsewhere.example.com")),
		"for others, too":          k.sign(t, about(alice, "aud", []string{issuer, "https://elsewhere.example.com"})),
		"for the token endpoint":   k.sign(t, about(alice, "aud", issuer+"/token")),
		"expired":                  k.sign(t, about(alice, "exp", epoch.Unix())),
		"never expires":            k.sign(t, about(alice, "exp", nil)),
		"good for too long":        k.sign(t, about(alice, "exp", epoch.Add(2*time.Hour).Unix())),
		"not yet":                  k.sign(t, about(alice, "nbf", epoch.Add(time.Minute).Unix())),
		"could be used again":      k.sign(t, about(alice, "jti", nil)),
		"of a client":              k.sign(t, about(alice), "typ", "client-authentication+jwt"),
		"an access token":          k.sign(t, about(alice), "typ", "at+jwt"),
		"signed with a public key": signer{jose.HS256, []byte(keySet(t, k)), "a"}.sign(t, about(alice)),
	} {
		assert.Equal(t, bad, w.post("/token", bearerForm(assertion, "scope", "read"), as("staff")...), name)
	}
	assert.Equal(t, 200, w.post("/token", bearerForm(k.sign(t, about(alice), "typ", "authorization-grant+jwt"), "scope", "read"), as("staff")...).status)

	for name, test := range map[string]struct {
		form string
		want reply
	}{
		"no assertion":    {"grant_type=" + url.QueryEscape(authserver.GrantJWTBearer), refusal(400, "invalid_request", "assertion is missing")},
		"who has left":    {bearerForm(k.sign(t, about("left")), "scope", "read"), refusal(400, "access_denied", "has left")},
		"an outage":       {bearerForm(k.sign(t, about("broken")), "scope", "read"), refusal(503, "temporarily_unavailable", "the server can not answer at the moment")},
		"too wide":        {bearerForm(k.sign(t, about(alice)), "scope", "admin"), refusal(400, "invalid_scope", "a scope is unknown or not allowed to the client")},
		"another service": {bearerForm(k.sign(t, about(alice)), "scope", "read", "resource", "https://c.example.com"), refusal(400, "invalid_target", "the client may not ask for this resource")},
	} {
		assert.Equal(t, test.want, w.post("/token", test.form, as("staff")...), name)
	}
	assert.Equal(t, refusal(400, "unauthorized_client", "the client may not use this grant type"), w.post("/token", bearerForm(k.sign(t, about(alice))), as("app")...))
	assert.Contains(t, get(w, issuer+"/.well-known/oauth-authorization-server").body, `"`+authserver.GrantJWTBearer+`"`)

	// What is refused for what was asked is not used up.
	again := k.sign(t, about(alice))
	assert.Equal(t, 400, w.post("/token", bearerForm(again, "scope", "admin"), as("staff")...).status)
	assert.Equal(t, 200, w.post("/token", bearerForm(again, "scope", "read"), as("staff")...).status)
	// Of many at once, one is the first.
	race, statuses := k.sign(t, about(alice)), make(chan int, 16)
	var wg sync.WaitGroup
	for range cap(statuses) {
		wg.Go(func() { statuses <- w.post("/token", bearerForm(race, "scope", "read"), as("staff")...).status })
	}
	wg.Wait()
	close(statuses)
	count := map[int]int{}
	for status := range statuses {
		count[status]++
	}
	assert.Equal(t, map[int]int{200: 1, 400: cap(statuses) - 1}, count)
}

// The keys of an issuer can be elsewhere, and be replaced there.
func TestJWTBearerWithRemoteKeys(t *testing.T) {
	a, b := newSigner(t, jose.ES256, "a"), newSigner(t, jose.ES256, "b")
	r := newRemote(t, serving(keySet(t, a)))
	w := newBearerWorld(t, authserver.TrustedIssuer{Issuer: idp, JWKSURI: r.URL, Subject: peopleOf},
		func(c *authserver.Config) { c.Assertions.HTTPClient = r.Client() })
	ask := func(k signer) int {
		claims := about("alice@example.org", "iat", nil, "exp", w.now.Add(time.Minute).Unix())
		return w.post("/token", bearerForm(k.sign(t, claims), "scope", "read"), as("staff")...).status
	}
	assert.Equal(t, 200, ask(a))
	assert.Equal(t, 400, ask(b))
	r.set(serving(keySet(t, b)))
	w.now = w.now.Add(time.Minute)
	assert.Equal(t, 200, ask(b))
	r.Close()
	w.now = w.now.Add(48 * time.Hour)
	assert.Equal(t, 503, ask(b))
}

func TestJWTBearerMistakes(t *testing.T) {
	k := keySet(t, newSigner(t, jose.ES256, "a"))
	for _, test := range []struct {
		issuers []authserver.TrustedIssuer
		want    []string
	}{
		{nil, []string{"JWTBearer needs an issuer"}},
		{[]authserver.TrustedIssuer{{}}, []string{"has no name", "Subject is missing", "either JWKS or JWKSURI"}},
		{[]authserver.TrustedIssuer{{Issuer: idp, Subject: peopleOf, JWKS: k}, {Issuer: idp, Subject: peopleOf, JWKS: k}}, []string{"is there twice"}},
		{[]authserver.TrustedIssuer{{Issuer: idp, Subject: peopleOf, JWKS: k, JWKSURI: "https://x.example"}}, []string{"either JWKS or JWKSURI"}},
		{[]authserver.TrustedIssuer{{Issuer: idp, Subject: peopleOf, JWKS: json.RawMessage(`{"keys":[]}`)}}, []string{"no public key"}},
		{[]authserver.TrustedIssuer{{Issuer: idp, Subject: peopleOf, JWKS: json.RawMessage(`x`)}}, []string{"JWKS: "}},
		{[]authserver.TrustedIssuer{{Issuer: idp, Subject: peopleOf, JWKSURI: "http://x.example"}}, []string{"JWKSURI: "}},
		{[]authserver.TrustedIssuer{{Issuer: idp, Subject: peopleOf, JWKS: k, Algorithm: "HS256"}}, []string{`Algorithm "HS256" is not supported`}},
	} {
		_, err := authserver.JWTBearer(test.issuers...)
		for _, want := range test.want {
			require.ErrorContains(t, err, want)
		}
	}
	_, err := authserver.JWTBearer(authserver.TrustedIssuer{Issuer: idp, Subject: peopleOf, JWKS: k, Algorithm: "ES256"})
	require.NoError(t, err)
}

// FuzzJWTBearer looks for assertions that are good without the key.
func FuzzJWTBearer(f *testing.F) {
	k := newSigner(f, jose.ES256, "a")
	for _, claims := range []map[string]any{about("alice@example.org"), about("alice@example.org", "aud", []string{issuer}), about("", "exp", 1.5)} {
		f.Add(signer{k.alg, p256(f), "a"}.sign(f, claims))
	}
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	grant, err := authserver.JWTBearer(authserver.TrustedIssuer{Issuer: idp, JWKS: keySet(f, k), Subject: peopleOf})
	require.NoError(f, err)
	m := authserver.NewMemory()
	off := authserver.EndpointLimit{Client: none, Address: none}
	server, err := authserver.New(authserver.Config{
		Issuer: issuer, Store: m, Clients: m, Now: func() time.Time { return epoch }, Grants: []authserver.Grant{grant},
		Limits: authserver.Limits{Token: off, Failures: off},
	})
	require.NoError(f, err)
	w := &world{Server: server, memory: m}
	require.NoError(f, m.PutClient(f.Context(), &authserver.Client{
		ID: "c", Grants: []string{authserver.GrantJWTBearer}, Scopes: scopes.Set{"read"}, Audience: []string{api},
	}))
	f.Fuzz(func(t *testing.T, assertion string) {
		got := w.post("/token", bearerForm(assertion, "client_id", "c"))
		assert.Equal(t, 400, got.status, got.body)
	})
}
