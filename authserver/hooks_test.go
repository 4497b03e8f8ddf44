package authserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

func hooked(t *testing.T, h authserver.Hooks) *world {
	t.Helper()
	return newCodeWorld(t, func(c *authserver.Config) { c.Hooks = h })
}

func settingHooks(t *testing.T) {
	down := refusal(503, "temporarily_unavailable", "the server can not answer at the moment")
	locked := &authserver.Error{Code: "invalid_client", Description: "the client is locked", Status: http.StatusUnauthorized}

	t.Run("Client", func(t *testing.T) {
		w := hooked(t, authserver.Hooks{Client: func(r *http.Request, c *authserver.Client) error {
			switch {
			case r.Header.Get("X-Broken") != "":
				return errBroken
			case c.ID == "app" || c.ID == "api" || c.ID == "spa":
				return locked
			}
			return nil
		}})
		refused := refusal(401, "invalid_client", "the client is locked")
		assert.Equal(t, refused, w.post("/token", credentialsGrant, as("app")...))
		assert.Equal(t, refused, w.post("/token", refresh("x", "client_id", "spa")))
		assert.Equal(t, refused, w.post("/revoke", "token=x", as("app")...))
		assert.Equal(t, refused, w.post("/introspect", "token=x", as("api")...))
		assert.Equal(t, 200, w.post("/token", credentialsGrant, as("other app")...).status)
		assert.Equal(t, down, w.post("/token", credentialsGrant, append(as("other app"), "X-Broken", "1")...))
	})

	t.Run("Scopes", func(t *testing.T) {
		w := hooked(t, authserver.Hooks{Scopes: func(_ context.Context, r *authserver.TokenRequest) (scopes.Set, error) {
			if r.GrantType == "client_credentials" {
				return nil, nil
			}
			return scopes.Set{"admin", "read"}, nil
		}})
		assert.Equal(t, refusal(400, "invalid_scope", "none of the scopes can be granted"), w.post("/token", credentialsGrant, as("app")...))
		p := w.login(t, "web")
		assert.Equal(t, "read", p.Scope)
		assert.Equal(t, "read", w.pair(t, refresh(p.Refresh), as("web")...).Scope)
		assert.Equal(t, down, hooked(t, authserver.Hooks{
			Scopes: func(context.Context, *authserver.TokenRequest) (scopes.Set, error) { return nil, errBroken },
		}).post("/token", credentialsGrant, as("app")...))
	})

	t.Run("Subject", func(t *testing.T) {
		var answer error
		w := hooked(t, authserver.Hooks{Subject: func(_ context.Context, subject string) error {
			assert.Equal(t, "user-1", subject)
			return answer
		}})
		p := w.login(t, "web")
		answer = authserver.ErrNotFound
		assert.Equal(t, refusedGrant, w.post("/token", refresh(p.Refresh), as("web")...))
		assert.Equal(t, refusedGrant, w.post("/token", exchange(w.code(t, "web")), as("web")...))
		assert.Equal(t, 200, w.post("/token", credentialsGrant, as("app")...).status, "no user, no question")
		answer = errBroken
		assert.Equal(t, down, w.post("/token", refresh(p.Refresh), as("web")...))
		answer = nil
		w.pair(t, refresh(p.Refresh), as("web")...)
	})

	t.Run("Claims", func(t *testing.T) {
		more := json.RawMessage(`{"tier":"gold","username":"al"}`)
		w := hooked(t, authserver.Hooks{Claims: func(_ context.Context, r *authserver.TokenRequest) (json.RawMessage, error) {
			if r.Client.ID == "other app" {
				return json.RawMessage(`{"active":false}`), nil
			}
			return more, nil
		}})
		token, err := w.Verify(t.Context(), w.login(t, "web").Access)
		require.NoError(t, err)
		assert.Equal(t, "al", token.Username)
		assert.Contains(t, string(token.RawClaims), `"tier":"gold"`)
		assert.Contains(t, string(token.RawClaims), `"org":"acme"`)
		assert.Equal(t, down, w.post("/token", credentialsGrant, as("other app")...), "a reserved name")
		for _, bad := range []string{`[]`, `null`, `x`, `{"sub":"root"}`, `{"Sub":"root"}`, `{"a":1,"a":2}`} {
			more = json.RawMessage(bad)
			assert.Equal(t, down, w.post("/token", credentialsGrant, as("app")...), bad)
		}
		more = json.RawMessage(`{}`)
		assert.Equal(t, 200, w.post("/token", credentialsGrant, as("app")...).status)
	})

	t.Run("Introspect", func(t *testing.T) {
		var answer error
		w := hooked(t, authserver.Hooks{Introspect: func(_ context.Context, caller *authserver.Client, r authserver.Record) (json.RawMessage, error) {
			if caller == nil {
				return json.RawMessage(`{"for":"itself"}`), answer
			}
			return json.RawMessage(`{"for":"` + caller.ID + `"}`), answer
		}})
		p := w.login(t, "web")
		assert.Contains(t, w.post("/introspect", "token="+p.Access, as("api")...).body, `"for":"api"`)
		token, err := w.Verify(t.Context(), p.Access)
		require.NoError(t, err)
		assert.Contains(t, string(token.RawClaims), `"for":"itself"`)
		answer = authserver.ErrNotFound
		assert.Equal(t, inactive, w.post("/introspect", "token="+p.Access, as("api")...))
		_, err = w.Verify(t.Context(), p.Access)
		require.ErrorIs(t, err, sneck.ErrInvalid)
		answer = errBroken
		assert.Equal(t, down, w.post("/introspect", "token="+p.Access, as("api")...))
		_, err = w.Verify(t.Context(), p.Access)
		require.ErrorIs(t, err, errBroken)
		require.NotErrorIs(t, err, sneck.ErrInvalid)
	})

	t.Run("Revoked", func(t *testing.T) {
		var kinds []authserver.Kind
		var counts []int64
		w := hooked(t, authserver.Hooks{Revoked: func(_ context.Context, r authserver.Record, n int64) {
			kinds, counts = append(kinds, r.Kind), append(counts, n)
		}})
		p := w.login(t, "web")
		w.post("/revoke", "token="+p.Access, as("web")...)
		w.post("/revoke", "token="+p.Refresh, as("web")...)
		p = w.login(t, "web")
		w.pair(t, refresh(p.Refresh), as("web")...)
		w.post("/token", refresh(p.Refresh), as("web")...)
		assert.Equal(t, []authserver.Kind{"access", "refresh", "refresh"}, kinds)
		assert.Equal(t, []int64{1, 2, 5}, counts)
	})
}

