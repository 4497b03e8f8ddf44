//go:build unix

package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/cmd/internal/pgserver"
	"github.com/sneckauth/sneck/scopes"
)

// approvingMain is "sneck serve DATA" with a login at which alice approves all
// that is asked for, so that a test gets codes and refresh tokens.
func approvingMain() {
	err := func() error {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		store, _, err := openData(ctx, os.Args[1], true)
		if err != nil {
			return err
		}
		defer store.Close()
		server, err := authserver.New(authserver.Config{
			Issuer: "https://auth.example.com", Store: store, Clients: store, Scopes: registeredScopes{},
			Limits: authserver.Limits{Token: authserver.PerSecond(1e6), Revoke: authserver.PerSecond(1e6)},
			Login: func(http.ResponseWriter, *http.Request, *authserver.AuthorizationRequest) (*authserver.Approval, error) {
				return &authserver.Approval{Subject: "alice"}, nil
			},
		})
		if err != nil {
			return err
		}
		l, err := listen(ctx, "", "127.0.0.1:0")
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "http://%s\n", l.Addr())
		return serveUntil(ctx, newHTTPServer(server, nil), l)
	}()
	os.Exit(report(os.Stderr, err))
}

// Processes are killed while they serve, and after each time
//
//   - every token that was answered is active,
//   - everything whose revocation was answered is not,
//   - no code and no refresh token that was used can be used again, whether
//     that was answered or not.
//
// What is killed takes turns: the server, one that issues refresh tokens, and
// PostgreSQL itself. SNECK_CRASH_ROUNDS and SNECK_CRASH_TIME, such as 20 and
// 60s, make it longer.
func TestKilledServersForgetNothing(t *testing.T) {
	t.Parallel()
	rounds, length := 0, 1500*time.Millisecond
	if n := os.Getenv("SNECK_CRASH_ROUNDS"); n != "" {
		_, err := fmt.Sscan(n, &rounds)
		require.NoError(t, err)
	}
	if s := os.Getenv("SNECK_CRASH_TIME"); s != "" {
		var err error
		length, err = time.ParseDuration(s)
		require.NoError(t, err)
	}
	t.Run("sqlite", func(t *testing.T) {
		c := &crash{data: t.TempDir()}
		c.run(t, rounds, length, "serve", "approving")
	})
	t.Run("postgres", func(t *testing.T) {
		if testing.Short() {
			t.Skip("takes some seconds")
		}
		pg, err := pgserver.Start(t.Context())
		if err != nil && os.Getenv("CI") != "true" {
			t.Skipf("no PostgreSQL for this test: %v (hint: install postgresql)", err)
		}
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, pg.Stop()) })
		t.Run("commands", func(t *testing.T) { commandsOn(t, pg.URL()) })
		c := &crash{data: pg.URL(), pg: pg}
		c.run(t, rounds, length, "serve", "approving", "postgres")
		t.Run("administration", func(t *testing.T) { testAdministration(t, pg.URL()) })
	})
}

// commandsOn runs what the scripts run on a directory.
func commandsOn(t *testing.T, data string) {
	for _, step := range []struct {
		status         int
		stdout, stderr string
		args           []string
	}{
		{exitOK, "client    app\n", "", []string{"client", "create", "--id", "app", "--scope", "a", "--audience", "api"}},
		{exitOK, "user      bob\n", "", []string{"user", "create", "bob"}},
		{exitNo, "", `client "app" exists already`, []string{"client", "create", "--id", "app", "--introspect"}},
		{exitOK, "app     -     a     acts for itself\n", "", []string{"client", "list"}},
		{exitOK, `"client_id":"app"`, "", []string{"client", "show", "app", "--json"}},
		{exitOK, `{"expired":0,"deleted":0,"dry_run":true}`, "", []string{"tokens", "clear", "--dry-run", "--json"}},
		{exitOK, "deleted 0 expired records\n", "", []string{"tokens", "clear", "--yes"}},
		{exitOK, "token life  5m0s\n", "", []string{"client", "update", "app", "--token-ttl", "5m"}},
		{exitOK, "until 20", "", []string{"client", "secret", "add", "app", "--expires", "1h"}},
		{exitOK, `"expired":false}`, "", []string{"client", "secret", "list", "app", "--json"}},
		{exitOK, "user bob may administer", "", []string{"user", "admin", "add", "bob"}},
		{exitOK, "bob   u_", "", []string{"user", "list", "--admin"}},
		{exitOK, "revoked 0 records\n", "", []string{"token", "revoke", "--user", "bob", "--yes"}},
		{exitOK, "deleted client app and 0 records", "", []string{"client", "delete", "app", "--yes"}},
		{exitNo, "", "there is no client \"app\" in postgres:///postgres (hint: ", []string{"client", "show", "app"}},
	} {
		status, stdout, stderr := inProcess(t, append(step.args, "--data", data)...)
		assert.Equal(t, step.status, status, "%q: %s", step.args, stderr)
		assert.Contains(t, stdout, step.stdout, "%q", step.args)
		assert.Contains(t, stderr, step.stderr, "%q", step.args)
	}
	status, _, stderr := inProcess(t, "client", "list", "--data", "postgres://nobody:hidden@127.0.0.1:1/none")
	assert.Equal(t, exitNo, status)
	assert.Contains(t, stderr, "(hint: look at --data and at the PostgreSQL server)")
	assert.NotContains(t, stderr, "hidden")
}

