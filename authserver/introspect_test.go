package authserver_test

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
)

var inactive = jsonReply(200, `{"active":false}`)

const whole = `{"active":true,"scope":"read write","client_id":"app","token_type":"Bearer","exp":1893557045,"iat":1893553445,` +
	`"nbf":1893553445,"sub":"app","aud":"https://api.example.com","iss":"https://auth.example.com","jti":"A9cltlKWPselIAtH1AJsHw"}`

func TestIE01_PostedFormWithToken(t *testing.T) {
	w := newWorld(t)
	assert.Equal(t, refusal(400, "invalid_request", "token is missing"), w.post("/introspect", "", as("api")...))
	assert.Equal(t, refusal(400, "invalid_request", "token is missing"), w.post("/introspect", "token=", as("api")...))
	assert.Equal(t, refusal(400, "invalid_request", "a parameter is repeated"), w.post("/introspect", "token=a&token=a", as("api")...))
	r := request("/introspect", "", as("api")...)
	r.Method = "GET"
	assert.Equal(t, refusal(405, "invalid_request", "the method is not allowed here, but POST", "Allow", "POST"), send(w, r))
}

func TestIE02_CallerIsAuthenticated(t *testing.T) {
	w := newWorld(t)
	token := "token=" + w.issue(t, "app", "")
	assert.Equal(t, refusal(401, "invalid_client", "the client does not say who it is"), w.post("/introspect", token))
	assert.Equal(t, refusal(401, "invalid_client", "the client does not authenticate"), w.post("/introspect", token+"&client_id=public"))
	assert.Equal(t, refusal(401, "invalid_client", "client authentication failed"), w.post("/introspect", token, basic("api", "wrong")...))
	for _, form := range []string{token, "token=unknown", ""} {
		assert.Equal(t, refusal(403, "unauthorized_client", "the client may not introspect tokens"),
			w.post("/introspect", form, as("blind api")...))
	}
}

// introspectionToken returns a token with which "bearer api" may introspect.
func (w *world) introspectionToken(t *testing.T) string {
	t.Helper()
	require.NoError(t, w.memory.PutClient(t.Context(), &authserver.Client{
		ID: "bearer api", Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}},
		Grants: []string{authserver.GrantClientCredentials}, Scopes: []string{"read", authserver.IntrospectionScope},
		Audience: []string{issuer}, Resources: []string{api}, Introspect: true, Serves: []string{api},
	}))
	return w.issue(t, "bearer api", "scope=introspection")
}

func TestIE02_CallerWithAToken(t *testing.T) {
	w := newWorld(t)
	token := "token=" + w.issue(t, "app", "")
	with := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	refused := func(status int, code, description, challenge string) reply {
		return jsonReply(status, `{"error":"`+code+`","error_description":"`+description+`"}`, "WWW-Authenticate", challenge)
	}
	invalid := refused(401, "invalid_token", "the token is not valid here", `Bearer error="invalid_token"`)
	good := w.introspectionToken(t)
	assert.Contains(t, w.post("/introspect", token, with(good)...).body, `"active":true`)
	assert.Equal(t, inactive, w.post("/introspect", "token=x", with(good)...))
	assert.Equal(t, invalid, w.post("/introspect", token, with("unknown")...))
	assert.Equal(t, invalid, w.post("/introspect", token, with("")...))
	assert.Equal(t, refusal(400, "invalid_request", "the client authenticates in two ways at once"),
		w.post("/introspect", token+"&client_id=api", with(good)...))
	assert.Equal(t, refusal(400, "invalid_request", "there is more than one Authorization header"),
		w.post("/introspect", token, append(with(good), as("api")...)...))

	elsewhere := w.issue(t, "bearer api", "scope=introspection&resource="+api)
	assert.Equal(t, refused(401, "invalid_token", "the token is not meant for this server alone: ask for its issuer as the resource", `Bearer error="invalid_token"`),
		w.post("/introspect", token, with(elsewhere)...))
	less := w.issue(t, "bearer api", "scope=read")
	insufficient := refused(403, "insufficient_scope", "the token does not allow to introspect others", `Bearer error="insufficient_scope", scope="introspection"`)
	assert.Equal(t, insufficient, w.post("/introspect", token, with(less)...))

	// What the client is no longer allowed, its token does not allow either.
	c, err := w.memory.Client(t.Context(), "bearer api")
	require.NoError(t, err)
	demoted := *c
	demoted.Introspect = false
	require.NoError(t, w.memory.PutClient(t.Context(), &demoted))
	assert.Equal(t, insufficient, w.post("/introspect", token, with(good)...))
	require.NoError(t, w.memory.DeleteClient(t.Context(), "bearer api"))
	assert.Equal(t, invalid, w.post("/introspect", token, with(good)...))
	// Elsewhere a token is no authentication.
	assert.Equal(t, refusal(401, "invalid_client", "the authentication scheme is not understood here"), w.post("/revoke", token, with(good)...))
}

