package mcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/middleware/mcp"
	"github.com/sneckauth/sneck/scopes"
)

const (
	resource = "https://mcp.example/mcp"
	issuer   = "https://auth.example"
	where    = "https://mcp.example/.well-known/oauth-protected-resource/mcp"
)

// verifier knows each token by its scopes, joined with dots: "songs.read".
// Those that begin with "x-" are bad in the way they say.
var verifier = sneck.VerifierFunc(func(_ context.Context, token string) (*sneck.Token, error) {
	t := &sneck.Token{Subject: "ann", Type: "Bearer", Audience: []string{resource}, Expires: time.Now().Add(time.Hour), VerifiedAt: time.Now()}
	switch token {
	case "x-unknown":
		return nil, sneck.ErrInvalid
	case "x-down":
		return nil, errors.New("down")
	case "x-expired":
		t.Expires = time.Now().Add(-time.Second)
	case "x-sibling":
		t.Audience = []string{"https://mcp.example/other"}
	case "x-nobody":
		t.Audience = nil
	case "x-soon":
		t.Expires = time.Now().Add(time.Minute)
	case "x-for-ever":
		t.Expires = time.Time{}
	default:
		t.Scopes = strings.Split(token, ".")
	}
	return t, nil
})

func config() mcp.Config {
	return mcp.Config{
		Resource:             resource,
		AuthorizationServers: []string{issuer},
		Verifier:             verifier,
		Tools: map[string]scopes.Requirement{
			"list_songs":  scopes.All("songs-read"),
			"delete_song": scopes.All("songs-read", "songs-write"),
			"mix":         scopes.Any("mix", "songs-write"),
			"Töne":        scopes.All("songs-read"),
		},
		Methods: map[string]scopes.Requirement{
			"tools/call":     scopes.AnyToken(),
			"resources/read": scopes.All("files"),
		},
	}
}

func newGuard(t testing.TB, change ...func(*mcp.Config)) *mcp.Guard {
	t.Helper()
	c := config()
	for _, f := range change {
		f(&c)
	}
	guard, err := mcp.New(c)
	require.NoError(t, err)
	return guard
}

// post returns a request with a message.
func post(token, body string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return with(r, append([]string{"Authorization", "Bearer " + token}, header...)...)
}

// with sets header fields; those with an empty value are deleted.
func with(r *http.Request, header ...string) *http.Request {
	for i := 0; i < len(header); i += 2 {
		if r.Header.Set(header[i], header[i+1]); header[i+1] == "" {
			r.Header.Del(header[i])
		}
	}
	return r
}

func rpc(method, params string) string {
	if params != "" {
		params = `,"params":` + params
	}
	return `{"jsonrpc":"2.0","id":1,"method":"` + method + `"` + params + `}`
}

func tool(name string) string { return rpc("tools/call", `{"name":"`+name+`","arguments":{"a":1}}`) }

// echo answers with the body that it gets.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })

func serve(g *mcp.Guard, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	g.Protect(echo).ServeHTTP(w, r)
	return w
}

// answer returns what a client goes by: the status, the parameters of the
// challenge, the code of a JSON-RPC error.
func answer(w *httptest.ResponseRecorder) string {
	out := fmt.Sprint(w.Code)
	for _, name := range []string{"error", "scope", "resource_metadata"} {
		for _, challenge := range w.Header().Values("WWW-Authenticate") {
			if m := regexp.MustCompile(`[ ,]` + name + `="([^"]*)"`).FindStringSubmatch(challenge); m != nil {
				out += " " + name + "=" + strings.ReplaceAll(m[1], where, "here")
			}
		}
	}
	var rpc struct {
		Version string `json:"jsonrpc"`
		ID      any    `json:"id"`
		Error   struct {
			Code    int
			Message string
		}
	}
	if w.Code >= 400 && json.Unmarshal(w.Body.Bytes(), &rpc) == nil && rpc.Version == "2.0" && rpc.Error.Message != "" {
		out += fmt.Sprint(" ", rpc.Error.Code, " id ", rpc.ID)
	}
	return out
}

const (
	unauthorized = "401 resource_metadata=here"
	badToken     = "401 error=invalid_token resource_metadata=here"
	forbidden    = "403 error=insufficient_scope resource_metadata=here"
)

func needs(scope string) string {
	return "403 error=insufficient_scope scope=" + scope + " resource_metadata=here"
}

