// Package songstest tests the same API, made with different frameworks, on a
// real port and with a real authorization server.
package songstest

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/examples/internal/songs"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

const audience = "https://songs.example"

// What a client is told, and asked for.
const (
	NeedsToken = `Bearer realm="api"`
	BadRequest = NeedsToken + `, error="invalid_request", error_description="The request must carry exactly one well-formed access token"`
	BadToken   = NeedsToken + `, error="invalid_token", error_description="The access token is expired, revoked, malformed, or not valid here"`
)

// NeedsScope is what a client is told whose token lacks the scope.
func NeedsScope(scope string) string {
	return NeedsToken + `, error="insufficient_scope", error_description="The access token does not grant what this request needs", scope="` + scope + `"`
}

// Tokens are what clients have got.
type Tokens struct {
	Reader, Writer, Admin, Foreign string
	Brief                          string // expires in three seconds
}

// Issue has a new authorization server issue tokens, and returns where it may
// be asked about them and the secret of the client "songs" that may ask.
func Issue(t testing.TB) (tokens Tokens, introspectionURL, secret string) {
	t.Helper()
	srv := authtest.NewServer(t)
	api := srv.Register(t, authserver.Client{ID: "songs", Introspect: true, Serves: []string{audience}})
	issue := func(subject, audience string, scope ...string) string {
		return srv.Issue(t, sneck.Token{Subject: subject, Audience: []string{audience}, Scopes: scopes.Set(scope)})
	}
	return Tokens{
		Reader:  issue("alice", audience, "songs:read"),
		Writer:  issue("bob", audience, "songs:read", "songs:write"),
		Admin:   issue("carol", audience, "songs:admin"),
		Foreign: issue("alice", "https://other.example", "songs:read", "songs:write"),
		Brief: srv.Issue(t, sneck.Token{
			Audience: []string{audience}, Scopes: scopes.Set{"songs:read"}, Expires: time.Now().Add(3 * time.Second),
		}),
	}, srv.URL + "/introspect", api.Secret
}

// A Framework is what differs between frameworks.
type Framework struct {
	// Rule is what a log calls the route with a parameter.
	Rule string
	// Escaped is true if parameters are handed on as they were sent, if they
	// were sent with escapes. Rule and handler then see the same all the same.
	Escaped bool
}

// Run tests the API.
func Run(t *testing.T, routes func(*middleware.Guard) http.Handler, f Framework) {
	var log logged
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })

	tokens, introspectionURL, secret := Issue(t)
	guard, err := songs.NewGuard(introspectionURL, secret)
	require.NoError(t, err)
	service := httptest.NewServer(routes(guard))
	t.Cleanup(service.Close)

	const refused = "" // the body of a refusal is not that of a handler
	type row struct {
		method, path, token string
		status              int
		challenge, body     string
	}
	escaped := row{"GET", "/users/%61lice/songs", tokens.Reader, 200, "", "songs of alice\n"}
	if f.Escaped {
		escaped.status, escaped.challenge, escaped.body = 403, NeedsScope("songs:admin"), refused
	}
	for _, row := range []row{
		escaped,
		{"GET", "/songs", tokens.Reader, 200, "", "all songs\n"},
		{"GET", "/songs", tokens.Foreign, 401, BadToken, refused},
		{"GET", "/songs", "nonsense", 401, BadToken, refused},
		{"GET", "/songs", "two tokens", 400, BadRequest, refused},
		{"GET", "/songs", "", 401, NeedsToken, refused},
		{"POST", "/songs", tokens.Writer, 201, "", "added by bob\n"},
		{"POST", "/songs", tokens.Reader, 403, NeedsScope("songs:write"), refused},
		{"POST", "/songs", "", 401, NeedsToken, refused},
		{"GET", "/users/alice/songs", tokens.Reader, 200, "", "songs of alice\n"},
		{"GET", "/users/bob/songs", tokens.Reader, 403, NeedsScope("songs:admin"), refused},
		{"GET", "/users/bob/songs", tokens.Admin, 200, "", "songs of bob\n"},
		{"GET", "/users/alice/songs", "", 401, NeedsToken, refused},
		{"GET", "/welcome", "", 200, "", "hello stranger\n"},
		{"GET", "/welcome", tokens.Reader, 200, "", "hello alice\n"},
		{"GET", "/welcome", "nonsense", 401, BadToken, refused},
	} {
		r, err := http.NewRequestWithContext(t.Context(), row.method, service.URL+row.path, nil)
		require.NoError(t, err)
		if row.token != "" {
			r.Header.Set("Authorization", "Bearer "+row.token)
		}
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		what := row.method + " " + row.path
		assert.Equal(t, row.status, resp.StatusCode, what)
		assert.Equal(t, row.challenge, resp.Header.Get("WWW-Authenticate"), what)
		if row.body != refused {
			assert.Equal(t, row.body, string(body), what)
			continue
		}
		assertRefusal(t, body, row.challenge, what)
	}
	assert.Contains(t, log.rules(t), f.Rule)
}

// assertRefusal checks that nothing was written behind the guard's answer.
func assertRefusal(t *testing.T, body []byte, challenge, what string) {
	t.Helper()
	if challenge == NeedsToken {
		assert.Empty(t, string(body), what)
		return
	}
	var answer map[string]string
	require.NoError(t, json.Unmarshal(body, &answer), "%s: %s", what, body)
	assert.Len(t, answer, 2, what)
	assert.Contains(t, challenge, `error="`+answer["error"]+`"`, what)
}

// logged is what a program has logged.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// rules returns the rules that have refused requests.
func (l *logged) rules(t testing.TB) (rules []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for d := json.NewDecoder(&l.buf); ; {
		var record struct{ Decision struct{ Rule string } }
		if err := d.Decode(&record); err == io.EOF {
			return rules
		} else {
			require.NoError(t, err)
		}
		rules = append(rules, record.Decision.Rule)
	}
}
