package mcp_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/middleware/mcp"
	"github.com/sneckauth/sneck/scopes"
)

// What the MCP specification demands of servers, in revision 2026-07-28:
// Authorization, its security considerations, and Streamable HTTP. Each test
// is named after one demand.

// MCP servers MUST implement protected resource metadata, which MUST name at
// least one authorization server; at the path of the endpoint, or at the root.
func TestMUST_ServeResourceMetadata(t *testing.T) {
	guard := newGuard(t, func(c *mcp.Config) {
		c.Guard.Metadata = &middleware.Metadata{Name: "Songs", Scopes: scopes.Set{"songs-read"}}
	})
	for _, path := range []string{"/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"} {
		w := httptest.NewRecorder()
		guard.Metadata().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		require.Equal(t, 200, w.Code)
		var document map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &document))
		assert.Equal(t, map[string]any{
			"resource": resource, "authorization_servers": []any{issuer}, "resource_name": "Songs",
			"scopes_supported": []any{"songs-read"}, "bearer_methods_supported": []any{"header"},
		}, document)
	}
	guard = newGuard(t, func(c *mcp.Config) { c.Scopes = scopes.All("mcp") })
	w := httptest.NewRecorder()
	guard.Metadata().ServeHTTP(w, httptest.NewRequest("GET", where, nil))
	assert.Contains(t, w.Body.String(), `"scopes_supported":["mcp"]`, "what clients should ask for first")
	c := config()
	c.AuthorizationServers = nil
	_, err := mcp.New(c)
	assert.ErrorContains(t, err, "AuthorizationServers is missing")
}

// MCP servers MUST say where the metadata is in the challenge of a 401, or
// serve it at a well-known URI: it does both.
func TestMUST_PointToTheMetadata(t *testing.T) {
	guard := newGuard(t)
	for _, r := range []*http.Request{
		post("", tool("any"), "Authorization", ""), post("x-unknown", tool("any")), post("other", tool("delete_song")),
	} {
		assert.Contains(t, answer(serve(guard, r)), "resource_metadata=here")
	}
}

// Authorization MUST be included in every request; sessions are no substitute.
func TestMUST_HaveATokenInEveryRequest(t *testing.T) {
	guard := newGuard(t)
	const session = "1868a90c-0000-4000-8000-000000000000"
	for range 2 {
		assert.Equal(t, "200", answer(serve(guard, post("other", rpc("initialize", "{}")))))
		assert.Equal(t, unauthorized, answer(serve(guard, post("", tool("any"), "Authorization", "", "Mcp-Session-Id", session))))
		for _, method := range []string{"GET", "DELETE"} {
			r := with(httptest.NewRequest(method, "/mcp", nil), "Mcp-Session-Id", session, "Last-Event-ID", "1")
			assert.Equal(t, unauthorized, answer(serve(guard, r)))
			assert.Equal(t, "200", answer(serve(guard, with(r, "Authorization", "Bearer other"))))
		}
	}
}

// Access tokens MUST NOT be in the query.
func TestMUST_NOT_TakeTokensFromTheQuery(t *testing.T) {
	guard := newGuard(t)
	r := post("", tool("any"), "Authorization", "")
	r.URL.RawQuery = "access_token=other"
	assert.Equal(t, unauthorized, answer(serve(guard, r)))
	r = post("other", tool("any"))
	r.URL.RawQuery = "access_token=other"
	assert.Equal(t, "400 error=invalid_request resource_metadata=here", answer(serve(guard, r)))
}

// MCP servers MUST validate access tokens, and that they were issued for them
// as the audience.
func TestMUST_BeTheAudience(t *testing.T) {
	guard := newGuard(t)
	assert.Equal(t, badToken, answer(serve(guard, post("x-sibling", tool("any")))))
	assert.Equal(t, badToken, answer(serve(guard, post("x-nobody", tool("any")))))
	guard = newGuard(t, func(c *mcp.Config) { c.Guard.Audience = []string{"https://mcp.example/other"} })
	assert.Equal(t, "200", answer(serve(guard, post("x-sibling", tool("any")))), "another name of this server")
	assert.Equal(t, "200", answer(serve(guard, post("other", tool("any")))))
}

// Invalid or expired tokens MUST receive 401; an outage is none of these.
func TestMUST_Answer401ForInvalidTokens(t *testing.T) {
	guard := newGuard(t)
	assert.Equal(t, unauthorized, answer(serve(guard, post("", tool("any"), "Authorization", ""))))
	assert.Equal(t, badToken, answer(serve(guard, post("x-unknown", tool("any")))))
	assert.Equal(t, badToken, answer(serve(guard, post("x-expired", tool("any")))))
	w := serve(guard, post("x-down", tool("any")))
	assert.Equal(t, "503", answer(w))
	assert.Equal(t, "1", w.Header().Get("Retry-After"))
}

// 403 for insufficient permissions, 400 for a malformed authorization request.
func TestMUST_Answer403And400(t *testing.T) {
	guard := newGuard(t)
	assert.Equal(t, needs("songs-read"), answer(serve(guard, post("other", tool("list_songs")))))
	assert.Equal(t, "400 error=invalid_request resource_metadata=here", answer(serve(guard, post("a b", tool("any")))))
}

// MCP servers MUST NOT accept or transit any other tokens, and MUST NOT pass
// on those of their clients.
func TestMUST_NOT_TransitTokens(t *testing.T) {
	newGuard(t).Protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		assert.NotContains(t, r.Header, "Authorization")
		assert.NotNil(t, sneck.FromContext(r.Context()))
	})).ServeHTTP(httptest.NewRecorder(), post("other", tool("any")))
}