func TestRules(t *testing.T) {
	guard := newGuard(t)
	for _, test := range []struct{ token, body, want string }{
		{"songs-read", tool("list_songs"), "200"},
		{"songs-write", tool("list_songs"), needs("songs-read")},
		{"songs-read", tool("delete_song"), needs("songs-read songs-write")},
		{"songs-read.songs-write", tool("delete_song"), "200"},
		{"mix", tool("mix"), "200"},
		{"other", tool("mix"), needs("mix")},
		{"songs-write", tool("mix"), "200"},
		{"other", tool("anything"), "200"},
		{"songs-read", tool("Töne"), "200"},
		{"other", tool("Töne"), needs("songs-read")},
		{"other", tool("delete\\u005fsong"), needs("songs-read songs-write")},

		// What a careless server might take for a tool that has a rule.
		{"other", tool("Delete_Song"), "400 -32602 id 1"},
		{"other", tool(" delete_song"), "400 -32602 id 1"},
		{"other", tool("delete_song "), "400 -32602 id 1"},
		{"other", tool("delete_song\\u0000"), "400 -32602 id <nil>"},
		{"other", tool("dele\\u200bte_song"), "400 -32602 id 1"},
		{"other", tool("töne"), "400 -32602 id 1"},

		{"other", rpc("initialize", "{}"), "200"},
		{"other", rpc("ping", ""), "200"},
		{"other", rpc("server/discover", ""), "200"},
		{"other", rpc("tools/list", ""), "200"},
		{"other", rpc("prompts/list", ""), "200"},
		{"other", rpc("resources/list", ""), "200"},
		{"other", rpc("resources/templates/list", ""), "200"},
		{"other", rpc("logging/setLevel", `{"level":"info"}`), "200"},
		{"other", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, "200"},
		{"other", `{"jsonrpc":"2.0","id":7,"result":{"roots":[]}}`, "200"},
		{"other", `{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"no"}}`, "200"},

		{"other", rpc("resources/read", `{"uri":"file:///a"}`), needs("files")},
		{"files", rpc("resources/read", `{"uri":"file:///a"}`), "200"},
		{"files", rpc("resources/subscribe", `{"uri":"file:///a"}`), forbidden},
		{"files", rpc("prompts/get", `{"name":"a"}`), forbidden},
		{"files", rpc("completion/complete", `{}`), forbidden},
		{"files", rpc("tasks/result", `{}`), forbidden},
		{"files", rpc("Resources/Read", `{"uri":"file:///a"}`), forbidden},
		{"files", rpc("resources/read/", `{"uri":"file:///a"}`), forbidden},

		{"songs-read", "[" + tool("list_songs") + "," + rpc("ping", "") + "]", "200"},
		{"songs-read", "[" + tool("list_songs") + "," + tool("delete_song") + "," + rpc("resources/read", `{"uri":"a"}`) + "," + tool("mix") + "]",
			needs("songs-read songs-write files mix")},
		{"songs-read", "[" + tool("list_songs") + "," + rpc("unknown", "") + "]", forbidden},
	} {
		t.Run(test.token+" "+test.body, func(t *testing.T) {
			w := serve(guard, post(test.token, test.body))
			assert.Equal(t, test.want, answer(w))
			if test.want == "200" {
				assert.Equal(t, test.body, w.Body.String(), "the server gets the same bytes")
			}
		})
	}
}

// Without a rule for tools in general, those that are not listed are refused.
func TestUnlistedToolsAreRefused(t *testing.T) {
	guard := newGuard(t, func(c *mcp.Config) { c.Methods = nil })
	assert.Equal(t, forbidden, answer(serve(guard, post("songs-read", tool("anything")))))
	assert.Equal(t, "200", answer(serve(guard, post("songs-read", tool("list_songs")))))

	guard = newGuard(t, func(c *mcp.Config) { c.Tools = nil })
	assert.Equal(t, "200", answer(serve(guard, post("other", tool("Töne ")))), "no rule that it could be taken for")
}

