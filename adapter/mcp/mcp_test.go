package mcp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	adapter "github.com/sneckauth/sneck/adapter/mcp"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/middleware"
	guardmcp "github.com/sneckauth/sneck/middleware/mcp"
	"github.com/sneckauth/sneck/scopes"
)

// A site is an MCP server of the SDK behind a guard, on a real port.
type site struct {
	URL    string
	seen   chan call // what the tool "who" has found out
	tokens map[string]*sneck.Token
}

type call struct {
	info  *auth.TokenInfo
	token *sneck.Token // in the context
}

func newSite(t *testing.T, change ...func(*guardmcp.Config)) *site {
	t.Helper()
	s := &site{seen: make(chan call, 16), tokens: map[string]*sneck.Token{}}
	server := mcp.NewServer(&mcp.Implementation{Name: "songs", Version: "1"}, nil)
	server.AddReceivingMiddleware(adapter.TokenInContext)
	tool := func(ctx context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		s.seen <- call{r.Extra.TokenInfo, sneck.FromContext(ctx)}
		return &mcp.CallToolResult{}, nil, nil
	}
	mcp.AddTool(server, &mcp.Tool{Name: "who"}, tool)
	mcp.AddTool(server, &mcp.Tool{Name: "delete"}, tool)
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)

	front := httptest.NewUnstartedServer(nil)
	s.URL = "http://" + front.Listener.Addr().String() + "/mcp"
	config := guardmcp.Config{
		Resource: s.URL, AuthorizationServers: []string{"https://auth.example"},
		Verifier: sneck.VerifierFunc(func(_ context.Context, token string) (*sneck.Token, error) {
			known := s.tokens[token]
			if known == nil {
				return nil, sneck.ErrInvalid
			}
			known.VerifiedAt = time.Now()
			return known, nil
		}),
		Tools: map[string]scopes.Requirement{"who": scopes.AnyToken(), "delete": scopes.All("write")},
	}
	for _, f := range change {
		f(&config)
	}
	guard, err := guardmcp.New(config)
	require.NoError(t, err)
	front.Config.Handler = guard.Protect(adapter.WithTokenInfo(handler))
	front.Start()
	t.Cleanup(front.Close)
	return s
}

// know makes a token known to the site.
func (s *site) know(token string, t sneck.Token) *sneck.Token {
	t.Issuer, t.Audience = "https://auth.example", []string{s.URL}
	if t.Expires.IsZero() {
		t.Expires = time.Now().Add(time.Hour)
	}
	s.tokens[token] = &t
	return &t
}

// bearer sends requests with whatever its token is at the time.
type bearer struct{ token string }

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

func connect(t *testing.T, url string, transport http.RoundTripper) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: url, HTTPClient: &http.Client{Transport: transport}, MaxRetries: -1,
	}, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// Tools know the token of their own request, in both ways.
func TestToolsKnowTheToken(t *testing.T) {
	s := newSite(t)
	first := s.know("first", sneck.Token{Subject: "ann", ClientID: "chat", Scopes: scopes.Set{"read"}})
	second := s.know("second", sneck.Token{Subject: "ann", ClientID: "chat", Scopes: scopes.Set{"read", "write"}, Expires: time.Now().Add(2 * time.Hour)})
	sender := &bearer{token: "first"}
	session := connect(t, s.URL, sender)
	for name, want := range map[string]*sneck.Token{"first": first, "second": second} {
		sender.token = name
		_, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "who"})
		require.NoError(t, err)
		got := <-s.seen
		assert.Same(t, want, got.token)
		assert.Same(t, want, adapter.Token(got.info))
		assert.Equal(t, []string(want.Scopes), got.info.Scopes)
		assert.True(t, want.Expires.Equal(got.info.Expiration))
		assert.Equal(t, `"https://auth.example" "ann" "chat"`, got.info.UserID)
	}
	sender.token = "first"
	_, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "delete"})
	require.Error(t, err)
	assert.Empty(t, s.seen)
}

