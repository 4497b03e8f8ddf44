package admin_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/pages"
	"github.com/sneckauth/sneck/scopes"
)

const issuer = "https://auth.example.com"

var epoch = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// A world is a server with everything that can be administered, and the events
// that it has seen.
type world struct {
	store  *authserver.Memory
	server *authserver.Server
	ops    *admin.Operations
	api    *admin.API
	now    time.Time
	events []authserver.Event
}

func newWorld(t *testing.T) *world {
	w := &world{store: authserver.NewMemory(), now: epoch}
	now := func() time.Time { return w.now }
	ring, err := authserver.NewKeyRing(authserver.KeyRingConfig{Store: w.store, InsecureUnsealed: true, Now: now})
	require.NoError(t, err)
	w.server, err = authserver.New(authserver.Config{
		Issuer: issuer, Store: w.store, Clients: w.store, Now: now, Keys: ring,
		Scopes: scopes.Static{List: []scopes.Described{
			{Name: "notes:read", Text: "Read your notes"}, {Name: "notes:write"}, {Name: authserver.AdminScope, Text: "Administer the server"},
		}},
		Observe: func(_ context.Context, e authserver.Event) {
			if e.By != "" {
				w.events = append(w.events, e)
			}
		},
	})
	require.NoError(t, err)
	accounts, err := pages.NewAccounts(w.store, now)
	require.NoError(t, err)
	w.ops, err = admin.New(admin.Config{
		Server: w.server, Store: w.store, Clients: w.store, Accounts: accounts, Keys: ring, Now: now,
	})
	require.NoError(t, err)
	w.api = admin.NewAPI(w.ops, nil)
	w.ops = w.ops.As("olga")
	return w
}

// happened returns the events since the last call, without their times.
func (w *world) happened(t *testing.T) []authserver.Event {
	events := w.events
	w.events = nil
	for i := range events {
		assert.Equal(t, w.now, events[i].Time)
		events[i].Time = time.Time{}
	}
	return events
}

func TestClientLife(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	settings := admin.ClientSettings{
		Name: "Notes", Grants: []string{"client_credentials"}, Scope: "notes:read notes:write", Audience: []string{"https://notes.example"},
	}
	made, err := w.ops.CreateClient(ctx, admin.NewClient{ID: "app", ClientSettings: settings})
	require.NoError(t, err)
	assert.Len(t, made.Secret, authserver.DefaultSecretLength)
	first := made.Secrets[0].ID
	want := &admin.Client{
		ID: "app", ClientSettings: settings, Secrets: []admin.Secret{{ID: first}}, Version: made.Version, Secret: made.Secret,
	}
	assert.Equal(t, want, made)
	assert.Equal(t, []authserver.Event{
		{Kind: authserver.EventClientCreated, Client: "app", Scopes: scopes.Set{"notes:read", "notes:write"}, By: "olga"},
	}, w.happened(t))
	_, err = w.ops.CreateClient(ctx, admin.NewClient{ID: "app", ClientSettings: settings})
	require.ErrorIs(t, err, admin.ErrExists)
	_, err = w.ops.CreateClient(ctx, admin.NewClient{ID: "other", ClientSettings: admin.ClientSettings{Scope: "unknown"}})
	require.ErrorIs(t, err, admin.ErrInvalid)

	want.Secret = ""
	got, err := w.ops.Client(ctx, "app")
	require.NoError(t, err)
	assert.Equal(t, want, got)

	settings.Scope = "notes:read"
	_, err = w.ops.ChangeClient(ctx, "app", "old", settings)
	require.ErrorIs(t, err, admin.ErrChanged)
	changed, err := w.ops.ChangeClient(ctx, "app", made.Version, settings)
	require.NoError(t, err)
	assert.NotEqual(t, made.Version, changed.Version)
	want.Scope, want.Version = "notes:read", changed.Version
	assert.Equal(t, want, changed)
	assert.Equal(t, []authserver.Event{
		{Kind: authserver.EventClientChanged, Client: "app", Scopes: scopes.Set{"notes:read"}, By: "olga"},
	}, w.happened(t))

	// A second secret, and the first one works until it is over.
	second, err := w.ops.AddSecret(ctx, "app", time.Time{})
	require.NoError(t, err)
	assert.Equal(t, admin.Secret{ID: second.ID}, second.Secret)
	until := epoch.Add(time.Hour)
	retired, err := w.ops.RetireSecret(ctx, "app", first, until)
	require.NoError(t, err)
	assert.Equal(t, []admin.Secret{{ID: first, Expires: until}, {ID: second.ID}}, retired.Secrets)
	retired, err = w.ops.RetireSecret(ctx, "app", first, time.Time{})
	require.NoError(t, err)
	assert.Equal(t, []admin.Secret{{ID: second.ID}}, retired.Secrets)
	_, err = w.ops.RetireSecret(ctx, "app", second.ID, time.Time{})
	require.ErrorIs(t, err, admin.ErrInvalid, "it would be public")
	w.happened(t)

	n, err := w.ops.DeleteClient(ctx, "app")
	require.NoError(t, err)
	assert.Zero(t, n)
	_, err = w.ops.DeleteClient(ctx, "app")
	require.ErrorIs(t, err, admin.ErrNotFound)
	assert.Equal(t, []authserver.Event{{Kind: authserver.EventClientDeleted, Client: "app", By: "olga"}}, w.happened(t))
}

// serve has the API answer a request.
func (w *world) serve(r *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	w.api.ServeHTTP(answer, r)
	return answer
}

// token returns a token of a client that may administer the server.
func (w *world) token(t *testing.T) string {
	t.Helper()
	return w.tokenOf(t, "root", scopes.Set{authserver.AdminScope}, issuer)
}

// tokenOf registers a client if there is none, and returns its token.
func (w *world) tokenOf(t *testing.T, id string, set scopes.Set, audience string) string {
	t.Helper()
	c, secret, err := w.server.NewClient(t.Context(), authserver.Client{
		ID: id, Grants: []string{authserver.GrantClientCredentials}, Scopes: set, Audience: []string{audience},
	}, true)
	require.NoError(t, err)
	require.NoError(t, w.store.PutClient(t.Context(), c))
	form := url.Values{"grant_type": {authserver.GrantClientCredentials}, "scope": {set.String()}}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, issuer+"/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(id, secret)
	answer := httptest.NewRecorder()
	w.server.ServeHTTP(answer, r)
	var token struct {
		AccessToken string `json:"access_token"`
	}
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &token))
	require.NotEmpty(t, token.AccessToken, answer.Body)
	return token.AccessToken
}