func TestScopesOfEveryRequest(t *testing.T) {
	guard := newGuard(t, func(c *mcp.Config) { c.Scopes = scopes.All("mcp") })
	assert.Equal(t, "401 scope=mcp resource_metadata=here", answer(serve(guard, post("", tool("delete_song"), "Authorization", ""))))
	for body, scope := range map[string]string{
		rpc("ping", ""):     "mcp",
		tool("list_songs"):  "mcp songs-read",
		tool("anything"):    "mcp",
		tool("delete_song"): "mcp songs-read songs-write",
	} {
		assert.Equal(t, needs(scope), answer(serve(guard, post("other", body))))
		assert.Equal(t, "200", answer(serve(guard, post(strings.ReplaceAll(scope, " ", "."), body))))
	}
	assert.Equal(t, needs("mcp"), answer(serve(guard, with(httptest.NewRequest("GET", "/mcp", nil), "Authorization", "Bearer other"))))
}

func TestOtherHTTPMethods(t *testing.T) {
	guard := newGuard(t)
	for method, want := range map[string]string{
		"GET": "200", "DELETE": "200", "HEAD": "405 -32600 id <nil>", "PUT": "405 -32600 id <nil>", "OPTIONS": "405 -32600 id <nil>", "post": "405 -32600 id <nil>",
	} {
		r := httptest.NewRequest("GET", "/mcp", nil)
		r.Method = method
		assert.Equal(t, unauthorized, answer(serve(guard, r)), method)
		w := serve(guard, with(r, "Authorization", "Bearer other"))
		assert.Equal(t, want, answer(w), method)
		if w.Code == http.StatusMethodNotAllowed {
			assert.Equal(t, "POST, GET, DELETE", w.Header().Get("Allow"))
		}
		r = httptest.NewRequest("GET", "/mcp", strings.NewReader(tool("delete_song")))
		r.Method = method
		if want == "200" {
			assert.Equal(t, "400 -32600 id <nil>", answer(serve(guard, with(r, "Authorization", "Bearer other"))), method)
		}
	}
}

// A stream of the server's messages ends with the token that it was opened
// with; other requests do not.
func TestStreamsEndWithTheirToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guard := newGuard(t)
		get := httptest.NewRequest("GET", "/mcp", nil)
		for name, test := range map[string]struct {
			r    *http.Request
			want time.Duration
		}{
			"GET":          {with(get.Clone(t.Context()), "Authorization", "Bearer x-soon"), time.Minute},
			"listen":       {post("x-soon", rpc("subscriptions/listen", "{}")), time.Minute},
			"no expiry":    {with(get.Clone(t.Context()), "Authorization", "Bearer x-for-ever"), time.Hour},
			"a long call":  {post("x-soon", tool("anything")), time.Hour},
			"session ends": {with(httptest.NewRequest("DELETE", "/mcp", nil), "Authorization", "Bearer x-soon"), time.Hour},
		} {
			began := time.Now()
			guard.Protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				select {
				case <-r.Context().Done():
				case <-time.After(time.Hour):
				}
			})).ServeHTTP(httptest.NewRecorder(), test.r)
			assert.Equal(t, test.want, time.Since(began), name)
		}
	})
}

func TestHandlerGetsTheTokenInTheContextOnly(t *testing.T) {
	for pass, want := range map[bool]string{false: "", true: "Bearer songs-read"} {
		guard := newGuard(t, func(c *mcp.Config) { c.DangerouslyPassToken = pass })
		r := post("songs-read", tool("list_songs"), "DPoP", "proof", "Accept", "application/json")
		guard.Protect(http.HandlerFunc(func(_ http.ResponseWriter, got *http.Request) {
			assert.Equal(t, "ann", sneck.FromContext(got.Context()).Subject)
			assert.Equal(t, want, got.Header.Get("Authorization"))
			assert.Equal(t, pass, got.Header.Get("DPoP") != "")
			assert.Equal(t, "application/json", got.Header.Get("Accept"))
		})).ServeHTTP(httptest.NewRecorder(), r)
		assert.Equal(t, "Bearer songs-read", r.Header.Get("Authorization"), "the caller's request is not touched")
	}
}