func TestIE04_InactiveSaysNothingElse(t *testing.T) {
	w := newWorld(t)
	token := w.issue(t, "app", "")
	revoked := w.issue(t, "app", "")
	require.Equal(t, 200, w.post("/revoke", "token="+revoked, as("app")...).status)
	refresh := authserver.Record{Key: authserver.KeyOf("refresh"), Kind: authserver.KindRefresh, Audience: []string{api}}
	future := authserver.Record{Key: authserver.KeyOf("future"), Kind: authserver.KindAccess, Audience: []string{api}, NotBefore: epoch.Add(1)}
	nobodys := authserver.Record{Key: authserver.KeyOf("nobodys"), Kind: authserver.KindAccess}
	require.NoError(t, w.memory.Create(t.Context(), refresh, future, nobodys))

	require.Contains(t, w.post("/introspect", "token="+token, as("api")...).body, `"active":true`)
	for name, token := range map[string]string{
		"unknown": "unknown", "revoked": revoked, "malformed": "a%00b", "refresh": "refresh", "future": "future",
		"without an audience": "nobodys",
	} {
		assert.Equal(t, inactive, w.post("/introspect", "token="+token, as("api")...), name)
	}
	assert.Equal(t, inactive, w.post("/introspect", "token="+token, as("other api")...), "for somebody else")
	w.now = epoch.Add(time.Hour)
	assert.Equal(t, inactive, w.post("/introspect", "token="+token, as("api")...), "expired")
}

func TestIE05_HintChangesNothing(t *testing.T) {
	w := newWorld(t)
	token := "token=" + w.issue(t, "app", "scope=read+write")
	for _, hint := range []string{"", "&token_type_hint=access_token", "&token_type_hint=refresh_token", "&token_type_hint=nonsense"} {
		assert.Equal(t, jsonReply(200, whole), w.post("/introspect", token+hint, as("api")...))
	}
}

func TestIE07_IE09_WholeAnswer(t *testing.T) {
	w := newWorld(t)
	token := w.issue(t, "app", "scope=read+write")
	assert.Equal(t, jsonReply(200, whole), w.post("/introspect", "token="+token, as("api")...))

	several := authserver.Record{
		Key: authserver.KeyOf("several"), Kind: authserver.KindAccess, Client: "c", Subject: "s", Audience: []string{"x", "api"},
		Issued: epoch, NotBefore: epoch.Add(-time.Second),
	}
	require.NoError(t, w.memory.Create(t.Context(), several))
	assert.Equal(t, jsonReply(200, `{"active":true,"client_id":"c","token_type":"Bearer","iat":1893553445,"nbf":1893553444,`+
		`"sub":"s","aud":["x","api"],"iss":"https://auth.example.com","jti":"Qmfae4XYugv9dsCjZiz7vw"}`),
		w.post("/introspect", "token=several", as("api")...))
}

func TestIE08_OnlyWhatIsMeantForTheCaller(t *testing.T) {
	w := newWorld(t)
	for audience, seers := range map[string][]string{
		api: {"api"}, "api": {"api"}, "other api": {"other api"}, "ap": nil, "API": nil, api + "/": nil, "app": nil,
	} {
		token := "for-" + base64.RawURLEncoding.EncodeToString([]byte(audience))
		require.NoError(t, w.memory.Create(t.Context(), authserver.Record{
			Key: authserver.KeyOf(token), Kind: authserver.KindAccess, Audience: []string{audience},
		}))
		for _, caller := range []string{"api", "other api"} {
			got := w.post("/introspect", "token="+token, as(caller)...)
			if slices.Contains(seers, caller) {
				assert.Contains(t, got.body, `"active":true`, "%s asks about %s", caller, audience)
			} else {
				assert.Equal(t, inactive, got, "%s asks about %s", caller, audience)
			}
		}
	}
}

// A failingStore can do nothing.
type failingStore struct{ authserver.Store }

var errBroken = errors.New("the disk is gone")

func (failingStore) Create(context.Context, ...authserver.Record) error { return errBroken }
func (failingStore) Get(context.Context, authserver.Key) (authserver.Record, error) {
	return authserver.Record{}, errBroken
}

func TestAR04_FailureIsNoVerdict(t *testing.T) {
	w := newWorld(t, func(c *authserver.Config) { c.Store = failingStore{} })
	down := refusal(503, "temporarily_unavailable", "the server can not answer at the moment")
	assert.Equal(t, down, w.post("/token", credentialsGrant, as("app")...))
	assert.Equal(t, down, w.post("/introspect", "token=x", as("api")...))
	assert.Equal(t, down, w.post("/revoke", "token=x", as("app")...))
}
