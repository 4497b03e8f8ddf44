package authserver_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
)

// fuzzWorld has no limits, and clients of every kind.
func fuzzWorld(t *testing.T) *world {
	return newDeviceWorld(t, func(c *authserver.Config) {
		c.Limits.Limiter = authserver.NewMemoryLimiter(1, nil)
		c.Limits.UserCodes, c.Limits.AllUserCodes = none, none
	})
}

// fuzzEndpoint sends anything to an endpoint. The answer is well-formed, no
// failure of the server, and for nobody to keep; only who is refused for not
// being known is asked to authenticate.
func fuzzEndpoint(f *testing.F, path string) {
	const form = "application/x-www-form-urlencoded"
	for _, client := range []string{"app", "api", "web", "box"} {
		f.Add(credentialsGrant, as(client)[1], form)
		f.Add("token=sneck_at_x&token_type_hint=refresh_token", as(client)[1], form)
		f.Add("scope=read+write&resource=https://api.example.com&resource=urn:x", as(client)[1], form)
	}
	f.Add(credentialsGrant+"&client_id=app&client_secret=x", "", form+"; charset=utf-8")
	f.Add("client_id=tv&scope=read", "", form)
	f.Add("client_id=spa&grant_type=refresh_token&refresh_token=sneck_rt_x", "", form)
	f.Add("client_id=spa&grant_type=authorization_code&code=sneck_ac_x&code_verifier="+verifier, "", form)
	f.Add("a=b&a=c;%zz", "Basic Og==", "application/json")
	f.Add("grant_type=client_credentials&scope=read+write&resource=https://api.example.com", "bearer x", "text/plain;")
	f.Fuzz(func(t *testing.T, body, authorization, contentType string) {
		r := httptest.NewRequest(http.MethodPost, issuer+path, strings.NewReader(body))
		if authorization != "" {
			r.Header["Authorization"] = []string{authorization}
		}
		r.Header["Content-Type"] = []string{contentType}
		got := send(fuzzWorld(t), r)
		assert.Contains(t, []int{200, 400, 401, 403, 413, 415, 431}, got.status)
		assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
		if path == "/revoke" && got.status == 200 {
			assert.Empty(t, got.body)
			return
		}
		var answer struct {
			Error       string
			Description string `json:"error_description"`
		}
		require.NoError(t, json.Unmarshal([]byte(got.body), &answer))
		assert.Equal(t, "application/json", got.header.Get("Content-Type"))
		assert.Equal(t, got.status == 200, answer.Error == "")
		if got.status != 403 {
			assert.Equal(t, got.status == 401, got.header.Get("WWW-Authenticate") != "")
		}
		for _, c := range []byte(answer.Description) {
			assert.True(t, c >= ' ' && c <= '~' && c != '"' && c != '\\')
		}
	})
}

func FuzzTokenRequest(f *testing.F)      { fuzzEndpoint(f, "/token") }
func FuzzIntrospectRequest(f *testing.F) { fuzzEndpoint(f, "/introspect") }
func FuzzRevokeRequest(f *testing.F)     { fuzzEndpoint(f, "/revoke") }
func FuzzDeviceRequest(f *testing.F)     { fuzzEndpoint(f, "/device_authorization") }

// browse sends what a browser sends, with any query.
func browse(method, path, query, body string) *http.Request {
	r := httptest.NewRequest(method, issuer+path, strings.NewReader(body))
	r.URL.RawQuery = query
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", issuer)
	return r
}

// Whatever the query, the browser is sent nowhere but to what the client has
// registered, with a code or an error and the issuer; or the user gets a page.
func FuzzAuthorizeRequest(f *testing.F) {
	params := "response_type=code&code_challenge=" + s256(verifier) + "&code_challenge_method=S256"
	f.Add(params + "&client_id=web&state=%0d%0ax")
	f.Add(params + "&client_id=spa&redirect_uri=https://app.example.com/other?x=1%26code=y")
	f.Add(params + "&client_id=native&redirect_uri=http://127.0.0.1:8080/cb&prompt=none")
	f.Add("client_id=web&scope=x&resource=y&response_mode=fragment&request=z")
	f.Add("client_id=%ff&redirect_uri=javascript:x")
	f.Fuzz(func(t *testing.T, query string) {
		got := send(fuzzWorld(t), browse(http.MethodGet, "/authorize", query, ""))
		assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
		location := got.header.Get("Location")
		if got.status != http.StatusSeeOther {
			assert.Contains(t, []int{400, 414}, got.status)
			assert.Empty(t, location)
			assert.Equal(t, "text/plain; charset=utf-8", got.header.Get("Content-Type"))
			return
		}
		assert.Regexp(t, `^(https://app\.example\.com/cb\?|https://app\.example\.com/other\?x=1&|http://127\.0\.0\.1(:[0-9]*)?/cb\?)[!-~]*$`, location)
		u, err := url.Parse(location)
		require.NoError(t, err)
		assert.Equal(t, []string{issuer}, u.Query()["iss"])
		assert.Equal(t, u.Query().Has("code"), !u.Query().Has("error"))
		asked, err := url.ParseQuery(query)
		require.NoError(t, err)
		assert.Equal(t, asked.Get("state"), u.Query().Get("state"))
	})
}