func TestBodyIsBounded(t *testing.T) {
	body := tool("list_songs")
	guard := newGuard(t, func(c *mcp.Config) { c.MaxBodyBytes = int64(len(body)) })
	assert.Equal(t, "200", answer(serve(guard, post("songs-read", body))))
	for name, length := range map[string]int64{"announced": int64(len(body)) + 1, "not announced": -1} {
		r := post("songs-read", body+" ")
		r.ContentLength = length
		assert.Equal(t, "413 -32600 id <nil>", answer(serve(guard, r)), name)
	}
	r := post("songs-read", body)
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(body[:10]), broken{}))
	assert.Equal(t, "400 -32700 id <nil>", answer(serve(guard, r)))

	// A stranger's body is not read.
	for _, token := range []string{"x-unknown", "x-expired", "x-sibling", "x-down", "a b"} {
		r := post(token, "")
		r.Body = io.NopCloser(fatal{t})
		serve(guard, r)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

type fatal struct{ t *testing.T }

func (f fatal) Read([]byte) (int, error) {
	f.t.Error("the body is read")
	return 0, io.EOF
}

// In shadow, whatever is refused passes with its body as it came.
func TestShadow(t *testing.T) {
	guard := newGuard(t, func(c *mcp.Config) { c.Policy.DangerouslyShadow, c.MaxBodyBytes = true, 200 })
	for _, body := range []string{tool("delete_song"), "nonsense", strings.Repeat("long", 1000)} {
		w := serve(guard, post("other", body))
		assert.Equal(t, 200, w.Code)
		assert.Equal(t, body, w.Body.String())
	}
}

// Everything that the middleware can demand holds for MCP requests as well.
func TestPolicyOfEveryRequest(t *testing.T) {
	guard := newGuard(t, func(c *mcp.Config) { c.Policy.ACR = []string{"gold"} })
	w := serve(guard, post("songs-read", tool("list_songs")))
	assert.Equal(t, "401 error=insufficient_user_authentication resource_metadata=here", answer(w))
	assert.Contains(t, w.Header().Get("WWW-Authenticate"), `acr_values="gold"`)
}

// One request is one decision.
func TestObserve(t *testing.T) {
	var seen []middleware.Decision
	guard := newGuard(t, func(c *mcp.Config) {
		c.Guard.Observe = func(_ context.Context, d middleware.Decision) { seen = append(seen, d) }
	})
	for _, r := range []*http.Request{
		post("songs-read", tool("list_songs")), post("songs-read", tool("delete_song")), post("songs-read", "?"), post("x-down", "?"),
		post("songs-read", "?", "Origin", "https://evil.example"),
	} {
		serve(guard, r)
	}
	var reasons []middleware.Reason
	for _, d := range seen {
		reasons = append(reasons, d.Reason)
	}
	assert.Equal(t, []middleware.Reason{
		middleware.ReasonAdmitted, middleware.ReasonScope, middleware.ReasonRequest, middleware.ReasonUnavailable, middleware.ReasonCrossOrigin,
	}, reasons)
	assert.Equal(t, scopes.Set{"songs-write"}, seen[1].Missing)
	assert.EqualError(t, seen[2].Err, "middleware/mcp: the body is not JSON that every parser reads alike")
}

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := mcp.New(mcp.Config{})
	for _, part := range []string{"Verifier is missing", "Resource is missing", "AuthorizationServers is missing", "Tools and Methods are missing"} {
		assert.ErrorContains(t, err, part)
	}
	for name, test := range map[string]struct {
		change func(*mcp.Config)
		says   string
	}{
		"upper-case host":   {func(c *mcp.Config) { c.Resource = "https://MCP.example/mcp" }, "is not canonical"},
		"upper-case scheme": {func(c *mcp.Config) { c.Resource = "HTTPS://mcp.example/mcp" }, "is not canonical"},
		"slash":             {func(c *mcp.Config) { c.Resource = "https://mcp.example/" }, "is not canonical"},
		"fragment":          {func(c *mcp.Config) { c.Resource = "https://mcp.example/mcp#a" }, "is not a URL without query and fragment"},
		"http":              {func(c *mcp.Config) { c.Resource = "http://mcp.example/mcp" }, "is not an https URL"},
		"http issuer":       {func(c *mcp.Config) { c.AuthorizationServers = []string{"http://auth.example"} }, "is not an https URL"},
		"empty tool":        {func(c *mcp.Config) { c.Tools[""] = scopes.AnyToken() }, `Tools has the name ""`},
		"tool for nobody":   {func(c *mcp.Config) { c.Tools["a"] = scopes.All() }, `Tools["a"]: scopes: the requirement is met by no token`},
		"bad scope":         {func(c *mcp.Config) { c.Methods["a"] = scopes.All("ä") }, `Methods["a"]`},
		"offline tool":      {func(c *mcp.Config) { c.Tools["a"] = scopes.Any("a", "offline_access") }, "offline_access"},
		"offline scope":     {func(c *mcp.Config) { c.Scopes = scopes.All("offline_access") }, "offline_access"},
		"offline metadata":  {func(c *mcp.Config) { c.Guard.Metadata = &middleware.Metadata{Scopes: scopes.Set{"offline_access"}} }, "offline_access"},
		"bad policy":        {func(c *mcp.Config) { c.Policy.MaxAge = -1 }, "MaxAge"},
		"bad scopes":        {func(c *mcp.Config) { c.Scopes = scopes.ReadWrite{}.Resource("") }, "a resource must not be empty"},
		"optional":          {func(c *mcp.Config) { c.Policy.Optional = true }, "every request needs a token"},
		"other verifier":    {func(c *mcp.Config) { c.Guard.Verifier = verifier }, "Guard.Verifier is set"},
		"any audience":      {func(c *mcp.Config) { c.Guard.DangerouslyAnyAudience = true }, "must be meant for this server"},
		"query":             {func(c *mcp.Config) { c.Guard.AllowQuery = true }, "elsewhere than the Authorization header"},
		"form":              {func(c *mcp.Config) { c.Guard.AllowFormBody = true }, "elsewhere than the Authorization header"},
		"cookie":            {func(c *mcp.Config) { c.Guard.AllowCookie = "token" }, "elsewhere than the Authorization header"},
		"other metadata":    {func(c *mcp.Config) { c.Guard.Metadata = &middleware.Metadata{Resource: "https://a.example"} }, "another Resource"},
		"other issuers": {func(c *mcp.Config) {
			c.Guard.Metadata = &middleware.Metadata{AuthorizationServers: []string{"https://a.example"}}
		}, "other AuthorizationServers"},
		"mistake of another":  {func(c *mcp.Config) { c.Guard.RetryAfter = -1 }, "RetryAfter"},
		"origin with path":    {func(c *mcp.Config) { c.Origins = []string{"https://chat.example/"} }, "is not an origin"},
		"origin with port":    {func(c *mcp.Config) { c.Origins = []string{"https://chat.example:443"} }, "is not an origin"},
		"any origin":          {func(c *mcp.Config) { c.Origins = []string{"*"} }, "is not an origin"},
		"null origin":         {func(c *mcp.Config) { c.Origins = []string{"null"} }, "is not an origin"},
		"negative size":       {func(c *mcp.Config) { c.MaxBodyBytes = -1 }, "MaxBodyBytes"},
		"size beyond all use": {func(c *mcp.Config) { c.MaxBodyBytes = 1 << 40 }, "MaxBodyBytes"},
	} {
		t.Run(name, func(t *testing.T) {
			c := config()
			test.change(&c)
			_, err := mcp.New(c)
			assert.ErrorContains(t, err, test.says)
		})
	}
}

