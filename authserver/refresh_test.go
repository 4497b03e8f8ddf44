package authserver_test

import (
	"context"
	"fmt"
	"net/url"
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

// login gets the first pair of tokens for alice.
func (w *world) login(t *testing.T, client string, changes ...string) pair {
	t.Helper()
	code := exchange(w.code(t, client, changes...))
	if client == "web" {
		return w.pair(t, code, as("web")...)
	}
	return w.pair(t, code+"&client_id="+client)
}

func refresh(token string, more ...string) string {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form.Encode()
}

func (w *world) live(t *testing.T, p pair) bool {
	t.Helper()
	_, err := w.Verify(t.Context(), p.Access)
	if err != nil {
		require.ErrorIs(t, err, sneck.ErrInvalid)
	}
	return err == nil
}

func TestAC26_RefreshRotates(t *testing.T) {
	for client, header := range map[string][]string{"web": as("web"), "spa": nil} {
		w := newCodeWorld(t)
		first := w.login(t, client)
		second := w.pair(t, refresh(first.Refresh, "client_id", client), header...)
		assert.NotEqual(t, first.Refresh, second.Refresh)
		assert.Equal(t, pair{second.Access, second.Refresh, "read write", "Bearer", 3600}, second)
		assert.True(t, w.live(t, first), "the access token from before lives on")
		token, err := w.Verify(t.Context(), second.Access)
		require.NoError(t, err)
		assert.Equal(t, "user-1", token.Subject)
		assert.Equal(t, "alice", token.Username, "claims are handed on")
		third := w.pair(t, refresh(second.Refresh, "client_id", client), header...)

		// The old one again: two have it, so nobody keeps anything.
		assert.Equal(t, refusedGrant, w.post("/token", refresh(first.Refresh, "client_id", client), header...))
		for _, p := range []pair{first, second, third} {
			assert.False(t, w.live(t, p))
			assert.Equal(t, refusedGrant, w.post("/token", refresh(p.Refresh, "client_id", client), header...))
		}
	}
}

func TestAC26_RefreshTokenIsBoundToItsClient(t *testing.T) {
	w := newCodeWorld(t)
	p := w.login(t, "web")
	assert.Equal(t, refusedGrant, w.post("/token", refresh(p.Refresh, "client_id", "spa")))
	assert.Equal(t, refusal(401, "invalid_client", "the client does not authenticate"), w.post("/token", refresh(p.Refresh, "client_id", "web")))
	assert.Equal(t, refusal(401, "invalid_client", "the client does not authenticate"), w.post("/token", refresh(p.Refresh, "client_id", "nobody")))
	assert.Equal(t, refusal(400, "unauthorized_client", "the client may not use this grant type"), w.post("/token", refresh(p.Refresh), as("app")...))
	for _, token := range []string{p.Access, "x", "sneck_rt_x", p.Refresh + "x"} {
		assert.Equal(t, refusedGrant, w.post("/token", refresh(token), as("web")...))
	}
	assert.Equal(t, refusal(400, "invalid_request", "refresh_token is missing"), w.post("/token", refresh(""), as("web")...))
	w.pair(t, refresh(p.Refresh), as("web")...)

	assert.Empty(t, w.pair(t, exchange(w.code(t, "no refresh"))+"&client_id=no+refresh").Refresh)
}

func TestAC08_NoRefreshTokenForTheClientItself(t *testing.T) {
	w := newCodeWorld(t)
	require.NoError(t, w.memory.PutClient(t.Context(), &authserver.Client{
		ID: "both", Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}}, Scopes: scopes.Set{"read"}, Audience: []string{api},
		Grants: []string{authserver.GrantClientCredentials, authserver.GrantRefreshToken},
	}))
	assert.Empty(t, w.pair(t, credentialsGrant, as("both")...).Refresh)
}

