package authserver_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

const (
	issuer = "https://auth.example.com"
	api    = "https://api.example.com"
	// secret is the secret of every client of the tests; it needs decoding.
	secret = "s3cr3t+with:odd%characters/0123456789"
)

var epoch = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// A world is a server with known clients, tokens and time.
type world struct {
	*authserver.Server
	memory *authserver.Memory
	now    time.Time
}

// newWorld returns a server whose tokens are token-1, token-2 and so on. Each
// change may alter its config before.
func newWorld(t *testing.T, change ...func(*authserver.Config)) *world {
	t.Helper()
	w := &world{memory: authserver.NewMemory(), now: epoch}
	var issued atomic.Int64
	config := authserver.Config{
		Issuer: issuer, Store: w.memory, Clients: w.memory,
		Scopes: scopes.Static{List: []scopes.Described{
			{Name: "read"}, {Name: "write"}, {Name: "admin"}, {Name: authserver.IntrospectionScope},
		}},
		DefaultScopes: []string{"read"},
		AccessToken: func(context.Context, *authserver.TokenRequest) (string, error) {
			return fmt.Sprintf("token-%d", issued.Add(1)), nil
		},
		Now: func() time.Time { return w.now },
		// What is wrong is tried often; tests of the limits set the default.
		Limits: authserver.Limits{Failures: authserver.EndpointLimit{Client: none, Address: none}},
	}
	for _, f := range change {
		f(&config)
	}
	var err error
	w.Server, err = authserver.New(config)
	require.NoError(t, err)

	for _, c := range []authserver.Client{
		{
			ID: "app", Grants: []string{authserver.GrantClientCredentials},
			Scopes: scopes.Set{"read", "write"}, Audience: []string{api}, Resources: []string{"https://other.example.com/x"},
		},
		{ID: "other app", Grants: []string{authserver.GrantClientCredentials}, Scopes: scopes.Set{"read"}, Audience: []string{api}},
		{ID: "no grants", Scopes: scopes.Set{"read"}, Audience: []string{api}},
		{ID: "no audience", Grants: []string{authserver.GrantClientCredentials}, Scopes: scopes.Set{"read"}},
		{ID: "no scopes", Grants: []string{authserver.GrantClientCredentials}, Audience: []string{api}},
		{ID: "api", Introspect: true, Serves: []string{api}},
		{ID: "other api", Introspect: true},
		{ID: "blind api", Serves: []string{api}},
	} {
		c.Secrets = []authserver.Secret{{Hash: authserver.HashGenerated(secret)}}
		require.NoError(t, w.memory.PutClient(t.Context(), &c))
	}
	require.NoError(t, w.memory.PutClient(t.Context(), &authserver.Client{
		ID: "public", Scopes: scopes.Set{"read"}, Audience: []string{api},
	}))
	return w
}

// A reply is everything that a client sees.
type reply struct {
	status int
	header http.Header
	body   string
}

func send(h http.Handler, r *http.Request) reply {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return reply{w.Code, w.Header(), w.Body.String()}
}

// post sends a form; the header comes as name and value in turn.
func (w *world) post(path, form string, header ...string) reply {
	return send(w, request(path, form, header...))
}

func request(path, form string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, issuer+path, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// basic returns a header with form-encoded credentials.
func basic(id, secret string) []string {
	return rawBasic(url.QueryEscape(id) + ":" + url.QueryEscape(secret))
}

func rawBasic(plain string) []string {
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(plain))}
}

func as(client string) []string { return basic(client, secret) }

func noStore(more ...string) http.Header {
	h := http.Header{"Cache-Control": {"no-store"}, "Pragma": {"no-cache"}}
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

func jsonReply(status int, body string, header ...string) reply {
	return reply{status, noStore(append(header, "Content-Type", "application/json")...), body}
}

func refusal(status int, code, description string, header ...string) reply {
	switch status {
	case http.StatusUnauthorized:
		header = append(header, "WWW-Authenticate", `Basic realm="https://auth.example.com"`)
	case http.StatusServiceUnavailable:
		header = append(header, "Retry-After", "1")
	}
	return jsonReply(status, fmt.Sprintf(`{"error":%q,"error_description":%q}`, code, description), header...)
}

// issue has a token issued to the client.
func (w *world) issue(t *testing.T, client, form string) string {
	t.Helper()
	got := w.post("/token", "grant_type=client_credentials&"+form, as(client)...)
	require.Equal(t, http.StatusOK, got.status, got.body)
	_, rest, _ := strings.Cut(got.body, `"access_token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	return token
}