// A grant type of one's own is a value like the built-in ones.
func settingGrants(t *testing.T) {
	const custom = "urn:example:voucher"
	voucher := authserver.Grant{
		Type: custom,
		Handle: func(_ context.Context, r *authserver.GrantRequest) (*authserver.Issue, error) {
			switch r.Form.Get("voucher") {
			case "":
				return nil, &authserver.Error{Code: "invalid_request", Description: "voucher is missing"}
			case "broken":
				return nil, errBroken
			case "once":
				return &authserver.Issue{Subject: "user-2", Refresh: true, Spend: &authserver.Spend{Key: authserver.KeyOf("once")}}, nil
			}
			return &authserver.Issue{Subject: "user-1", Scopes: scopes.Set{"special"}, Audience: []string{"x"}, Claims: json.RawMessage(`{"v":1}`)}, nil
		},
	}
	w := newWorld(t, func(c *authserver.Config) {
		c.AccessToken = nil
		c.Grants = []authserver.Grant{voucher, authserver.RefreshToken()}
	})
	require.NoError(t, w.memory.PutClient(t.Context(), &authserver.Client{
		ID: "c", Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}}, Scopes: scopes.Set{"read"}, Audience: []string{api},
		Grants: []string{custom, authserver.GrantRefreshToken},
	}))
	require.NoError(t, w.memory.Create(t.Context(), authserver.Record{Key: authserver.KeyOf("once"), Kind: "voucher", Client: "c"}))
	send := func(v string, client string) reply {
		return w.post("/token", "grant_type=urn:example:voucher&voucher="+v, as(client)...)
	}
	assert.Equal(t, refusal(400, "invalid_request", "voucher is missing"), send("", "c"))
	assert.Equal(t, refusal(503, "temporarily_unavailable", "the server can not answer at the moment"), send("broken", "c"))
	assert.Equal(t, refusal(400, "unauthorized_client", "the client may not use this grant type"), send("x", "app"))
	assert.Equal(t, refusal(400, "unsupported_grant_type", "the grant type is not supported"), w.post("/token", credentialsGrant, as("app")...))
	assert.Contains(t, get(w, issuer+"/.well-known/oauth-authorization-server").body, `"grant_types_supported":["refresh_token","urn:example:voucher"]`)

	p := w.pair(t, "grant_type=urn:example:voucher&voucher=x", as("c")...)
	token, err := w.Verify(t.Context(), p.Access)
	require.NoError(t, err)
	assert.Equal(t, scopes.Set{"special"}, token.Scopes)
	assert.Equal(t, []string{"x"}, token.Audience)
	assert.Empty(t, p.Refresh)

	// What it leaves out, the server decides; what may be used once is.
	p = w.pair(t, "grant_type=urn:example:voucher&voucher=once", as("c")...)
	assert.Equal(t, "read", p.Scope)
	assert.Equal(t, refusedGrant, send("once", "c"))
	w.pair(t, refresh(p.Refresh), as("c")...)

	settingGrantsAreEqual(t, voucher)

	m := authserver.NewMemory()
	_, err = authserver.New(authserver.Config{Issuer: issuer, Store: m, Clients: m, Grants: []authserver.Grant{
		voucher, voucher, {Type: "x"}, authserver.AuthorizationCode(),
	}})
	require.EqualError(t, err, errors.Join(
		errors.New("authserver: Login and the grants AuthorizationCode, DeviceCode and LegacyImplicit need each other"),
		errors.New(`authserver: Grants has "urn:example:voucher" twice`),
		errors.New("authserver: Grants[2] lacks a type or Handle"),
	).Error())
}

