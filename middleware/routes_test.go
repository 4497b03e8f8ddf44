package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

func newRoutes(tb testing.TB, routes []middleware.Route, change func(*middleware.Config)) *middleware.Routes {
	tb.Helper()
	rs, err := newGuard(tb, change).Routes(routes)
	require.NoError(tb, err)
	return rs
}

func policy(req scopes.Requirement) middleware.Policy { return middleware.Policy{Scopes: req} }

// songs is a table with a route of each kind.
var songs = []middleware.Route{
	{Pattern: "GET /songs/{id}", Policy: policy(scopes.All("read"))},
	{Pattern: "PUT /songs/{id}", Policy: policy(scopes.All("write"))},
	{Pattern: "/charts/top", Policy: middleware.Policy{Name: "charts", Scopes: scopes.ReadWrite{}.Required()}},
	{Pattern: "/files/", Policy: policy(scopes.AnyToken())},
	{Pattern: "other.example/files/", Policy: policy(scopes.All("admin"))},
	{Pattern: "GET /{$}", Policy: middleware.Policy{Scopes: scopes.AnyToken(), Optional: true}},
	{Pattern: "GET /health", Public: true},
	{Pattern: "GET /sibling", Policy: middleware.Policy{Scopes: scopes.AnyToken(), Audience: []string{"https://sibling.example"}}},
}