func TestAC27_RefreshNarrowsButNeverWidens(t *testing.T) {
	w := newCodeWorld(t)
	p := w.login(t, "web", "scope", "read write")
	narrow := w.login(t, "web", "scope", "read")
	for _, test := range []struct {
		token pair
		more  []string
		want  reply
	}{
		{narrow, []string{"scope", "write"}, refusal(400, "invalid_scope", "a scope was not granted before")},
		{narrow, []string{"scope", "read write"}, refusal(400, "invalid_scope", "a scope was not granted before")},
		{narrow, []string{"scope", `"`}, refusal(400, "invalid_scope", "the scope is malformed")},
		{p, []string{"resource", "https://b.example.com"}, refusal(400, "invalid_target", "the client may not ask for this resource")},
		{p, []string{"resource", "api"}, refusal(400, "invalid_target", "a resource must be an absolute URI without a fragment")},
	} {
		assert.Equal(t, test.want, w.post("/token", refresh(test.token.Refresh, test.more...), as("web")...))
	}
	// That has not burnt it, and narrowing is for the access token only.
	p = w.pair(t, refresh(p.Refresh, "scope", "read", "resource", api), as("web")...)
	assert.Equal(t, "read", p.Scope)
	p = w.pair(t, refresh(p.Refresh), as("web")...)
	assert.Equal(t, "read write", p.Scope)

	// What the client may no longer have is left out.
	c, err := w.memory.Client(t.Context(), "web")
	require.NoError(t, err)
	less := *c
	less.Scopes = scopes.Set{"write"}
	require.NoError(t, w.memory.PutClient(t.Context(), &less))
	assert.Equal(t, "write", w.pair(t, refresh(p.Refresh), as("web")...).Scope)
	assert.Equal(t, refusal(400, "invalid_scope", "the client may have none of these scopes any more"),
		w.post("/token", refresh(narrow.Refresh), as("web")...))
}

func TestAR03_RevokingARefreshTokenEndsTheFamily(t *testing.T) {
	w := newCodeWorld(t)
	first := w.login(t, "web")
	second := w.pair(t, refresh(first.Refresh), as("web")...)
	other := w.login(t, "web")

	assert.Equal(t, revoked, w.post("/revoke", "token="+first.Access, as("web")...))
	assert.False(t, w.live(t, first))
	assert.True(t, w.live(t, second), "an access token is revoked alone")

	assert.Equal(t, refusal(400, "invalid_grant", "the token was issued to another client"), w.post("/revoke", "client_id=spa&token="+second.Refresh))
	assert.Equal(t, revoked, w.post("/revoke", "token="+second.Refresh, as("web")...))
	assert.False(t, w.live(t, second))
	assert.Equal(t, refusedGrant, w.post("/token", refresh(second.Refresh), as("web")...))
	assert.True(t, w.live(t, other))

	public := w.login(t, "spa")
	assert.Equal(t, revoked, w.post("/revoke", "client_id=spa&token="+public.Refresh))
	assert.False(t, w.live(t, public))
}

// Many refresh at once with the same token. At most one wins, nobody sees a
// failure of the server, and in the end everything is revoked.
func TestAC26_ReuseUnderConcurrency(t *testing.T) {
	for range 10 {
		w := newCodeWorld(t)
		p := w.login(t, "spa")
		var mu sync.Mutex
		var won []pair
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				got := w.post("/token", refresh(p.Refresh, "client_id", "spa"))
				if got.status == 200 {
					var next pair
					assert.NoError(t, unmarshal(got.body, &next))
					mu.Lock()
					defer mu.Unlock()
					won = append(won, next)
					return
				}
				assert.Equal(t, refusedGrant, got)
			})
		}
		wg.Wait()
		require.Len(t, won, 1)
		assert.False(t, w.live(t, p))
		assert.False(t, w.live(t, won[0]))
		assert.Equal(t, refusedGrant, w.post("/token", refresh(won[0].Refresh, "client_id", "spa")))
	}
}