// settingGrantsAreEqual checks that one's own grant type is checked, logged,
// reported and limited like the built-in ones.
func settingGrantsAreEqual(t *testing.T, grant authserver.Grant) {
	t.Helper()
	var o witness
	w := newWorld(t, o.watch, func(c *authserver.Config) {
		c.Limits.Token.Client, c.Grants = rate(2), []authserver.Grant{grant}
	})
	require.NoError(t, w.memory.PutClient(t.Context(), &authserver.Client{
		ID: "c", Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}}, Grants: []string{grant.Type}, Scopes: scopes.Set{"read"}, Audience: []string{api},
	}))
	require.NoError(t, w.memory.PutClient(t.Context(), &authserver.Client{ID: "open", Grants: []string{grant.Type}}))
	form := "voucher=x&grant_type=" + grant.Type
	assert.Equal(t, refusal(400, "unauthorized_client", "the client may not use this grant type"), w.post("/token", form+"&client_id=open"), "nor is it for public clients")
	assert.Equal(t, 200, w.post("/token", form, as("c")...).status)
	assert.Equal(t, 200, w.post("/token", form, as("c")...).status)
	assert.Equal(t, tooMany("30"), w.post("/token", form, as("c")...))
	event := authserver.Event{
		Kind: "token_issued", Client: "c", Subject: "user-1", Grant: grant.Type, Scopes: scopes.Set{"special"}, Audience: []string{"x"}, Token: "jti", Family: "f",
		Address: netip.MustParseAddr("192.0.2.1"),
	}
	limited := authserver.Event{Kind: "rate_limited", Client: "c", Reason: "token.client", Address: event.Address}
	assert.Equal(t, []authserver.Event{event, event, limited}, o.take(t))
	assert.Contains(t, o.log.String(), `msg="token issued" client=c grant_type=`+grant.Type)
}

func settingDecoder(t *testing.T) {
	withType := func(contentType, body string) *http.Request {
		r := request("/token", body, as("app")...)
		r.Header.Set("Content-Type", contentType)
		return r
	}
	open := func() *world {
		return newWorld(t, func(c *authserver.Config) { c.Decoder = authserver.DecodeJSON })
	}
	const good = `{"grant_type":"client_credentials","scope":"read","resource":["https://api.example.com"],"client_id":""}`
	assert.Equal(t, issued("read"), send(open(), withType("application/json", good)))
	assert.Equal(t, issued("read"), send(open(), withType("application/json; charset=UTF-8", `{"grant_type":"client_credentials","resource":"https://api.example.com"}`)))
	assert.Equal(t, issued("read"), send(open(), withType("application/x-www-form-urlencoded", credentialsGrant)), "forms still work")
	assert.Equal(t, refusal(415, "invalid_request", "JSON is not understood here: send the parameters as application/x-www-form-urlencoded"),
		send(newWorld(t), withType("application/json", good)), "off by default")
	assert.Equal(t, 415, send(open(), withType("application/json; charset=utf-16", good)).status)
	for body, description := range map[string]string{
		``:     "the body is not a JSON object with distinct members",
		`null`: "the body is not a JSON object with distinct members",
		`[]`:   "the body is not a JSON object with distinct members",
		`{"grant_type":"client_credentials","grant_type":"x"}`: "the body is not a JSON object with distinct members",
		`{"grant_type":1}`:                    "a member of the JSON object is not a string",
		`{"grant_type":null}`:                 "a member of the JSON object is not a string",
		`{"grant_type":["x"]}`:                "a member of the JSON object is not a string",
		`{"resource":null}`:                   "a member of the JSON object is not a string",
		`{"resource":[1]}`:                    "a member of the JSON object is not a string",
		`{"Grant_type":"client_credentials"}`: "grant_type is missing",
	} {
		assert.Equal(t, refusal(400, "invalid_request", description), send(open(), withType("application/json", body)), body)
	}
	w := newWorld(t, func(c *authserver.Config) {
		c.Decoder = func(http.ResponseWriter, *http.Request) (authserver.Form, error) {
			return authserver.Form{"grant_type": {"client_credentials"}}, nil
		}
	})
	assert.Equal(t, issued("read"), send(w, withType("text/plain", "anything")))
}
