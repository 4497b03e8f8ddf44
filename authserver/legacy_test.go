package authserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

const people = "grant_type=password&username=alice&password=opensesame"

// checkPeople knows alice, and bob, who approves of less than is asked for.
func checkPeople(_ context.Context, username, password string) (*authserver.Approval, error) {
	switch username + " " + password {
	case "alice opensesame":
		return approve(nil, nil, nil)
	case "bob opensesame":
		return &authserver.Approval{Subject: "user-2", Scopes: scopes.Set{"read", "admin"}}, nil
	case "nothing opensesame":
		return &authserver.Approval{Subject: "user-3", Scopes: scopes.Set{"admin"}}, nil
	case "robot opensesame":
		return &authserver.Approval{Subject: "web"}, nil
	case "broken opensesame":
		return nil, errors.New("the directory hidden-host is down")
	case "silent opensesame":
		return nil, nil
	}
	return nil, authserver.ErrAccessDenied
}

// newLegacyWorld has the grants of the past for the client "old", and for the
// public client "old app", and the implicit one besides the code for "web".
func newLegacyWorld(t *testing.T, change ...func(*authserver.Config)) *world {
	t.Helper()
	w := newCodeWorld(t, append([]func(*authserver.Config){func(c *authserver.Config) {
		public := authserver.LegacyPassword(checkPeople)
		public.Public = true
		c.Grants = []authserver.Grant{authserver.AuthorizationCode(), authserver.RefreshToken(), public, authserver.LegacyImplicit()}
	}}, change...)...)
	for _, c := range []authserver.Client{
		{
			ID: "old", Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}},
			Grants: []string{authserver.GrantPassword, authserver.GrantRefreshToken},
		},
		{ID: "old app", Grants: []string{authserver.GrantPassword, authserver.GrantImplicit}, RedirectURIs: []string{callback}},
		{ID: "proving", Grants: []string{authserver.GrantAuthorizationCode}, RedirectURIs: []string{callback}, DPoPBound: true},
	} {
		c.Scopes, c.Audience, c.Resources = scopes.Set{"read", "write"}, []string{api}, []string{"https://b.example.com"}
		require.NoError(t, w.memory.PutClient(t.Context(), &c))
	}
	return w
}

func TestLegacyGrantsAreOffByDefault(t *testing.T) {
	w := newCodeWorld(t)
	for _, c := range []string{"old", "old app"} {
		require.NoError(t, w.memory.PutClient(t.Context(), &authserver.Client{
			ID: c, Grants: []string{authserver.GrantPassword, authserver.GrantImplicit}, RedirectURIs: []string{callback},
			Scopes: scopes.Set{"read", "write"}, Audience: []string{api},
		}))
	}
	unsupported := refusal(400, "unsupported_grant_type", "the grant type is not supported")
	assert.Equal(t, unsupported, w.post("/token", people+"&client_id=old"))
	assert.Equal(t, pages("Location", callback+"?error=unsupported_response_type&error_description=the+response_type+is+not+supported"+
		"&iss=https%3A%2F%2Fauth.example.com&state=a+b%26c"), w.ask("old app", "response_type", "token").header)
	assert.NotContains(t, get(w, issuer+"/.well-known/oauth-authorization-server").body, "implicit")
}