func settingRefreshTTL(t *testing.T) {
	for ttl, life := range map[time.Duration]time.Duration{0: 30 * 24 * time.Hour, time.Hour: time.Hour} {
		w := newCodeWorld(t, func(c *authserver.Config) { c.RefreshTokenTTL = ttl })
		p := w.login(t, "web")
		w.now = epoch.Add(life / 2)
		p = w.pair(t, refresh(p.Refresh), as("web")...)
		w.now = epoch.Add(life - 1)
		p = w.pair(t, refresh(p.Refresh), as("web")...)
		w.now = epoch.Add(life) // counted from the approval, however often it was rotated
		assert.Equal(t, refusedGrant, w.post("/token", refresh(p.Refresh), as("web")...))
	}

	// The clean-up goes by it, too.
	swept := newCodeWorld(t, func(c *authserver.Config) { c.RefreshTokenTTL, c.Sweep.Retain = time.Hour, time.Second })
	kept := swept.login(t, "web")
	there := func() error {
		_, err := swept.memory.Get(t.Context(), authserver.KeyOf(kept.Refresh))
		return err
	}
	swept.now = epoch.Add(time.Hour + time.Second - 1)
	_, err := swept.DeleteExpired(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, there())
	swept.now = epoch.Add(time.Hour + time.Second)
	_, err = swept.DeleteExpired(t.Context(), nil)
	require.NoError(t, err)
	require.ErrorIs(t, there(), authserver.ErrNotFound)

	none := newCodeWorld(t, func(c *authserver.Config) { c.RefreshTokenTTL = authserver.NoRefreshTokens })
	assert.Empty(t, none.login(t, "web").Refresh)
	assert.Contains(t, none.post("/token", refresh("x"), as("web")...).body, "unsupported_grant_type")

	never := newCodeWorld(t, func(c *authserver.Config) { c.RefreshTokenTTL = authserver.Never })
	p := never.login(t, "web")
	never.now = epoch.AddDate(100, 0, 0)
	never.pair(t, refresh(p.Refresh), as("web")...)

	m := authserver.NewMemory()
	_, err = authserver.New(authserver.Config{Issuer: issuer, Store: m, Clients: m, RefreshTokenTTL: -2, RefreshTokenIdle: -1, RefreshGrace: -1, RefreshReuse: 9})
	require.ErrorContains(t, err, "RefreshTokenTTL -2ns is negative")
	require.ErrorContains(t, err, "RefreshTokenIdle -1ns is negative")
	require.ErrorContains(t, err, "RefreshGrace -1ns is not in 0 to 5m0s")
	require.ErrorContains(t, err, "RefreshReuse 9 is not known")
}

func settingRefreshIdle(t *testing.T) {
	w := newCodeWorld(t, func(c *authserver.Config) { c.RefreshTokenIdle, c.RefreshTokenTTL = time.Hour, 3*time.Hour })
	p := w.login(t, "web")
	for range 3 { // use keeps it alive
		w.now = w.now.Add(time.Hour - 1)
		p = w.pair(t, refresh(p.Refresh), as("web")...)
	}
	w.now = epoch.Add(3 * time.Hour) // but not longer than the absolute limit
	assert.Equal(t, refusedGrant, w.post("/token", refresh(p.Refresh), as("web")...))

	p = w.login(t, "web")
	w.now = w.now.Add(time.Hour)
	assert.Equal(t, refusedGrant, w.post("/token", refresh(p.Refresh), as("web")...))

	w = newCodeWorld(t, func(c *authserver.Config) { c.RefreshTokenIdle, c.RefreshTokenTTL = time.Hour, authserver.Never })
	p = w.login(t, "web")
	w.now = w.now.Add(time.Hour)
	assert.Equal(t, refusedGrant, w.post("/token", refresh(p.Refresh), as("web")...))
}

