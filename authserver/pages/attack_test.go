package pages_test

import (
	"bufio"
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

// attacks returns the texts of a kind in testdata/attacks.txt.
func attacks(t *testing.T, kind string) (list []string) {
	f, err := os.Open("testdata/attacks.txt")
	require.NoError(t, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), kind+": ")
		if !ok {
			continue
		}
		unquoted, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
		require.NoError(t, err, text)
		list = append(list, unquoted)
	}
	require.NoError(t, lines.Err())
	require.NotEmpty(t, list)
	return list
}

// skeleton returns the elements and attributes of a page, without its texts,
// but with where its links and forms lead to.
func skeleton(t *testing.T, body string) (list []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(body))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := d.Token()
		if err != nil {
			require.ErrorContains(t, err, "EOF")
			require.Contains(t, list, "main", body)
			return list
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		line := e.Name.Local
		for _, a := range e.Attr {
			line += " " + a.Name.Local
			if slices.Contains([]string{"href", "src", "action", "style", "type", "http-equiv"}, a.Name.Local) {
				line += "=" + a.Value
			}
		}
		list = append(list, line)
	}
}

// tour shows every page with a text wherever one of an attacker can be.
func tour(t *testing.T, text string) map[string]reply {
	w := newWorld(t, func(s *settings) {
		s.server.Scopes = scopes.Static{List: []scopes.Described{{Name: "read", Text: text}, {Name: "write"}}}
	})
	c, err := w.memory.Client(t.Context(), "app")
	require.NoError(t, err)
	evil := *c
	evil.Name, evil.Audience, evil.Scopes = text, []string{text}, scopes.Set{"read", "write"}
	require.NoError(t, w.memory.PutClient(t.Context(), &evil))

	seen := map[string]reply{}
	query := url.Values{}
	for _, name := range []string{"state", "error", "error_description", "login_hint", "ui_locales", "done", "x", text} {
		query.Set(name, text)
	}
	b := w.browser()
	b.header["User-Agent"] = "Firefox/1 " + strings.Map(func(r rune) rune {
		if r < ' ' {
			return -1
		}
		return r
	}, text)
	for _, page := range []string{"/account", "/account/password", "/signout", "/device"} {
		seen["signed out "+page] = b.get(page + "?" + query.Encode())
	}
	query.Set("user_code", text)
	seen["device"] = b.get("/device?" + query.Encode())
	seen["error"] = b.get(authorize("client_id", "nobody", "state", text, "ui_locales", text))
	seen["unregistered"] = b.get(authorize("redirect_uri", text, "state", text))
	changes := []string{"state", text, "error", text, "login_hint", text, "ui_locales", text}
	seen["sign in"] = b.get(authorize(changes...))
	seen["wrong password"] = b.signIn(text, "wrong password")
	seen["consent"] = b.signIn("alice", password)
	seen["choose"] = b.get(authorize(append(changes, "prompt", "select_account")...))
	page := b.get(authorize(changes...))
	seen["no scope"] = b.approve(t, page, text)
	got := b.approve(t, page, "read")
	assert.Equal(t, text, answer(t, got).Get("state"), "the client gets its state back")
	got.body = strings.ReplaceAll(got.body, "read", "")
	seen["account"] = b.get("/account?" + query.Encode())
	seen["password"] = b.get("/account/password?" + query.Encode())
	seen["sign out"] = b.get("/signout?" + query.Encode())
	return seen
}

// No text of others becomes a part of a page.
func TestAttacks_Markup(t *testing.T) {
	if testing.Short() {
		t.Skip("one request after the other, and many")
	}
	harmless := tour(t, "harmless")
	for _, text := range attacks(t, "markup") {
		t.Run(text, func(t *testing.T) {
			for name, got := range tour(t, text) {
				assert.Equal(t, skeleton(t, harmless[name].body), skeleton(t, got.body), name)
				assert.Equal(t, harmless[name].status, got.status, name)
			}
		})
	}
}

// Every page refuses to be in a frame, loads nothing of others and runs no
// script in it.
func TestAttacks_Clickjacking(t *testing.T) {
	for name, got := range tour(t, "harmless") {
		policy := got.header.Get("Content-Security-Policy")
		assert.Equal(t, "DENY", got.header.Get("X-Frame-Options"), name)
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			assert.Contains(t, policy, want, name)
		}
		assert.NotContains(t, policy, "unsafe", name)
		assert.LessOrEqual(t, len(got.body), 50<<10, name)
	}
}