// Servers MUST account for scope hierarchies.
func TestMUST_AccountForScopeHierarchies(t *testing.T) {
	h, err := scopes.NewHierarchy(map[string][]string{"admin": {"songs-write", "files", "mcp"}, "songs-write": {"songs-read"}})
	require.NoError(t, err)
	guard := newGuard(t, func(c *mcp.Config) { c.Hierarchy, c.Scopes = h, scopes.All("mcp") })
	for _, body := range []string{
		rpc("ping", ""), tool("list_songs"), tool("delete_song"), tool("any"), rpc("resources/read", `{"uri":"a"}`),
		"[" + tool("list_songs") + "," + tool("delete_song") + "]",
	} {
		assert.Equal(t, "200", answer(serve(guard, post("admin", body))), body)
	}
	assert.Equal(t, "200", answer(serve(guard, post("mcp.songs-write", tool("delete_song")))))
	assert.Equal(t, needs("mcp songs-read songs-write"), answer(serve(guard, post("mcp.songs-read", tool("delete_song")))))
}

// The challenges SHOULD have scope, and a 403 SHOULD have error, scope with all
// that the operation needs, and resource_metadata.
func TestSHOULD_NameAllScopesAtOnce(t *testing.T) {
	guard := newGuard(t, func(c *mcp.Config) { c.Scopes = scopes.All("mcp") })
	assert.Equal(t, "401 scope=mcp resource_metadata=here", answer(serve(guard, post("", tool("any"), "Authorization", ""))))
	assert.Equal(t, needs("mcp songs-read songs-write"), answer(serve(guard, post("other", tool("delete_song")))))
}

// Servers SHOULD NOT have offline_access among their scopes.
func TestSHOULD_NOT_DemandOfflineAccess(t *testing.T) {
	c := config()
	c.Tools["a"] = scopes.All("offline_access")
	_, err := mcp.New(c)
	assert.ErrorContains(t, err, "offline_access")
}

// Servers MUST validate the Origin header, and answer 403 if it is invalid.
func TestMUST_ValidateTheOrigin(t *testing.T) {
	guard := newGuard(t, func(c *mcp.Config) { c.Origins = []string{"https://chat.example"} })
	for origin, ok := range map[string]bool{
		"https://mcp.example": true, "https://chat.example": true,
		"https://evil.example": false, "http://mcp.example": false, "https://mcp.example:8443": false, "https://mcp.example.evil.example": false,
		"null": false, "https://chat.example https://evil.example": false, "HTTPS://chat.example": false,
	} {
		want := "403 error=invalid_request resource_metadata=here"
		if ok {
			want = "200"
		}
		assert.Equal(t, want, answer(serve(guard, post("other", tool("any"), "Origin", origin))), origin)
		r := post("", tool("any"), "Authorization", "", "Origin", origin)
		r.Host = "evil.example" // a name that was bound to the server's address
		if !ok {
			assert.Equal(t, 403, serve(guard, r).Code, "without a token, too")
		}
	}
	r := post("other", tool("any"), "Origin", "https://chat.example")
	r.Header.Add("Origin", "https://evil.example")
	assert.Equal(t, 403, serve(guard, r).Code)
	r = post("other", tool("any"))
	r.Header["Origin"] = []string{""}
	assert.Equal(t, 403, serve(guard, r).Code)
}

// Servers that process the body MUST reject requests whose header does not
// match it, with 400 and HeaderMismatch, after decoding the header.
func TestMUST_CompareHeaderAndBody(t *testing.T) {
	guard := newGuard(t)
	const mismatch = "400 -32020 id 1"
	read := rpc("resources/read", `{"uri":"file:///\u00e4"}`)
	for _, test := range []struct {
		body, method, name, want string
	}{
		{tool("any"), "tools/call", "any", "200"},
		{tool("any"), "tools/call", "", "200"},
		{tool("any"), "", "any", "200"},
		{tool("any"), "", "=?base64?YW55?=", "200"},
		{tool("any"), "", "=?base64?YW55", mismatch},
		{tool("any"), "", "=?base64?YW5?=", mismatch},
		{tool("any"), "", "=?BASE64?YW55?=", mismatch},
		{tool("any"), "tools/call", "delete_song", mismatch},
		{tool("any"), "Tools/Call", "any", mismatch},
		{tool("any"), "ping", "any", mismatch},
		{rpc("ping", ""), "ping", "", "200"},
		{rpc("ping", ""), "tools/call", "", mismatch},
		{read, "resources/read", "=?base64?ZmlsZTovLy/DpA==?=", "200"},
		{read, "resources/read", "file:///a", mismatch},
		{"[" + tool("any") + "," + tool("any") + "]", "tools/call", "any", "400 -32020 id <nil>"},
		{`{"jsonrpc":"2.0","id":1,"result":{}}`, "ping", "", mismatch},
	} {
		r := post("files", test.body, "Mcp-Method", test.method, "Mcp-Name", test.name)
		assert.Equal(t, test.want, answer(serve(guard, r)), "%+v", test)
	}
	for _, name := range []string{"Mcp-Method", "Mcp-Name"} {
		r := post("other", tool("any"), "Mcp-Method", "tools/call", "Mcp-Name", "any")
		r.Header.Add(name, "ping")
		assert.Equal(t, mismatch, answer(serve(guard, r)))
	}
}
