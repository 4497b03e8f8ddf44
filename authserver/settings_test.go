package authserver_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/storetest"
	"github.com/sneckauth/sneck/scopes"
)

// TestSettings has a test for each row of the list of settings of the issuing
// side, by its name.
func TestSettings(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"access_token_expire_seconds":        settingAccessTokenTTL,
		"access_token_model":                 settingStore,
		"access_token_generator":             settingGenerator,
		"allowed_redirect_uri_schemes":       settingRedirectSchemes,
		"application_model":                  settingClients,
		"authorization_code_expire_seconds":  settingCodeTTL,
		"client_id_generator_class":          settingClientID,
		"client_secret_generator_class":      settingClientSecret,
		"client_secret_generator_length":     settingSecretLength,
		"extra_server_kwargs":                settingPerRequest,
		"oauth2_server_class":                settingGrants,
		"oauth2_validator_class":             settingHooks,
		"oauth2_backend_class":               settingDecoder,
		"refresh_token_expire_seconds":       settingRefreshTTL,
		"refresh_token_idle_seconds":         settingRefreshIdle,
		"refresh_token_grace_period_seconds": settingRefreshGrace,
		"refresh_token_model":                settingRefreshStore,
		"rotate_refresh_token":               settingRotate,
		"refresh_token_generator":            settingRefreshGenerator,
		"refresh_token_reuse_protection":     settingReuse,
		"request_approval_prompt":            settingPrompt,
		"scopes_backend_class":               settingScopesBackend,
		"scopes":                             settingScopes,
		"default_scopes":                     settingDefaultScopes,
		"read_scope":                         settingReadScope,
		"write_scope":                        settingWriteScope,
		"pkce_required":                      settingPKCE,
		"client_secret_hasher":               settingHasher,
		"clear_expired_tokens_batch_size":    settingSweepBatch,
		"clear_expired_tokens_interval":      settingSweepInterval,
	} {
		t.Run(name, test)
	}
}

func token(ttl, scope string) reply {
	return jsonReply(200, `{"access_token":"token-1","token_type":"Bearer","expires_in":`+ttl+`,"scope":"`+scope+`"}`)
}

func settingAccessTokenTTL(t *testing.T) {
	for _, test := range []struct {
		config, client, perRequest time.Duration
		want                       string
	}{
		{0, 0, 0, "3600"},
		{60 * time.Second, 0, 0, "60"},
		{60 * time.Second, 90 * time.Second, 0, "90"},
		{60 * time.Second, 90 * time.Second, 120 * time.Second, "120"},
		{60 * time.Second, 0, -1, "60"},
		{time.Second, 0, 0, "1"},
	} {
		w := newWorld(t, func(c *authserver.Config) {
			c.AccessTokenTTL = test.config
			if test.perRequest != 0 {
				c.TokenExpiresIn = func(_ context.Context, r *authserver.TokenRequest) time.Duration {
					assert.Equal(t, "client_credentials", r.GrantType)
					assert.Equal(t, "timed", r.Client.ID)
					return test.perRequest
				}
			}
		})
		require.NoError(t, w.memory.PutClient(t.Context(), &authserver.Client{
			ID: "timed", Grants: []string{authserver.GrantClientCredentials}, Scopes: scopes.Set{"read"}, Audience: []string{api},
			Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}}, AccessTokenTTL: test.client,
		}))
		w.now = epoch.Add(999 * time.Millisecond)
		assert.Equal(t, token(test.want, "read"), w.post("/token", credentialsGrant, as("timed")...))

		got, err := w.Verify(t.Context(), "token-1")
		require.NoError(t, err)
		life, err := time.ParseDuration(test.want + "s")
		require.NoError(t, err)
		assert.Equal(t, life, got.Expires.Sub(got.IssuedAt), "exp - iat is expires_in")
		w.now = got.Expires.Add(-1)
		_, err = w.Verify(t.Context(), "token-1")
		require.NoError(t, err)
		w.now = got.Expires
		_, err = w.Verify(t.Context(), "token-1")
		require.Error(t, err, "expired when now >= expiry")
		assert.Equal(t, inactive, w.post("/introspect", "token=token-1", as("api")...))
	}
	m := authserver.NewMemory()
	for _, ttl := range []time.Duration{-1, -time.Hour, time.Second / 2} {
		_, err := authserver.New(authserver.Config{Issuer: issuer, Store: m, Clients: m, AccessTokenTTL: ttl})
		require.ErrorContains(t, err, "AccessTokenTTL")
	}
}

