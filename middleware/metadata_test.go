package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

func TestMetadata(t *testing.T) {
	const root, minimal = "/.well-known/oauth-protected-resource", `{"resource":"https://api.example","authorization_servers":["https://as.example"],"bearer_methods_supported":["header"]}`
	as := []string{"https://as.example"}
	headers := "Access-Control-Allow-Origin: *\nCache-Control: public, max-age=3600\nContent-Type: application/json\n"
	served := func(document string) string { return "200\n" + headers + "\n" + document + "\n" }
	notFound := "404\nContent-Type: text/plain; charset=utf-8\nX-Content-Type-Options: nosniff\n\n404 page not found\n"

	for _, test := range []struct {
		name   string
		change func(*middleware.Config)
		url    string // where challenges say it is
		want   map[string]string
	}{
		{"host", func(c *middleware.Config) {
			c.Metadata = &middleware.Metadata{Resource: audience, AuthorizationServers: as}
		}, "https://api.example" + root, map[string]string{
			"GET " + root:          served(minimal),
			"HEAD " + root:         "200\n" + headers + "\n",
			"GET " + root + "?a=b": served(minimal),
			"OPTIONS " + root:      "204\nAccess-Control-Allow-Headers: *\nAccess-Control-Allow-Methods: GET, HEAD\nAccess-Control-Allow-Origin: *\nAccess-Control-Max-Age: 3600\n\n",
			"POST " + root:         "405\nAccess-Control-Allow-Origin: *\nAllow: GET, HEAD, OPTIONS\n\n",
			"GET " + root + "/":    notFound,
			"GET " + root + "/a":   notFound,
			"GET /.well-known/oauth-authorization-server": notFound,
			"GET /": notFound,
		}},
		{"path", func(c *middleware.Config) {
			c.Audience = []string{"https://api.example/v1/songs", "urn:other"}
			c.Metadata = &middleware.Metadata{Resource: "https://api.example/v1/songs", AuthorizationServers: as}
		}, "https://api.example" + root + "/v1/songs", map[string]string{
			"GET " + root + "/v1/songs":  served(`{"resource":"https://api.example/v1/songs","authorization_servers":["https://as.example"],"bearer_methods_supported":["header"]}`),
			"GET " + root:                served(`{"resource":"https://api.example/v1/songs","authorization_servers":["https://as.example"],"bearer_methods_supported":["header"]}`),
			"GET " + root + "/v1":        notFound,
			"GET " + root + "/v1/songs/": notFound,
			"GET /v1/songs" + root:       notFound,
		}},
		{"slash", func(c *middleware.Config) {
			c.Audience = []string{"http://localhost:8080/"}
			c.Metadata = &middleware.Metadata{Resource: "http://localhost:8080/", AuthorizationServers: as}
		}, "http://localhost:8080" + root, map[string]string{
			"GET " + root: served(`{"resource":"http://localhost:8080/","authorization_servers":["https://as.example"],"bearer_methods_supported":["header"]}`),
		}},
		{"everything", func(c *middleware.Config) {
			c.AllowQuery, c.AllowFormBody = true, true
			c.DPoP = middleware.DPoP{Mode: middleware.Optional, External: audience, Algorithms: []string{"ES256"}}
			c.MTLS.Mode = middleware.Optional
			c.Metadata = &middleware.Metadata{
				Resource: audience, AuthorizationServers: []string{"https://as.example", "https://as2.example/x"},
				Scopes: scopes.MustParse("read write"), Name: `The "API"`, Documentation: "https://api.example/docs",
				Policy: "https://api.example/policy", Terms: "https://api.example/terms",
			}
		}, "https://api.example" + root, map[string]string{
			"GET " + root: served(`{"resource":"https://api.example","authorization_servers":["https://as.example","https://as2.example/x"],"scopes_supported":["read","write"],"bearer_methods_supported":["header","body","query"],"resource_name":"The \"API\"","resource_documentation":"https://api.example/docs","resource_policy_uri":"https://api.example/policy","resource_tos_uri":"https://api.example/terms","tls_client_certificate_bound_access_tokens":true,"dpop_signing_alg_values_supported":["ES256"]}`),
		}},
		{"strict", func(c *middleware.Config) {
			c.AllowQuery = true
			c.DPoP = middleware.DPoP{Mode: middleware.Strict, External: audience, Algorithms: []string{"ES256"}}
			c.Metadata = &middleware.Metadata{Resource: audience, AuthorizationServers: as}
		}, "https://api.example" + root, map[string]string{
			"GET " + root: served(`{"resource":"https://api.example","authorization_servers":["https://as.example"],"bearer_methods_supported":["header"],"dpop_signing_alg_values_supported":["ES256"],"dpop_bound_access_tokens_required":true}`),
		}},
		{"none", nil, "", map[string]string{"GET " + root: notFound}},
	} {
		t.Run(test.name, func(t *testing.T) {
			guard := newGuard(t, test.change)
			mux := http.NewServeMux()
			mux.Handle("/.well-known/", guard.Metadata())
			mux.Handle("/", guard.Wrap(http.NotFoundHandler()))
			for request, want := range test.want {
				rec := httptest.NewRecorder()
				method, target := request[:len(request)-len(targetOf(request))-1], targetOf(request)
				guard.Metadata().ServeHTTP(rec, do(method, target))
				assert.Equal(t, want, dump(rec), request)
			}

			rec := httptest.NewRecorder()
			mux.ServeHTTP(rec, get())
			require.Equal(t, http.StatusUnauthorized, rec.Code)
			for _, field := range rec.Header().Values("WWW-Authenticate") {
				challenges, err := parseChallenges(field)
				require.NoError(t, err)
				assert.Equal(t, test.url, challenges[0].params["resource_metadata"])
			}
		})
	}
}

func targetOf(request string) string {
	for i := range request {
		if request[i] == ' ' {
			return request[i+1:]
		}
	}
	return request
}

func TestMetadataMistakes(t *testing.T) {
	good := middleware.Metadata{Resource: audience, AuthorizationServers: []string{"https://as.example"}}
	for name, change := range map[string]func(*middleware.Metadata){
		"no resource":      func(m *middleware.Metadata) { m.Resource = "" },
		"relative":         func(m *middleware.Metadata) { m.Resource = "/songs" },
		"fragment":         func(m *middleware.Metadata) { m.Resource += "#" },
		"query":            func(m *middleware.Metadata) { m.Resource += "?" },
		"user":             func(m *middleware.Metadata) { m.Resource = "https://u@api.example" },
		"http":             func(m *middleware.Metadata) { m.Resource = "http://api.example" },
		"not the audience": func(m *middleware.Metadata) { m.Resource = "https://other.example" },
		"no server":        func(m *middleware.Metadata) { m.AuthorizationServers = nil },
		"empty server":     func(m *middleware.Metadata) { m.AuthorizationServers = []string{""} },
		"page":             func(m *middleware.Metadata) { m.Terms = "terms.html" },
		"scopes":           func(m *middleware.Metadata) { m.Scopes = scopes.Set{"a b"} },
	} {
		m := good
		change(&m)
		_, err := middleware.New(middleware.Config{Verifier: tableVerifier{}, Audience: []string{audience}, Metadata: &m})
		assert.ErrorContains(t, err, "Metadata", name)
	}
}