func TestRoutes(t *testing.T) {
	rs := newRoutes(t, songs, nil)
	handler := rs.Wrap(http.HandlerFunc(hello))
	const path, noRoute, public = middleware.ReasonPath, middleware.ReasonNoRoute, middleware.ReasonPublic
	for _, test := range []struct {
		method, target, token string
		status                int
		reason                middleware.Reason
		rule                  string
	}{
		{"GET", "/songs/7", "read", 200, ok, "GET /songs/{id}"},
		{"HEAD", "/songs/7", "read", 200, ok, "GET /songs/{id}"},
		{"GET", "/songs/7?q=../x", "read", 200, ok, "GET /songs/{id}"},
		{"GET", "/songs/7", "write", 403, middleware.ReasonScope, "GET /songs/{id}"},
		{"GET", "/songs/7", "unknown", 401, middleware.ReasonInvalid, "GET /songs/{id}"},
		{"GET", "/songs/7", "", 401, middleware.ReasonNoToken, "GET /songs/{id}"},
		{"PUT", "/songs/7", "write", 200, ok, "PUT /songs/{id}"},
		{"PUT", "/songs/7", "read", 403, middleware.ReasonScope, "PUT /songs/{id}"},
		{"GET", "/charts/top", "read", 200, ok, "charts"},
		{"DELETE", "/charts/top", "read", 403, middleware.ReasonScope, "charts"},
		{"DELETE", "/charts/top", "write", 200, ok, "charts"},
		{"GET", "/files/a/b", "none", 200, ok, "/files/"},
		{"GET", "/files/", "none", 200, ok, "/files/"},
		{"GET", "http://other.example/files/a", "none", 403, middleware.ReasonScope, "other.example/files/"},
		{"GET", "http://other.example:8080/files/a", "none", 403, middleware.ReasonScope, "other.example/files/"},
		{"GET", "http://OTHER.example/files/a", "none", 400, path, ""},
		{"GET", "http://other.example./files/a", "none", 400, path, ""},
		{"GET", "http://Other.Example:8080/files/a", "admin", 400, path, ""},
		{"GET", "http://Other.Example/songs/7", "read", 200, ok, "GET /songs/{id}"}, // no other rule there
		{"GET", "http://else.Example./files/a", "none", 200, ok, "/files/"},
		{"GET", "http://[::1]:8080/files/a", "none", 200, ok, "/files/"},
		{"GET", "http://[::1]/files/a", "none", 200, ok, "/files/"},
		{"GET", "http:health", "", 400, path, ""},
		{"GET", "/", "", 200, middleware.ReasonAnonymous, "GET /{$}"},
		{"GET", "/", "unknown", 401, middleware.ReasonInvalid, "GET /{$}"},
		{"GET", "/health", "", 200, public, "GET /health"},
		{"GET", "/health", "unknown", 200, public, "GET /health"},
		{"GET", "/sibling", "sibling", 200, ok, "GET /sibling"},
		{"GET", "/sibling", "read", 401, middleware.ReasonAudience, "GET /sibling"},
		{"GET", "/songs/7", "sibling", 401, middleware.ReasonAudience, "GET /songs/{id}"},
		{"GET", "/songs/7", "down", 503, middleware.ReasonUnavailable, "GET /songs/{id}"},

		// Whatever no route matches: nobody learns of it without a token.
		{"GET", "/secret", "", 401, middleware.ReasonNoToken, ""},
		{"GET", "/secret", "unknown", 401, middleware.ReasonInvalid, ""},
		{"GET", "/secret", "read", 403, noRoute, ""},
		{"DELETE", "/songs/7", "write", 403, noRoute, ""},
		{"get", "/songs/7", "read", 403, noRoute, ""},
		{"POST", "/health", "", 401, middleware.ReasonNoToken, ""},
		{"GET", "/songs", "read", 403, noRoute, ""},
		{"GET", "/songs/7/", "read", 403, noRoute, ""},
		{"GET", "/songs/7/lyrics", "read", 403, noRoute, ""},
		{"GET", "/SONGS/7", "read", 403, noRoute, ""},
		{"GET", "/files", "read", 403, noRoute, ""}, // a mux would redirect
		{"GET", "/songs/7%20a", "read", 200, ok, "GET /songs/{id}"},
		{"GET", "/songs/100%C3%A9", "read", 200, ok, "GET /songs/{id}"},

		// Paths that somebody might read otherwise.
		{"GET", "//", "", 400, path, ""},
		{"GET", "//health", "", 400, path, ""},
		{"GET", "/files//", "none", 400, path, ""},
		{"GET", "/files/.", "none", 400, path, ""},
		{"GET", "/health/../songs/7", "", 400, path, ""},
		{"GET", "/./health", "", 400, path, ""},
		{"GET", "/songs/..", "read", 400, path, ""},
		{"GET", "/files/..%2fsecret", "none", 400, path, ""},
		{"GET", "/files/a%2Fb", "none", 400, path, ""},
		{"GET", "/files/%2e%2e/secret", "none", 400, path, ""},
		{"GET", "/files/%2e", "none", 400, path, ""},
		{"GET", "/files/a%2eb", "none", 400, path, ""},
		{"GET", "/files/a%5cb", "none", 400, path, ""},
		{"GET", `/files/a\b`, "none", 400, path, ""},
		{"GET", "/files/a;b", "none", 400, path, ""},
		{"GET", "/files/a%3bb", "none", 400, path, ""},
		{"GET", "/files/a%00b", "none", 400, path, ""},
		{"GET", "/files/a%0ab", "none", 400, path, ""},
		{"GET", "/files/%c0%ae%c0%ae/secret", "none", 400, path, ""},
		{"GET", "/files/..%c0%afsecret", "none", 400, path, ""},
		{"GET", "/files/a%c1%9cb", "none", 400, path, ""},
		{"GET", "/files/a%e0%80%afb", "none", 400, path, ""},
		{"GET", "/files/a%f0%80%80%afb", "none", 400, path, ""},
		{"GET", "/files/a%f8%80%80%80%afb", "none", 400, path, ""},
		{"GET", "/files/a%fc%80%80%80%80%afb", "none", 400, path, ""},
		{"GET", "/files/caf%c3%a9/%e0%a4%85/%f0%9f%98%80", "none", 200, ok, "/files/"},
		{"GET", "/files/caf%e9%c0/%c0", "none", 200, ok, "/files/"},
		{"GET", "/files/a%252fb", "none", 400, path, ""},
		{"GET", "/files/a%2561", "none", 400, path, ""},
		{"GET", "/files/100%25", "none", 200, ok, "/files/"},
		{"GET", "/files/a%25b", "none", 200, ok, "/files/"},
		// What is escaped without need is not decoded by every router.
		{"GET", "/songs/a%40b", "read", 200, ok, "GET /songs/{id}"},
		{"GET", "/songs/%61", "read", 200, ok, "GET /songs/{id}"},
		{"GET", "/s%6fngs/a", "read", 400, path, ""},
		{"GET", "/f%69les/a", "none", 400, path, ""},
		{"GET", "/healt%68", "", 400, path, ""},
		{"GET", "/nowher%65", "", 401, middleware.ReasonNoToken, ""},
		{"CONNECT", "/health", "", 400, path, ""},
		{"OPTIONS", "*", "read", 400, path, ""},
	} {
		t.Run(test.method+" "+test.target+" "+test.token, func(t *testing.T) {
			r := request(t, test.method, test.target)
			if test.token != "" {
				r.Header.Set("Authorization", "Bearer "+test.token)
			}
			d := rs.Check(r)
			assert.Equal(t, []any{test.reason, test.rule}, []any{d.Reason, d.Rule})
			rec := httptest.NewRecorder()
			handler.ServeHTTP(rec, r)
			assert.Equal(t, test.status, rec.Code)
			if test.status >= 400 {
				assert.NotContains(t, rec.Body.String(), "hello")
				assert.NotEmpty(t, d.Hint())
			}
		})
	}
}

