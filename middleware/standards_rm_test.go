package middleware_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

func serveHandler(h http.Handler, r *http.Request) string {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return dump(rec)
}

// described returns a guard with metadata for https://api.example/mcp.
func described(t *testing.T, change func(*middleware.Config)) *middleware.Guard {
	return newGuard(t, func(c *middleware.Config) {
		c.Audience = []string{"https://api.example/mcp", audience}
		c.Metadata = &middleware.Metadata{
			Resource:             "https://api.example/mcp",
			AuthorizationServers: []string{"https://as.example"},
		}
		if change != nil {
			change(c)
		}
	})
}

// document returns the metadata that a guard serves.
func document(t *testing.T, guard *middleware.Guard) map[string]any {
	rec := httptest.NewRecorder()
	guard.Metadata().ServeHTTP(rec, do("GET", "/.well-known/oauth-protected-resource/mcp"))
	require.Equal(t, 200, rec.Code)
	require.Equal(t, "application/json", rec.Header().Get("Content-Type"))
	var doc map[string]any
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &doc))
	return doc
}

func TestRM01_MetadataIsInserted(t *testing.T) {
	handler := described(t, nil).Metadata()
	for path, status := range map[string]int{
		"/.well-known/oauth-protected-resource/mcp":  200,
		"/.well-known/oauth-protected-resource":      200, // for clients that only try the host
		"/mcp/.well-known/oauth-protected-resource":  404,
		"/.well-known/oauth-protected-resource/mcp/": 404,
	} {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, do("GET", path))
		assert.Equal(t, status, rec.Code, path)
	}
}

func TestRM02_ResourceIsTheIdentifier(t *testing.T) {
	assert.Equal(t, "https://api.example/mcp", document(t, described(t, nil))["resource"])
	for _, bad := range []string{"http://api.example/mcp", "https://api.example/mcp#a", "/mcp"} {
		_, err := middleware.New(middleware.Config{
			Verifier: tableVerifier{}, Audience: []string{bad},
			Metadata: &middleware.Metadata{Resource: bad, AuthorizationServers: []string{"https://as.example"}},
		})
		assert.Error(t, err, bad)
	}
}

func TestRM03_EmptyMembersAreLeftOut(t *testing.T) {
	doc := document(t, described(t, nil))
	assert.Equal(t, map[string]any{
		"resource":                 "https://api.example/mcp",
		"authorization_servers":    []any{"https://as.example"},
		"bearer_methods_supported": []any{"header"},
	}, doc)
}

func TestRM04_ChallengesPointToTheMetadata(t *testing.T) {
	guard := described(t, func(c *middleware.Config) { c.Audience = append(c.Audience, audience) })
	for _, authorization := range []string{"", "Bearer unknown", "Bearer read"} {
		r := get()
		if authorization != "" {
			r = get(authorization)
		}
		rec := serve(guard, middleware.Policy{Scopes: scopes.All("write")}, r)
		assert.Equal(t, "https://api.example/.well-known/oauth-protected-resource/mcp", challengeOf(t, rec).params["resource_metadata"])
	}
}

func TestRM05_MetadataSaysWhatIsEnforced(t *testing.T) {
	doc := document(t, described(t, func(c *middleware.Config) {
		c.AllowFormBody = true
		c.Metadata.Scopes = scopes.MustParse("a b")
		c.MTLS.Mode = middleware.Optional
	}))
	assert.Equal(t, []any{"header", "body"}, doc["bearer_methods_supported"])
	assert.Equal(t, []any{"a", "b"}, doc["scopes_supported"])
	assert.Equal(t, true, doc["tls_client_certificate_bound_access_tokens"])
	assert.NotContains(t, doc, "dpop_bound_access_tokens_required")

	doc = document(t, described(t, func(c *middleware.Config) {
		c.DPoP = middleware.DPoP{Mode: middleware.Strict, External: audience, Algorithms: []string{"ES256"}}
	}))
	assert.Equal(t, true, doc["dpop_bound_access_tokens_required"])
	assert.Equal(t, []any{"ES256"}, doc["dpop_signing_alg_values_supported"])
}

