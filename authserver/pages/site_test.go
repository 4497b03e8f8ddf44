package pages_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
	"github.com/sneckauth/sneck/scopes"
)

const (
	issuer   = "https://auth.example.com"
	callback = "https://app.example.com/cb"
	api      = "https://api.example.com"
	password = "correct horse battery"
	verifier = "a-verifier-that-has-at-least-43-characters-~._"
)

var epoch = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// A world is a server with pages, and an account "alice".
type world struct {
	http.Handler
	memory *authserver.Memory
	site   *pages.Site
	alice  *pages.Account
	now    time.Time
}

type settings struct {
	pages  pages.Config
	server authserver.Config
}

func newWorld(t testing.TB, change ...func(*settings)) *world {
	t.Helper()
	w := &world{memory: authserver.NewMemory(), now: epoch}
	now := func() time.Time { return w.now }
	var server *authserver.Server
	record := func(ctx context.Context, e authserver.Event) error { return server.Record(ctx, e) }
	s := &settings{
		pages: pages.Config{Issuer: issuer, Store: w.memory, Clients: w.memory, Now: now, Record: record},
		server: authserver.Config{
			Issuer: issuer, Store: w.memory, Clients: w.memory, Now: now, ApprovalPrompt: authserver.PromptAuto,
			Scopes: scopes.Static{List: []scopes.Described{{Name: "read", Text: "Read your notes"}, {Name: "write", Text: "Change your notes"}, {Name: "admin"}}},
		},
	}
	for _, f := range change {
		f(s)
	}
	var err error
	w.site, err = pages.New(s.pages)
	require.NoError(t, err)
	s.server.Login, s.server.Pages, s.server.Hooks.Subject = w.site.Login, w.site.Pages(), w.site.Subject
	server, err = authserver.New(s.server)
	require.NoError(t, err)
	w.Handler = w.site.Handler(server)
	if accounts := w.site.Accounts(); accounts != nil {
		accounts.WeakenHashes()
		w.alice, err = accounts.Create(t.Context(), "alice", password)
		require.NoError(t, err)
	}
	grants := []string{authserver.GrantAuthorizationCode, authserver.GrantRefreshToken, authserver.GrantDeviceCode}
	for _, c := range []authserver.Client{
		{ID: "app", Name: "Notes", RedirectURIs: []string{callback, "https://app.example.com/other"}},
		{ID: "needy", RequiredScopes: scopes.Set{"read"}, RedirectURIs: []string{callback}},
		{ID: "native", RedirectURIs: []string{"http://127.0.0.1/cb", "http://[::1]/cb", "com.example.app:/cb"}, RedirectSchemes: []string{"http", "com.example.app"}},
	} {
		c.Grants, c.Scopes, c.Audience = grants, scopes.Set{"read", "write", "admin"}, []string{api}
		require.NoError(t, w.memory.PutClient(t.Context(), &c))
	}
	return w
}

// authorize returns the path of an authorization request; the changes come as
// name and value, and an empty value takes the parameter away.
func authorize(changes ...string) string {
	sum := sha256.Sum256([]byte(verifier))
	params := url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {callback}, "state": {"xyz"}, "scope": {"read write"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		params.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			params.Del(changes[i])
		}
	}
	return "/authorize?" + params.Encode()
}

// A browser keeps cookies and knows where it is.
type browser struct {
	h       http.Handler
	cookies map[string]string
	header  map[string]string
	addr    string
	at      string // path and query
}