// request is what a server makes of a request line.
func request(t testing.TB, method, target string) *http.Request {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if target == "*" {
		u, err = &url.URL{Path: "*"}, nil
	}
	require.NoError(t, err)
	r := get()
	r.Method, r.URL, r.RequestURI = method, u, target
	if u.Host != "" {
		r.Host = u.Host
	}
	return r
}

// Who decodes a path and parses it again does not see what is behind an escaped
// "?" or "#".
func TestRoutesByTheEndOfAPath(t *testing.T) {
	rs := newRoutes(t, []middleware.Route{
		{Pattern: "/{page}", Public: true}, {Pattern: "/tags/{tag}", Public: true},
		{Pattern: "/admin", Policy: policy(scopes.All("admin"))},
	}, nil)
	for target, want := range map[string]middleware.Reason{
		"/a%3Fb": middleware.ReasonPublic, "/c%23": middleware.ReasonPublic, "/tags/%23go": middleware.ReasonPublic, "/admin%20": middleware.ReasonPublic,
		"/admin%3F": middleware.ReasonPath, "/admin%3fx": middleware.ReasonPath, "/admin%23": middleware.ReasonPath, "/Admin%23": middleware.ReasonPath,
	} {
		assert.Equal(t, want, rs.Check(request(t, "GET", target)).Reason, target)
	}
}

// A host that readers may divide in two ways is none.
func TestRoutesByUnclearHost(t *testing.T) {
	rs := newRoutes(t, songs, nil)
	for host, want := range map[string]middleware.Reason{
		"":                   ok,
		":8080":              ok,
		"api.example:8080":   ok,
		"api.example:":       ok,
		"other.example:":     middleware.ReasonScope,
		"other.example:1:2":  middleware.ReasonPath,
		"other.example.:1":   middleware.ReasonPath,
		"OTHER.EXAMPLE.:443": middleware.ReasonPath,
	} {
		r := request(t, "GET", "/files/a")
		r.Host = host
		r.Header.Set("Authorization", "Bearer none")
		assert.Equal(t, want, rs.Check(r).Reason, "%q", host)
	}
	// Where no rule goes by the host, its spelling does not matter.
	rs = newRoutes(t, songs[:4], nil)
	r := request(t, "GET", "/files/a")
	r.Host = "Other.Example:1:2"
	r.Header.Set("Authorization", "Bearer none")
	assert.Equal(t, ok, rs.Check(r).Reason)
}

// decides checks what becomes of requests whose token has no scope.
func decides(t *testing.T, rs *middleware.Routes, reasons map[string]middleware.Reason) {
	t.Helper()
	for target, want := range reasons {
		r := request(t, "GET", target)
		r.Header.Set("Authorization", "Bearer none")
		d := rs.Check(r)
		assert.Equal(t, want, d.Reason, "%s: %s", target, d.Rule)
	}
}