// What is changed after New changes nothing.
func TestConfigIsCopied(t *testing.T) {
	c := config()
	c.Origins = []string{"https://chat.example"}
	c.Guard.Metadata = &middleware.Metadata{Name: "Songs"}
	guard, err := mcp.New(c)
	require.NoError(t, err)
	c.Tools["anything"] = scopes.All("none")
	c.Origins[0] = "https://evil.example"
	c.AuthorizationServers[0] = "https://evil.example"
	c.Guard.Metadata.Name = "Evil"
	assert.Equal(t, "200", answer(serve(guard, post("other", tool("anything"), "Origin", "https://chat.example"))))
	w := httptest.NewRecorder()
	guard.Metadata().ServeHTTP(w, httptest.NewRequest("GET", where, nil))
	assert.NotContains(t, strings.ToLower(w.Body.String()), "evil")
	assert.Contains(t, w.Body.String(), "Songs")
}

// A call of a tool, from the header to the handler, with an answer from memory.
func BenchmarkToolCall(b *testing.B) {
	known := &sneck.Token{Subject: "ann", Type: "Bearer", Audience: []string{resource}, Scopes: scopes.Set{"songs-read"}}
	guard := newGuard(b, func(c *mcp.Config) {
		c.Verifier = sneck.VerifierFunc(func(context.Context, string) (*sneck.Token, error) { return known, nil })
	})
	handler := guard.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	body := tool("list_songs")
	r := post("token", body)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		r.Body = io.NopCloser(strings.NewReader(body))
		handler.ServeHTTP(w, r)
	}
}
