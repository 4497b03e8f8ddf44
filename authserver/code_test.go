package authserver_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

const (
	callback = "https://app.example.com/cb"
	verifier = "a-verifier-that-has-at-least-43-characters-~._"
)

func s256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// approve lets alice approve everything at once.
func approve(http.ResponseWriter, *http.Request, *authserver.AuthorizationRequest) (*authserver.Approval, error) {
	return &authserver.Approval{
		Subject:        "user-1",
		Authentication: authserver.Authentication{Username: "alice", AuthTime: epoch.Unix() - 60, ACR: "mfa"},
		Claims:         json.RawMessage(`{"org":"acme"}`),
	}, nil
}

// newCodeWorld has clients that act for users: "web" has a secret, "spa" and
// "native" are public.
func newCodeWorld(t *testing.T, change ...func(*authserver.Config)) *world {
	t.Helper()
	w := newWorld(t, append([]func(*authserver.Config){func(c *authserver.Config) {
		c.Login, c.AccessToken = approve, nil
	}}, change...)...)
	both := []string{authserver.GrantAuthorizationCode, authserver.GrantRefreshToken}
	for _, c := range []authserver.Client{
		{ID: "web", Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}}, Grants: both, RedirectURIs: []string{callback}},
		{ID: "spa", Grants: both, RedirectURIs: []string{callback, "https://app.example.com/other?x=1"}},
		{ID: "native", Grants: both, RedirectURIs: []string{"http://127.0.0.1/cb"}},
		{ID: "no refresh", Grants: both[:1], RedirectURIs: []string{callback}},
	} {
		c.Scopes, c.Audience, c.Resources = scopes.Set{"read", "write"}, []string{api}, []string{"https://b.example.com"}
		require.NoError(t, w.memory.PutClient(t.Context(), &c))
	}
	return w
}

// ask sends a user to the authorization endpoint; the changes come as name and
// value, and an empty value takes the parameter away.
func (w *world) ask(client string, changes ...string) reply {
	params := url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {callback}, "state": {"a b&c"},
		"scope": {"read write"}, "code_challenge": {s256(verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		params.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			params.Del(changes[i])
		}
	}
	return get(w, issuer+"/authorize?"+params.Encode())
}

// pages are the headers of everything that the authorization endpoint answers.
func pages(more ...string) http.Header {
	return noStore(append([]string{
		"Content-Security-Policy", "frame-ancestors 'none'", "X-Frame-Options", "DENY", "Referrer-Policy", "no-referrer",
	}, more...)...)
}

func (w *world) code(t *testing.T, client string, changes ...string) string {
	t.Helper()
	got := w.ask(client, changes...)
	require.Equal(t, http.StatusSeeOther, got.status, got.body)
	u, err := url.Parse(got.header.Get("Location"))
	require.NoError(t, err)
	require.NotEmpty(t, u.Query().Get("code"), u)
	return u.Query().Get("code")
}

func exchange(code string) string {
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier},
	}.Encode()
}

// A pair is what the token endpoint answers with.
type pair struct {
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	Scope     string
	TokenType string `json:"token_type"`
	ExpiresIn int    `json:"expires_in"`
}

func (w *world) pair(t *testing.T, form string, header ...string) pair {
	t.Helper()
	got := w.post("/token", form, header...)
	require.Equal(t, 200, got.status, got.body)
	var p pair
	require.NoError(t, json.Unmarshal([]byte(got.body), &p))
	return p
}

var refusedGrant = refusal(400, "invalid_grant", "what was presented is not valid, not for this client, or was used before")