// Handlers that take "/admin/" or "/ADMIN" for "/admin" are common: behind a rule
// for everything else, those must not be another way in.
func TestRoutesByUnclearSpelling(t *testing.T) {
	rs := newRoutes(t, []middleware.Route{
		{Pattern: "/", Policy: policy(scopes.AnyToken())},
		{Pattern: "GET /admin", Policy: policy(scopes.All("admin"))},
		{Pattern: "GET /Users/{ID}", Policy: policy(scopes.All("admin"))},
		{Pattern: "GET /Users/me", Policy: policy(scopes.AnyToken())},
		{Pattern: "GET /both", Policy: policy(scopes.All("admin"))},
		{Pattern: "GET /both/", Policy: policy(scopes.AnyToken())},
		{Pattern: "GET /files/{rest...}", Policy: policy(scopes.AnyToken())},
		{Pattern: "GET /exact/{$}", Policy: policy(scopes.AnyToken())},
		{Pattern: "GET /exact", Policy: policy(scopes.All("admin"))},
	}, nil)
	decides(t, rs, map[string]middleware.Reason{
		"/else": ok, "/else/": ok, "/ELSE": ok, "/": ok,
		"/admin": middleware.ReasonScope, "/admin/": middleware.ReasonPath, "/ADMIN": middleware.ReasonPath,
		"/Admin/": middleware.ReasonPath, "/adminx": ok, "/admin/x": ok,
		"/Users/7": middleware.ReasonScope, "/users/7": middleware.ReasonPath, "/Users/7/": middleware.ReasonPath,
		"/Users/Kim": middleware.ReasonScope, "/Users/me": ok, "/Users/ME": middleware.ReasonPath, "/users/me": middleware.ReasonPath,
		"/both": middleware.ReasonScope, "/both/": ok, "/both/x": ok, "/both/x/": ok,
		"/files/": ok, "/files/a": ok, "/files/a/": ok, "/files/A/B/": ok,
		"/exact": middleware.ReasonScope, "/exact/": ok,
	})

	// A mux would redirect from there to the rule of all that is below. They do
	// not ask it.
	rs = newRoutes(t, []middleware.Route{
		{Pattern: "/", Policy: policy(scopes.AnyToken())},
		{Pattern: "/admin/", Policy: policy(scopes.All("admin"))},
		{Pattern: "/Users/{id}/{$}", Policy: policy(scopes.All("admin"))},
		{Pattern: "GET /files/{rest...}", Policy: policy(scopes.All("admin"))},
	}, nil)
	decides(t, rs, map[string]middleware.Reason{
		"/admin": middleware.ReasonNoRoute, "/admin/": middleware.ReasonScope, "/admin/x/": middleware.ReasonScope,
		"/ADMIN": middleware.ReasonPath, "/Admin/": middleware.ReasonPath, "/ADMIN/x": middleware.ReasonPath, "/ADMIN/x/": middleware.ReasonPath,
		"/admin%3F": middleware.ReasonPath, "/ADMIN%23": middleware.ReasonPath,
		"/Users/7/": middleware.ReasonScope, "/users/7/": middleware.ReasonPath, "/users/7": middleware.ReasonPath,
		"/Files/": middleware.ReasonPath, "/FILES": middleware.ReasonPath, "/Files/x": middleware.ReasonPath,
		"/": ok, "/else": ok, "/else/": ok, "/ELSE/": ok, "/ELSE%3F": ok,
	})

	// What a wildcard leaves open, another rule may name with a slash, or without.
	rs = newRoutes(t, []middleware.Route{
		{Pattern: "/{page}", Policy: policy(scopes.AnyToken())},
		{Pattern: "/admin/", Policy: policy(scopes.All("admin"))},
		{Pattern: "/users/{id}/", Policy: policy(scopes.AnyToken())},
		{Pattern: "/users/me", Policy: policy(scopes.All("admin"))},
		{Pattern: "/both/{id}", Policy: policy(scopes.AnyToken())},
		{Pattern: "/both/{id}/{rest...}", Policy: policy(scopes.All("admin"))},
		{Pattern: "GET /exact/{$}", Policy: policy(scopes.All("admin"))},
	}, nil)
	decides(t, rs, map[string]middleware.Reason{
		"/else": ok, "/else/": middleware.ReasonNoRoute, "/admin": middleware.ReasonPath, "/Admin": middleware.ReasonPath, "/admin/": middleware.ReasonScope,
		"/exact": middleware.ReasonPath, "/EXACT": middleware.ReasonPath, "/exact/": middleware.ReasonScope,
		"/users/me": middleware.ReasonScope, "/users/me/": middleware.ReasonPath, "/Users/Me/": middleware.ReasonNoRoute, "/users/me/x": ok, "/users/you/": ok,
		"/both/7": ok, "/both/7/": middleware.ReasonScope, "/": middleware.ReasonNoRoute,
	})

	// Letters of which the capital, or the small one, is that of another.
	rs = newRoutes(t, []middleware.Route{
		{Pattern: "/", Policy: policy(scopes.AnyToken())},
		{Pattern: "/keys/", Policy: policy(scopes.All("admin"))},
		{Pattern: "/Ist", Policy: policy(scopes.All("admin"))},
		{Pattern: "/ſong", Policy: policy(scopes.All("admin"))},
		{Pattern: "/%C3%89cole/{Id}", Policy: policy(scopes.All("admin"))},
		{Pattern: "/%41%2dZ/", Policy: policy(scopes.All("admin"))},
	}, nil)
	decides(t, rs, map[string]middleware.Reason{
		"/\u212aeys/": middleware.ReasonPath, "/key\u017f/x": middleware.ReasonPath, "/%E2%84%AAEY%C5%BF": middleware.ReasonPath,
		"/\u0131st": middleware.ReasonPath, "/\u0130st": middleware.ReasonPath, "/song": middleware.ReasonPath, "/Song": middleware.ReasonPath,
		"/\u017fong": middleware.ReasonScope, "/Ist": middleware.ReasonScope, "/keyß": ok, "/Ärger": ok,
		"/École/7": middleware.ReasonScope, "/école/7": middleware.ReasonPath, "/A-Z/": middleware.ReasonScope, "/a-z/x": middleware.ReasonPath,
	})

	// Who has routes that differ only in case knows the difference.
	rs = newRoutes(t, []middleware.Route{
		{Pattern: "/", Policy: policy(scopes.AnyToken())},
		{Pattern: "GET /Admin", Policy: policy(scopes.All("admin"))},
		{Pattern: "GET /admin", Policy: policy(scopes.All("read"))},
	}, nil)
	for target, want := range map[string]string{"/Admin": "GET /Admin", "/admin": "GET /admin", "/ADMIN": "/", "/admin/": "", "/ADMIN/": "/"} {
		r := request(t, "GET", target)
		r.Header.Set("Authorization", "Bearer none")
		assert.Equal(t, want, rs.Check(r).Rule, target)
	}
}

