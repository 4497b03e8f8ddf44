package proxy_test

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/cmd/internal/proxy"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// forwardAuth is one that knows the token "good", and takes it for GET
// requests below /songs/ of api.example.
func forwardAuth(t testing.TB, convention proxy.Convention) *proxy.ForwardAuth {
	g, err := middleware.New(middleware.Config{
		Verifier: sneck.VerifierFunc(func(_ context.Context, token string) (*sneck.Token, error) {
			if token != "good" {
				return nil, sneck.ErrInvalid
			}
			return &sneck.Token{Subject: "alice", Audience: []string{"api"}, Scopes: scopes.MustParse("read")}, nil
		}),
		Audience: []string{"api"}, Observe: proxy.Observe,
	})
	require.NoError(t, err)
	rules, err := g.Routes([]middleware.Route{
		{Pattern: "GET api.example/songs/", Policy: middleware.Policy{Scopes: scopes.All("read")}},
		{Pattern: "GET /public", Public: true},
		{Pattern: "GET /shadow", Policy: middleware.Policy{Scopes: scopes.All("write"), DangerouslyShadow: true}},
	})
	require.NoError(t, err)
	return &proxy.ForwardAuth{
		Guard: g, Rules: rules, Convention: convention, Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	}
}

// ask asks in the words of a proxy. The lines are of a request.
func ask(t testing.TB, f *proxy.ForwardAuth, peer string, lines ...string) *http.Response {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.Join(append(lines, "", ""), "\r\n"))))
	require.NoError(t, err, "%q", lines)
	r.RemoteAddr = peer
	rec := httptest.NewRecorder()
	proxy.Watch(f, time.Minute, nil).ServeHTTP(rec, r)
	return rec.Result()
}

const (
	inside = "10.1.2.3:4567"
	bearer = "Authorization: Bearer good"
	admit  = "200 alice"
)

// answer is the status, and who calls or what is wrong.
func answer(r *http.Response) string {
	text := r.Status[:3]
	if subject := r.Header.Get("X-Sneck-Subject"); subject != "" {
		text += " " + subject
	}
	body := bufio.NewScanner(r.Body)
	if body.Scan() {
		_, rest, _ := strings.Cut(body.Text(), `"error":"`)
		code, _, _ := strings.Cut(rest, `"`)
		text += " " + code
	}
	return text
}

