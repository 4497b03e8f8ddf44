package authserver_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sneckauth/sneck/authserver"
)

// An application that runs in a browser alone is of another origin than the
// server (OAuth 2.0 for Browser-Based Applications).
func TestAR18_ScriptsOfOtherOrigins(t *testing.T) {
	w := newJWTWorld(t, p256(t), func(c *authserver.Config) { c.Login = approve })
	preflight := func(path string) reply {
		r := httptest.NewRequest(http.MethodOptions, issuer+path, http.NoBody)
		r.Header.Set("Origin", "https://app.example.org")
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "authorization,dpop")
		return send(w, r)
	}
	forms := reply{204, http.Header{
		"Access-Control-Allow-Origin": {"*"}, "Access-Control-Allow-Methods": {"POST"},
		"Access-Control-Allow-Headers": {"Authorization, Content-Type, DPoP"}, "Access-Control-Max-Age": {"3600"},
	}, ""}
	documents := reply{204, http.Header{
		"Access-Control-Allow-Origin": {"*"}, "Access-Control-Allow-Methods": {"GET, HEAD"},
		"Access-Control-Allow-Headers": {"*"}, "Access-Control-Max-Age": {"3600"},
	}, ""}
	for path, want := range map[string]reply{
		"/token": forms, "/revoke": forms, "/device_authorization": forms,
		"/.well-known/oauth-authorization-server": documents, "/jwks": documents,
		"/introspect": refusal(405, "invalid_request", "the method is not allowed here, but POST", "Allow", "POST"),
		"/authorize":  refusal(405, "invalid_request", "the method is not allowed here, but GET, POST", "Allow", "GET, POST"),
	} {
		assert.Equal(t, want, preflight(path), path)
	}

	const allow, expose = "Access-Control-Allow-Origin", "Access-Control-Expose-Headers"
	const exposed = "WWW-Authenticate, Retry-After, DPoP-Nonce"
	got := w.post("/token", "grant_type=client_credentials", "Origin", "https://app.example.org")
	assert.Equal(t, refusal(401, "invalid_client", "the client does not say who it is",
		allow, "*", expose, exposed), got, "a script can read what is wrong")
	got = w.post("/revoke", "", "Origin", "https://app.example.org")
	assert.Equal(t, []string{"*", exposed}, []string{got.header.Get(allow), got.header.Get(expose)})
	for _, path := range []string{"/token", "/revoke", "/introspect"} {
		assert.NotContains(t, w.post(path, "").header, allow, "who is no browser is told nothing about them")
	}
	assert.NotContains(t, w.post("/introspect", "", "Origin", "https://app.example.org").header, allow)
}