// A crash is a series of rounds on one database.
type crash struct {
	data     string
	pg       *pgserver.Server
	client   client
	app, api credentials
}

const (
	crashWorkers  = 16
	crashCallback = "https://app.example.com/cb"
	crashVerifier = "a-verifier-that-has-at-least-43-characters-~._"
)

func (c *crash) run(t *testing.T, rounds int, length time.Duration, victims ...string) {
	c.client = newClient(2 * crashWorkers)
	defer c.client.CloseIdleConnections()
	c.register(t)
	if rounds == 0 {
		rounds = len(victims)
	}
	for round := range rounds {
		victim := victims[round%len(victims)]
		var answered memory
		name, args := "approving-sneck", []string{c.data}
		if victim == "serve" {
			// Quick machines ask more often than the limits for introspection allow.
			name, args = "sneck", []string{
				"serve", "--data", c.data, "--listen", "127.0.0.1:0", "--token-rate", "1000000",
				"--limits-introspect-client=" + insecureUnlimited, "--limits-introspect-address=" + insecureUnlimited,
			}
		}
		start := func() (*background, string) {
			b := &background{}
			url, err := b.start(exec.Command(name, args...))
			require.NoError(t, err)
			t.Cleanup(b.kill)
			return b, url
		}
		server, url := start()
		c.load(url, victim != "serve", length/2+rand.N(length/2), &answered, func() {
			if victim == "postgres" {
				assert.NoError(t, c.pg.Kill())
			} else {
				server.kill()
			}
		})
		if victim == "postgres" {
			require.NoError(t, c.pg.Restart(t.Context()))
		} else {
			server, url = start()
		}
		c.verify(t, url, &answered)
		require.NoError(t, server.stop(syscall.SIGTERM))
		t.Logf("round %d: %s was killed after %d tokens, %d revocations, %d used codes and refresh tokens and %d that may have been used",
			round, victim, len(answered.active), len(answered.revoked), len(answered.used), len(answered.maybe))
		require.NotEmpty(t, answered.active)
		require.False(t, t.Failed())
	}
}

// register registers an application with all grants, and an API.
func (c *crash) register(t *testing.T) {
	store, _, err := openData(t.Context(), c.data, true)
	require.NoError(t, err)
	c.app, c.api = credentials{"app", authserver.NewAccessToken()}, credentials{"api", authserver.NewAccessToken()}
	require.NoError(t, store.PutClient(t.Context(), &authserver.Client{
		ID: c.app.id, Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(c.app.secret)}},
		Grants:       []string{authserver.GrantClientCredentials, authserver.GrantAuthorizationCode, authserver.GrantRefreshToken},
		RedirectURIs: []string{crashCallback}, Scopes: scopes.Set{"a"}, DefaultScopes: scopes.Set{"a"}, Audience: []string{"api"},
	}))
	require.NoError(t, store.PutClient(t.Context(), &authserver.Client{
		ID: c.api.id, Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(c.api.secret)}}, Introspect: true,
	}))
	require.NoError(t, store.Close())
}

// A memory is what was answered in a round. Each list has what is certain; what
// was asked for and not answered is in none, or in maybe if it is a code or a
// refresh token.
type memory struct {
	mu            sync.Mutex
	begun         chan struct{} // closed when there is an active one
	begin         sync.Once
	active        map[string]bool // access tokens
	revoked       []string
	used, maybe   []url.Values   // requests that spend
	contradicting map[string]int // answers, and how often
}

// load works until the server is killed, which it is after a time.
func (c *crash) load(server string, withCodes bool, length time.Duration, m *memory, kill func()) {
	m.begun, m.active, m.contradicting = make(chan struct{}), map[string]bool{}, map[string]int{}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var working sync.WaitGroup
	for i := range crashWorkers {
		working.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if withCodes && i%2 == 0 {
					c.codeAndRefreshes(server, m)
				} else {
					c.tokenAndRevocation(server, n%2 == 0, m)
				}
			}
		})
	}
	time.Sleep(length)
	select {
	case <-m.begun:
	case <-time.After(time.Minute): // on a busy machine the first answer takes a while
	}
	kill()
	// Nothing can be answered any more.
	cancel()
	working.Wait()
}