// Some frameworks write methods in capitals before they look at them. By small
// letters a request must not get to another rule.
func TestRoutesByUnclearMethod(t *testing.T) {
	rs := newRoutes(t, []middleware.Route{
		{Pattern: "/", Policy: policy(scopes.AnyToken())},
		{Pattern: "DELETE /songs/{id}", Policy: policy(scopes.All("admin"))},
		{Pattern: "GET /songs/{id}", Policy: policy(scopes.AnyToken())},
		{Pattern: "/albums/", Policy: policy(scopes.ReadWrite{Read: "none"}.Required())},
	}, nil)
	for _, test := range []struct {
		method, target string
		want           middleware.Reason
	}{
		{"DELETE", "/songs/7", middleware.ReasonScope},
		{"delete", "/songs/7", middleware.ReasonPath},
		{"Delete", "/songs/7", middleware.ReasonPath},
		{"get", "/songs/7", middleware.ReasonPath},
		{"head", "/songs/7", middleware.ReasonPath},
		{"patch", "/songs/7", ok},
		{"delete", "/else", ok},
		{"delete", "/SONGS/7/", middleware.ReasonPath},
		{"get", "/albums/7", middleware.ReasonScope},
	} {
		r := request(t, test.method, test.target)
		r.Header.Set("Authorization", "Bearer none")
		assert.Equal(t, test.want, rs.Check(r).Reason, "%v", test)
	}
}

// Who has no valid token gets the same answer wherever there is a rule, and for
// whatever spelling of it.
func TestRoutesTellStrangersNothing(t *testing.T) {
	rs := newRoutes(t, []middleware.Route{
		{Pattern: "/", Policy: policy(scopes.AnyToken())},
		{Pattern: "GET /admin/", Policy: policy(scopes.All("admin"))},
		{Pattern: "other.example/", Policy: policy(scopes.All("admin"))},
	}, nil)
	targets := []string{"/", "/else/", "/ELSE", "/admin/", "/admin", "/ADMIN", "/Admin/x", "/%61dmin/", "/admin%3F", "http://other.example/", "http://OTHER.example/"}
	for _, authorization := range []string{"", "Bearer unknown"} {
		var answers []string
		for _, target := range targets {
			r := request(t, "GET", target)
			if authorization != "" {
				r.Header.Set("Authorization", authorization)
			}
			rec := httptest.NewRecorder()
			rs.Wrap(http.HandlerFunc(hello)).ServeHTTP(rec, r)
			assert.Equal(t, 401, rec.Code, target)
			answers = append(answers, dump(rec))
		}
		assert.Len(t, slices.Compact(answers), 1)
	}
	for _, target := range targets[5:9] {
		r := request(t, "GET", target)
		r.Header.Set("Authorization", "Bearer none")
		assert.Equal(t, middleware.ReasonPath, rs.Check(r).Reason, target)
	}
}