// An application's own store may know more of each token.
type auditedStore struct {
	*authserver.Memory
	mu      sync.Mutex
	seen    []string
	failing error
}

func (s *auditedStore) note(records []authserver.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range records {
		s.seen = append(s.seen, r.Client+": "+string(r.Kind))
	}
	return s.failing
}

func (s *auditedStore) Create(ctx context.Context, records ...authserver.Record) error {
	if err := s.note(records); err != nil {
		return err
	}
	return s.Memory.Create(ctx, records...)
}

func (s *auditedStore) Spend(ctx context.Context, spend authserver.Spend) (authserver.Record, error) {
	if err := s.note(spend.Yield); err != nil {
		return authserver.Record{}, err
	}
	return s.Memory.Spend(ctx, spend)
}

func settingStore(t *testing.T) {
	store := &auditedStore{Memory: authserver.NewMemory()}
	w := newWorld(t, func(c *authserver.Config) { c.Store = store })
	w.issue(t, "app", "")
	assert.Equal(t, []string{"app: access"}, store.seen)
	storetest.Test(t, func(*testing.T) authserver.Store { return &auditedStore{Memory: authserver.NewMemory()} })
}

func settingGenerator(t *testing.T) {
	// Built in: 256 random bits with prefix and checksum.
	standard := newWorld(t, func(c *authserver.Config) { c.AccessToken = nil })
	first, second := standard.issue(t, "app", ""), standard.issue(t, "app", "")
	assert.Regexp(t, `^sneck_at_[0-9A-Za-z]{49}$`, first)
	assert.True(t, authserver.WellFormed(first) && authserver.WellFormed(second))
	assert.NotEqual(t, first, second)
	assert.False(t, authserver.WellFormed(first[:len(first)-1]+"?"))

	w := newWorld(t, func(c *authserver.Config) {
		c.AccessToken = func(_ context.Context, r *authserver.TokenRequest) (string, error) {
			return "for." + r.Client.ID + "." + r.Scopes.String(), nil
		}
	})
	assert.Equal(t, "for.app.read", w.issue(t, "app", ""))
	got, err := w.Verify(t.Context(), "for.app.read")
	require.NoError(t, err)
	assert.Equal(t, "app", got.ClientID)

	// What exists is generated anew; if there is nothing else, that is said.
	values := []string{"taken", "taken", "taken", "fresh"}
	w = newWorld(t, func(c *authserver.Config) {
		c.AccessToken = func(context.Context, *authserver.TokenRequest) (string, error) {
			v := values[0]
			if len(values) > 1 {
				values = values[1:]
			}
			return v, nil
		}
	})
	assert.Equal(t, "taken", w.issue(t, "app", ""))
	assert.Equal(t, "fresh", w.issue(t, "app", ""))
	down := refusal(503, "temporarily_unavailable", "the server can not answer at the moment")
	assert.Equal(t, down, w.post("/token", credentialsGrant, as("app")...))

	for name, generator := range map[string]authserver.TokenGenerator{
		"fails":  func(context.Context, *authserver.TokenRequest) (string, error) { return "", errBroken },
		"no b64": func(context.Context, *authserver.TokenRequest) (string, error) { return "a b", nil },
	} {
		w := newWorld(t, func(c *authserver.Config) { c.AccessToken = generator })
		assert.Equal(t, down, w.post("/token", credentialsGrant, as("app")...), name)
	}
}