func TestLegacyPassword(t *testing.T) {
	var o witness
	w := newLegacyWorld(t, o.watch)
	pair := w.pair(t, people, as("old")...)
	assert.Equal(t, "read write", w.pair(t, people+"&scope=read+write", as("old")...).Scope)
	assert.Equal(t, "read", pair.Scope, "the default")
	assert.NotEmpty(t, pair.Refresh)
	got, err := w.Verify(t.Context(), pair.Access)
	require.NoError(t, err)
	assert.Equal(t, "user-1", got.Subject)
	assert.Equal(t, "alice", got.Username)
	assert.Equal(t, "old", got.ClientID)
	assert.Equal(t, []string{api}, got.Audience)
	var claims struct{ Org string }
	require.NoError(t, got.Claims(&claims))
	assert.Equal(t, "acme", claims.Org)
	assert.Equal(t, "read", w.pair(t, refresh(pair.Refresh), as("old")...).Scope)
	assert.Empty(t, w.pair(t, people+"&client_id=old+app").Refresh, "the client may not refresh")

	wrong := refusal(400, "invalid_grant", "the name or the password is wrong")
	for _, test := range []struct {
		name, form string
		want       reply
	}{
		{"wrong password", strings.Replace(people, "opensesame", "0ther", 1), wrong},
		{"unknown name", strings.Replace(people, "alice", "mallory", 1), wrong},
		{"no name", "grant_type=password&password=x", refusal(400, "invalid_request", "username and password must both be there")},
		{"no password", "grant_type=password&username=alice", refusal(400, "invalid_request", "username and password must both be there")},
		{"too much", people + "&scope=admin", refusal(400, "invalid_scope", "a scope is unknown or not allowed to the client")},
		{"elsewhere", people + "&resource=https://c.example.com", refusal(400, "invalid_target", "the client may not ask for this resource")},
		{"nothing approved", strings.Replace(people, "alice", "nothing", 1), refusal(400, "invalid_grant", "what was presented is not valid, not for this client, or was used before")},
		{"a subject that is a client", strings.Replace(people, "alice", "robot", 1), refusal(503, "temporarily_unavailable", "the server can not answer at the moment")},
		{"broken", strings.Replace(people, "alice", "broken", 1), refusal(503, "temporarily_unavailable", "the server can not answer at the moment")},
		{"silent", strings.Replace(people, "alice", "silent", 1), refusal(503, "temporarily_unavailable", "the server can not answer at the moment")},
	} {
		assert.Equal(t, test.want, w.post("/token", test.form, as("old")...), test.name)
	}
	less := w.pair(t, strings.Replace(people, "alice", "bob", 1)+"&scope=read+write&resource=https://b.example.com", as("old")...)
	assert.Equal(t, "read", less.Scope)
	got, err = w.Verify(t.Context(), less.Access)
	require.NoError(t, err)
	assert.Equal(t, []string{"https://b.example.com"}, got.Audience)

	o.events = nil
	w.post("/token", strings.Replace(people, "opensesame", "0ther", 1), as("old")...)
	assert.Equal(t, []authserver.Event{{
		Kind: "authentication_failed", Client: "old", Grant: "password", Address: netip.MustParseAddr("192.0.2.1"), Reason: "wrong name or password",
	}}, o.take(t))
	for _, hidden := range []string{"opensesame", "0ther"} {
		assert.NotContains(t, o.log.String(), hidden)
	}
}

// Who guesses passwords has to wait, and nobody else.
func TestLegacyPasswordIsLimited(t *testing.T) {
	checks := 0
	w := newLegacyWorld(t, func(c *authserver.Config) {
		c.Limits.Failures = authserver.EndpointLimit{}
		c.Grants[2] = authserver.LegacyPassword(func(ctx context.Context, username, password string) (*authserver.Approval, error) {
			checks++
			return checkPeople(ctx, username, password)
		})
	})
	try := func(username, password, from string) int {
		r := request("/token", "grant_type=password&username="+username+"&password="+password, as("old")...)
		r.RemoteAddr = from + ":1234"
		return send(w, r).status
	}
	for range 10 {
		assert.Equal(t, 400, try("alice", "x", "192.0.2.7"))
	}
	assert.Equal(t, 429, try("alice", "x", "192.0.2.7"))
	assert.Equal(t, 429, try("ALICE", "opensesame", "192.0.2.7"), "no more guesses, not even a right one")
	assert.Equal(t, 10, checks, "a refused try costs no verification")
	assert.Equal(t, 200, try("bob", "opensesame", "192.0.2.7"), "others at the address")
	assert.Equal(t, 200, try("alice", "opensesame", "192.0.2.8"), "alice elsewhere")
	w.now = w.now.Add(time.Minute)
	assert.Equal(t, 200, try("alice", "opensesame", "192.0.2.7"))
	for i := range 300 {
		if try("user"+string(rune('a'+i%26))+strings.Repeat("x", i), "x", "192.0.2.9") == 429 {
			return
		}
	}
	t.Error("an address may try every name")
}