// A preflight request is admitted to where the request that it announces is
// known, and no further.
func TestRoutesAndPreflight(t *testing.T) {
	ask := func(allow bool, method, target string, changes ...func(*http.Request)) middleware.Decision {
		rs := newRoutes(t, songs, func(c *middleware.Config) { c.AllowPreflight = allow })
		r := change(request(t, "OPTIONS", target), set("Origin", "https://app.example"), set("Access-Control-Request-Method", method))
		return rs.Check(change(r, changes...))
	}
	const preflight = middleware.ReasonPreflight
	for _, test := range []struct {
		method, target string
		allowed        bool
		reason         middleware.Reason
		rule           string
	}{
		{"PUT", "/songs/7", true, preflight, "PUT /songs/{id}"},
		{"GET", "/songs/7", true, preflight, "GET /songs/{id}"},
		{"DELETE", "/songs/7", false, middleware.ReasonNoToken, ""},
		{"", "/songs/7", false, middleware.ReasonNoToken, ""},
		{"PUT", "/secret", false, middleware.ReasonNoToken, ""},
		{"PUT", "/files/x", true, preflight, "/files/"},
		{"GET", "/health", true, middleware.ReasonPublic, "GET /health"},
		{"CONNECT", "/files/x", true, preflight, "/files/"},
		{"CONNECT", "/songs/7", false, middleware.ReasonNoToken, ""},
		{"PUT", "/files//x", false, middleware.ReasonPath, ""},
		{"PUT", "/f%69les/x", false, middleware.ReasonNoToken, ""},
	} {
		d := ask(true, test.method, test.target)
		assert.Equal(t, []any{test.allowed, test.reason, test.rule}, []any{d.Allowed, d.Reason, d.Rule}, test)
		if test.reason != middleware.ReasonPath {
			assert.False(t, ask(false, test.method, test.target).Allowed, test)
			assert.False(t, ask(true, test.method, test.target, set("Authorization", "Bearer unknown")).Allowed, test)
		}
	}
}

// Muxes of a program may work as before Go 1.22, where "GET /admin/" is the name
// of a host. Such a program gets an error instead of a table with holes.
func TestRoutesNeedPatterns(t *testing.T) {
	if os.Getenv("ROUTES_TEST_CHILD") != "" {
		_, err := newGuard(t, nil).Routes(songs)
		fmt.Println(err)
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRoutesNeedPatterns$")
	child.Env = append(os.Environ(), "ROUTES_TEST_CHILD=1", "GODEBUG=httpmuxgo121=1")
	out, err := child.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), "hint: remove httpmuxgo121=1 from GODEBUG")
}

// The method is that of the request line and of nothing else.
func TestRoutesIgnoreOtherMethods(t *testing.T) {
	rs := newRoutes(t, songs, nil)
	r := request(t, "PUT", "/songs/7")
	r.Header.Set("Authorization", "Bearer read")
	r.Header.Set("X-HTTP-Method-Override", "GET")
	assert.Equal(t, middleware.ReasonScope, rs.Check(r).Reason)
}

func TestRoutesReportEveryMistake(t *testing.T) {
	_, err := newGuard(t, nil).Routes([]middleware.Route{
		{Pattern: "GET /good", Policy: policy(scopes.AnyToken())},
		{Pattern: "GET good", Policy: policy(scopes.AnyToken())},
		{Pattern: "/{a}/b", Policy: policy(scopes.AnyToken())},
		{Pattern: "/a/{b}", Policy: policy(scopes.AnyToken())},
		{Pattern: "GET /good", Policy: policy(scopes.AnyToken())},
		{Pattern: "GET /nobody"},
		{Pattern: "GET /open", Public: true, Policy: policy(scopes.AnyToken())},
		{Pattern: "GET /strict", Policy: middleware.Policy{Scopes: scopes.AnyToken(), SenderConstrained: true}},
		{Pattern: "", Public: true},
		{Pattern: "GET API.example:80/", Public: true},
		{Pattern: "GET\tapi.example/", Public: true},
	})
	require.Error(t, err)
	var lines []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		var route *middleware.RouteError
		require.ErrorAs(t, e, &route)
		lines = append(lines, route.Error())
	}
	assert.Equal(t, []string{
		`route 1: middleware: pattern "GET good" is malformed (hint: such as "GET /songs/{id}", see http.ServeMux)`,
		`route 3: middleware: pattern "/a/{b}" conflicts with "/{a}/b": both match some requests, and neither is more specific`,
		`route 4: middleware: pattern "GET /good" conflicts with "GET /good": both match some requests, and neither is more specific`,
		`route 5: middleware: scopes: the requirement is met by no token (hint: name a scope, or say scopes.AnyToken)`,
		`route 6: middleware: a public route has a policy (hint: Policy.Optional admits requests without a token)`,
		`route 7: middleware: SenderConstrained needs DPoP or MTLS in the Config`,
		`route 8: middleware: pattern "" is malformed (hint: such as "GET /songs/{id}", see http.ServeMux)`,
		`route 9: middleware: the host of pattern "GET API.example:80/" is not as hosts are compared (hint: "api.example", in lower case and without a port)`,
	}, lines)
}

