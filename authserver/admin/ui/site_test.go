package ui_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/admin/ui"
	"github.com/sneckauth/sneck/authserver/pages"
)

// everyPage is a path to each of the pages.
var everyPage = []string{
	"/admin/", "/admin/clients", "/admin/clients/new", "/admin/client?id=app", "/admin/client/edit?id=app", "/admin/client/secret?id=app",
	"/admin/client/retire?id=app&secret=x", "/admin/client/delete?id=app", "/admin/people", "/admin/people/new", "/admin/person?id=x",
	"/admin/person/password?id=x", "/admin/person/admin?id=x", "/admin/person/no-admin?id=x", "/admin/person/end?id=x&session=x",
	"/admin/person/end-all?id=x", "/admin/person/delete?id=x", "/admin/tokens?client=app", "/admin/tokens/revoke?client=app",
	"/admin/keys", "/admin/keys/rotate", "/admin/keys/retire?kid=x", "/admin/scopes", "/admin/audit", "/admin/nothing",
}

// app registers a client, and returns its secret.
func (w *world) app(t testing.TB, settings ...admin.ClientSettings) string {
	t.Helper()
	n := admin.NewClient{ID: "app", ClientSettings: admin.ClientSettings{Name: "Notes", Grants: []string{authserver.GrantClientCredentials}, Scope: "read", Audience: []string{"https://api.example"}}}
	for _, s := range settings {
		n.ClientSettings = s
	}
	c, err := w.ops.CreateClient(t.Context(), n)
	require.NoError(t, err)
	return c.Secret
}

// Nobody sees a page or does anything who is not an administrator.
func TestOnlyAdministratorsEnter(t *testing.T) {
	w := newWorld(t)
	w.app(t)
	stranger, alice := w.browser(t), w.as(t, "alice")
	for _, page := range everyPage {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			got := stranger.do(method, page, nil)
			assert.Equal(t, []any{http.StatusOK, "Sign in"}, []any{got.status, got.title()}, "%s %s", method, page)
			got = alice.do(method, page, nil)
			assert.Equal(t, []any{http.StatusForbidden, "This does not work"}, []any{got.status, got.title()}, "%s %s", method, page)
			assert.NotContains(t, got.body, "/admin/clients", "no navigation")
		}
	}
	_, err := w.ops.Client(t.Context(), "app")
	require.NoError(t, err, "it is still there")
	accounts, _, err := w.ops.Accounts(t.Context(), "", "", 0)
	require.NoError(t, err)
	assert.Len(t, accounts, 2)
	got := alice.do(http.MethodDelete, "/admin/client?id=app", nil)
	assert.Equal(t, http.StatusMethodNotAllowed, got.status)
}

// What somebody may is looked up every time.
func TestRoleEndsAtOnce(t *testing.T) {
	w := newWorld(t)
	root := w.as(t, "root")
	assert.Equal(t, "Administration", root.get("/admin/").title())
	require.NoError(t, w.ops.SetAdmin(t.Context(), w.alice.ID, true))
	require.NoError(t, w.ops.SetAdmin(t.Context(), w.root.ID, false))
	assert.Equal(t, http.StatusForbidden, root.get("/admin/clients").status)
	require.NoError(t, w.ops.SetAdmin(t.Context(), w.root.ID, true))
	assert.Equal(t, http.StatusOK, root.get("/admin/clients").status)
	require.NoError(t, w.ops.DeleteAccount(t.Context(), w.root.ID))
	assert.Equal(t, "Sign in", root.get("/admin/clients").title())
}

// Whoever tries many passwords has to wait; an administrator whose browser is
// known does not, though at the same address.
func TestSignInsAreLimited(t *testing.T) {
	w := newWorld(t)
	known := w.as(t, "root")
	stranger := w.browser(t)
	statuses := map[int]int{}
	for range 12 {
		statuses[stranger.post("/admin/", "action", "sign-in", "username", "root", "password", "wrong password").status]++
	}
	assert.Equal(t, map[int]int{http.StatusUnprocessableEntity: 10, http.StatusTooManyRequests: 2}, statuses)
	got := stranger.signIn("/admin/", "root")
	assert.Equal(t, []any{http.StatusTooManyRequests, "Sign in"}, []any{got.status, got.title()})
	assert.NotEmpty(t, got.header.Get("Retry-After"))
	assert.Equal(t, "Administration", known.get("/admin/").title())
	known.post("/signout")
	assert.Equal(t, "Sign in", known.get("/admin/").title())
	assert.Equal(t, "Administration", known.signIn("/admin/", "root").title())
}