// Of many guesses at once no more are looked at than of one after the other, and
// what was no wrong password does not count.
func TestLegacyPasswordIsLimitedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const guesses = 50
		var checks atomic.Int64
		release := make(chan struct{})
		w := newLegacyWorld(t, strict, func(c *authserver.Config) {
			c.Grants[2] = authserver.LegacyPassword(func(ctx context.Context, username, password string) (*authserver.Approval, error) {
				checks.Add(1)
				<-release
				return checkPeople(ctx, username, password)
			})
		})
		try := func(username, password string) int {
			return w.from(here, "/token", "grant_type=password&username="+username+"&password="+password, as("old")...).status
		}
		statuses := make(chan int, guesses)
		for range guesses {
			go func() { statuses <- try("alice", "x") }()
		}
		synctest.Wait()
		assert.EqualValues(t, 10, checks.Load())
		close(release)
		count := map[int]int{}
		for range guesses {
			count[<-statuses]++
		}
		assert.Equal(t, map[int]int{400: 10, 429: guesses - 10}, count)

		for name, want := range map[string]int{"bob": 200, "broken": 503, "silent": 503, "nothing": 400} {
			for range 30 {
				require.Equal(t, want, try(name, "opensesame"), name)
			}
		}
	})
}

func TestLegacyImplicit(t *testing.T) {
	var o witness
	w := newLegacyWorld(t, o.watch)
	got := w.ask("old app", "response_type", "token")
	location := got.header.Get("Location")
	uri, fragment, found := strings.Cut(location, "#")
	require.True(t, found, location)
	answer, err := url.ParseQuery(fragment)
	require.NoError(t, err)
	token := answer.Get("access_token")
	require.NotEmpty(t, token)
	assert.Equal(t, reply{http.StatusSeeOther, pages("Location", location), ""}, got)
	assert.Equal(t, callback, uri)
	assert.Equal(t, url.Values{
		"access_token": {token}, "token_type": {"Bearer"}, "expires_in": {"3600"}, "scope": {"read write"},
		"state": {"a b&c"}, "iss": {issuer},
	}, answer)
	verified, err := w.Verify(t.Context(), token)
	require.NoError(t, err)
	assert.Equal(t, "user-1", verified.Subject)
	assert.Equal(t, "old app", verified.ClientID)
	event := authserver.Event{
		Kind: "authorization_approved", Client: "old app", Subject: "user-1", Grant: "implicit", Scopes: scopes.Set{"read", "write"},
		Audience: []string{api}, Family: "f", Address: netip.MustParseAddr("192.0.2.1"),
	}
	issued := event
	issued.Kind, issued.Token = "token_issued", "jti"
	assert.Equal(t, []authserver.Event{event, issued}, o.take(t))
	assert.NotContains(t, o.log.String(), token)

	refused := func(code, description string) string {
		return callback + "#" + url.Values{"error": {code}, "error_description": {description}, "state": {"a b&c"}, "iss": {issuer}}.Encode()
	}
	for _, test := range []struct {
		name, client string
		changes      []string
		want         string
	}{
		{"not registered for it", "web", nil, refused("unauthorized_client", "the client may not use this grant type")},
		{"too much", "old app", []string{"scope", "admin"}, refused("invalid_scope", "a scope is unknown or not allowed to the client")},
		{"in the query", "old app", []string{"response_mode", "query"}, refused("invalid_request", "response_mode must be fragment for this response_type")},
		{"bound", "old app", []string{"dpop_jkt", "x"}, refused("unauthorized_client", "this grant can not bind tokens to a key")},
		{"a code, for which the client is not registered", "old app", []string{"response_type", "code"},
			strings.Replace(refused("unauthorized_client", "the client may not use this grant type"), "#", "?", 1)},
	} {
		changes := append([]string{"response_type", "token"}, test.changes...)
		assert.Equal(t, test.want, w.ask(test.client, changes...).header.Get("Location"), test.name)
	}
	assert.Equal(t, refusal(400, "unsupported_grant_type", "the implicit grant has no use for the token endpoint"),
		w.post("/token", "grant_type=implicit&client_id=old+app"))
}