func TestAuthorizationCodeFlow(t *testing.T) {
	for _, client := range []string{"web", "spa"} {
		w := newCodeWorld(t)
		got := w.ask(client)
		location, err := url.Parse(got.header.Get("Location"))
		require.NoError(t, err)
		code := location.Query().Get("code")
		assert.Regexp(t, `^sneck_ac_[0-9A-Za-z]{49}$`, code)
		assert.Equal(t, reply{303, pages("Location", callback+"?code="+code+"&iss=https%3A%2F%2Fauth.example.com&state=a+b%26c"), ""}, got)

		form, header := exchange(code), as("web")
		if client == "spa" {
			form, header = form+"&client_id=spa", nil
		}
		p := w.pair(t, form, header...)
		assert.Regexp(t, `^sneck_rt_[0-9A-Za-z]{49}$`, p.Refresh)
		assert.Equal(t, pair{p.Access, p.Refresh, "read write", "Bearer", 3600}, p)
		token, err := w.Verify(t.Context(), p.Access)
		require.NoError(t, err)
		assert.Equal(t, "user-1", token.Subject)
		assert.Equal(t, "alice", token.Username)
		assert.Equal(t, "mfa", token.ACR)
		assert.Equal(t, epoch.Unix()-60, token.AuthTime.Unix())
		assert.Equal(t, client, token.ClientID)
		assert.Equal(t, []string{api}, token.Audience)
		var claims map[string]any
		require.NoError(t, token.Claims(&claims))
		assert.Equal(t, "acme", claims["org"])
		assert.Equal(t, jsonReply(200, string(token.RawClaims)), w.post("/introspect", "token="+p.Access, as("api")...))

		// IE-11: a refresh token does not pass for an access token.
		assert.Equal(t, inactive, w.post("/introspect", "token="+p.Refresh, as("api")...))
		_, err = w.Verify(t.Context(), p.Refresh)
		require.ErrorIs(t, err, sneck.ErrUnrecognized)
	}
}

func TestAC17_AC22_NoRedirectToWhatIsNotRegistered(t *testing.T) {
	page := func(text string) reply {
		return reply{400, pages("Content-Type", "text/plain; charset=utf-8", "X-Content-Type-Options", "nosniff"), "This request can not be answered: " + text + ".\n"}
	}
	w := newCodeWorld(t)
	for _, test := range []struct {
		client  string
		changes []string
		want    string
	}{
		{"nobody", nil, "the client is not known"},
		{"", nil, "client_id is missing or malformed"},
		{"web", []string{"redirect_uri", "https://evil.example.com/cb"}, "redirect_uri is not registered for the client"},
		{"web", []string{"redirect_uri", callback + "/"}, "redirect_uri is not registered for the client"},
		{"web", []string{"redirect_uri", callback + "?x=1"}, "redirect_uri is not registered for the client"},
		{"web", []string{"redirect_uri", "https://app.example.com:443/cb"}, "redirect_uri is not registered for the client"},
		{"web", []string{"redirect_uri", "HTTPS://app.example.com/cb"}, "redirect_uri is not registered for the client"},
		{"web", []string{"redirect_uri", "https://app.example.com@evil.example.com/cb"}, "redirect_uri is not registered for the client"},
		{"web", []string{"redirect_uri", "javascript:alert(1)"}, "redirect_uri is not registered for the client"},
		{"spa", []string{"redirect_uri", ""}, "redirect_uri is missing"},
		{"native", []string{"redirect_uri", "http://127.0.0.2:80/cb"}, "redirect_uri is not registered for the client"},
		{"native", []string{"redirect_uri", "http://127.0.0.1:80/other"}, "redirect_uri is not registered for the client"},
		{"native", []string{"redirect_uri", "http://127.0.0.1:80@evil.example.com/cb"}, "redirect_uri is not registered for the client"},
		{"native", []string{"redirect_uri", "http://x@127.0.0.1:80/cb"}, "redirect_uri is not registered for the client"},
		{"native", []string{"redirect_uri", "https://127.0.0.1/cb"}, "redirect_uri is not registered for the client"},
		{"native", []string{"redirect_uri", "http://localhost/cb"}, "redirect_uri is not registered for the client"},
	} {
		assert.Equal(t, page(test.want), w.ask(test.client, test.changes...), "%s %v", test.client, test.changes)
	}
	assert.Equal(t, page("the parameters are malformed, repeated or too long"),
		get(w, issuer+"/authorize?client_id=web&client_id=web"))
	for _, uri := range []string{"http://127.0.0.1/cb", "http://127.0.0.1:54321/cb"} {
		assert.Equal(t, 303, w.ask("native", "redirect_uri", uri).status, uri)
	}
	assert.Equal(t, 404, get(newWorld(t), issuer+"/authorize").status, "without a Login")
}

