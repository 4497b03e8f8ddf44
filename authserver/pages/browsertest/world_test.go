package browsertest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
	"github.com/sneckauth/sneck/scopes"
)

const (
	password = "correct horse battery"
	verifier = "a-verifier-that-has-at-least-43-characters-~._"
)

// A world is a server with pages on one port, and an application on another
// that takes users on to a third origin, as many do.
type world struct {
	issuer string
	app    string
	site   *pages.Site
	memory *authserver.Memory
	client *http.Client
	ahead  atomic.Int64 // how much later it is, in nanoseconds
}

type settings struct {
	pages  pages.Config
	server authserver.Config
	plain  bool // without TLS
	old    bool // browsers that do not know the header Refresh
}

func newWorld(t *testing.T, change ...func(*settings)) *world {
	t.Helper()
	w := &world{memory: authserver.NewMemory()}
	var s settings
	for _, f := range change {
		f(&s) // once, to know about TLS
	}
	var handler http.Handler
	server := serve(t, s.plain, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	w.issuer, w.client = strings.Replace(server.URL, "127.0.0.1", "localhost", 1), server.Client()
	w.app = serve(t, s.plain, http.HandlerFunc(serveApp)).URL

	now := func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }
	s = settings{
		pages: pages.Config{Issuer: w.issuer, InsecureHTTP: s.plain, Store: w.memory, Clients: w.memory, Title: "Example Notes", Now: now},
		server: authserver.Config{
			Issuer: w.issuer, Store: w.memory, Clients: w.memory, ApprovalPrompt: authserver.PromptAuto, Now: now,
			Scopes: scopes.Static{List: []scopes.Described{
				{Name: "notes:read", Text: "Read your notes"}, {Name: "notes:write", Text: "Change and delete your notes"}, {Name: "profile", Text: "Know your name"},
			}},
		},
	}
	for _, f := range change {
		f(&s)
	}
	var err error
	w.site, err = pages.New(s.pages)
	require.NoError(t, err)
	s.server.Login, s.server.Pages, s.server.Hooks.Subject = w.site.Login, w.site.Pages(), w.site.Subject
	as, err := authserver.New(s.server)
	require.NoError(t, err)
	handler = w.site.Handler(as)
	if s.old {
		next := handler
		handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { next.ServeHTTP(withoutRefresh{rw}, r) })
	}
	_, err = w.site.Accounts().Create(t.Context(), "alice", password)
	require.NoError(t, err)
	for _, c := range []authserver.Client{
		{ID: "app", Name: "Sketchbook", RedirectURIs: []string{w.app + "/cb"}, Grants: []string{authserver.GrantAuthorizationCode, authserver.GrantRefreshToken}},
		{ID: "tv", Name: "Living room TV", Grants: []string{authserver.GrantDeviceCode, authserver.GrantRefreshToken}},
	} {
		c.Scopes, c.RequiredScopes = scopes.Set{"notes:read", "notes:write", "profile"}, scopes.Set{"profile"}
		c.Audience = []string{"https://notes.example"}
		require.NoError(t, w.memory.PutClient(t.Context(), &c))
	}
	return w
}

type withoutRefresh struct{ http.ResponseWriter }

func (w withoutRefresh) WriteHeader(status int) {
	w.Header().Del("Refresh")
	w.ResponseWriter.WriteHeader(status)
}

func serve(t *testing.T, plain bool, h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // browsers that do not know the certificate
	if plain {
		s.Start()
	} else {
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return s
}

// serveApp is the application. Its callback redirects to another host name, as
// a test of what browsers make of form-action.
func serveApp(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/cb" {
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		http.Redirect(w, r, scheme+"://"+strings.Replace(r.Host, "127.0.0.1", "localhost", 1)+"/done?"+r.URL.RawQuery, http.StatusFound)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprint(w, `<!DOCTYPE html><title>Done</title><h1>The application</h1>`)
}

// authorize is where the application sends users; the changes come as name and
// value.
func (w *world) authorize(changes ...string) string {
	sum := sha256.Sum256([]byte(verifier))
	params := url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {w.app + "/cb"}, "state": {"xyz"},
		"scope": {"notes:read notes:write profile"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		params.Set(changes[i], changes[i+1])
	}
	return w.issuer + "/authorize?" + params.Encode()
}

// arrives waits until the browser is at the application, and returns what it
// has brought.
func (b *tab) arrives() url.Values {
	b.t.Helper()
	b.sees("The application")
	u, err := url.Parse(b.where())
	require.NoError(b.t, err)
	return u.Query()
}

// post sends a form as an application does.
func (w *world) post(t *testing.T, path string, form url.Values) map[string]any {
	t.Helper()
	resp, err := w.client.PostForm(strings.Replace(w.issuer, "localhost", "127.0.0.1", 1)+path, form)
	require.NoError(t, err)
	defer resp.Body.Close()
	var answer map[string]any
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	return answer
}

// scopeOf exchanges a code and returns the scope of the token.
func (w *world) scopeOf(t *testing.T, answer url.Values) any {
	t.Helper()
	return w.post(t, "/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {answer.Get("code")}, "redirect_uri": {w.app + "/cb"}, "client_id": {"app"}, "code_verifier": {verifier},
	})["scope"]
}

// signIn fills in the page.
func (b *tab) signIn(password string) {
	b.t.Helper()
	b.fill("username", "alice")
	b.fill("password", password)
	b.click("Sign in")
}