// A table is replaced at once and as a whole, or not at all.
func TestRoutesAreReplaced(t *testing.T) {
	open := []middleware.Route{{Pattern: "/a", Public: true}, {Pattern: "/b", Public: true}}
	closed := []middleware.Route{{Pattern: "/a", Policy: policy(scopes.All("write"))}}
	rs := newRoutes(t, open, nil)
	a, b := request(t, "GET", "/a"), request(t, "GET", "/b")
	require.Error(t, rs.Replace(append(closed, middleware.Route{Pattern: "bad"})))
	assert.Equal(t, middleware.ReasonPublic, rs.Check(a).Reason, "the old one is in force")

	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for ctx.Err() == nil {
				for _, r := range []*http.Request{a, b} {
					if reason := rs.Check(r).Reason; reason != middleware.ReasonPublic && reason != middleware.ReasonNoToken {
						t.Errorf("neither table says %s", reason)
						return
					}
				}
			}
		})
	}
	for range 500 {
		require.NoError(t, rs.Replace(closed))
		assert.Equal(t, middleware.ReasonNoToken, rs.Check(a).Reason)
		require.NoError(t, rs.Replace(open))
		assert.Equal(t, middleware.ReasonPublic, rs.Check(b).Reason)
	}
	stop()
	group.Wait()
}

// Observe and the log see the decisions of a table, those without a policy
// included.
func TestRoutesAreObserved(t *testing.T) {
	var seen []middleware.Reason
	rs := newRoutes(t, songs, func(c *middleware.Config) {
		c.Observe = func(_ context.Context, d middleware.Decision) {
			seen = append(seen, d.Reason)
			assert.Less(t, d.Took, time.Minute)
		}
	})
	for _, target := range []string{"/health", "//", "/nowhere"} {
		rs.Check(request(t, "GET", target))
	}
	assert.Equal(t, []middleware.Reason{middleware.ReasonPublic, middleware.ReasonPath, middleware.ReasonNoToken}, seen)
}

// Whatever the path and host: the handler that a ServeMux behind the table
// chooses is that of the rule which decided, also if the mux goes by the path as
// it was sent, or by the host as it is meant; and a path that is another one when
// it is decoded once more is not admitted.
func FuzzRoutes(f *testing.F) {
	for _, seed := range []string{"/songs/7", "/charts/top", "/files/a/b", "/", "//", "/files/%2e%2e/x", "/a%252fb", "/files/a;b", "/songs/a%2fb", "*"} {
		f.Add("GET", "", seed)
		f.Add("PUT", "other.example", seed)
	}
	f.Add("GET", "Other.Example.:80", "/files/a")
	f.Add("GET", "other.example:80:80", "/files/a")
	type chosen struct{}
	rs := newRoutes(f, songs, func(c *middleware.Config) {
		c.Verifier = sneck.VerifierFunc(func(context.Context, string) (*sneck.Token, error) {
			return &sneck.Token{Audience: []string{audience, "https://sibling.example"}, Scopes: scopes.MustParse("read write admin")}, nil
		})
	})
	inner := http.NewServeMux()
	for _, route := range songs {
		name := route.Pattern
		if route.Policy.Name != "" {
			name = route.Policy.Name
		}
		inner.HandleFunc(route.Pattern, func(_ http.ResponseWriter, r *http.Request) {
			*r.Context().Value(chosen{}).(*string) = name
		})
	}
	f.Fuzz(func(t *testing.T, method, host, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || strings.ContainsAny(method, " \r\n") {
			return
		}
		name := ""
		r := get("Bearer any").WithContext(context.WithValue(t.Context(), chosen{}, &name))
		if r.Method, r.URL, r.Host = method, u, host; u.Host != "" {
			r.Host = u.Host
		}
		d := rs.Check(r)
		if !d.Allowed {
			return
		}
		rec := httptest.NewRecorder()
		rs.Wrap(inner).ServeHTTP(rec, r)
		if rec.Code != http.StatusOK || name != d.Rule {
			t.Fatalf("%s %q of %q was admitted by %q and went to %q with %d", method, target, r.Host, d.Rule, name, rec.Code)
		}
		otherwise := func(host string, u *url.URL) {
			other := r.Clone(r.Context())
			other.Host, other.URL = host, u
			name = ""
			if inner.ServeHTTP(httptest.NewRecorder(), other); name != d.Rule {
				t.Fatalf("%q of %q is %q, and %q when read as %q of %q", target, r.Host, d.Rule, name, u.Path, host)
			}
		}
		if u.RawPath != "" {
			otherwise(r.Host, &url.URL{Path: u.RawPath})
		}
		if before, _, _ := strings.Cut(r.Host, ":"); !strings.HasPrefix(r.Host, "[") {
			otherwise(strings.ToLower(strings.TrimSuffix(before, ".")), u)
		}
		again, err := url.PathUnescape(u.Path)
		if err == nil && again != u.Path {
			t.Fatalf("%q is %q when it is decoded once more", target, again)
		}
	})
}