func TestAC18_AC19_AP09_ErrorsGoToTheClient(t *testing.T) {
	for _, test := range []struct {
		name, client string
		changes      []string
		code         string
	}{
		{"no response type", "web", []string{"response_type", ""}, "invalid_request"},
		{"AC09 implicit", "web", []string{"response_type", "token"}, "unsupported_response_type"},
		{"hybrid", "web", []string{"response_type", "code id_token"}, "unsupported_response_type"},
		{"fragment", "web", []string{"response_mode", "fragment"}, "invalid_request"},
		{"request object", "web", []string{"request", "x"}, "request_not_supported"},
		{"request URI", "web", []string{"request_uri", "https://x"}, "request_uri_not_supported"},
		{"unknown scope", "web", []string{"scope", "nonsense"}, "invalid_scope"},
		{"scope not allowed", "web", []string{"scope", "admin"}, "invalid_scope"},
		{"resource not allowed", "web", []string{"resource", "https://third.example.com"}, "invalid_target"},
		{"AP01 no challenge", "web", []string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request"},
		{"AP01 no challenge, public", "spa", []string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request"},
		{"method without a challenge", "spa", []string{"code_challenge", ""}, "invalid_request"},
		{"AP02 plain", "web", []string{"code_challenge_method", "plain"}, "invalid_request"},
		{"AP02 left out means plain", "web", []string{"code_challenge_method", ""}, "invalid_request"},
		{"other method", "web", []string{"code_challenge_method", "S512"}, "invalid_request"},
		{"challenge is no digest", "web", []string{"code_challenge", "short"}, "invalid_request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := newCodeWorld(t).ask(test.client, test.changes...)
			u, err := url.Parse(got.header.Get("Location"))
			require.NoError(t, err)
			q := u.Query()
			assert.Equal(t, reply{303, pages("Location", u.String()), ""}, got)
			assert.Equal(t, callback, strings.TrimSuffix(u.String(), "?"+u.RawQuery))
			assert.Equal(t, test.code, q.Get("error"))
			assert.NotEmpty(t, q.Get("error_description"))
			q.Del("error_description")
			assert.Equal(t, url.Values{"error": {test.code}, "state": {"a b&c"}, "iss": {issuer}}, q)
		})
	}

	// The query that a redirect URI has stays.
	got := newCodeWorld(t).ask("spa", "redirect_uri", "https://app.example.com/other?x=1", "scope", "nonsense", "state", "")
	assert.Equal(t, "https://app.example.com/other?x=1&error=invalid_scope&error_description="+
		"a+scope+is+unknown+or+not+allowed+to+the+client&iss=https%3A%2F%2Fauth.example.com", got.header.Get("Location"))
}

func TestLogin(t *testing.T) {
	login := func(f authserver.LoginFunc) func(*authserver.Config) {
		return func(c *authserver.Config) { c.Login = f }
	}
	for name, test := range map[string]struct {
		approval *authserver.Approval
		err      error
		want     string
	}{
		"denied":                   {nil, authserver.ErrAccessDenied, "access_denied"},
		"not signed in":            {nil, authserver.ErrLoginRequired, "login_required"},
		"no consent":               {nil, authserver.ErrConsentRequired, "consent_required"},
		"breaks":                   {nil, errBroken, "temporarily_unavailable"},
		"own code":                 {nil, &authserver.Error{Code: "interaction_required"}, "interaction_required"},
		"no subject":               {&authserver.Approval{}, nil, "temporarily_unavailable"},
		"AC25 subject of a client": {&authserver.Approval{Subject: "app"}, nil, "temporarily_unavailable"},
		"approves of nothing":      {&authserver.Approval{Subject: "u", Scopes: scopes.Set{}}, nil, "access_denied"},
		"approves of other things": {&authserver.Approval{Subject: "u", Scopes: scopes.Set{"admin"}}, nil, "access_denied"},
		"reserved claim":           {&authserver.Approval{Subject: "u", Claims: json.RawMessage(`{"sub":"x"}`)}, nil, "temporarily_unavailable"},
	} {
		w := newCodeWorld(t, login(func(http.ResponseWriter, *http.Request, *authserver.AuthorizationRequest) (*authserver.Approval, error) {
			return test.approval, test.err
		}))
		u, err := url.Parse(w.ask("web").header.Get("Location"))
		require.NoError(t, err)
		assert.Equal(t, test.want, u.Query().Get("error"), name)
		assert.Empty(t, u.Query().Get("code"), name)
	}

	t.Run("narrows", func(t *testing.T) {
		w := newCodeWorld(t, login(func(_ http.ResponseWriter, _ *http.Request, a *authserver.AuthorizationRequest) (*authserver.Approval, error) {
			assert.Equal(t, "web", a.Client.ID)
			assert.Equal(t, callback, a.RedirectURI)
			assert.Equal(t, scopes.Set{"read", "write"}, a.Scopes)
			assert.Equal(t, []string{"https://b.example.com"}, a.Audience)
			assert.Equal(t, "none", a.Prompt)
			assert.Equal(t, "alice", a.LoginHint)
			return &authserver.Approval{Subject: "u", Scopes: scopes.Set{"write", "admin"}}, nil
		}))
		p := w.pair(t, exchange(w.code(t, "web", "prompt", "none", "login_hint", "alice", "resource", "https://b.example.com")), as("web")...)
		assert.Equal(t, "write", p.Scope)
	})

	t.Run("AC21 answers on its own", func(t *testing.T) {
		w := newCodeWorld(t, login(func(w http.ResponseWriter, r *http.Request, _ *authserver.AuthorizationRequest) (*authserver.Approval, error) {
			if r.Method == http.MethodPost && r.PostFormValue("ok") == "yes" {
				return &authserver.Approval{Subject: "u"}, nil
			}
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<form method=post>"))
			return nil, nil
		}))
		assert.Equal(t, reply{200, pages("Content-Type", "text/html"), "<form method=post>"}, w.ask("web"))

		target := "/authorize?" + url.Values{
			"response_type": {"code"}, "client_id": {"spa"}, "redirect_uri": {callback},
			"code_challenge": {s256(verifier)}, "code_challenge_method": {"S256"}, "scope": {"read"},
		}.Encode()
		got := send(w, request(target, "ok=yes", "Origin", issuer))
		assert.Equal(t, 303, got.status)
		assert.Contains(t, got.header.Get("Location"), callback+"?code=")
		for _, header := range [][]string{{"Origin", "https://evil.example.com"}, {"Sec-Fetch-Site", "cross-site"}} {
			got := send(w, request(target, "ok=yes", header...))
			assert.Equal(t, 403, got.status)
			assert.Empty(t, got.header.Get("Location"))
		}
		r := httptest.NewRequest(http.MethodPut, issuer+target, nil)
		assert.Equal(t, 405, send(w, r).status)
	})
}

func TestAC15_AP03_CodeIsBound(t *testing.T) {
	form := func(code string, changes ...string) string {
		values, err := url.ParseQuery(exchange(code))
		require.NoError(t, err)
		for i := 0; i < len(changes); i += 2 {
			values.Set(changes[i], changes[i+1])
		}
		return values.Encode()
	}
	other := strings.Repeat("x", 43)
	for name, test := range map[string]struct {
		client  string
		changes []string
	}{
		"other client":       {"app", nil},
		"other verifier":     {"web", []string{"code_verifier", other}},
		"no verifier":        {"web", []string{"code_verifier", ""}},
		"the challenge":      {"web", []string{"code_verifier", s256(verifier)}},
		"malformed verifier": {"web", []string{"code_verifier", verifier[:42]}},
		"other redirect URI": {"web", []string{"redirect_uri", callback + "x"}},
		"no redirect URI":    {"web", []string{"redirect_uri", ""}},
		"other code":         {"web", []string{"code", "sneck_ac_0"}},
		"an access token":    {"web", []string{"code", sample}},
	} {
		w := newCodeWorld(t)
		require.NoError(t, w.memory.PutClient(t.Context(), &authserver.Client{
			ID: "app", Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}},
			Grants: []string{authserver.GrantAuthorizationCode}, RedirectURIs: []string{callback}, Scopes: scopes.Set{"read", "write"}, Audience: []string{api},
		}))
		code := w.code(t, "web")
		assert.Equal(t, refusedGrant, w.post("/token", form(code, test.changes...), as(test.client)...), name)
		w.pair(t, exchange(code), as("web")...) // it is not burnt by that
	}
	w := newCodeWorld(t)
	assert.Equal(t, refusal(400, "invalid_request", "code is missing"), w.post("/token", "grant_type=authorization_code", as("web")...))

	code := w.code(t, "web", "redirect_uri", "")
	w.pair(t, form(code, "redirect_uri", ""), as("web")...)
	code = w.code(t, "web", "redirect_uri", "")
	w.pair(t, exchange(code), as("web")...)
}