// What hooks refuse elsewhere they refuse here, with the errors that there are
// at the authorization endpoint.
func TestLegacyImplicitAsksTheHooks(t *testing.T) {
	var subject error
	locked := map[string]bool{}
	w := newLegacyWorld(t, func(c *authserver.Config) {
		c.Hooks.Client = func(_ *http.Request, client *authserver.Client) error {
			if locked[client.ID] {
				return &authserver.Error{Code: "unauthorized_client", Description: "the client is locked"}
			}
			return nil
		}
		c.Hooks.Subject = func(context.Context, string) error { return subject }
	})
	ask := func() string {
		_, fragment, _ := strings.Cut(w.ask("old app", "response_type", "token").header.Get("Location"), "#")
		answer, err := url.ParseQuery(fragment)
		require.NoError(t, err)
		return answer.Get("error") + answer.Get("token_type")
	}
	assert.Equal(t, "Bearer", ask())
	subject = authserver.ErrNotFound
	assert.Equal(t, "access_denied", ask())
	subject = errBroken
	assert.Equal(t, "temporarily_unavailable", ask())
	subject = nil
	locked["old app"] = true
	assert.Equal(t, "unauthorized_client", ask())
}

func TestLegacyImplicitAlone(t *testing.T) {
	w := newCodeWorld(t, func(c *authserver.Config) { c.Grants = []authserver.Grant{authserver.LegacyImplicit()} })
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(get(w, issuer+"/.well-known/oauth-authorization-server").body), &m))
	assert.Equal(t, []any{"token"}, m["response_types_supported"])
	assert.Equal(t, []any{"fragment"}, m["response_modes_supported"])
	assert.Equal(t, issuer+"/authorize", m["authorization_endpoint"])
	assert.NotContains(t, m, "code_challenge_methods_supported")
	assert.Contains(t, w.ask("web").header.Get("Location"), "?error=unsupported_response_type&")

	_, err := authserver.New(authserver.Config{
		Issuer: issuer, Store: w.memory, Clients: w.memory, Grants: []authserver.Grant{authserver.LegacyImplicit()},
	})
	assert.EqualError(t, err, "authserver: Login and the grants AuthorizationCode, DeviceCode and LegacyImplicit need each other")
	bound := authserver.Client{ID: "x", Grants: []string{authserver.GrantImplicit}, DPoPBound: true}
	assert.EqualError(t, bound.Check(), `authserver: client "x": implicit needs a redirect URI`+"\n"+
		`authserver: client "x": implicit can not issue tokens that are bound to a key`)
}

// A page of the login that was sent with POST gets the token to the client, too.
func TestLegacyImplicitAfterAForm(t *testing.T) {
	var returned string
	w := newLegacyWorld(t, func(c *authserver.Config) {
		c.Pages.Return = func(w http.ResponseWriter, _ *http.Request, location string) { returned = location }
	})
	r := httptest.NewRequest(http.MethodPost, issuer+"/authorize?response_type=token&client_id=old+app&scope=read", nil)
	send(w, r)
	assert.Regexp(t, `^`+callback+`#access_token=sneck_at_\w+&expires_in=3600&iss=https%3A%2F%2Fauth.example.com&scope=read&token_type=Bearer$`, returned)
}
