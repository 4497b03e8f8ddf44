package authserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

func get(h http.Handler, target string) reply {
	return send(h, httptest.NewRequest(http.MethodGet, target, nil))
}

func TestAP05_AP06_Metadata(t *testing.T) {
	const body = `{"issuer":"https://auth.example.com","token_endpoint":"https://auth.example.com/token",` +
		`"token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post","private_key_jwt"],` +
		`"token_endpoint_auth_signing_alg_values_supported":["ES256","EdDSA","ES384","ES512","PS256","RS256"],` +
		`"introspection_endpoint":"https://auth.example.com/introspect",` +
		`"introspection_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post","private_key_jwt","Bearer"],` +
		`"introspection_endpoint_auth_signing_alg_values_supported":["ES256","EdDSA","ES384","ES512","PS256","RS256"],` +
		`"revocation_endpoint":"https://auth.example.com/revoke",` +
		`"revocation_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post","private_key_jwt"],` +
		`"revocation_endpoint_auth_signing_alg_values_supported":["ES256","EdDSA","ES384","ES512","PS256","RS256"],` +
		`"grant_types_supported":["client_credentials"],"scopes_supported":["read","write","admin","introspection"],` +
		`"dpop_signing_alg_values_supported":["ES256","EdDSA","ES384","ES512","PS256","RS256"],"response_types_supported":[]}`
	w := newWorld(t, func(c *authserver.Config) { c.RefreshTokenTTL = authserver.NoRefreshTokens })
	assert.Equal(t, reply{200, http.Header{
		"Content-Type": {"application/json"}, "Cache-Control": {"public, max-age=300"},
		"Access-Control-Allow-Origin": {"*"},
	}, body}, get(w, issuer+"/.well-known/oauth-authorization-server"))

	r := request("/.well-known/oauth-authorization-server", "")
	assert.Equal(t, refusal(405, "invalid_request", "the method is not allowed here, but GET, HEAD",
		"Allow", "GET, HEAD", "Access-Control-Allow-Origin", "*"), send(w, r))
	assert.Equal(t, 404, get(w, issuer+"/").status)
	assert.Equal(t, 404, get(w, issuer+"/token/").status)
}

func TestAP07_MetadataWithLogin(t *testing.T) {
	w := newCodeWorld(t)
	assert.Equal(t, `{"issuer":"https://auth.example.com","token_endpoint":"https://auth.example.com/token",`+
		`"token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post","private_key_jwt","none"],`+
		`"token_endpoint_auth_signing_alg_values_supported":["ES256","EdDSA","ES384","ES512","PS256","RS256"],`+
		`"introspection_endpoint":"https://auth.example.com/introspect",`+
		`"introspection_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post","private_key_jwt","Bearer"],`+
		`"introspection_endpoint_auth_signing_alg_values_supported":["ES256","EdDSA","ES384","ES512","PS256","RS256"],`+
		`"revocation_endpoint":"https://auth.example.com/revoke",`+
		`"revocation_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post","private_key_jwt","none"],`+
		`"revocation_endpoint_auth_signing_alg_values_supported":["ES256","EdDSA","ES384","ES512","PS256","RS256"],`+
		`"grant_types_supported":["authorization_code","client_credentials","refresh_token","urn:ietf:params:oauth:grant-type:device_code"],`+
		`"scopes_supported":["read","write","admin","introspection"],`+
		`"authorization_endpoint":"https://auth.example.com/authorize",`+
		`"device_authorization_endpoint":"https://auth.example.com/device_authorization",`+
		`"response_modes_supported":["query"],"code_challenge_methods_supported":["S256"],`+
		`"dpop_signing_alg_values_supported":["ES256","EdDSA","ES384","ES512","PS256","RS256"],`+
		`"authorization_response_iss_parameter_supported":true,"response_types_supported":["code"]}`,
		get(w, issuer+"/.well-known/oauth-authorization-server").body)
}