func settingRefreshGrace(t *testing.T) {
	open := func() *world {
		return newCodeWorld(t, func(c *authserver.Config) { c.RefreshGrace = 10 * time.Second })
	}
	w := open()
	first := w.login(t, "web")
	lost := w.pair(t, refresh(first.Refresh), as("web")...)
	w.now = epoch.Add(10*time.Second - 1)
	again := w.pair(t, refresh(first.Refresh), as("web")...)
	assert.NotEqual(t, lost.Refresh, again.Refresh)
	assert.Equal(t, refusedGrant, w.post("/token", refresh(first.Refresh, "client_id", "spa")), "for the same client only")
	for _, p := range []pair{first, lost, again} {
		assert.True(t, w.live(t, p))
	}
	again = w.pair(t, refresh(again.Refresh), as("web")...)
	w.now = epoch.Add(10 * time.Second)
	assert.Equal(t, refusedGrant, w.post("/token", refresh(first.Refresh), as("web")...), "the grace counts from the first use")
	assert.False(t, w.live(t, again))

	// AC-28: of the two that came out of a grace, one goes on. Whoever comes
	// with the other one later ends the family.
	w = open()
	first = w.login(t, "web")
	mine := w.pair(t, refresh(first.Refresh), as("web")...)
	stolen := w.pair(t, refresh(first.Refresh), as("web")...)
	w.now = epoch.Add(time.Hour)
	mine = w.pair(t, refresh(mine.Refresh), as("web")...)
	w.now = epoch.Add(2 * time.Hour)
	mine = w.pair(t, refresh(mine.Refresh), as("web")...)
	assert.True(t, w.live(t, mine))
	assert.Equal(t, refusedGrant, w.post("/token", refresh(stolen.Refresh), as("web")...))
	assert.False(t, w.live(t, mine))

	// What was revoked on purpose is dead at once.
	w = open()
	first = w.login(t, "web")
	second := w.pair(t, refresh(first.Refresh), as("web")...)
	assert.Equal(t, revoked, w.post("/revoke", "token="+second.Refresh, as("web")...))
	assert.Equal(t, refusedGrant, w.post("/token", refresh(first.Refresh), as("web")...))

	// Inside of the grace all who ask at once get an answer that works, and so
	// do they all with what they got.
	w = open()
	first = w.login(t, "web")
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			p := first
			for range 2 {
				got := w.post("/token", refresh(p.Refresh), as("web")...)
				assert.Equal(t, 200, got.status, got.body)
				assert.NoError(t, unmarshal(got.body, &p))
				assert.True(t, w.live(t, p))
			}
		})
	}
	wg.Wait()
}

func settingRotate(t *testing.T) {
	var asked atomic.Int64
	w := newCodeWorld(t, func(c *authserver.Config) {
		c.RotateRefreshToken = func(_ context.Context, r authserver.Record) bool {
			asked.Add(1)
			return r.Expires.Sub(c.Now()) < time.Hour // only near the end
		}
	})
	first := w.login(t, "web")
	for range 3 {
		p := w.pair(t, refresh(first.Refresh), as("web")...)
		assert.Equal(t, first.Refresh, p.Refresh, "it is kept")
		assert.True(t, w.live(t, p))
	}
	w.now = epoch.Add(30*24*time.Hour - time.Minute)
	last := w.pair(t, refresh(first.Refresh), as("web")...)
	assert.NotEqual(t, first.Refresh, last.Refresh)
	assert.True(t, w.live(t, last), "the pair that was just issued lives")
	assert.Equal(t, refusedGrant, w.post("/token", refresh(first.Refresh), as("web")...))
	assert.EqualValues(t, 4, asked.Load())

	w = newCodeWorld(t, func(c *authserver.Config) {
		c.RotateRefreshToken = func(context.Context, authserver.Record) bool { return false }
	})
	public := w.login(t, "spa")
	assert.NotEqual(t, public.Refresh, w.pair(t, refresh(public.Refresh, "client_id", "spa")).Refresh, "public clients rotate")
	kept := w.login(t, "web")
	assert.Equal(t, revoked, w.post("/revoke", "token="+kept.Refresh, as("web")...))
	assert.Equal(t, refusedGrant, w.post("/token", refresh(kept.Refresh), as("web")...))
}

func settingRefreshGenerator(t *testing.T) {
	values := []string{"r1", "r1", "r1", "r2"}
	w := newCodeWorld(t, func(c *authserver.Config) {
		c.RefreshToken = func(_ context.Context, r *authserver.TokenRequest) (string, error) {
			assert.Equal(t, "user-1", r.Subject)
			v := values[0]
			values = values[1:]
			return v, nil
		}
	})
	p := w.login(t, "web")
	assert.Equal(t, "r1", p.Refresh)
	assert.Equal(t, "r2", w.pair(t, refresh("r1"), as("web")...).Refresh, "what exists is generated anew")
	assert.Equal(t, revoked, w.post("/revoke", "token=r2", as("web")...))
	assert.False(t, w.live(t, p))
}