func TestAP04_NoVerifierWithoutAChallenge(t *testing.T) {
	w := newCodeWorld(t, func(c *authserver.Config) { c.PKCERequired = func(id string) bool { return id != "web" } })
	code := w.code(t, "web", "code_challenge", "", "code_challenge_method", "")
	assert.Equal(t, refusedGrant, w.post("/token", exchange(code), as("web")...))
	w.pair(t, strings.Replace(exchange(code), "code_verifier", "x", 1), as("web")...)
}

func TestAC16_ReuseOfACodeRevokesWhatItYielded(t *testing.T) {
	w := newCodeWorld(t)
	code := w.code(t, "web")
	p := w.pair(t, exchange(code), as("web")...)
	second := w.pair(t, "grant_type=refresh_token&refresh_token="+p.Refresh, as("web")...)
	elsewhere := w.pair(t, exchange(w.code(t, "web")), as("web")...)

	assert.Equal(t, refusedGrant, w.post("/token", strings.Replace(exchange(code), "verifier=a", "verifier=b", 1), as("web")...))
	_, err := w.Verify(t.Context(), p.Access)
	require.NoError(t, err, "nothing happens for who does not know the verifier")

	assert.Equal(t, refusedGrant, w.post("/token", exchange(code), as("web")...))
	for _, token := range []string{p.Access, second.Access} {
		_, err := w.Verify(t.Context(), token)
		require.ErrorIs(t, err, sneck.ErrInvalid)
	}
	assert.Equal(t, refusedGrant, w.post("/token", "grant_type=refresh_token&refresh_token="+second.Refresh, as("web")...))
	_, err = w.Verify(t.Context(), elsewhere.Access)
	require.NoError(t, err)
}