// tokenAndRevocation gets a token, and may revoke it.
func (c *crash) tokenAndRevocation(server string, revoke bool, m *memory) {
	got, _, ok := c.spend(server, url.Values{"grant_type": {"client_credentials"}}, m)
	if !ok {
		return
	}
	if !revoke {
		m.note(func() { m.active[got.Access] = true })
		return
	}
	a, err := c.client.post(context.Background(), server+"/revoke", c.app, url.Values{"token": {got.Access}})
	if err == nil && a.status == http.StatusOK {
		m.note(func() { m.revoked = append(m.revoked, got.Access) })
	}
}

// codeAndRefreshes gets a code, redeems it, and refreshes a few times.
func (c *crash) codeAndRefreshes(server string, m *memory) {
	sum := sha256.Sum256([]byte(crashVerifier))
	r, err := http.NewRequest(http.MethodGet, server+"/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {c.app.id}, "redirect_uri": {crashCallback},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode(), nil)
	if err != nil {
		panic(err)
	}
	a, err := c.client.send(r)
	if err != nil || a.status != http.StatusSeeOther {
		return
	}
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		panic(err)
	}
	code := to.Query().Get("code")
	if code == "" { // "temporarily_unavailable", without its database
		return
	}
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code},
		"redirect_uri": {crashCallback}, "code_verifier": {crashVerifier},
	}
	for range 5 {
		got, asked, ok := c.spend(server, form, m)
		switch {
		case ok:
			m.note(func() {
				m.used = append(m.used, form)
				m.active[got.Access] = true
			})
		case asked:
			m.note(func() { m.maybe = append(m.maybe, form) })
			return
		default:
			return
		}
		form = url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}}
	}
}

type crashPair struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// spend asks the token endpoint. A refusal contradicts what was answered
// before; an error, or that the server has no database, does not.
func (c *crash) spend(server string, form url.Values, m *memory) (got crashPair, asked, ok bool) {
	a, err := c.client.post(context.Background(), server+"/token", c.app, form)
	if err != nil || a.status >= 500 {
		return got, true, false
	}
	if a.status != http.StatusOK || json.Unmarshal(a.body, &got) != nil {
		m.note(func() { m.contradicting[fmt.Sprintf("%d %s", a.status, a.body)]++ })
		return got, false, false
	}
	return got, true, true
}

func (m *memory) note(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	if len(m.active) > 0 {
		m.begin.Do(func() { close(m.begun) })
	}
}

// verify asks for everything that was answered.
func (c *crash) verify(t *testing.T, server string, m *memory) {
	assert.Empty(t, m.contradicting)
	each(m.active, func(token string) {
		assert.True(t, c.isActive(t, server, token), "a token was forgotten")
	})
	each(set(m.revoked), func(token string) {
		assert.False(t, c.isActive(t, server, token), "a revocation was forgotten")
	})
	again := func(form url.Values) int {
		a, err := c.client.post(t.Context(), server+"/token", c.app, form)
		if !assert.NoError(t, err) {
			return 0
		}
		return a.status
	}
	forms := map[string]bool{}
	for _, form := range m.used {
		forms[form.Encode()] = true
	}
	each(forms, func(encoded string) {
		form, _ := url.ParseQuery(encoded)
		assert.Equal(t, http.StatusBadRequest, again(form), "a code or refresh token was used twice")
	})
	for _, form := range m.maybe {
		if again(form) == http.StatusOK {
			assert.Equal(t, http.StatusBadRequest, again(form), "a code or refresh token was used twice")
		}
	}
}

func (c *crash) isActive(t *testing.T, server, token string) bool {
	a, err := c.client.post(t.Context(), server+"/introspect", c.api, url.Values{"token": {token}})
	var got struct{ Active bool }
	if assert.NoError(t, err) && assert.Equal(t, http.StatusOK, a.status) {
		assert.NoError(t, json.Unmarshal(a.body, &got))
	}
	return got.Active
}

func set(list []string) map[string]bool {
	m := map[string]bool{}
	for _, s := range list {
		m[s] = true
	}
	return m
}

// each runs f for all keys, some at a time.
func each(m map[string]bool, f func(string)) {
	keys := make(chan string)
	var working sync.WaitGroup
	for range crashWorkers {
		working.Go(func() {
			for key := range keys {
				f(key)
			}
		})
	}
	for key := range m {
		keys <- key
	}
	close(keys)
	working.Wait()
}