// A sign-in counts for an hour, and then it is asked for, with the name filled
// in, on the way to the same page.
func TestSignInAgain(t *testing.T) {
	w := newWorld(t)
	root := w.as(t, "root")
	w.ahead.Store(int64(59 * time.Minute))
	assert.Equal(t, "Clients", root.get("/admin/clients?text=x").title())
	w.ahead.Store(int64(61 * time.Minute))
	got := root.get("/admin/clients?text=x")
	assert.Equal(t, "Sign in", got.title())
	assert.Contains(t, got.body, "Please confirm that it is you.")
	assert.Contains(t, got.body, `value="root"`)
	got = root.signIn("/admin/clients?text=x", "root")
	assert.Equal(t, []any{"Clients", "/admin/clients?text=x"}, []any{got.title(), got.path})
}

// A session of the pages of the server is none here, and the other way round,
// even if a cookie is given the other name.
func TestSessionsAreApart(t *testing.T) {
	w := newWorld(t)
	site, err := pages.New(pages.Config{Issuer: w.url, InsecureHTTP: true, Store: w.memory, Clients: w.memory})
	require.NoError(t, err)
	root := w.as(t, "root")
	u, err := url.Parse(w.url)
	require.NoError(t, err)
	names := map[string]string{}
	for _, c := range root.client.Jar.Cookies(u) {
		names[c.Name] = c.Value
	}
	require.Len(t, names, 2)
	require.Contains(t, names, "sneck-browser-admin")
	cookie := names["sneck-session-admin"]
	require.NotEmpty(t, cookie)

	recorder := newRecorder()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/account", nil)
	require.NoError(t, err)
	r.Header.Set("Cookie", "sneck-session="+cookie+"; sneck-session-admin="+cookie)
	site.Handler(http.NotFoundHandler()).ServeHTTP(recorder, r)
	assert.Contains(t, recorder.body.String(), "<h1>Sign in</h1>")

	stranger := w.browser(t)
	stranger.header.Set("Cookie", "sneck-session="+cookie)
	assert.Equal(t, "Sign in", stranger.get("/admin/").title())
}

// recorder is a ResponseWriter of a handler that is not at a port.
type recorder struct {
	header http.Header
	body   strings.Builder
}

func newRecorder() *recorder                               { return &recorder{header: http.Header{}} }
func (r *recorder) Header() http.Header                    { return r.header }
func (r *recorder) WriteHeader(int)                        {}
func (r *recorder) Write(p []byte) (n int, err error)      { return r.body.Write(p) }
func forbid(context.Context, *pages.Account) (bool, error) { return false, nil }

// Nothing is done for forms of other sites.
func TestFormsOfOtherSites(t *testing.T) {
	w := newWorld(t)
	w.app(t)
	root := w.as(t, "root")
	for name, header := range map[string]http.Header{
		"another site":     {"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example.com"}},
		"another port":     {"Sec-Fetch-Site": {"same-site"}, "Origin": {"http://127.0.0.1:1"}},
		"an old browser":   {"Origin": {"https://evil.example.com"}},
		"a frame":          {"Origin": {"null"}},
		"without any word": {},
	} {
		root.header = header
		for _, page := range everyPage {
			got := root.post(page, "version", "x", "client_id", "evil", "username", "evil")
			assert.Equal(t, http.StatusForbidden, got.status, "%s: %s", name, page)
		}
	}
	_, err := w.ops.Client(t.Context(), "app")
	require.NoError(t, err)
	_, err = w.ops.Client(t.Context(), "evil")
	require.ErrorIs(t, err, admin.ErrNotFound)
	accounts, _, err := w.ops.Accounts(t.Context(), "", "", 0)
	require.NoError(t, err)
	assert.Len(t, accounts, 2)
}

// No page can be in a frame or a cache, or load or run anything of others.
func TestPolicy(t *testing.T) {
	w := newWorld(t)
	w.app(t)
	root := w.as(t, "root")
	for _, page := range everyPage {
		got := root.get(page)
		h := got.header
		assert.Equal(t, []string{
			"default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; script-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
			"DENY", "no-store", "nosniff", "same-origin", "same-origin",
		}, []string{
			h.Get("Content-Security-Policy"), h.Get("X-Frame-Options"), h.Get("Cache-Control"), h.Get("X-Content-Type-Options"),
			h.Get("Cross-Origin-Opener-Policy"), h.Get("Referrer-Policy"),
		}, page)
		assert.NotContains(t, got.body, "<script")
		assert.NotContains(t, got.body, "style=")
		assert.Less(t, len(got.body), 30<<10, page)
	}
}