func TestForwardAuth(t *testing.T) {
	const refused, misconfigured, unclear = "400 invalid_request", "500 misconfigured_proxy", "400 invalid_request"
	traefik := func(more ...string) []string {
		return append([]string{"GET /auth HTTP/1.1", "Host: guard", bearer, "X-Forwarded-Method: GET", "X-Forwarded-Host: api.example", "X-Forwarded-Uri: /songs/1?a=b"}, more...)
	}
	nginx := func(more ...string) []string {
		return append([]string{"GET /auth HTTP/1.0", "Host: guard", bearer, "X-Original-Method: GET", "X-Original-Host: api.example", "X-Original-URI: /songs/1?a=b"}, more...)
	}
	without := func(lines []string, prefix string) (rest []string) {
		for _, line := range lines {
			if !strings.HasPrefix(line, prefix) {
				rest = append(rest, line)
			}
		}
		return rest
	}
	with := func(lines []string, line string) []string {
		name, _, _ := strings.Cut(line, ":")
		return append(without(lines, name+":"), line)
	}
	for name, tt := range map[string]struct {
		convention proxy.Convention
		peer       string
		lines      []string
		want       string
	}{
		"traefik":                   {proxy.XForwarded, inside, traefik(), admit},
		"nginx":                     {proxy.XOriginal, inside, nginx(), admit},
		"envoy":                     {proxy.Path, inside, []string{"GET /auth/songs/1?a=b HTTP/1.1", "Host: api.example", bearer}, admit},
		"a peer of IPv6":            {proxy.XForwarded, "[::ffff:10.1.2.3]:1", traefik(), admit},
		"an answer to HEAD":         {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Method: HEAD"), admit},
		"no token":                  {proxy.XForwarded, inside, without(traefik(), "Authorization"), "401"},
		"a bad token":               {proxy.XForwarded, inside, with(traefik(), "Authorization: Bearer bad"), "401 invalid_token"},
		"two tokens":                {proxy.XForwarded, inside, traefik(bearer), refused},
		"another method":            {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Method: DELETE"), "403 insufficient_scope"},
		"another path":              {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Uri: /admin"), "403 insufficient_scope"},
		"another host":              {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Host: other.example"), "403 insufficient_scope"},
		"public":                    {proxy.XForwarded, inside, with(without(traefik(), "Authorization"), "X-Forwarded-Uri: /public"), "200"},
		"shadow":                    {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Uri: /shadow"), "200"},
		"a stranger":                {proxy.XForwarded, "192.0.2.1:1", traefik(), "403 untrusted_peer"},
		"a peer without address":    {proxy.XForwarded, "@", traefik(), "403 untrusted_peer"},
		"no method":                 {proxy.XForwarded, inside, without(traefik(), "X-Forwarded-Method"), misconfigured},
		"no host":                   {proxy.XForwarded, inside, without(traefik(), "X-Forwarded-Host"), misconfigured},
		"no target":                 {proxy.XForwarded, inside, without(traefik(), "X-Forwarded-Uri"), misconfigured},
		"two targets":               {proxy.XForwarded, inside, traefik("X-Forwarded-Uri: /public"), misconfigured},
		"an empty target":           {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Uri:"), misconfigured},
		"fields of nginx for none":  {proxy.XForwarded, inside, nginx(), misconfigured},
		"fields of traefik":         {proxy.XOriginal, inside, nginx("X-Forwarded-Uri: /public", "X-Forwarded-Method: GET"), admit},
		"a target of traefik's":     {proxy.XOriginal, inside, append(without(nginx(), "X-Original-URI"), "X-Forwarded-Uri: /public"), misconfigured},
		"fields for envoy":          {proxy.Path, inside, append([]string{"GET /auth/admin HTTP/1.1", "Host: api.example", bearer}, "X-Forwarded-Uri: /public", "X-Original-URI: /public"), "403 insufficient_scope"},
		"another address":           {proxy.XForwarded, inside, append([]string{"GET /authority HTTP/1.1"}, traefik()[1:]...), "404 not_found"},
		"below the address":         {proxy.XForwarded, inside, append([]string{"GET /auth/public HTTP/1.1"}, traefik()[1:]...), "404 not_found"},
		"only the address":          {proxy.Path, inside, []string{"GET /auth HTTP/1.1", "Host: api.example", bearer}, "404 not_found"},
		"beside the address":        {proxy.Path, inside, []string{"GET /authpublic HTTP/1.1", "Host: api.example", bearer}, "404 not_found"},
		"above the address":         {proxy.Path, inside, []string{"GET /auth/../public HTTP/1.1", "Host: api.example", bearer}, unclear},
		"absolute":                  {proxy.Path, inside, []string{"GET http://api.example/auth/public HTTP/1.1", "Host: api.example", bearer}, "404 not_found"},
		"a spoofed subject":         {proxy.XForwarded, inside, traefik("X-Sneck-Subject: root"), refused},
		"an underscored subject":    {proxy.XForwarded, inside, traefik("x_sneck_subject: root"), refused},
		"another method in a field": {proxy.XForwarded, inside, traefik("X-HTTP-Method-Override: DELETE"), unclear},
		"the same with underscores": {proxy.XOriginal, inside, nginx("x_method_override: DELETE"), unclear},
		"a lower-case method":       {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Method: get"), unclear},
		"a method with more":        {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Method: GET /public"), unclear},
		"two hosts in one":          {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Host: api.example, other.example"), unclear},
		"a whole URL":               {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Uri: http://api.example/public"), unclear},
		"a host in the path":        {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Uri: //api.example/public"), unclear},
		"a fragment":                {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Uri: /public#/admin"), unclear},
		"a space":                   {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Uri: /public /admin"), unclear},
		"a dot segment":             {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Uri: /songs/../admin"), unclear},
		"an escaped dot segment":    {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Uri: /songs/%2e%2e/admin"), unclear},
		"an escaped slash":          {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Uri: /songs%2f1"), unclear},
		"twice escaped":             {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Uri: /songs/%252e"), unclear},
		"a bad escape":              {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Uri: /songs/%zz"), unclear},
		"no path":                   {proxy.XForwarded, inside, with(traefik(), "X-Forwarded-Uri: *"), unclear},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.want, answer(ask(t, forwardAuth(t, tt.convention), tt.peer, tt.lines...)))
		})
	}
}

// All that an answer says.
func TestForwardAuthAnswers(t *testing.T) {
	admitted := ask(t, forwardAuth(t, proxy.XForwarded), inside, "GET /auth HTTP/1.1", "Host: guard", bearer,
		"X-Forwarded-Method: GET", "X-Forwarded-Host: api.example", "X-Forwarded-Uri: /songs/1")
	assert.Equal(t, http.Header{
		"Cache-Control": {"no-store"}, "X-Sneck-Subject": {"alice"}, "X-Sneck-Scope": {"read"}, "X-Sneck-Audience": {"api"},
	}, admitted.Header)

	envoy := ask(t, forwardAuth(t, proxy.Path), inside, "GET /auth/public HTTP/1.1", "Host: api.example", bearer)
	assert.Equal(t, http.Header{
		"Cache-Control": {"no-store"},
		"X-Envoy-Auth-Headers-To-Remove": {"authorization,dpop,x-sneck-acr,x-sneck-audience,x-sneck-auth-time,x-sneck-client,x-sneck-expires," +
			"x-sneck-issuer,x-sneck-scope,x-sneck-subject,x-sneck-token-id,x-sneck-username"},
	}, envoy.Header)

	refused := ask(t, forwardAuth(t, proxy.Path), inside, "GET /auth/songs/1 HTTP/1.1", "Host: api.example")
	assert.Equal(t, http.Header{"Cache-Control": {"no-store"}, "Www-Authenticate": {`Bearer realm="api"`}}, refused.Header)
}

// Whatever target a proxy reports: a request is let pass only if a server that
// gets this target in a request line finds a path there that the rules open.
func FuzzForwardAuth(f *testing.F) {
	for _, seed := range []string{"/songs/1", "/songs/../admin", "//songs/", "/songs/%2e%2e/", "/public#x", "/public?x", "/songs;/x", "/songs/\\..", "/songs/..0", "*", "http://x/songs/"} {
		f.Add("GET", seed)
	}
	f.Fuzz(func(t *testing.T, method, target string) {
		if strings.ContainsAny(method+target, "\r\n\x00") {
			return // no field can hold it
		}
		auth := forwardAuth(t, proxy.XForwarded)
		r := httptest.NewRequest("GET", "/auth", nil)
		r.RemoteAddr = inside
		r.Header = http.Header{
			"Authorization": {"Bearer good"}, "X-Forwarded-Method": {method}, "X-Forwarded-Host": {"api.example"}, "X-Forwarded-Uri": {target},
		}
		rec := httptest.NewRecorder()
		auth.ServeHTTP(rec, r)
		if rec.Code != http.StatusOK {
			assert.Empty(t, rec.Header().Get("X-Sneck-Subject"))
			return
		}
		seen, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + target + " HTTP/1.1\r\nHost: api.example\r\n\r\n")))
		require.NoError(t, err, "%q %q", method, target)
		path := seen.URL.Path
		assert.True(t, strings.HasPrefix(path, "/songs/") || path == "/public" || path == "/shadow", "%q", path)
		assert.NotContains(t, strings.Split(path, "/"), "..")
		assert.Contains(t, []string{"GET", "HEAD"}, seen.Method)
	})
}