func ExampleGuard_Routes() {
	guard, err := middleware.New(middleware.Config{
		Verifier: sneck.VerifierFunc(func(context.Context, string) (*sneck.Token, error) { return nil, errors.New("not asked") }),
		Audience: []string{"https://songs.example"},
	})
	if err != nil {
		panic(err)
	}
	routes, err := guard.Routes([]middleware.Route{
		{Pattern: "GET /songs/{id}", Policy: middleware.Policy{Scopes: scopes.All("songs:read")}},
		{Pattern: "PUT /songs/{id}", Policy: middleware.Policy{Scopes: scopes.All("songs:write")}},
		{Pattern: "GET /health", Public: true},
	})
	if err != nil {
		panic(err)
	}
	api := routes.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") }))
	for _, path := range []string{"/health", "/songs/7", "/songs//7", "/admin"} {
		rec := httptest.NewRecorder()
		api.ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
		fmt.Println(path, rec.Code)
	}
	// Output:
	// /health 200
	// /songs/7 401
	// /songs//7 400
	// /admin 401
}

// thousand is a table of n routes like those of a large API.
func thousand(tb testing.TB, n int) http.Handler {
	routes := make([]middleware.Route, 0, n)
	for i := range n / 2 {
		for _, method := range []string{"GET", "PUT"} {
			routes = append(routes, middleware.Route{Pattern: fmt.Sprintf("%s /v1/resource%d/{id}/part", method, i), Policy: policy(scopes.All("read"))})
		}
	}
	good := sneck.Token{Audience: []string{audience}, Scopes: scopes.MustParse("read"), Expires: time.Now().Add(time.Hour), VerifiedAt: time.Now()}
	rs := newRoutes(tb, routes, func(c *middleware.Config) { c.Now, c.Verifier = nil, knowsTwo{token: &good} })
	return rs.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

// A thousand routes cost what ten do: the benchmark takes turns between the
// two and reports the ratio of the fastest times. The requests are for ten
// routes each, from all over the table.
func BenchmarkRoutes1000Per10(b *testing.B) {
	w := httptest.NewRecorder()
	var best [2]time.Duration
	sizes := [2]int{1000, 10}
	var tables [2]http.Handler
	var requests [2][]*http.Request
	for i, n := range sizes {
		tables[i] = thousand(b, n)
		for j := range 10 {
			r := request(b, []string{"GET", "PUT"}[j%2], fmt.Sprintf("/v1/resource%d/7/part", j/2*n/10))
			r.Header.Set("Authorization", "Bearer good")
			require.Equal(b, http.StatusOK, status(tables[i], r))
			requests[i] = append(requests[i], r)
		}
	}
	for b.Loop() {
		for i, table := range tables {
			began := time.Now()
			for range 20 {
				for _, r := range requests[i] {
					table.ServeHTTP(w, r)
				}
			}
			if took := time.Since(began); best[i] == 0 || took < best[i] {
				best[i] = took
			}
		}
	}
	b.ReportMetric(float64(best[0])/float64(best[1]), "tens")
	b.ReportMetric(0, "ns/op")
}

func status(h http.Handler, r *http.Request) int {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Code
}

// Finding the route of a request allocates for its wildcards and no more,
// however many there are.
func TestRoutesAllocateAlike(t *testing.T) {
	r := request(t, "GET", "/v1/resource3/7/part")
	r.Header.Set("Authorization", "Bearer good")
	count := func(h http.Handler) float64 {
		w := httptest.NewRecorder()
		require.Equal(t, http.StatusOK, status(h, r))
		return testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) })
	}
	assert.Equal(t, count(thousand(t, 10)), count(thousand(t, 1000)))
	assert.LessOrEqual(t, count(thousand(t, 1000)), count(benchmarked(t))+1)
}