func TestAC15_CodeIsSpentOnceUnderConcurrency(t *testing.T) {
	w := newCodeWorld(t)
	code := w.code(t, "web")
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			switch got := w.post("/token", exchange(code), as("web")...); got.status {
			case 200:
				won.Add(1)
			default:
				assert.Equal(t, refusedGrant, got)
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 1, won.Load())
}

func settingCodeTTL(t *testing.T) {
	for ttl, life := range map[time.Duration]time.Duration{0: time.Minute, 10 * time.Minute: 10 * time.Minute} {
		w := newCodeWorld(t, func(c *authserver.Config) { c.AuthorizationCodeTTL = ttl })
		early, late := w.code(t, "web"), w.code(t, "web")
		w.now = epoch.Add(life - 1)
		w.pair(t, exchange(early), as("web")...)
		w.now = epoch.Add(life)
		assert.Equal(t, refusedGrant, w.post("/token", exchange(late), as("web")...))
	}
	for _, ttl := range []time.Duration{-1, 10*time.Minute + 1} {
		m := authserver.NewMemory()
		_, err := authserver.New(authserver.Config{Issuer: issuer, Store: m, Clients: m, AuthorizationCodeTTL: ttl})
		require.ErrorContains(t, err, "AuthorizationCodeTTL")
	}

	// A code is spent once, however many come with it at once; and that others
	// came revokes what the first one got.
	for _, settled := range []bool{true, false} {
		w := newCodeWorld(t)
		code := w.code(t, "web")
		var mu sync.Mutex
		var won []pair
		var wg sync.WaitGroup
		if settled { // it was used before
			won = append(won, w.pair(t, exchange(code), as("web")...))
		}
		for range 32 {
			wg.Go(func() {
				got := w.post("/token", exchange(code), as("web")...)
				if got.status != 200 {
					assert.Equal(t, refusedGrant, got)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				won = append(won, pair{})
				assert.NoError(t, unmarshal(got.body, &won[len(won)-1]))
			})
		}
		wg.Wait()
		require.Len(t, won, 1)
		assert.False(t, w.live(t, won[0]))
		assert.Equal(t, refusedGrant, w.post("/token", refresh(won[0].Refresh), as("web")...))
	}
}

func settingPKCE(t *testing.T) {
	w := newCodeWorld(t, func(c *authserver.Config) {
		c.PKCERequired = func(string) bool { return false }
		c.InsecureAllowPlainPKCE = true
	})
	none := []string{"code_challenge", "", "code_challenge_method", ""}
	assert.Contains(t, w.ask("web", none...).header.Get("Location"), "?code=")
	assert.Contains(t, w.ask("spa", none...).header.Get("Location"), "error=invalid_request", "public clients always")
	code := w.code(t, "spa", "code_challenge", verifier, "code_challenge_method", "")
	w.pair(t, exchange(code)+"&client_id=spa")
	assert.Contains(t, w.ask("web", "code_challenge", "short", "code_challenge_method", "plain").header.Get("Location"), "error=invalid_request")
	assert.Contains(t, get(w, issuer+"/.well-known/oauth-authorization-server").body, `"code_challenge_methods_supported":["S256","plain"]`)

	// It may depend on the client.
	w = newCodeWorld(t, func(c *authserver.Config) { c.PKCERequired = func(clientID string) bool { return clientID != "web" } })
	assert.Contains(t, w.ask("web", none...).header.Get("Location"), "?code=")
	require.NoError(t, w.memory.PutClient(t.Context(), &authserver.Client{
		ID: "web 2", Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}}, RedirectURIs: []string{callback},
		Grants: []string{authserver.GrantAuthorizationCode}, Scopes: scopes.Set{"read", "write"}, Audience: []string{api},
	}))
	assert.Contains(t, w.ask("web 2", none...).header.Get("Location"), "error=invalid_request")
	assert.Contains(t, w.ask("web", "code_challenge_method", "plain").header.Get("Location"), "error=invalid_request", "plain has to be allowed")
	assert.Contains(t, get(w, issuer+"/.well-known/oauth-authorization-server").body, `"code_challenge_methods_supported":["S256"]`)

	// A verifier where there was no challenge: somebody has taken it away.
	code = w.code(t, "web", none...)
	assert.Equal(t, refusedGrant, w.post("/token", exchange(code), as("web")...))
	without := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}}
	w.pair(t, without.Encode(), as("web")...)
	without.Set("code", w.code(t, "web"))
	assert.Equal(t, refusedGrant, w.post("/token", without.Encode(), as("web")...), "nor a challenge without a verifier")

	// By default all have to.
	assert.Contains(t, newCodeWorld(t).ask("web", none...).header.Get("Location"), "error=invalid_request")
}