func TestRM07_TokensOfSiblingsAreRefused(t *testing.T) {
	guard := newGuard(t, nil)
	for _, name := range []string{"sibling", "longer-aud", "shorter-aud", "aud-slash", "aud-case", "no-aud", "empty-aud"} {
		assert.Equal(t, middleware.ReasonAudience, guard.Check(get("Bearer "+name), anyToken).Reason, name)
	}
}

func TestRM08_SenderConstrainedRoute(t *testing.T) {
	h := newHolder(t, nil)
	policy := middleware.Policy{Scopes: scopes.AnyToken(), SenderConstrained: true}
	assert.Equal(t, middleware.ReasonBinding, h.guard.Check(get("Bearer plain"), policy).Reason)
	assert.Equal(t, ok, h.guard.Check(change(get("DPoP bound"), set("DPoP", h.proof(nil, nil))), policy).Reason)
}

func TestRM09_StatusOfEveryRequest(t *testing.T) {
	guard := newGuard(t, nil)
	policy := middleware.Policy{Scopes: scopes.All("write")}
	for authorization, status := range map[string]int{"Bearer unknown": 401, "Bearer read": 403, "Bearer a b": 400, "Bearer write": 200} {
		for range 2 { // nothing is remembered between requests
			assert.Equal(t, status, serve(guard, policy, get(authorization)).Code, authorization)
		}
	}
	assert.Equal(t, 401, serve(guard, policy, get()).Code)
}

func TestRM10_AuthorizationServersAreCompulsory(t *testing.T) {
	_, err := middleware.New(middleware.Config{
		Verifier: tableVerifier{}, Audience: []string{audience}, Metadata: &middleware.Metadata{Resource: audience},
	})
	assert.ErrorContains(t, err, "AuthorizationServers")
}

func TestRM11_ScopesInChallenges(t *testing.T) {
	guard := described(t, func(c *middleware.Config) { c.ScopesInChallenges = true })
	policy := middleware.Policy{Scopes: scopes.All("tools:read", "tools:call")}
	for _, r := range []*http.Request{get(), get("Bearer unknown"), get("Bearer read")} {
		params := challengeOf(t, serve(guard, policy, r)).params
		assert.Equal(t, "tools:read tools:call", params["scope"])
		assert.NotEmpty(t, params["resource_metadata"])
	}
}

func TestRM12_Hierarchy(t *testing.T) {
	h, err := scopes.NewHierarchy(map[string][]string{"admin": {"write"}, "write": {"read"}})
	require.NoError(t, err)
	guard := newGuard(t, nil)
	assert.Equal(t, 200, serve(guard, middleware.Policy{Scopes: scopes.All("read").Under(h)}, get("Bearer admin")).Code)
	assert.Equal(t, 403, serve(guard, middleware.Policy{Scopes: scopes.All("admin").Under(h)}, get("Bearer read")).Code)
}

func TestRM13_NoTokensInTheQuery(t *testing.T) {
	assert.Equal(t, 401, serve(described(t, nil), anyToken, do("GET", "/mcp?access_token=read")).Code)
}

func TestRM14_Preflight(t *testing.T) {
	preflight := func(method string) *http.Request {
		return change(do(method, "/"), set("Origin", "https://app.example"), set("Access-Control-Request-Method", "GET"))
	}
	guard := newGuard(t, func(c *middleware.Config) { c.AllowPreflight = true })
	assert.Equal(t, 200, serve(guard, anyToken, preflight("OPTIONS")).Code)
	rec := serve(guard, anyToken, preflight("GET"))
	assert.Equal(t, 401, rec.Code)
	assert.Contains(t, rec.Header().Get("Access-Control-Expose-Headers"), "WWW-Authenticate, DPoP-Nonce")
	assert.Equal(t, 401, serve(newGuard(t, nil), anyToken, preflight("OPTIONS")).Code)
}