func TestAP05_PathOfTheIssuerIsInserted(t *testing.T) {
	w := newWorld(t, func(c *authserver.Config) { c.Issuer = issuer + "/a/b" })
	var m struct {
		Issuer   string
		Endpoint string `json:"token_endpoint"`
	}
	got := get(w, issuer+"/.well-known/oauth-authorization-server/a/b")
	require.NoError(t, json.Unmarshal([]byte(got.body), &m))
	assert.Equal(t, issuer+"/a/b", m.Issuer)
	assert.Equal(t, issuer+"/a/b/token", m.Endpoint)
	assert.Equal(t, 404, get(w, issuer+"/.well-known/oauth-authorization-server").status)
	assert.Equal(t, 404, get(w, issuer+"/a/b/.well-known/oauth-authorization-server").status)

	// Below the path as well as under a prefix that somebody has stripped.
	assert.Equal(t, 200, w.post("/a/b/token", credentialsGrant, as("app")...).status)
	assert.Equal(t, 200, w.post("/token", credentialsGrant, as("app")...).status)
	assert.Equal(t, 404, w.post("/a/token", credentialsGrant, as("app")...).status)
	assert.Equal(t, 404, w.post("/a/btoken", credentialsGrant, as("app")...).status)
}

// Everything that the metadata names is there, in every way that it names.
func TestAP08_MetadataMatchesReality(t *testing.T) {
	w := newWorld(t)
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(get(w, issuer+"/.well-known/oauth-authorization-server").body), &m))
	checked := 0
	for name, value := range m {
		endpoint, ok := strings.CutSuffix(name, "_endpoint")
		if !ok {
			continue
		}
		checked++
		path := strings.TrimPrefix(value.(string), issuer)
		for _, method := range m[endpoint+"_endpoint_auth_methods_supported"].([]any) {
			form, header := credentialsGrant+"&token=x", as("app")
			if endpoint == "introspection" {
				header = as("api")
			}
			if method == "Bearer" {
				header = []string{"Authorization", "Bearer " + w.introspectionToken(t)}
			}
			if method == "private_key_jwt" {
				continue // see TestAP08_EveryWayToAuthenticate
			}
			if method == "client_secret_post" {
				form += "&client_id=app&client_secret=s3cr3t%2Bwith%3Aodd%25characters%2F0123456789"
				form = strings.Replace(form, "=app", "="+map[bool]string{true: "api", false: "app"}[endpoint == "introspection"], 1)
				header = nil
			}
			assert.Equal(t, 200, w.post(path, form, header...).status, "%s with %s", name, method)
		}
	}
	assert.Equal(t, 3, checked)
	for _, grant := range m["grant_types_supported"].([]any) {
		got := w.post("/token", "grant_type="+grant.(string), as("app")...)
		assert.NotContains(t, got.body, "unsupported_grant_type")
	}
	for _, scope := range m["scopes_supported"].([]any) {
		_, _, err := w.NewClient(t.Context(), authserver.Client{Scopes: scopes.Set{scope.(string)}}, true)
		require.NoError(t, err)
	}
}

type failingBackend struct {
	scopes.Static
	fail *bool
}

func (b failingBackend) All(ctx context.Context) ([]scopes.Described, error) {
	if *b.fail {
		return nil, errors.New("no connection")
	}
	return b.Static.All(ctx)
}

func (b failingBackend) Available(ctx context.Context, r scopes.Request) (scopes.Set, error) {
	if *b.fail {
		return nil, errors.New("no connection")
	}
	return b.Static.Available(ctx, r)
}

func TestScopeBackendFails(t *testing.T) {
	fail := false
	w := newWorld(t, func(c *authserver.Config) { c.Scopes = failingBackend{fail: &fail} })
	fail = true
	down := func(header ...string) reply {
		return refusal(503, "temporarily_unavailable", "the server can not answer at the moment", header...)
	}
	assert.Equal(t, down("Access-Control-Allow-Origin", "*"), get(w, issuer+"/.well-known/oauth-authorization-server"))
	assert.Equal(t, down(), w.post("/token", credentialsGrant, as("app")...))
}
