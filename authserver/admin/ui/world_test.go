package ui_test

import (
	"context"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/admin/ui"
	"github.com/sneckauth/sneck/authserver/audit"
	"github.com/sneckauth/sneck/authserver/pages"
	"github.com/sneckauth/sneck/scopes"
)

const password = "correct horse battery"

// people are the records of accounts, made once, as a hash takes long.
var people = func() (p struct {
	root, alice *pages.Account
	records     []authserver.Record
}) {
	memory, ctx := authserver.NewMemory(), context.Background()
	accounts, err := pages.NewAccounts(memory, nil)
	if err == nil {
		p.root, err = accounts.Create(ctx, "root", password)
	}
	if err == nil {
		p.alice, err = accounts.Create(ctx, "alice", password)
	}
	if err == nil {
		err = accounts.SetAdmin(ctx, p.root.ID, true)
	}
	for _, a := range []*pages.Account{p.root, p.alice} {
		if err == nil {
			var records []authserver.Record
			records, err = memory.List(ctx, "", authserver.Selector{Family: "account " + a.ID}, authserver.Key{}, 10)
			p.records = append(p.records, records...)
		}
	}
	if err != nil {
		panic(err)
	}
	return p
}()

// A world is a server with the pages at a port, an administrator "root" and
// somebody else, "alice".
type world struct {
	url         string
	memory      *authserver.Memory
	server      *authserver.Server
	ops         *admin.Operations
	audit       string // path of the log
	root, alice *pages.Account
	ahead       atomic.Int64 // how much later it is, in nanoseconds
}

type settings struct {
	base   string // path of the pages
	scopes scopes.Backend
	ui     ui.Config
	admin  admin.Config
	less   *admin.Operations // instead
	files  fs.FS
}

func newWorld(t testing.TB, change ...func(*settings)) *world {
	t.Helper()
	w := &world{memory: authserver.NewMemory()}
	s := settings{scopes: scopes.Static{List: []scopes.Described{{Name: "read", Text: "Read your notes"}, {Name: "write", Text: "Change your notes"}}}}
	for _, f := range change {
		f(&s)
	}
	now := func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }
	logPath := filepath.Join(t.TempDir(), "audit.jsonl")
	w.audit = logPath
	log, err := audit.Open(audit.Config{Path: logPath})
	require.NoError(t, err)
	t.Cleanup(func() { _ = log.Close() })
	ring, err := authserver.NewKeyRing(authserver.KeyRingConfig{Store: w.memory, InsecureUnsealed: true, Now: now})
	require.NoError(t, err)
	w.server, err = authserver.New(authserver.Config{
		Issuer: "https://auth.example.com", Store: w.memory, Clients: w.memory, Now: now, Keys: ring, Scopes: s.scopes, Audit: log.Record,
	})
	require.NoError(t, err)
	accounts, err := pages.NewAccounts(w.memory, now)
	require.NoError(t, err)
	s.admin.Server, s.admin.Store, s.admin.Clients, s.admin.Accounts, s.admin.Now = w.server, w.memory, w.memory, accounts, now
	s.admin.Keys, s.admin.AuditPath = ring, logPath
	w.ops, err = admin.New(s.admin)
	require.NoError(t, err)

	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	t.Cleanup(server.Close)
	w.url = server.URL + s.base
	s.ui.Operations = w.ops
	if s.less != nil {
		s.ui.Operations = s.less
	}
	s.ui.Pages = pages.Config{Issuer: w.url, InsecureHTTP: true, Store: w.memory, Clients: w.memory, Title: "Example", Now: now, Files: s.files}
	handler, err = ui.New(s.ui)
	require.NoError(t, err)

	w.root, w.alice = people.root, people.alice
	require.NoError(t, w.memory.Create(t.Context(), people.records...))
	return w
}

// A reply is what a browser has got in the end.
type reply struct {
	status int
	path   string // with the query
	header http.Header
	body   string
}

// title returns what the page is called.
func (r reply) title() string {
	m := regexp.MustCompile(`(?s)<h1>(.*?)</h1>`).FindStringSubmatch(r.body)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

// A browser keeps cookies, and follows redirects.
type browser struct {
	t      testing.TB
	w      *world
	client *http.Client
	header http.Header
}

func (w *world) browser(t testing.TB) *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	b := &browser{t: t, w: w, client: &http.Client{Jar: jar}, header: http.Header{"Sec-Fetch-Site": {"same-origin"}}}
	b.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		require.True(t, strings.HasPrefix(r.URL.String(), w.url), "never to anywhere else: %s", r.URL)
		return nil
	}
	return b
}

func (b *browser) do(method, path string, form url.Values) reply {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.w.url+path, strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	for name, values := range b.header {
		r.Header[name] = values
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.client.Do(r)
	require.NoError(b.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	return reply{resp.StatusCode, strings.TrimPrefix(resp.Request.URL.String(), b.w.url), resp.Header, string(body)}
}

func (b *browser) get(path string) reply { b.t.Helper(); return b.do(http.MethodGet, path, nil) }

// post sends a form; the fields come as name and value.
func (b *browser) post(path string, fields ...string) reply {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return b.do(http.MethodPost, path, form)
}

// signIn signs in, at a page that asks for it.
func (b *browser) signIn(path, username string) reply {
	b.t.Helper()
	return b.post(path, "action", "sign-in", "username", username, "password", password)
}

// as returns a browser in which somebody has signed in.
func (w *world) as(t testing.TB, username string) *browser {
	t.Helper()
	b := w.browser(t)
	b.signIn("/admin/", username)
	return b
}

// hidden returns the value of a field of a form.
func hidden(t testing.TB, r reply, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name="` + name + `" (?:type="text" )?value="([^"]*)"`).FindStringSubmatch(r.body)
	require.NotNil(t, m, r.body)
	return html.UnescapeString(m[1])
}

// secret returns what a page shows once, or "".
func secret(r reply) string {
	m := regexp.MustCompile(`<code id="secret">([^<]+)</code>`).FindStringSubmatch(r.body)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}