func (w *world) browser() *browser {
	return &browser{h: w, cookies: map[string]string{}, header: map[string]string{}, addr: "192.0.2.1:1234"}
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (b *browser) do(method, target, body string) reply {
	r := httptest.NewRequest(method, issuer+target, strings.NewReader(body))
	r.RemoteAddr = b.addr
	for _, name := range slices.Sorted(maps.Keys(b.cookies)) {
		r.AddCookie(&http.Cookie{Name: name, Value: b.cookies[name]})
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for name, value := range b.header {
		r.Header.Set(name, value)
		if value == "" {
			r.Header.Del(name)
		}
	}
	rec := httptest.NewRecorder()
	b.h.ServeHTTP(rec, r)
	for _, c := range rec.Result().Cookies() {
		if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return reply{rec.Code, rec.Header(), rec.Body.String()}
}

// get goes somewhere, and on to where it is redirected within the site.
func (b *browser) get(target string) reply {
	b.at = target
	got := b.do(http.MethodGet, target, "")
	return b.follow(got)
}

// post sends a form to where the browser is; fields come as name and value.
func (b *browser) post(fields ...string) reply {
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return b.follow(b.do(http.MethodPost, b.at, form.Encode()))
}

func (b *browser) follow(got reply) reply {
	location := got.header.Get("Location")
	if got.status != http.StatusSeeOther || strings.Contains(location, "://") || !strings.HasPrefix(location, "/") && !strings.HasPrefix(location, "?") {
		return got
	}
	at, err := url.Parse(b.at)
	if err != nil {
		panic(err)
	}
	to, err := at.Parse(location)
	if err != nil {
		panic(err)
	}
	return b.get(to.RequestURI())
}

func (b *browser) signIn(username, password string) reply {
	return b.post("action", "sign-in", "username", username, "password", password)
}

var hidden = regexp.MustCompile(`name="as" value="([0-9a-f]+)"`)

// as returns the hidden field of a consent page.
func as(t testing.TB, got reply) string {
	t.Helper()
	m := hidden.FindStringSubmatch(got.body)
	require.NotNil(t, m, got.body)
	return m[1]
}

// approve sends the form of a consent page.
func (b *browser) approve(t testing.TB, page reply, scope ...string) reply {
	t.Helper()
	fields := []string{"action", "approve", "as", as(t, page)}
	for _, s := range scope {
		fields = append(fields, "scope", s)
	}
	return b.post(fields...)
}

// title returns the title of a page without the name of the site.
func title(got reply) string {
	_, rest, _ := strings.Cut(got.body, "<title>")
	text, _, _ := strings.Cut(rest, " · ")
	return html.UnescapeString(text)
}

// answer returns the parameters with which the browser comes to the client.
func answer(t testing.TB, got reply) url.Values {
	t.Helper()
	location := got.header.Get("Location")
	if refresh, ok := strings.CutPrefix(got.header.Get("Refresh"), "0; url="); ok {
		location = refresh
	}
	u, err := url.Parse(location)
	require.NoError(t, err)
	require.NotEmpty(t, location, got.body)
	return u.Query()
}

const (
	pageSignIn  = "Sign in"
	pageConsent = "Allow Notes access to your account?"
	pageSelect  = "Choose an account"
)

func TestSignInConsentAndBack(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	page := b.get(authorize())
	assert.Equal(t, 200, page.status)
	assert.Equal(t, pageSignIn, title(page))
	assert.Contains(t, page.body, "to continue to Notes")
	assert.Empty(t, b.cookies, "who is not signed in has no cookie")

	page = b.signIn("Alice", password)
	assert.Equal(t, pageConsent, title(page))
	assert.Contains(t, page.body, "Read your notes")
	assert.Contains(t, page.body, "1 February 2030, 04:04 UTC")
	assert.Contains(t, page.body, "app.example.com")
	assert.Contains(t, page.body, api)

	got := b.approve(t, page, "read")
	assert.Equal(t, 200, got.status)
	assert.Contains(t, got.body, html.EscapeString("https://app.example.com/cb?code=sneck_ac_"))
	params := answer(t, got)
	assert.Equal(t, "xyz", params.Get("state"))

	r := httptest.NewRequest(http.MethodPost, issuer+"/token", strings.NewReader(url.Values{
		"grant_type": {"authorization_code"}, "code": {params.Get("code")}, "client_id": {"app"}, "redirect_uri": {callback}, "code_verifier": {verifier},
	}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	assert.Equal(t, 200, rec.Code)
	assert.Contains(t, rec.Body.String(), `"scope":"read"`, "what was not ticked was not granted")

	// The next time nobody is asked, and without a form a redirect will do.
	got = b.get(authorize("scope", "read"))
	assert.Equal(t, 303, got.status)
	assert.NotEmpty(t, answer(t, got).Get("code"))
	assert.Equal(t, pageConsent, title(b.get(authorize())), "for more they are")
	got = b.post("action", "deny")
	assert.Equal(t, "access_denied", answer(t, got).Get("error"))
}

func TestConsent(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.get(authorize("client_id", "needy"))
	page := b.signIn("alice", password)
	assert.Regexp(t, `value="read" checked disabled`, page.body)
	got := b.approve(t, page)
	assert.NotEmpty(t, answer(t, got).Get("code"), "what is required need not be ticked")

	page = b.get(authorize("scope", "write admin"))
	page = b.approve(t, page)
	assert.Equal(t, "Error: "+pageConsent, title(page))
	assert.Contains(t, page.body, "Choose at least one thing to allow, or refuse.")
	page = b.approve(t, page, "read", "no-such-scope")
	assert.Equal(t, "Error: "+pageConsent, title(page), "scopes that were not asked for do not count")
	assert.NotEmpty(t, answer(t, b.approve(t, page, "admin", "admin")).Get("code"))
}

func TestUntickedScopesAreForgotten(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.get(authorize())
	b.approve(t, b.signIn("alice", password), "read", "write")
	assert.Equal(t, 303, b.get(authorize()).status)
	b.approve(t, b.get(authorize("prompt", "consent")), "read")
	assert.Equal(t, 303, b.get(authorize("scope", "read")).status)
	assert.Equal(t, pageConsent, title(b.get(authorize("scope", "write"))))
}

// A decision counts for whom it was shown to.
func TestConsentOfSomebodyElse(t *testing.T) {
	w := newWorld(t)
	_, err := w.site.Accounts().Create(t.Context(), "bob", password)
	require.NoError(t, err)
	b := w.browser()
	b.get(authorize())
	first := b.signIn("alice", password)

	// In another tab, somebody else signs in.
	tab := &browser{h: w, cookies: b.cookies, header: b.header, addr: b.addr}
	tab.get(authorize("state", "other", "prompt", "login"))
	tab.signIn("bob", password)

	got := b.approve(t, first, "read")
	assert.Equal(t, "Error: "+pageConsent, title(got))
	assert.Contains(t, got.body, "bob")
	assert.NotEmpty(t, answer(t, b.approve(t, got, "read")).Get("code"))

	b.cookies = map[string]string{}
	assert.Equal(t, pageSignIn, title(b.approve(t, first, "read")), "nor does that of nobody")
}

func TestPrompt(t *testing.T) {
	for _, prompt := range []authserver.ApprovalPrompt{authserver.PromptAuto, authserver.PromptForce} {
		w := newWorld(t, func(s *settings) { s.server.ApprovalPrompt = prompt })
		stranger, b := w.browser(), w.browser()
		b.get(authorize())
		b.approve(t, b.signIn("alice", password), "read", "write")
		w.now = w.now.Add(time.Hour) // the page for which she signed in is long gone
		b.get("/account")            // which renews the session
		// What a page is called, or an error, or the code.
		see := func(b *browser, changes ...string) string {
			got := b.get(authorize(changes...))
			if got.status == 200 {
				return title(got)
			}
			if params := answer(t, got); params.Get("error") != "" {
				return params.Get("error")
			}
			return "code"
		}
		forced := func(auto string) string {
			if prompt == authserver.PromptForce && auto == "code" {
				return pageConsent
			}
			return auto
		}
		for _, c := range []struct {
			changes            []string
			stranger, signedIn string
		}{
			{nil, pageSignIn, forced("code")},
			{[]string{"scope", "admin"}, pageSignIn, pageConsent},
			{[]string{"prompt", "consent"}, pageSignIn, pageConsent},
			{[]string{"prompt", "login"}, pageSignIn, pageSignIn},
			{[]string{"prompt", "select_account"}, pageSignIn, pageSelect},
			{[]string{"prompt", "login select_account consent"}, pageSignIn, pageSignIn},
			{[]string{"prompt", "something"}, pageSignIn, forced("code")},
			{[]string{"prompt", "none"}, "login_required", map[bool]string{true: "code", false: "consent_required"}[prompt == authserver.PromptAuto]},
			{[]string{"prompt", "none", "scope", "admin"}, "login_required", "consent_required"},
			{[]string{"prompt", "none", "max_age", "60"}, "login_required", "login_required"},
			{[]string{"prompt", "none login"}, "invalid_request", "invalid_request"},
			{[]string{"max_age", "60"}, pageSignIn, pageSignIn},
			{[]string{"max_age", "3600"}, pageSignIn, forced("code")},
			{[]string{"max_age", "0"}, pageSignIn, pageSignIn},
			{[]string{"max_age", "-1"}, "invalid_request", "invalid_request"},
			{[]string{"max_age", "1e3"}, "invalid_request", "invalid_request"},
		} {
			assert.Equal(t, c.stranger, see(stranger, c.changes...), "%v %d", c.changes, prompt)
			assert.Equal(t, c.signedIn, see(b, c.changes...), "%v %d", c.changes, prompt)
		}
	}
}

// Whoever has signed in for a request is not asked again for the same one,
// and is for the next.
func TestPromptIsMetOnce(t *testing.T) {
	for _, changes := range [][]string{{"prompt", "login"}, {"max_age", "0"}, {"prompt", "login select_account"}} {
		w := newWorld(t)
		b := w.browser()
		b.get(authorize(changes...))
		page := b.signIn("alice", password)
		assert.Equal(t, pageConsent, title(page), changes)
		assert.NotEmpty(t, answer(t, b.approve(t, page, "read", "write")).Get("code"))

		again := append(changes[:len(changes):len(changes)], "state", "another")
		assert.Equal(t, pageSignIn, title(b.get(authorize(again...))), changes)
		assert.NotEmpty(t, answer(t, b.signIn("alice", password)).Get("code"), "without a page in between")
		w.now = w.now.Add(11 * time.Minute)
		assert.Equal(t, pageSignIn, title(b.get(authorize(again...))), "it does not count for ever")
	}

	w := newWorld(t)
	b := w.browser()
	b.get(authorize())
	b.signIn("alice", password)
	page := b.get(authorize("prompt", "select_account"))
	assert.Equal(t, pageSelect, title(page))
	assert.Contains(t, page.body, "Continue as alice")
	page = b.post("action", "continue")
	assert.Equal(t, pageConsent, title(page))
	b.approve(t, page, "read", "write")
	assert.Equal(t, pageSelect, title(b.get(authorize("prompt", "select_account", "state", "other"))))
	assert.NotEmpty(t, answer(t, b.post("action", "continue")).Get("code"))
	b.get(authorize("prompt", "select_account", "state", "third"))
	assert.Equal(t, pageSignIn, title(b.post("action", "sign-out")))
	assert.NotContains(t, b.cookies, "__Host-sneck-session")
}

func TestHints(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	assert.Contains(t, b.get(authorize("login_hint", "alice@example.com")).body, `value="alice@example.com"`)
	assert.NotContains(t, b.get(authorize("login_hint", strings.Repeat("x", 200))).body, "xxx")
	b.header["Accept-Language"] = "fr-CH, fr;q=0.9, de;q=0.8, en;q=0.7, *;q=0.5"
	got := b.get(authorize())
	assert.Contains(t, got.body, "weiter zu Notes")
	assert.Contains(t, got.body, `<html lang="de">`)
	assert.Equal(t, "de", got.header.Get("Content-Language"))
	assert.Contains(t, b.get(authorize("ui_locales", "fr en-GB")).body, "to continue to Notes")
	assert.Contains(t, b.get(authorize("ui_locales", "fr")).body, "weiter zu Notes")
}

// The way back works with form-action, whatever the client redirects to.
func TestFormAction(t *testing.T) {
	w := newWorld(t)
	for uri, want := range map[string]string{
		"http://127.0.0.1:8000/cb": "form-action 'self' http://127.0.0.1:8000;",
		"http://[::1]:8000/cb":     "form-action 'self';",
		"com.example.app:/cb":      "form-action 'self' com.example.app:;",
	} {
		b := w.browser()
		b.get(authorize("client_id", "native", "redirect_uri", uri))
		page := b.signIn("alice", password)
		assert.Contains(t, page.header.Get("Content-Security-Policy"), want)
		got := b.approve(t, page, "read")
		if strings.HasPrefix(uri, "http") {
			assert.Equal(t, 200, got.status)
			assert.Contains(t, got.header.Get("Refresh"), "0; url="+uri+"?code=")
		} else {
			assert.Equal(t, 303, got.status)
			assert.Contains(t, got.header.Get("Location"), uri+"?code=")
		}
	}
}

func TestHeaders(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	got := b.get(authorize())
	assert.Equal(t, http.Header{
		"Cache-Control": {"no-store"}, "Pragma": {"no-cache"}, "Content-Language": {"en"}, "Content-Type": {"text/html; charset=utf-8"},
		"Content-Security-Policy": {"default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; script-src 'self'; " +
			"form-action 'self' https://app.example.com; frame-ancestors 'none'; base-uri 'none'"},
		"Cross-Origin-Opener-Policy": {"same-origin"}, "Referrer-Policy": {"same-origin"},
		"X-Content-Type-Options": {"nosniff"}, "X-Frame-Options": {"DENY"},
	}, got.header)

	got = b.do(http.MethodPost, authorize(), url.Values{"action": {"sign-in"}, "username": {"alice"}, "password": {password}}.Encode())
	assert.Regexp(t, `^__Host-sneck-session=[A-Z0-9]{52}; Path=/; HttpOnly; Secure; SameSite=Lax$`, got.header["Set-Cookie"][0])
	assert.Regexp(t, `^__Host-sneck-browser=[A-Z0-9]{26}; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax$`, got.header["Set-Cookie"][1])

	style := regexp.MustCompile(`/assets/style\.css\?v=[\w-]+`).FindString(b.get("/signout").body)
	got = b.get(style)
	assert.Equal(t, 200, got.status)
	assert.Equal(t, "text/css; charset=utf-8", got.header.Get("Content-Type"))
	assert.Equal(t, "public, max-age=31536000, immutable", got.header.Get("Cache-Control"))
	assert.Equal(t, "no-cache", b.get("/assets/style.css").header.Get("Cache-Control"))
	for _, missing := range []string{"/assets/en.json", "/assets/consent.html", "/assets/../doc.go", "/assets/"} {
		assert.Equal(t, 404, b.get(missing).status, missing)
	}
	assert.Equal(t, 405, b.do(http.MethodDelete, "/account", "").status)
	assert.Equal(t, 404, b.get("/nothing").status)
}

func TestDevice(t *testing.T) {
	w := newWorld(t)
	start := func() string {
		r := httptest.NewRequest(http.MethodPost, issuer+"/device_authorization", strings.NewReader("client_id=app&scope=read+write"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		return regexp.MustCompile(`[A-Z]{4}-[A-Z]{4}`).FindString(rec.Body.String())
	}
	b := w.browser()
	assert.Contains(t, b.get("/device").body, `name="user_code"`)
	got := b.get("/device?user_code=bbbb")
	assert.Equal(t, 404, got.status)
	assert.Contains(t, got.body, "This code is not valid")

	code := start()
	b.get("/device?user_code=" + strings.ToLower(code))
	page := b.signIn("alice", password)
	assert.Equal(t, pageConsent, title(page))
	assert.Contains(t, page.body, code)
	assert.Equal(t, "Your device is connected", title(b.approve(t, page, "read")))
	got = b.approve(t, page, "read")
	assert.Equal(t, 404, got.status, "a second click")

	code = start()
	b.get("/device?user_code=" + code + "&max_age=x&prompt=none")
	assert.Equal(t, "The device was refused", title(b.post("action", "deny")))
}

// Every text that the server has for people is there in every language.
func TestErrors(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	for target, want := range map[string]string{
		authorize("client_id", ""):                                   "has not said which one it is",
		authorize("client_id", "nobody"):                             "is not registered here",
		authorize("redirect_uri", ""):                                "has not said where to go next",
		authorize("redirect_uri", "https://evil.example.com"):        "an address that is not registered",
		authorize() + "&state=again":                                 "is damaged",
		"/device?user_code=a&user_code=b":                            "is damaged",
		authorize("client_id", "", "ui_locales", "de"):               "hat nicht gesagt, welche sie ist",
		authorize("client_id", "nobody", "ui_locales", "de"):         "ist hier nicht angemeldet",
		authorize("redirect_uri", "https://x.y", "ui_locales", "de"): "die nicht für sie eingetragen ist",
	} {
		got := b.get(target)
		assert.Equal(t, 400, got.status, target)
		assert.Contains(t, got.body, want, target)
	}
	for range 60 {
		b.get("/device?user_code=BBBB-BBBB")
	}
	got := b.get("/device?user_code=BBBB-BBBB")
	assert.Equal(t, 429, got.status)
	assert.Contains(t, got.body, "Wait a while")
}

func TestConfigMistakes(t *testing.T) {
	_, err := pages.New(pages.Config{Issuer: "auth", SessionIdle: time.Second, Hasher: &rot{}, Limits: pages.Limits{Account: authserver.Rate{Count: 1}}, CheckPassword: w0, Passkeys: struct{ pages.Passkeys }{}})
	for _, want := range []string{`Issuer "auth" is not a URL`, "Store is missing", "Clients is missing", "Passkeys need accounts", "SessionIdle 1s", "Limits.Account lacks", "Hasher is for accounts"} {
		require.ErrorContains(t, err, want)
	}
	m := authserver.NewMemory()
	_, err = pages.New(pages.Config{Issuer: "http://localhost:8080", Store: m, Clients: m})
	require.ErrorContains(t, err, "is not https (hint: InsecureHTTP, for development)")
	_, err = pages.New(pages.Config{Issuer: "https://auth.example/", Store: m, Clients: m})
	require.ErrorContains(t, err, "ends with a slash (hint: leave it out)")
	_, err = pages.New(pages.Config{Issuer: issuer, Store: m, Clients: m, SessionIdle: time.Hour, SessionLife: time.Minute})
	require.ErrorContains(t, err, "are not in order")
}

// On a loopback host, cookies go without TLS and its prefix.
func TestInsecureHTTP(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.pages.Issuer, s.server.Issuer, s.pages.InsecureHTTP = "http://127.0.0.1:8080/auth", "http://127.0.0.1:8080/auth", true
	})
	b := w.browser()
	b.header["Host"] = "127.0.0.1:8080"
	page := b.get("/auth/account")
	assert.Contains(t, page.body, `href="/auth/assets/style.css`)
	got := b.do(http.MethodPost, "/auth/account", url.Values{"action": {"sign-in"}, "username": {"alice"}, "password": {password}}.Encode())
	assert.Equal(t, "/auth/account", got.header.Get("Location"))
	assert.Regexp(t, `^sneck-session=[A-Z0-9]{52}; Path=/; HttpOnly; SameSite=Lax$`, got.header["Set-Cookie"][0])
	assert.Equal(t, "Your applications", title(b.get("/account")), "also if a proxy strips the path")
}

func w0(ctx context.Context, username, _ string) (*pages.Account, error) {
	return nil, fmt.Errorf("not reached: %s %v", username, ctx)
}