// directory has its clients elsewhere.
type directory map[string]*authserver.Client

func (d directory) Client(_ context.Context, id string) (*authserver.Client, error) {
	if id == "broken" {
		return nil, errBroken
	}
	if c := d[id]; c != nil {
		return c, nil
	}
	return nil, authserver.ErrNotFound
}

func settingClients(t *testing.T) {
	w := newWorld(t, func(c *authserver.Config) {
		c.Clients = directory{"elsewhere": {
			ID: "elsewhere", Grants: []string{authserver.GrantClientCredentials}, Scopes: scopes.Set{"read"},
			Audience: []string{api}, Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}},
		}}
	})
	assert.Equal(t, issued("read"), w.post("/token", credentialsGrant, as("elsewhere")...))
	assert.Equal(t, 401, w.post("/token", credentialsGrant, as("app")...).status)
	assert.Equal(t, 503, w.post("/token", credentialsGrant, as("broken")...).status)
}

func settingClientID(t *testing.T) {
	c, _, err := newWorld(t).NewClient(t.Context(), authserver.Client{}, false)
	require.NoError(t, err)
	assert.Regexp(t, `^[0-9A-Za-z]{32}$`, c.ID)

	w := newWorld(t, func(c *authserver.Config) { c.ClientID = func() string { return "made up" } })
	c, _, err = w.NewClient(t.Context(), authserver.Client{}, false)
	require.NoError(t, err)
	assert.Equal(t, "made up", c.ID)
	c, _, err = w.NewClient(t.Context(), authserver.Client{ID: "chosen"}, false)
	require.NoError(t, err)
	assert.Equal(t, "chosen", c.ID)

	_, _, err = w.NewClient(t.Context(), authserver.Client{Scopes: scopes.Set{"nonsense"}}, false)
	require.EqualError(t, err, `authserver: client "made up": Scopes ["nonsense"] are not among the server's ["read" "write" "admin" "introspection"]`)
}

func settingClientSecret(t *testing.T) {
	w := newWorld(t, func(c *authserver.Config) { c.ClientSecret = func() string { return "a secret that is long enough" } })
	c, plain, err := w.NewClient(t.Context(), authserver.Client{
		Grants: []string{authserver.GrantClientCredentials}, Scopes: scopes.Set{"read"}, Audience: []string{api},
	}, true)
	require.NoError(t, err)
	assert.Equal(t, "a secret that is long enough", plain)
	assert.Equal(t, []authserver.Secret{{Hash: authserver.HashGenerated(plain)}}, c.Secrets)
	require.NoError(t, w.memory.PutClient(t.Context(), c))
	assert.Equal(t, issued("read"), w.post("/token", credentialsGrant, basic(c.ID, plain)...))

	w = newWorld(t, func(c *authserver.Config) { c.ClientSecret = func() string { return "short" } })
	_, _, err = w.NewClient(t.Context(), authserver.Client{}, true)
	require.EqualError(t, err, "authserver: a generated secret must have 22 to 1024 visible ASCII characters")
}

func settingSecretLength(t *testing.T) {
	for length, want := range map[int]int{0: 128, 22: 22, 1024: 1024} {
		w := newWorld(t, func(c *authserver.Config) { c.ClientSecretLength = length })
		_, plain, err := w.NewClient(t.Context(), authserver.Client{}, true)
		require.NoError(t, err)
		assert.Len(t, plain, want)
		assert.Regexp(t, `^[0-9A-Za-z]+$`, plain)
	}
	m := authserver.NewMemory()
	for _, length := range []int{-1, 21, 1025} {
		_, err := authserver.New(authserver.Config{Issuer: issuer, Store: m, Clients: m, ClientSecretLength: length})
		require.Error(t, err)
	}
}