func settingReuse(t *testing.T) {
	// By default, reuse ends the family, whoever comes first.
	strict := newCodeWorld(t)
	old := strict.login(t, "web")
	fresh := strict.pair(t, refresh(old.Refresh), as("web")...)
	other := strict.login(t, "web")
	assert.Equal(t, refusedGrant, strict.post("/token", refresh(old.Refresh), as("web")...))
	assert.False(t, strict.live(t, fresh))
	assert.Equal(t, refusedGrant, strict.post("/token", refresh(fresh.Refresh), as("web")...))
	assert.True(t, strict.live(t, other), "what came of another approval is not touched")

	w := newCodeWorld(t, func(c *authserver.Config) { c.RefreshReuse = authserver.InsecureRefuseOnly })
	first := w.login(t, "web")
	second := w.pair(t, refresh(first.Refresh), as("web")...)
	assert.Equal(t, refusedGrant, w.post("/token", refresh(first.Refresh), as("web")...))
	assert.True(t, w.live(t, second))
	w.pair(t, refresh(second.Refresh), as("web")...)
}

// A store of one's own has refresh tokens, too: with what it wants to know
// besides, and spending and creating in one step.
func settingRefreshStore(t *testing.T) {
	store := &auditedStore{Memory: authserver.NewMemory()}
	w := newCodeWorld(t, func(c *authserver.Config) { c.Store = store })
	p := w.login(t, "web")
	next := w.pair(t, refresh(p.Refresh), as("web")...)
	record, err := store.Get(t.Context(), authserver.KeyOf(next.Refresh))
	require.NoError(t, err)
	assert.Equal(t, authserver.KindRefresh, record.Kind)
	assert.Equal(t, "user-1", record.Subject)
	old, err := store.Get(t.Context(), authserver.KeyOf(p.Refresh))
	require.NoError(t, err)
	assert.Equal(t, w.now, old.Spent)
	assert.Equal(t, record.Family, old.Family)
	assert.Equal(t, []string{"web: code", "web: access", "web: refresh", "web: access", "web: refresh"}, store.seen)
	for _, failing := range []error{authserver.ErrExists, errBroken} {
		store.failing = failing
		got := w.post("/token", refresh(next.Refresh), as("web")...)
		assert.Equal(t, 503, got.status, "never a 500")
	}
	store.failing = nil
	w.pair(t, refresh(next.Refresh), as("web")...)
}

// What is taken out of a client's record ends with the next refresh, and only
// that: not what a grant of one's own has decided, nor the server's default.
func TestRefreshLeavesOutWhatIsNoLongerRegistered(t *testing.T) {
	const other, elsewhere, custom = "https://b.example.com", "https://elsewhere.example.com", "urn:example:grant"
	none := refusal(400, "invalid_target", "the client may ask for none of these resources any more")
	for name, test := range map[string]struct {
		audience, resources []string // as registered
		grant               string   // form that gets the first pair; a code if empty
		first               []string // audience of the first token
		change              func(*authserver.Client)
		more                []string // of the refresh
		want                []string
		refused             reply
	}{
		"all is left": {
			[]string{api, other}, nil, "", []string{api, other},
			func(c *authserver.Client) { c.Audience, c.Resources = []string{other}, []string{api} }, nil, []string{api, other}, reply{},
		},
		"one of two is taken": {
			[]string{api, other}, nil, "", []string{api, other},
			func(c *authserver.Client) { c.Audience = []string{api} }, nil, []string{api}, reply{},
		},
		"what is taken is asked for": {
			[]string{api, other}, nil, "", []string{api, other},
			func(c *authserver.Client) { c.Audience = []string{api} }, []string{"resource", other}, nil,
			refusal(400, "invalid_target", "the client may not ask for this resource"),
		},
		"the only one is taken": {
			[]string{api}, []string{other}, "resource=" + url.QueryEscape(other), []string{other},
			func(c *authserver.Client) { c.Resources = nil }, nil, nil, none,
		},
		"it is the default anyhow": {
			[]string{elsewhere}, nil, "", []string{elsewhere},
			func(c *authserver.Client) { c.Audience = nil }, nil, []string{elsewhere}, reply{},
		},
		"it was the default": {
			nil, nil, "", []string{elsewhere},
			func(c *authserver.Client) { c.Audience = []string{api} }, nil, []string{elsewhere}, reply{},
		},
		"a grant has decided it": {
			[]string{api}, nil, "audience=https://c.example.com", []string{"https://c.example.com"},
			func(c *authserver.Client) { c.Audience = []string{other} }, nil, []string{"https://c.example.com"}, reply{},
		},
	} {
		for _, keep := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, kept %v", name, keep), func(t *testing.T) {
				w := newCodeWorld(t, func(c *authserver.Config) {
					c.Audience = []string{elsewhere}
					c.RotateRefreshToken = func(context.Context, authserver.Record) bool { return !keep }
					c.Grants = []authserver.Grant{authserver.AuthorizationCode(), authserver.RefreshToken(), {
						Type: custom,
						Handle: func(_ context.Context, r *authserver.GrantRequest) (*authserver.Issue, error) {
							issue := &authserver.Issue{Subject: "user-1", Scopes: scopes.Set{"read"}, Refresh: true}
							if audience := r.Form.Get("audience"); audience != "" {
								issue.Audience = []string{audience}
							}
							return issue, nil
						},
					}}
				})
				change := func(f func(*authserver.Client)) {
					c, err := w.memory.Client(t.Context(), "web")
					require.NoError(t, err)
					changed := *c
					f(&changed)
					require.NoError(t, w.memory.PutClient(t.Context(), &changed))
				}
				audience := func(p pair) []string {
					token, err := w.Verify(t.Context(), p.Access)
					require.NoError(t, err)
					return token.Audience
				}
				change(func(c *authserver.Client) {
					c.Audience, c.Resources, c.Grants = test.audience, test.resources, append(c.Grants, custom)
				})
				var p pair
				if test.grant == "" {
					p = w.login(t, "web")
				} else {
					p = w.pair(t, "grant_type="+custom+"&"+test.grant, as("web")...)
				}
				require.Equal(t, test.first, audience(p))

				change(test.change)
				for range 2 { // it stays so with the successors
					if test.want == nil {
						assert.Equal(t, test.refused, w.post("/token", refresh(p.Refresh, test.more...), as("web")...))
						continue
					}
					next := w.pair(t, refresh(p.Refresh, test.more...), as("web")...)
					assert.Equal(t, test.want, audience(next))
					if !keep {
						assert.NotEqual(t, p.Refresh, next.Refresh)
					}
					p = next
				}
				// The token itself has what was approved: given back is given back.
				change(func(c *authserver.Client) { c.Audience, c.Resources = test.audience, test.resources })
				assert.Equal(t, test.first, audience(w.pair(t, refresh(p.Refresh), as("web")...)))
			})
		}
	}
}