// Whatever a user types or a page sends, the device page is a page.
func FuzzDevicePage(f *testing.F) {
	f.Add("user_code=BCDF-GHJK", "approve=1", true)
	f.Add("user_code=%ff&x", "deny=1&deny=2", true)
	f.Add("user_code=a&user_code=b", "%zz", false)
	f.Fuzz(func(t *testing.T, query, body string, post bool) {
		method := http.MethodGet
		if post {
			method = http.MethodPost
		}
		got := send(fuzzWorld(t), browse(method, "/device", query, body))
		assert.Contains(t, []int{200, 400, 404, 414}, got.status)
		assert.Equal(t, "no-store", got.header.Get("Cache-Control"))
		assert.Contains(t, got.header.Get("Content-Type"), "text/")
	})
}

// A redirect URI fits if it is the registered one, or differs from it in
// nothing but the port of a loopback address.
func FuzzRedirectURI(f *testing.F) {
	f.Add(callback, callback)
	f.Add(callback, "https://app.example.com/cb/")
	f.Add("http://127.0.0.1/cb?x=1", "http://127.0.0.1:8080/cb?x=1")
	f.Add("http://[::1]:1/cb", "http://[::1]:2/cb")
	f.Add("http://localhost:1/cb", "http://localhost:2/cb")
	f.Add("http://127.0.0.1/cb", "http://127.0.0.1:80@evil.example.com/cb")
	f.Add("http://127.0.0.1:80/cb", `http://127.0.0.1:\@evil.example.com/cb`)
	f.Add("com.example.app:/cb", "com.example.app:/cb#x")
	f.Fuzz(func(t *testing.T, registered, asked string) {
		w := fuzzWorld(t)
		c, _, err := w.NewClient(t.Context(), authserver.Client{
			ID: "c", Grants: []string{authserver.GrantAuthorizationCode}, RedirectURIs: []string{registered},
			RedirectSchemes: []string{"http", "https", "com.example.app"}, Scopes: []string{"read"}, Audience: []string{api},
		}, false)
		if err != nil || asked == "" || w.memory.PutClient(t.Context(), c) != nil {
			return
		}
		got := w.ask("c", "redirect_uri", asked)
		if got.status == 400 {
			assert.True(t, asked != registered || len(asked) > 2048, "the registered one fits")
			return
		}
		require.Equal(t, 303, got.status)
		assert.True(t, strings.HasPrefix(got.header.Get("Location"), asked), "as it was asked for")
		if asked == registered {
			return
		}
		a, err := url.Parse(registered)
		require.NoError(t, err)
		b, err := url.Parse(asked)
		require.NoError(t, err)
		address, err := netip.ParseAddr(b.Hostname())
		require.NoError(t, err)
		assert.True(t, address.IsLoopback())
		a.Host, b.Host = a.Hostname(), b.Hostname()
		assert.Equal(t, a, b)
		assert.Equal(t, "http", b.Scheme)
		assert.Nil(t, b.User)
	})
}

// A pair of ID and secret means the same in the header and in the body.
func FuzzCredentials(f *testing.F) {
	f.Add("app", secret)
	f.Add("other app", "a:b%+ &=")
	f.Add("é", "世界")
	f.Fuzz(func(t *testing.T, id, plain string) {
		if !utf8.ValidString(id) || !utf8.ValidString(plain) || id == "" || plain == "" || len(plain) > 1024 {
			return
		}
		w := newWorld(t)
		c := authserver.Client{
			ID: id, Grants: []string{authserver.GrantClientCredentials}, Scopes: []string{"read"}, Audience: []string{api},
			Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(plain)}},
		}
		want := 200
		if w.memory.PutClient(t.Context(), &c) != nil {
			want = 401
		}
		form := credentialsGrant + "&client_id=" + url.QueryEscape(id)
		if want == 401 || id != "app" {
			assert.Equal(t, 401, w.post("/token", credentialsGrant, basic(id, plain+"x")...).status)
		}
		assert.Equal(t, want, w.post("/token", credentialsGrant, basic(id, plain)...).status)
		assert.Equal(t, want, w.post("/token", form+"&client_secret="+url.QueryEscape(plain)).status)
	})
}