// A session belongs to one user with one client.
func TestSessionsAreBoundToTheUser(t *testing.T) {
	s := newSite(t)
	s.know("ann", sneck.Token{Subject: "ann", ClientID: "chat"})
	s.know("ann-again", sneck.Token{Subject: "ann", ClientID: "chat", Scopes: scopes.Set{"write"}})
	s.know("ann-elsewhere", sneck.Token{Subject: "ann", ClientID: "other"})
	s.know("bob", sneck.Token{Subject: "bob", ClientID: "chat"})
	s.know("nobody", sneck.Token{})

	post := func(token, session, body string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		r.Header.Set("Authorization", "Bearer "+token)
		if session != "" {
			r.Header.Set("Mcp-Session-Id", session)
		}
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, resp.Body)
		require.NoError(t, resp.Body.Close())
		return resp
	}
	const hello = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	session := post("ann", "", hello).Header.Get("Mcp-Session-Id")
	require.NotEmpty(t, session)
	assert.Equal(t, http.StatusAccepted, post("ann", session, `{"jsonrpc":"2.0","method":"notifications/initialized"}`).StatusCode)
	for token, want := range map[string]int{
		"ann": 200, "ann-again": 200, "ann-elsewhere": 403, "bob": 403, "nobody": 403, "unknown": 401,
	} {
		resp := post(token, session, `{"jsonrpc":"2.0","id":2,"method":"ping"}`)
		assert.Equal(t, want, resp.StatusCode, token)
	}
	anonymous := post("nobody", "", hello).Header.Get("Mcp-Session-Id")
	assert.Equal(t, 403, post("bob", anonymous, `{"jsonrpc":"2.0","id":2,"method":"ping"}`).StatusCode)
}

// The standalone stream of a session ends when its token expires, although
// the session does not.
func TestStreamEndsWithItsToken(t *testing.T) {
	s := newSite(t)
	s.know("short", sneck.Token{Subject: "ann", Expires: time.Now().Add(time.Second)})
	long := s.know("long", sneck.Token{Subject: "ann"})
	body := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	request := func(method, token, session string, body io.Reader) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL, body)
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Mcp-Session-Id", session)
		if session == "" {
			r.Header.Del("Mcp-Session-Id")
		}
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	session := request("POST", "long", "", strings.NewReader(body)).Header.Get("Mcp-Session-Id")
	stream := request("GET", "short", session, nil)
	require.Equal(t, 200, stream.StatusCode)
	_, _ = io.Copy(io.Discard, stream.Body) // until it ends
	assert.False(t, time.Now().Before(s.tokens["short"].Expires))
	assert.True(t, time.Now().Before(long.Expires))
	assert.Equal(t, 401, request("GET", "short", session, nil).StatusCode)
	assert.Equal(t, 200, request("POST", "long", session, strings.NewReader(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)).StatusCode)
}

// A token that is bound to a key works as well, though the SDK knows nothing
// but bearer tokens.
func TestDPoP(t *testing.T) {
	key := authtest.NewDPoPKey(t)
	s := newSite(t, func(c *guardmcp.Config) {
		c.Guard.DPoP = middleware.DPoP{Mode: middleware.Strict, External: strings.TrimSuffix(c.Resource, "/mcp"), NonceKey: make([]byte, 32)}
	})
	want := s.know("bound", sneck.Token{Subject: "ann", Confirmation: key.Confirmation()})
	session := connect(t, s.URL, key.Transport("bound", nil))
	_, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "who"})
	require.NoError(t, err)
	assert.Same(t, want, adapter.Token((<-s.seen).info))
}

func TestWithTokenInfo(t *testing.T) {
	expired := &sneck.Token{Subject: "ann", Expires: time.Now().Add(-time.Hour)}
	for name, token := range map[string]*sneck.Token{
		"no token": nil, "no expiry": {Subject: "ann"}, "expired on its way": expired, "the last one": {Expires: time.Unix(253402300799, 0)},
	} {
		called := false
		adapter.WithTokenInfo(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			called = true
			info := auth.TokenInfoFromContext(r.Context())
			assert.Same(t, token, adapter.Token(info), name)
			assert.Equal(t, token == nil, info == nil, name)
			assert.Same(t, token, sneck.FromContext(r.Context()))
			assert.Empty(t, r.Header.Get("Authorization"))
		})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil).WithContext(sneck.NewContext(t.Context(), token)))
		assert.True(t, called, name)
	}
	assert.Nil(t, adapter.Token(&auth.TokenInfo{UserID: "made by somebody else"}))
	scoped := &sneck.Token{Scopes: scopes.Set{"a"}}
	adapter.TokenInfo(scoped).Scopes[0] = "b"
	assert.Equal(t, scopes.Set{"a"}, scoped.Scopes)

	// No two users are the same.
	ids := map[string]bool{}
	for _, token := range []sneck.Token{
		{}, {Issuer: "a"}, {Subject: "a"}, {ClientID: "a"}, {Subject: `a" "b`}, {Subject: "a", ClientID: "b"}, {Issuer: `a" "`},
	} {
		ids[adapter.TokenInfo(&token).UserID] = true
	}
	assert.Len(t, ids, 7)
	assert.NotContains(t, ids, "")
}