func settingRedirectSchemes(t *testing.T) {
	register := func(schemes, own []string, insecure bool, uri string) error {
		w := newCodeWorld(t, func(c *authserver.Config) { c.RedirectSchemes, c.InsecureHTTPRedirects = schemes, insecure })
		_, _, err := w.NewClient(t.Context(), authserver.Client{RedirectURIs: []string{uri}, RedirectSchemes: own}, false)
		return err
	}
	for _, test := range []struct {
		schemes, own []string
		insecure     bool
		uri          string
		ok           bool
	}{
		{nil, nil, false, "https://a.example.com/cb", true},
		{nil, nil, false, "HTTPS://a.example.com/cb", true},
		{nil, nil, false, "http://127.0.0.1/cb", true},
		{nil, nil, false, "http://[::1]:1/cb", true},
		{nil, nil, false, "http://localhost/cb", true},
		{nil, nil, false, "http://a.example.com/cb", false},
		{nil, nil, true, "http://a.example.com/cb", true},
		{nil, nil, false, "com.example.app:/cb", false},
		{[]string{"https", "com.example.app"}, nil, false, "com.example.app:/cb", true},
		{[]string{"https"}, nil, false, "http://127.0.0.1/cb", false},
		{nil, []string{"com.example.app"}, false, "com.example.app:/cb", true},
		{nil, []string{"com.example.app"}, false, "https://a.example.com/cb", false},
		{nil, []string{"javascript"}, false, "javascript:alert(1)", false},
		{nil, nil, false, "https://a.example.com/cb#x", false},
		{nil, nil, false, "https://a.example.com/cb#", false},
		{nil, nil, false, "/cb", false},
		{nil, nil, false, "https:///cb", false},
		{nil, nil, false, "https://u@a.example.com/cb", false},
		{nil, nil, false, "https://a.example.com/\n", false},
		{nil, nil, false, "https://a.example.com/ x", false},
	} {
		err := register(test.schemes, test.own, test.insecure, test.uri)
		assert.Equal(t, test.ok, err == nil, "%+v: %v", test, err)
	}
	m := authserver.NewMemory()
	_, err := authserver.New(authserver.Config{Issuer: issuer, Store: m, Clients: m, RedirectSchemes: []string{"JavaScript"}})
	require.ErrorContains(t, err, "not safe")

	// Once again when redirecting: the setting may have become stricter.
	w := newCodeWorld(t, func(c *authserver.Config) { c.RedirectSchemes = []string{"https"} })
	assert.Equal(t, 400, w.ask("native", "redirect_uri", "http://127.0.0.1/cb").status)

	// Of a loopback IP address any port will do, of a name none but its own.
	w = newCodeWorld(t)
	for uri, want := range map[string]int{
		"http://127.0.0.1/cb": 303, "http://127.0.0.1:54321/cb": 303, "http://127.0.0.2/cb": 400, "http://127.0.0.1/other": 400, "https://127.0.0.1/cb": 400,
	} {
		assert.Equal(t, want, w.ask("native", "redirect_uri", uri).status, uri)
	}
	// A scheme of the client's own, for a native app.
	app := &authserver.Client{
		ID: "own scheme", Grants: []string{authserver.GrantAuthorizationCode}, RedirectURIs: []string{"com.example.app:/cb"},
		RedirectSchemes: []string{"com.example.app"}, Scopes: scopes.Set{"read", "write"}, Audience: []string{api},
	}
	require.NoError(t, w.memory.PutClient(t.Context(), app))
	assert.Contains(t, w.ask("own scheme", "redirect_uri", "com.example.app:/cb").header.Get("Location"), "com.example.app:/cb?code=")
	assert.Equal(t, 400, w.ask("own scheme", "redirect_uri", "com.example.app:/other").status)
}

func TestAuthorizeWhenClientsAreDown(t *testing.T) {
	w := newCodeWorld(t, func(c *authserver.Config) { c.Clients = directory{} })
	got := w.ask("broken")
	assert.Equal(t, reply{503, pages("Content-Type", "text/plain; charset=utf-8", "X-Content-Type-Options", "nosniff", "Retry-After", "1"),
		"This request can not be answered: the server can not answer at the moment.\n"}, got)
}

func unmarshal(body string, v any) error { return json.Unmarshal([]byte(body), v) }