// Nothing that others say takes the browser anywhere but to where the client
// is registered to be.
func TestAttacks_OpenRedirect(t *testing.T) {
	if testing.Short() {
		t.Skip("one request after the other, and many")
	}
	// Those that make the server answer at once are alone in a request.
	groups := [][]string{
		{"redirect_uri"}, {"scope"}, {"prompt"}, {"max_age"}, {"response_mode"},
		{"state", "login_hint", "ui_locales", "nonce", "done", "next", "return_to", "continue", "url", "redirect", "post_logout_redirect_uri", "id_token_hint"},
		{"user_code", "state"},
	}
	w := newWorld(t)
	check := func(got reply, what string) {
		t.Helper()
		for _, header := range []string{"Location", "Refresh"} {
			to := strings.TrimPrefix(got.header.Get(header), "0; url=")
			if to == "" {
				continue
			}
			base, err := url.Parse(issuer + "/authorize")
			require.NoError(t, err)
			u, err := base.Parse(to)
			require.NoError(t, err, what)
			assert.True(t, u.Host == base.Host || strings.HasPrefix(to, callback+"?") && u.Host == "app.example.com", "%s: %s", what, to)
			assert.NotContains(t, to, "\n")
		}
	}
	signedIn := w.browser()
	signedIn.get("/account")
	signedIn.signIn("alice", password)
	for _, place := range attacks(t, "place") {
		for _, names := range groups {
			params := url.Values{}
			var changes []string
			for _, name := range names {
				params.Set(name, place)
				changes = append(changes, name, place)
			}
			for _, path := range []string{authorize(changes...), "/account?" + params.Encode(), "/signout?" + params.Encode(), "/device?" + params.Encode()} {
				for _, b := range []*browser{w.browser(), {h: w, cookies: maps.Clone(signedIn.cookies), addr: signedIn.addr}} {
					what := strings.Join(names, "&") + "=" + place + " at " + path
					check(b.do(http.MethodGet, path, ""), what)
					form := maps.Clone(params)
					for _, action := range []string{"sign-in", "approve", "deny", "continue", "sign-out", place} {
						if len(b.cookies) > 0 && (action == "sign-out" || action == "sign-in" || strings.HasPrefix(path, "/signout")) {
							continue // which would end the session of all
						}
						form.Set("action", action)
						form.Set("username", "alice")
						form.Set("password", password)
						check(b.do(http.MethodPost, path, form.Encode()), what)
					}
				}
			}
		}
	}
	require.Equal(t, "Your applications", title(signedIn.get("/account")), "who was signed in still is")
}

// Forms of other sites do nothing.
func TestAttacks_CrossSiteForms(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.get(authorize())
	page := b.signIn("alice", password)
	b.approve(t, page, "read")
	consent := as(t, b.get(authorize("prompt", "consent")))
	refused := 0
	for _, headers := range attacks(t, "form") {
		for path, form := range map[string]url.Values{
			authorize("state", "1"):        {"action": {"sign-in"}, "username": {"alice"}, "password": {password}},
			authorize("prompt", "consent"): {"action": {"approve"}, "as": {consent}, "scope": {"read"}},
			authorize("state", "2"):        {"action": {"sign-out"}},
			authorize("state", "3"):        {"action": {"deny"}},
			"/account":                     {"action": {"revoke-application"}, "client": {"app"}},
			"/account?x":                   {"action": {"sign-in"}, "username": {"alice"}, "password": {password}},
			"/account/password":            {"action": {"change"}, "password": {password}, "new-password": {"a new password"}},
			"/signout":                     {"action": {"sign-out"}},
			"/device?user_code=BBBB-BBBB":  {"action": {"approve"}},
		} {
			cookies := maps.Clone(b.cookies)
			attacker := &browser{h: w, cookies: b.cookies, header: map[string]string{}, addr: b.addr}
			for pair := range strings.SplitSeq(headers, "|") {
				name, value, _ := strings.Cut(pair, "=")
				attacker.header[name] = value
			}
			got := attacker.do(http.MethodPost, path, form.Encode())
			if path == "/device?user_code=BBBB-BBBB" && got.status == http.StatusNotFound {
				continue // there is no such code, whoever asks
			}
			assert.Equal(t, 403, got.status, "%s %s", headers, path)
			assert.Contains(t, got.body, "The form was sent from another site", "%s %s", headers, path)
			assert.Equal(t, cookies, b.cookies, "%s %s", headers, path)
			refused++
		}
	}
	assert.GreaterOrEqual(t, refused, 8*8)
	assert.Contains(t, b.get("/account").body, "Notes", "nothing was revoked, and nobody signed out")
	_, err := w.site.Accounts().SignIn(t.Context(), "alice", password)
	require.NoError(t, err)
}

// What is too large or broken is refused in time.
func TestAttacks_Size(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	for _, body := range []string{"action=sign-in&username=" + strings.Repeat("x", 100_000), "a=%zz", "a;b"} {
		for _, path := range []string{"/account", authorize()} {
			got := b.do(http.MethodPost, path, body)
			assert.Equal(t, 400, got.status, path)
			assert.Contains(t, got.body, "is damaged", path)
		}
	}
	got := b.do(http.MethodPost, authorize(), url.Values{"action": {"sign-in"}, "username": {strings.Repeat("x", 30_000)}, "password": {strings.Repeat("x", 30_000)}}.Encode())
	assert.Equal(t, 422, got.status)
	assert.NotContains(t, got.body, "xxxx")
	_, err := w.memory.Get(t.Context(), authserver.Key{})
	require.ErrorIs(t, err, authserver.ErrNotFound)
}