func TestTokenInContextReplacesTheSessions(t *testing.T) {
	ctx := sneck.NewContext(t.Context(), &sneck.Token{Subject: "who began the session"})
	mine := &sneck.Token{Subject: "ann"}
	for _, test := range []struct {
		request mcp.Request
		want    *sneck.Token
	}{
		{&mcp.CallToolRequest{Extra: &mcp.RequestExtra{TokenInfo: adapter.TokenInfo(mine)}}, mine},
		{&mcp.CallToolRequest{Extra: &mcp.RequestExtra{}}, nil},
		{&mcp.CallToolRequest{}, nil},
	} {
		_, err := adapter.TokenInContext(func(ctx context.Context, _ string, _ mcp.Request) (mcp.Result, error) {
			assert.Same(t, test.want, sneck.FromContext(ctx))
			return nil, nil
		})(ctx, "tools/call", test.request)
		require.NoError(t, err)
	}
}

// The SDK's own middleware, with a guard as its verifier: the answers that it
// can give.
func TestTokenVerifier(t *testing.T) {
	const aud = "https://mcp.example/mcp"
	in := func(d time.Duration) time.Time { return time.Now().Add(d) }
	key := authtest.NewDPoPKey(t)
	secret := errors.New("10.0.0.7: connection refused")
	guard, err := middleware.New(middleware.Config{
		Audience: []string{aud},
		Verifier: sneck.VerifierFunc(func(_ context.Context, token string) (*sneck.Token, error) {
			switch token {
			case "good":
				return &sneck.Token{Subject: "ann", Audience: []string{aud}, Scopes: scopes.Set{"read"}, Expires: in(time.Hour)}, nil
			case "for-ever":
				return &sneck.Token{Subject: "ann", Audience: []string{aud}, Scopes: scopes.Set{"read"}}, nil
			case "expired":
				return &sneck.Token{Subject: "ann", Audience: []string{aud}, Expires: in(-time.Hour)}, nil
			case "not-yet":
				return &sneck.Token{Subject: "ann", Audience: []string{aud}, NotBefore: in(time.Hour), Expires: in(2 * time.Hour)}, nil
			case "sibling":
				return &sneck.Token{Subject: "ann", Audience: []string{aud + "2"}, Expires: in(time.Hour)}, nil
			case "bound":
				return &sneck.Token{Subject: "ann", Audience: []string{aud}, Expires: in(time.Hour), Confirmation: key.Confirmation()}, nil
			case "down":
				return nil, secret
			case "panic":
				panic(secret)
			case "unrecognized":
				return nil, sneck.ErrUnrecognized
			}
			return nil, sneck.ErrInvalid
		}),
	})
	require.NoError(t, err)
	verifier := adapter.TokenVerifier(guard)
	for _, test := range []struct {
		authorization []string
		scopes        []string
		want          int
		body          string
	}{
		{[]string{"Bearer good"}, nil, 200, ""},
		{[]string{"bearer good"}, []string{"read"}, 200, ""},
		{[]string{"Bearer good"}, []string{"write"}, 403, "insufficient scope"},
		{nil, nil, 401, "no bearer token"},
		{[]string{"Bearer unknown"}, nil, 401, "invalid token"},
		{[]string{"Bearer unrecognized"}, nil, 401, "invalid token"},
		{[]string{"Bearer expired"}, nil, 401, "invalid token"},
		{[]string{"Bearer not-yet"}, nil, 401, "invalid token"},
		{[]string{"Bearer sibling"}, nil, 401, "invalid token"},
		{[]string{"Bearer bound"}, nil, 401, "invalid token"},
		{[]string{"Bearer for-ever"}, nil, 401, "token missing expiration"},
		{[]string{"Bearer down"}, nil, 500, "the access token could not be checked, try again later"},
		{[]string{"Bearer panic"}, nil, 500, "the access token could not be checked, try again later"},
		{[]string{"Bearer good", "Bearer unknown"}, nil, 400, "the request must carry exactly one well-formed access token"},
		{[]string{"Bearer " + strings.Repeat("a", 9000)}, nil, 400, "the request must carry exactly one well-formed access token"},
	} {
		options := &auth.RequireBearerTokenOptions{Scopes: test.scopes, ResourceMetadataURL: "https://mcp.example/.well-known"}
		r := httptest.NewRequest("POST", "/mcp", nil)
		r.Header["Authorization"] = test.authorization
		w := httptest.NewRecorder()
		auth.RequireBearerToken(verifier, options)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			info := auth.TokenInfoFromContext(r.Context())
			assert.Equal(t, "ann", adapter.Token(info).Subject)
			assert.Equal(t, []string{"read"}, info.Scopes)
		})).ServeHTTP(w, r)
		assert.Equal(t, test.want, w.Code, "%q", test.authorization)
		assert.Equal(t, test.body, strings.TrimSpace(w.Body.String()), "%q", test.authorization)
	}
	_, err = verifier(t.Context(), "good", nil)
	require.Error(t, err)
	assert.NotErrorIs(t, err, auth.ErrInvalidToken)
}
