package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/cmd/internal/settings"
	"github.com/sneckauth/sneck/scopes"
)

// A library is what a server does that is configured in Go.
type library struct {
	t      *testing.T
	server *authserver.Server
	memory *authserver.Memory
}

func newLibrary(t *testing.T, c authserver.Config) *library {
	t.Helper()
	m := authserver.NewMemory()
	c.Issuer, c.Store, c.Clients, c.Scopes = "https://auth.example.com", m, m, nil
	c.Login = func(http.ResponseWriter, *http.Request, *authserver.AuthorizationRequest) (*authserver.Approval, error) {
		return &authserver.Approval{Subject: "alice"}, nil
	}
	server, err := authserver.New(c)
	require.NoError(t, err)
	require.NoError(t, m.PutClient(t.Context(), &authserver.Client{
		ID: "c", Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(fixedSecret)}}, Scopes: scopes.Set{"read"}, Audience: []string{"a"},
		Grants:       []string{authserver.GrantAuthorizationCode, authserver.GrantRefreshToken, authserver.GrantDeviceCode},
		RedirectURIs: []string{cbURL},
	}))
	return &library{t, server, m}
}

func (l *library) do(method, target string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://auth.example.com"+target, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.SetBasicAuth("c", url.QueryEscape(fixedSecret))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	l.server.ServeHTTP(w, r)
	return w
}

// lives returns how long each kind of record lives, once one of each was made.
func (l *library) lives() map[authserver.Kind]time.Duration {
	l.t.Helper()
	query := url.Values{"response_type": {"code"}, "client_id": {"c"}, "redirect_uri": {cbURL}, "scope": {"read"}}
	w := l.do(http.MethodGet, "/authorize?"+query.Encode()+challenge(), nil)
	back, err := url.Parse(sentTo(w.Result()))
	require.NoError(l.t, err)
	w = l.do(http.MethodPost, "/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {cbURL}, "code_verifier": {verifier},
	})
	require.Equal(l.t, 200, w.Code, w.Body)
	require.Equal(l.t, 200, l.do(http.MethodPost, "/device_authorization", url.Values{"scope": {"read"}}).Code)
	records, err := l.memory.List(l.t.Context(), "", authserver.Selector{Client: "c"}, authserver.Key{}, 100)
	require.NoError(l.t, err)
	lives := map[authserver.Kind]time.Duration{}
	for _, r := range records {
		lives[r.Kind] = r.Expires.Sub(r.Issued).Round(5 * time.Second)
	}
	return lives
}

// What is in force if nobody says anything is what the library does if its
// fields are left out.
func TestDefaultsAreThoseOfTheLibrary(t *testing.T) {
	set := defaultSettings()
	c, _, err := set.load(settings.Sources{Flags: map[string][]string{"data": {"nowhere"}}})
	require.NoError(t, err)
	zero, ours := newLibrary(t, authserver.Config{}), newLibrary(t, c)
	lives := ours.lives()
	assert.Equal(t, zero.lives(), lives)
	for kind, want := range map[authserver.Kind]time.Duration{
		authserver.KindAccess: time.Hour, authserver.KindRefresh: 30 * 24 * time.Hour, authserver.KindCode: time.Minute, "device": 10 * time.Minute,
	} {
		assert.Equal(t, want, lives[kind], kind)
	}
	const about = "/.well-known/oauth-authorization-server"
	assert.Equal(t, zero.do(http.MethodGet, about, nil).Body.String(), ours.do(http.MethodGet, about, nil).Body.String())
	for _, l := range []*library{zero, ours} {
		client, secret, err := l.server.NewClient(t.Context(), authserver.Client{RedirectURIs: []string{cbURL}, Grants: []string{authserver.GrantAuthorizationCode}, Scopes: scopes.Set{"read"}, Audience: []string{"a"}}, true)
		require.NoError(t, err)
		assert.Regexp(t, `^[0-9A-Za-z]{32}$`, client.ID)
		assert.Regexp(t, `^[0-9A-Za-z]{128}$`, secret)
		_, _, err = l.server.NewClient(t.Context(), authserver.Client{RedirectURIs: []string{"com.example:/cb"}, Grants: []string{authserver.GrantAuthorizationCode}, Scopes: scopes.Set{"read"}, Audience: []string{"a"}}, true)
		assert.ErrorContains(t, err, "the scheme is not one of")
	}
}

// A limit that nobody says is the one of the library, and one that is said
// counts alone.
func TestLimitsOfSettings(t *testing.T) {
	load := func(flags map[string][]string) authserver.Limits {
		set := defaultSettings()
		flags["data"] = []string{"nowhere"}
		c, _, err := set.load(settings.Sources{Flags: flags})
		require.NoError(t, err)
		return c.Limits
	}
	standard := load(map[string][]string{})
	assert.Equal(t, authserver.PerSecond(1000), standard.Token)
	assert.Equal(t, authserver.PerSecond(1000), standard.Revoke)
	assert.Equal(t, authserver.PerSecond(10000), standard.Introspect)
	assert.Equal(t, authserver.Rate{Count: 10, Per: time.Minute, Burst: 10}, standard.UserCodes)

	said := load(map[string][]string{"token-rate": {"5"}, "limits-token-client": {"3/h burst 7"}, "limits-failures-client": {insecureUnlimited}})
	want := standard
	want.Token = authserver.EndpointLimit{Client: authserver.Rate{Count: 3, Per: time.Hour, Burst: 7}, Address: authserver.PerSecond(5).Address}
	want.Revoke, want.Failures.Client = authserver.PerSecond(5), authserver.Rate{InsecureUnlimited: true}
	assert.Equal(t, want, said)
}

// What a generator makes up has as many characters as it says, of those only,
// and is what it recognizes.
func TestGenerator(t *testing.T) {
	for _, name := range []string{"base62-22", "hex-32", "base62-255"} {
		var g generator
		require.NoError(t, g.UnmarshalText([]byte(name)))
		generate, recognize := g.token()
		first, err := generate(t.Context(), nil)
		require.NoError(t, err)
		second, err := generate(t.Context(), nil)
		require.NoError(t, err)
		assert.NotEqual(t, first, second)
		assert.True(t, recognize(first) && recognize(second))
		assert.False(t, recognize(first[1:]) || recognize(first+"0") || recognize(first[1:]+"-"))
	}
	for _, name := range []string{"", "base62", "base62-21", "hex-31", "base62-256", "base62-040", "base64-40", "BASE62-40", "base62-40 "} {
		assert.Error(t, new(generator).UnmarshalText([]byte(name)), name)
	}
	seen := map[rune]int{}
	for _, c := range randomText(base62, 62*1000) {
		seen[c]++
	}
	assert.Len(t, seen, 62)
	for c, n := range seen {
		assert.InDelta(t, 1000, n, 300, "%c", c) // nine standard deviations
	}
}

// A rate says what UnmarshalText reads.
func TestRate(t *testing.T) {
	for _, text := range []string{"1/s burst 1", "10/m burst 60", "100/h burst 5", "10/15m burst 10", "7/99s burst 3", insecureUnlimited} {
		var r rate
		require.NoError(t, r.UnmarshalText([]byte(text)))
		assert.Equal(t, text, r.String())
	}
	for _, text := range []string{"", "0/s", "1/0s", "1/01m", "1/100s", "1/d", "1 /s", "1/s burst 0", "-1/s", "1/s burst", "unlimited", "1234567890/s"} {
		assert.Error(t, new(rate).UnmarshalText([]byte(text)), text)
	}
	assert.Empty(t, rate{}.String())
}