// Another default of the server signs nobody out.
func TestRefreshOutlivesTheDefaultAudience(t *testing.T) {
	w := newCodeWorld(t, func(c *authserver.Config) { c.Audience = []string{api} })
	c, err := w.memory.Client(t.Context(), "web")
	require.NoError(t, err)
	changed := *c
	changed.Audience = nil
	require.NoError(t, w.memory.PutClient(t.Context(), &changed))
	p := w.login(t, "web")

	later, err := authserver.New(authserver.Config{
		Issuer: issuer, Store: w.memory, Clients: w.memory, Audience: []string{"https://new.example.com"}, Now: func() time.Time { return w.now },
		Scopes: scopes.Static{List: []scopes.Described{{Name: "read"}, {Name: "write"}}},
	})
	require.NoError(t, err)
	w.Server = later
	token, err := w.Verify(t.Context(), w.pair(t, refresh(p.Refresh), as("web")...).Access)
	require.NoError(t, err)
	assert.Equal(t, []string{api}, token.Audience)
}

// What is taken between the approval and the first token counts as well.
func TestRefreshKnowsWhatWasRegisteredAtTheApproval(t *testing.T) {
	w := newDeviceWorld(t)
	taken := func(client string) {
		c, err := w.memory.Client(t.Context(), client)
		require.NoError(t, err)
		changed := *c
		changed.Audience, changed.Resources = []string{"https://c.example.com"}, nil
		require.NoError(t, w.memory.PutClient(t.Context(), &changed))
	}
	none := refusal(400, "invalid_target", "the client may ask for none of these resources any more")

	code := w.code(t, "web")
	taken("web")
	p := w.pair(t, exchange(code), as("web")...)
	assert.Equal(t, none, w.post("/token", refresh(p.Refresh), as("web")...))

	d := w.device(t)
	w.decide(d.UserCode, "approve=1")
	taken("tv")
	got := w.poll(d)
	require.NoError(t, unmarshal(got.body, &p), got.body)
	assert.Equal(t, none, w.post("/token", refresh(p.Refresh, "client_id", "tv")))
}