// Lifetime, access token and refresh token may all depend on the request.
func settingPerRequest(t *testing.T) {
	w := newCodeWorld(t, func(c *authserver.Config) {
		c.TokenExpiresIn = func(_ context.Context, r *authserver.TokenRequest) time.Duration {
			return time.Duration(len(r.Scopes)) * time.Minute
		}
		c.AccessToken = func(_ context.Context, r *authserver.TokenRequest) (string, error) {
			return "access." + r.GrantType + "." + r.Client.ID + "." + r.Subject, nil
		}
		c.RefreshToken = func(_ context.Context, r *authserver.TokenRequest) (string, error) {
			return "refresh." + r.GrantType + "." + r.Client.ID + "." + r.Subject, nil
		}
	})
	assert.Equal(t, pair{"access.client_credentials.app.app", "", "read write", "Bearer", 120}, w.pair(t, credentialsGrant+"&scope=read+write", as("app")...))
	p := w.login(t, "web", "scope", "read")
	assert.Equal(t, pair{"access.authorization_code.web.user-1", "refresh.authorization_code.web.user-1", "read", "Bearer", 60}, p)
	p = w.pair(t, refresh(p.Refresh), as("web")...)
	assert.Equal(t, pair{"access.refresh_token.web.user-1", "refresh.refresh_token.web.user-1", "read", "Bearer", 60}, p)
	assert.True(t, w.live(t, p))
}

// A backend may answer each client differently.
type perClient struct{ scopes.Static }

func (perClient) Available(_ context.Context, r scopes.Request) (scopes.Set, error) {
	if r.ClientID == "app" && r.GrantType == authserver.GrantClientCredentials && r.Subject == "app" && len(r.Audience) == 1 {
		return scopes.Set{"write"}, nil
	}
	return nil, nil
}

func (perClient) Default(context.Context, scopes.Request) (scopes.Set, error) {
	return scopes.Set{"write", "read"}, nil
}

func settingScopesBackend(t *testing.T) {
	open := func() *world {
		return newWorld(t, func(c *authserver.Config) { c.Scopes = perClient{} })
	}
	refused := refusal(400, "invalid_scope", "a scope is unknown or not allowed to the client")
	assert.Equal(t, issued("write"), open().post("/token", credentialsGrant, as("app")...), "its default, as far as available")
	assert.Equal(t, refused, open().post("/token", credentialsGrant+"&scope=read", as("app")...))
	assert.Equal(t, refused, open().post("/token", credentialsGrant+"&scope=read", as("other app")...))

	// The client's own default comes before that of the backend.
	w := newWorld(t)
	require.NoError(t, w.memory.PutClient(t.Context(), &authserver.Client{
		ID: "own", Grants: []string{authserver.GrantClientCredentials}, Audience: []string{api},
		Scopes: scopes.Set{"read", "write", "admin"}, DefaultScopes: scopes.Set{"admin", "write"},
		Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}},
	}))
	assert.Equal(t, issued("admin write"), w.post("/token", credentialsGrant, as("own")...))
}

func settingScopes(t *testing.T) {
	w := newWorld(t, func(c *authserver.Config) { c.Scopes = nil })
	assert.Contains(t, get(w, issuer+"/.well-known/oauth-authorization-server").body, `"scopes_supported":["read","write"]`)

	// The order stays, and so do the texts, for those who ask for consent.
	list := []scopes.Described{{Name: "songs:write", Text: "Change songs"}, {Name: "songs:read", Text: "Hear songs"}, {Name: "read", Text: "Read"}}
	static := scopes.Static{List: list}
	w = newWorld(t, func(c *authserver.Config) { c.Scopes = static })
	assert.Contains(t, get(w, issuer+"/.well-known/oauth-authorization-server").body, `"scopes_supported":["songs:write","songs:read","read"]`)
	all, err := static.All(t.Context())
	require.NoError(t, err)
	assert.Equal(t, list, all)
	assert.Equal(t, refusal(400, "invalid_scope", "a scope is unknown or not allowed to the client"), w.post("/token", credentialsGrant+"&scope=write", as("app")...),
		"what is not in the list nobody gets, whatever is in the client's record")

	m := authserver.NewMemory()
	for _, name := range []string{`a"b`, "a b", "", `a\b`, "é"} {
		_, err := authserver.New(authserver.Config{
			Issuer: issuer, Store: m, Clients: m, Scopes: scopes.Static{List: []scopes.Described{{Name: name}}},
		})
		require.Error(t, err, name)
	}
}