// What is not there is said so, and where it can not go on.
func TestWhatIsNotThere(t *testing.T) {
	w := newWorld(t)
	root := w.as(t, "root")
	for page, status := range map[string]int{
		"/admin/nothing":                       http.StatusNotFound,
		"/admin/client?id=nobody":              http.StatusNotFound,
		"/admin/client":                        http.StatusNotFound,
		"/admin/client/delete?id=nobody":       http.StatusNotFound,
		"/admin/person?id=nobody":              http.StatusNotFound,
		"/admin/person/end?id=nobody":          http.StatusNotFound,
		"/admin/keys/retire?kid=nobody":        http.StatusNotFound,
		"/admin/tokens?client=a&after=nowhere": http.StatusUnprocessableEntity,
		"/admin/tokens/revoke":                 http.StatusUnprocessableEntity,
		"/admin/tokens/revoke?client=a&jti=x":  http.StatusNotFound,
		"/admin/audit?after=nowhere":           http.StatusUnprocessableEntity,
		"/admin/audit?since=tomorrow":          http.StatusUnprocessableEntity,
		"/elsewhere":                           http.StatusNotFound,
		"/account":                             http.StatusNotFound,
	} {
		assert.Equal(t, status, root.get(page).status, page)
	}
	got := root.post("/admin/clients")
	assert.Equal(t, []any{http.StatusMethodNotAllowed, "GET"}, []any{got.status, got.header.Get("Allow")})
	assert.Equal(t, "/admin/", root.get("/").path)
	assert.Equal(t, "/admin/", root.get("/admin").path)
	got = root.do(http.MethodPost, "/signout", nil)
	assert.Equal(t, "You are signed out", got.title())
	assert.Contains(t, got.body, `href="/admin/"`)
	assert.Equal(t, "Sign in", root.get("/admin/").title())
}

// The pages work below a path, with which requests come or without.
func TestBelowAPath(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.base = "/ops/auth" })
	w.app(t)
	root := w.as(t, "root")
	got := root.get("/admin/client?id=app")
	assert.Equal(t, "app", got.title())
	assert.Contains(t, got.body, `href="/ops/auth/admin/client/edit?id=app"`)
	assert.Contains(t, got.body, `href="/ops/auth/assets/admin.css?v=`)
	got = root.post("/admin/client/delete?id=app")
	assert.Equal(t, "/admin/clients?done=client_deleted", got.path)
}

// Files of an operator replace those of the pages. A language that knows nothing
// of administration has its texts in English.
func TestFilesOfYourOwn(t *testing.T) {
	texts, err := os.ReadFile("../../pages/files/en.json")
	require.NoError(t, err)
	french := strings.Replace(string(texts), "{", `{"admin.nav.clients": "Les clients",`, 1)
	w := newWorld(t, func(s *settings) {
		s.files = fstest.MapFS{
			"fr.json":   {Data: []byte(strings.ReplaceAll(french, `"Sign out"`, `"Déconnexion"`))},
			"admin.css": {Data: []byte("p{color:red}")},
		}
	})
	root := w.as(t, "root")
	root.header.Set("Accept-Language", "fr")
	got := root.get("/admin/people")
	for _, want := range []string{`<html lang="fr">`, ">Les clients<", ">Déconnexion<", "<h1>People</h1>"} {
		assert.Contains(t, got.body, want)
	}
	assert.Equal(t, "p{color:red}", root.get("/assets/admin.css").body)
}

func TestConfigMistakes(t *testing.T) {
	_, err := ui.New(ui.Config{
		SignedInFor: -1, Pages: pages.Config{CheckPassword: func(context.Context, string, string) (*pages.Account, error) { return nil, pages.ErrWrongPassword }},
	})
	for _, want := range []string{"Operations is missing", "May is missing", "SignedInFor -1ns", "Issuer", "Store is missing", "Clients is missing"} {
		require.ErrorContains(t, err, want)
	}
	w := newWorld(t, func(s *settings) { s.ui.May = forbid })
	assert.Equal(t, http.StatusForbidden, w.as(t, "root").get("/admin/").status, "May is who decides")
}