// The scopes that reading and writing need may have other names.
func settingReadScope(t *testing.T) {
	static := scopes.Static{Read: "view"}
	assert.Equal(t, "view", static.ReadScope())
	assert.Equal(t, "read", scopes.Static{}.ReadScope())
	rule := scopes.ReadWrite{Read: static.Read, Write: static.Write}.Required()
	held := grantsOne(t, static, "view", "read")
	assert.True(t, rule.For(http.MethodGet).Met(held), "the rule by method has the same names")
	assert.False(t, rule.For(http.MethodPost).Met(held))
}

func settingWriteScope(t *testing.T) {
	static := scopes.Static{Write: "change"}
	assert.Equal(t, "change", static.WriteScope())
	assert.Equal(t, "write", scopes.Static{}.WriteScope())
	rule := scopes.ReadWrite{Read: static.Read, Write: static.Write}.Required()
	held := grantsOne(t, static, "change", "write")
	assert.True(t, rule.For(http.MethodPost).Met(held), "the rule by method has the same names")
	assert.False(t, rule.For(http.MethodGet).Met(held))
}

// grantsOne checks that the server grants the one scope and not the other, and
// returns what the token has.
func grantsOne(t *testing.T, backend scopes.Static, granted, unknown string) scopes.Set {
	t.Helper()
	w := newWorld(t, func(c *authserver.Config) { c.Scopes, c.DefaultScopes = backend, nil })
	require.NoError(t, w.memory.PutClient(t.Context(), &authserver.Client{
		ID: "c", Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}}, Grants: []string{authserver.GrantClientCredentials},
		Scopes: scopes.Set{granted, unknown}, Audience: []string{api},
	}))
	assert.Equal(t, refusal(400, "invalid_scope", "a scope is unknown or not allowed to the client"), w.post("/token", credentialsGrant+"&scope="+unknown, as("c")...))
	assert.Equal(t, issued(granted), w.post("/token", credentialsGrant+"&scope="+granted, as("c")...))
	token, err := w.Verify(t.Context(), "token-1")
	require.NoError(t, err)
	return token.Scopes
}

func settingDefaultScopes(t *testing.T) {
	for _, test := range []struct {
		defaults []string
		want     reply
	}{
		{nil, refusal(400, "invalid_scope", "no scope was asked for, and there is no default")},
		{[]string{"write"}, issued("write")},
		{[]string{"write", "read"}, issued("write read")},
		{[]string{"write", "admin"}, issued("write")},
		{[]string{"__all__"}, issued("read write")},
	} {
		w := newWorld(t, func(c *authserver.Config) { c.DefaultScopes = test.defaults })
		assert.Equal(t, test.want, w.post("/token", credentialsGrant, as("app")...))
	}

	// What lets a client introspect is never granted by default.
	w := newWorld(t, func(c *authserver.Config) { c.DefaultScopes = []string{authserver.AllScopes} })
	require.NoError(t, w.memory.PutClient(t.Context(), &authserver.Client{
		ID: "all", Grants: []string{authserver.GrantClientCredentials}, Audience: []string{api},
		Scopes:  scopes.Set{"read", "write", "admin", authserver.IntrospectionScope},
		Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}},
	}))
	assert.Equal(t, issued("read write admin"), w.post("/token", credentialsGrant, as("all")...))

	m := authserver.NewMemory()
	_, err := authserver.New(authserver.Config{Issuer: issuer, Store: m, Clients: m, DefaultScopes: []string{"admin"}})
	require.EqualError(t, err, `authserver: DefaultScopes: ["admin"] are not among the scopes ["read" "write"]`)
}
