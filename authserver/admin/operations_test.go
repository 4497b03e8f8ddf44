package admin_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/audit"
	"github.com/sneckauth/sneck/authserver/pages"
	"github.com/sneckauth/sneck/scopes"
)

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
	// It can end sooner than that, but not later.
	for at, want := range map[time.Time]time.Time{until.Add(time.Hour): until, until.Add(time.Second): until, until: until} {
		retired, err = w.ops.RetireSecret(ctx, "app", first, at)
		require.NoError(t, err)
		assert.Equal(t, []admin.Secret{{ID: first, Expires: want}, {ID: second.ID}}, retired.Secrets)
	}
	// Of several, all but the new one end, and none of them later than before.
	fresh, err := w.ops.AddSecret(ctx, "app", time.Time{})
	require.NoError(t, err)
	sooner := epoch.Add(time.Minute)
	for _, test := range []struct{ at, first, second time.Time }{{epoch.Add(2 * time.Hour), until, epoch.Add(2 * time.Hour)}, {sooner, sooner, sooner}} {
		retired, err = w.ops.RetireOtherSecrets(ctx, "app", fresh.ID, test.at)
		require.NoError(t, err)
		assert.Equal(t, []admin.Secret{{ID: first, Expires: test.first}, {ID: second.ID, Expires: test.second}, {ID: fresh.ID}}, retired.Secrets)
	}
	_, err = w.ops.RetireOtherSecrets(ctx, "app", "gone", sooner)
	require.ErrorIs(t, err, admin.ErrNotFound)
	_, err = w.ops.RetireOtherSecrets(ctx, "app", fresh.ID, time.Time{})
	require.ErrorIs(t, err, admin.ErrInvalid)
	_, err = w.ops.RetireSecret(ctx, "app", second.ID, time.Time{})
	require.NoError(t, err)
	second = fresh
	retired, err = w.ops.RetireSecret(ctx, "app", first, time.Time{})
	require.NoError(t, err)
	assert.Equal(t, []admin.Secret{{ID: second.ID}}, retired.Secrets)
	_, err = w.ops.RetireSecret(ctx, "app", second.ID, time.Time{})
	require.ErrorIs(t, err, admin.ErrInvalid, "it would be public")

	// One that has expired does not stand in for the last that works.
	third, err := w.ops.AddSecret(ctx, "app", w.now.Add(time.Minute))
	require.NoError(t, err)
	w.happened(t)
	w.now = w.now.Add(time.Hour)
	_, err = w.ops.RetireSecret(ctx, "app", second.ID, time.Time{})
	require.ErrorIs(t, err, admin.ErrInvalid, "nothing would work")
	_, err = w.ops.RetireSecret(ctx, "app", third.ID, w.now.Add(time.Hour))
	require.ErrorIs(t, err, admin.ErrInvalid, "it would work again")
	retired, err = w.ops.RetireSecret(ctx, "app", third.ID, time.Time{})
	require.NoError(t, err)
	assert.Equal(t, []admin.Secret{{ID: second.ID}}, retired.Secrets)
	w.happened(t)

	n, err := w.ops.DeleteClient(ctx, "app")
	require.NoError(t, err)
	assert.Zero(t, n)
	_, err = w.ops.DeleteClient(ctx, "app")
	require.ErrorIs(t, err, admin.ErrNotFound)
	assert.Equal(t, []authserver.Event{{Kind: authserver.EventClientDeleted, Client: "app", By: "olga"}}, w.happened(t))
}

// A client that comes to authenticate by something else has no secrets any more,
// from the same moment on, and the answer says so.
func TestClientWithoutSecrets(t *testing.T) {
	const keys = `{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`
	standing := admin.ClientSettings{Grants: []string{"authorization_code"}, RedirectURIs: []string{"https://app.example/cb"}, Scope: "notes:read"}
	byKey, public, unknown, service := standing, standing, standing, standing
	byKey.AuthMethod, byKey.JWKS = "private_key_jwt", json.RawMessage(keys)
	public.AuthMethod = "none"
	unknown.AuthMethod = "magic"
	service.AuthMethod, service.Grants = "none", []string{"client_credentials"}
	for name, test := range map[string]struct {
		to        admin.ClientSettings
		want      admin.Client // of the answer, but for ID and version
		wantError string
		reason    string
	}{
		"secrets stay": {to: standing, want: admin.Client{ClientSettings: standing}},
		"keys":         {to: byKey, want: admin.Client{ClientSettings: byKey, SecretsEnded: 2}, reason: "secrets ended"},
		"public":       {to: public, want: admin.Client{ClientSettings: public, Public: true, SecretsEnded: 2}, reason: "secrets ended"},
		"no keys":      {to: admin.ClientSettings{AuthMethod: "private_key_jwt"}, wantError: "private_key_jwt needs JWKS or JWKSURI"},
		"no method":    {to: unknown, wantError: `AuthMethod "magic" is not known`},
		"no person":    {to: service, wantError: "a public client can not use client_credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			made, err := w.ops.CreateClient(t.Context(), admin.NewClient{ID: "app", ClientSettings: standing})
			require.NoError(t, err)
			_, err = w.ops.AddSecret(t.Context(), "app", time.Time{})
			require.NoError(t, err)
			before, err := w.ops.Client(t.Context(), "app")
			require.NoError(t, err)
			w.happened(t)
			got, err := w.ops.ChangeClient(t.Context(), "app", "", test.to)
			kept, readErr := w.ops.Client(t.Context(), "app")
			require.NoError(t, readErr)
			if test.wantError != "" {
				require.ErrorIs(t, err, admin.ErrInvalid)
				require.ErrorContains(t, err, test.wantError)
				assert.Equal(t, before, kept, "nothing is changed")
				return
			}
			require.NoError(t, err)
			test.want.ID, test.want.Version, test.want.Secrets = made.ID, got.Version, []admin.Secret{}
			if test.want.SecretsEnded == 0 {
				test.want.Secrets = before.Secrets
			}
			assert.Equal(t, &test.want, got)
			test.want.SecretsEnded = 0
			assert.Equal(t, &test.want, kept)
			assert.Equal(t, []authserver.Event{
				{Kind: authserver.EventClientChanged, Client: "app", Scopes: scopes.Set{"notes:read"}, By: "olga", Reason: test.reason},
			}, w.happened(t))

			// A method that was left out is no way back, and none is needed twice.
			again, err := w.ops.ChangeClient(t.Context(), "app", "", kept.ClientSettings)
			require.NoError(t, err)
			assert.Equal(t, kept, again)
			if test.to.AuthMethod == "private_key_jwt" {
				_, err = w.ops.ChangeClient(t.Context(), "app", "", standing)
				require.ErrorContains(t, err, "has no secret to authenticate by (hint: client_secret_basic makes one, and none makes it public)")
			}
		})
	}
}

// From keys, certificates or nothing a client comes back to a secret, which is
// in the answer; what it had before is gone, and its tokens stay.
func TestBackToASecret(t *testing.T) {
	const keys = `{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`
	base := admin.ClientSettings{Grants: []string{"authorization_code"}, RedirectURIs: []string{"https://app.example/cb"}, Scope: "notes:read"}
	with := func(f func(*admin.ClientSettings)) admin.ClientSettings {
		s := base
		f(&s)
		return s
	}
	for name, from := range map[string]admin.ClientSettings{
		"keys": with(func(s *admin.ClientSettings) {
			s.AuthMethod, s.AuthAlgorithm, s.JWKS = "private_key_jwt", "ES256", json.RawMessage(keys)
		}),
		"keys elsewhere": with(func(s *admin.ClientSettings) {
			s.AuthMethod, s.JWKSURI = "private_key_jwt", "https://app.example/keys"
		}),
		"certificate": with(func(s *admin.ClientSettings) {
			s.AuthMethod, s.CertificateDNS = "tls_client_auth", "app.example"
		}),
		"public": with(func(s *admin.ClientSettings) { s.AuthMethod = "none" }),
	} {
		for _, method := range []string{"client_secret_basic", "client_secret_post", "client_secret_jwt"} {
			t.Run(name+" to "+method, func(t *testing.T) {
				w := newWorld(t, func(c *authserver.Config) {
					c.MutualTLS = &authserver.MutualTLS{Roots: x509.NewCertPool()}
					var err error
					c.Sealer, err = authserver.NewSealer(make([]byte, 32))
					require.NoError(t, err)
				})
				made, err := w.ops.CreateClient(t.Context(), admin.NewClient{ID: "app", ClientSettings: from})
				require.NoError(t, err)
				require.Empty(t, made.Secret)
				w.happened(t)
				w.issue(t, "app", "u1", "f1")
				to := made.ClientSettings // as whoever reads it, changes it and sends it back
				to.AuthMethod = method
				got, err := w.ops.ChangeClient(t.Context(), "app", made.Version, to)
				require.NoError(t, err)
				assert.Len(t, got.Secret, authserver.DefaultSecretLength)
				want := &admin.Client{ID: "app", ClientSettings: base, Version: got.Version, Secret: got.Secret, Secrets: got.Secrets}
				want.AuthMethod = method
				assert.Equal(t, want, got)
				require.Len(t, got.Secrets, 1)
				assert.Equal(t, []authserver.Event{
					{Kind: authserver.EventClientChanged, Client: "app", Scopes: scopes.Set{"notes:read"}, By: "olga", Reason: "secret added"},
				}, w.happened(t))
				kept, err := w.store.Client(t.Context(), "app")
				require.NoError(t, err)
				if method != "client_secret_jwt" {
					ok, err := kept.Secrets[0].Matches(got.Secret)
					require.NoError(t, err)
					assert.True(t, ok)
				}
				tokens, _, err := w.ops.Tokens(t.Context(), admin.TokenSelector{Client: "app"}, "", 0)
				require.NoError(t, err)
				assert.Len(t, tokens, 1)

				// It is shown once, and the next change makes none.
				want.Secret = ""
				again, err := w.ops.ChangeClient(t.Context(), "app", "", got.ClientSettings)
				require.NoError(t, err)
				assert.Equal(t, want, again)
			})
		}
	}
	t.Run("not by what was left out", func(t *testing.T) {
		w := newWorld(t)
		_, err := w.ops.CreateClient(t.Context(), admin.NewClient{ID: "app", ClientSettings: with(func(s *admin.ClientSettings) { s.AuthMethod = "none" })})
		require.NoError(t, err)
		got, err := w.ops.ChangeClient(t.Context(), "app", "", base)
		require.NoError(t, err)
		assert.Equal(t, []any{true, ""}, []any{got.Public, got.Secret})
	})
}

// What is revoked is what was granted. That something was used stays on record,
// and sessions go on.
func TestRevokeTokens(t *testing.T) {
	ctx := t.Context()
	population := func(w *world) {
		for _, r := range []authserver.Record{
			{Kind: authserver.KindAccess, Client: "a", Subject: "a"},
			{Kind: authserver.KindAccess, Client: "a", Subject: "u1", Family: "f1"},
			{Kind: authserver.KindRefresh, Client: "a", Subject: "u1", Family: "f1"},
			{Kind: authserver.KindCode, Client: "a", Subject: "u1", Family: "f2"},
			{Kind: authserver.KindConsent, Client: "b", Subject: "u1"},
			{Kind: authserver.KindAccess, Client: "b", Subject: "u2", Family: "f3"},
			{Kind: "device", Client: "a", Family: "f4"},
			{Kind: "dpop", Client: "a"},
			{Kind: "session", Subject: "u1", Family: "session x"},
			{Kind: "account", Subject: "accounts of this server", Family: "account u1"},
		} {
			r.Key = authserver.KeyOf(string(r.Kind) + r.Client + r.Subject)
			require.NoError(t, w.store.Create(ctx, r))
		}
	}
	w := newWorld(t)
	population(w)
	list, err := w.store.List(ctx, authserver.KindRefresh, authserver.Selector{Client: "a"}, authserver.Key{}, 2)
	require.NoError(t, err)
	require.Len(t, list, 1)
	for _, test := range []struct {
		which admin.TokenSelector
		n     int64
	}{
		{admin.TokenSelector{Client: "a"}, 5},
		{admin.TokenSelector{Client: "a", Subject: "u1"}, 3},
		{admin.TokenSelector{Subject: "u1"}, 4},
		{admin.TokenSelector{Family: "f1"}, 2},
		{admin.TokenSelector{Family: "f1", Client: "b"}, 0},
		{admin.TokenSelector{Family: "account u1"}, 0},
		{admin.TokenSelector{Subject: "accounts of this server"}, 0},
		{admin.TokenSelector{ID: list[0].TokenID(), Client: "a"}, 2},
	} {
		w := newWorld(t)
		population(w)
		n, err := w.ops.RevokeTokens(ctx, test.which)
		require.NoError(t, err)
		assert.Equal(t, test.n, n, test.which)
		events := w.happened(t)
		require.Len(t, events, 1)
		assert.Equal(t, test.n, events[0].Count)
		for _, name := range []string{"dpopa", "sessionu1", "accountaccounts of this server"} {
			_, err := w.store.Get(ctx, authserver.KeyOf(name))
			require.NoError(t, err, "%s after %v", name, test.which)
		}
	}
}

// Of those who change a client at the same time each sees what it changes:
// nothing is lost.
func TestParallelCallers(t *testing.T) {
	w := newWorld(t)
	token := w.token(t)
	made := w.ask(t, token, "POST", "clients", `{"client_id":"app"}`)
	require.Equal(t, http.StatusCreated, made.Code)
	statuses := make([]int, 8)
	var added atomic.Int32
	var group sync.WaitGroup
	for i := range statuses {
		group.Go(func() {
			if w.ask(t, token, "POST", "clients/app/secrets", "{}").Code == http.StatusCreated {
				added.Add(1)
			}
			r := httptest.NewRequestWithContext(t.Context(), "PUT", admin.Path+"clients/app", strings.NewReader(`{"client_name":"`+strconv.Itoa(i)+`"}`))
			r.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}, "If-Match": {made.Header().Get("ETag")}}
			statuses[i] = w.serve(r).Code
		})
	}
	group.Wait()
	client, err := w.ops.Client(t.Context(), "app")
	require.NoError(t, err)
	assert.Len(t, client.Secrets, 1+int(added.Load()))
	changed := 0
	for _, status := range statuses {
		if status == http.StatusOK {
			changed++
		} else {
			assert.Equal(t, http.StatusPreconditionFailed, status)
		}
	}
	assert.LessOrEqual(t, changed, 1)
}

// Two servers on one store, as far as they know of each other.
func TestParallelServers(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	_, err := w.ops.CreateClient(ctx, admin.NewClient{ID: "app"})
	require.NoError(t, err)
	var group sync.WaitGroup
	for range 8 {
		other, err := admin.New(admin.Config{Server: w.server, Store: w.store, Clients: w.store})
		require.NoError(t, err)
		group.Go(func() {
			_, err := other.AddSecret(ctx, "app", time.Time{})
			assert.NoError(t, err)
		})
	}
	group.Wait()
	client, err := w.ops.Client(ctx, "app")
	require.NoError(t, err)
	assert.Len(t, client.Secrets, 9)
}

// Two servers that delete each other's administrators at a time leave one.
func TestParallelDeletion(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	accounts, err := pages.NewAccounts(w.store, nil)
	require.NoError(t, err)
	servers := make([]*admin.Operations, 2)
	for i := range servers {
		servers[i], err = admin.New(admin.Config{Server: w.server, Store: w.store, Clients: w.store, Accounts: accounts})
		require.NoError(t, err)
	}
	for range 5 {
		var group sync.WaitGroup
		var ids [2]string
		var errs [2]error
		for i, name := range []string{"alice", "bob"} {
			a, err := servers[0].CreateAccount(ctx, admin.NewAccount{Username: name, Admin: true})
			require.NoError(t, err)
			ids[i] = a.ID
		}
		for i := range ids {
			group.Go(func() { errs[i] = servers[i].DeleteAccount(ctx, ids[i]) })
		}
		group.Wait()
		left := 0
		if errs[0] == nil {
			left = 1
		}
		require.NoError(t, errs[1-left])
		require.ErrorIs(t, errs[left], admin.ErrInvalid)
		require.ErrorContains(t, errs[left], "is the last administrator's")
		account, err := servers[0].Account(ctx, ids[left])
		require.NoError(t, err)
		assert.True(t, account.Admin)
		require.NoError(t, accounts.Delete(ctx, ids[left]))
	}
}

// unrecorded returns operations on the same server, of which nothing can be
// recorded any more once the disk is full, and an API of theirs.
func (w *world) unrecorded(t *testing.T) (ops *admin.Operations, full *bool) {
	full = new(bool)
	accounts, err := pages.NewAccounts(w.store, func() time.Time { return w.now })
	require.NoError(t, err)
	ops, err = admin.New(admin.Config{
		Server: w.server, Store: w.store, Clients: w.store, Accounts: accounts, Now: func() time.Time { return w.now },
		Record: func(context.Context, authserver.Event) error {
			if *full {
				return errors.New("disk full")
			}
			return nil
		},
	})
	require.NoError(t, err)
	w.api = admin.NewAPI(ops, nil)
	return ops, full
}

// What is made and can not be recorded is taken back; what was replaced is told,
// with what was made, as that is what works now.
func TestNotRecorded(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	ops, full := w.unrecorded(t)
	_, err := ops.CreateClient(ctx, admin.NewClient{ID: "app"})
	require.NoError(t, err)
	alice, err := ops.CreateAccount(ctx, admin.NewAccount{Username: "alice"})
	require.NoError(t, err)

	*full = true
	made, err := ops.CreateClient(ctx, admin.NewClient{ID: "other"})
	require.ErrorIs(t, err, admin.ErrTakenBack)
	require.NotErrorIs(t, err, admin.ErrNotRecorded)
	assert.Nil(t, made)
	_, err = ops.Client(ctx, "other")
	require.ErrorIs(t, err, admin.ErrNotFound)
	for _, isAdmin := range []bool{false, true} {
		account, err := ops.CreateAccount(ctx, admin.NewAccount{Username: "bob", Admin: isAdmin})
		require.ErrorIs(t, err, admin.ErrTakenBack)
		assert.Nil(t, account)
		_, err = ops.AccountByName(ctx, "bob")
		require.ErrorIs(t, err, admin.ErrNotFound)
	}
	secret, err := ops.AddSecret(ctx, "app", time.Time{})
	require.ErrorIs(t, err, admin.ErrNotRecorded)
	client, err := ops.Client(ctx, "app")
	require.NoError(t, err)
	assert.Equal(t, client.Secrets[1], secret.Secret)
	password, err := ops.SetPassword(ctx, alice.ID, "")
	require.ErrorIs(t, err, admin.ErrNotRecorded)
	accounts, err := pages.NewAccounts(w.store, nil)
	require.NoError(t, err)
	_, err = accounts.SignIn(ctx, "alice", password)
	require.NoError(t, err)
}

// A stubbornClients is a registry that deletes nothing.
type stubbornClients struct{ authserver.ClientRegistry }

func (stubbornClients) DeleteClient(context.Context, string) error { return errors.New("read only") }

// What can not be taken back is there, so its secret is told.
func TestNotTakenBack(t *testing.T) {
	w := newWorld(t)
	ops, err := admin.New(admin.Config{
		Server: w.server, Store: w.store, Clients: stubbornClients{w.store},
		Record: func(context.Context, authserver.Event) error { return errors.New("disk full") },
	})
	require.NoError(t, err)
	made, err := ops.CreateClient(t.Context(), admin.NewClient{ID: "app"})
	require.ErrorIs(t, err, admin.ErrNotRecorded)
	require.NotErrorIs(t, err, admin.ErrTakenBack)
	require.EqualError(t, err, "admin: done, but not recorded: disk full\nread only")
	assert.NotEmpty(t, made.Secret)
}

// Over HTTP, what was made is in the refusal, and nobody is asked to try again.
func TestNotRecordedOverHTTP(t *testing.T) {
	w := newWorld(t)
	token := w.token(t)
	ops, full := w.unrecorded(t)
	_, err := ops.CreateClient(t.Context(), admin.NewClient{ID: "app"})
	require.NoError(t, err)
	alice, err := ops.CreateAccount(t.Context(), admin.NewAccount{Username: "alice"})
	require.NoError(t, err)
	*full = true
	const done = `{"title":"Service Unavailable","status":503,"detail":"it was done, but could not be recorded (hint: do not repeat it, and look at the server's log)"`
	const back = `{"title":"Service Unavailable","status":503,"detail":"it could not be recorded, so it was taken back (hint: look at the server's log)"}`
	for _, test := range []struct {
		method, path, body string
		want               answered
	}{
		{"POST", "clients/app/secrets", "{}", answered{503, always(), done + `,"result":{"id":"…","expired":false,"client_secret":"…"}}`}},
		{"PUT", "accounts/" + alice.ID + "/password", "{}", answered{503, always(), done + `,"result":{"password":"…"}}`}},
		{"DELETE", "accounts/" + alice.ID + "/sessions", "", answered{503, always(), done + `,"result":{"ended":0}}`}},
		{"DELETE", "accounts/" + alice.ID, "", answered{503, always(), done + `}`}},
		{"POST", "clients", `{"client_id":"other"}`, answered{503, always("Retry-After", "1"), back}},
		{"POST", "accounts", `{"username":"bob"}`, answered{503, always("Retry-After", "1"), back}},
	} {
		test.want.Header.Set("Content-Type", "application/problem+json")
		got := whole(w.ask(t, token, test.method, test.path, test.body))
		got.Body = normal(got.Body)
		assert.Equal(t, test.want, got, "%s %s", test.method, test.path)
	}
}

// What can not be searched is named, next to what was found in the rest.
func TestSearchBesideWhatCanNotBeRead(t *testing.T) {
	w := newWorld(t)
	token := w.token(t)
	require.NoError(t, os.Symlink(w.audit+".1", w.audit+".1"))
	require.NoError(t, os.WriteFile(w.audit+".2.gz", []byte("\x1f\x8b…"), 0o600))
	got := whole(w.ask(t, token, "GET", "audit?kind=token_issued", ""))
	assert.Equal(t, http.StatusOK, got.Status)
	assert.Regexp(t, `^\{"entries":\[\{"seq":1,.*\}\],"left_out":\["audit.jsonl.2.gz"\],"unread":\["audit.jsonl.1"\]\}$`, got.Body)
}

// What a server has not is said.
func TestWithout(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	ops, err := admin.New(admin.Config{Server: w.server, Store: w.store, Clients: w.store})
	require.NoError(t, err)
	_, err = ops.Keys(ctx)
	require.ErrorIs(t, err, admin.ErrAbsent)
	_, err = ops.AuditSearch(ctx, audit.Query{}, "", 1)
	require.ErrorIs(t, err, admin.ErrAbsent)
	_, _, err = ops.Accounts(ctx, "", "", 1)
	require.ErrorIs(t, err, admin.ErrAbsent)
	_, err = admin.New(admin.Config{})
	require.EqualError(t, err, "admin: Server is missing\nadmin: Store or Clients is missing (hint: those of the server)")
}

// A failingScopes is a backend that does not answer once it has failed.
type failingScopes struct {
	scopes.Backend
	failed atomic.Bool
}

func (f *failingScopes) All(ctx context.Context) ([]scopes.Described, error) {
	if f.failed.Load() {
		return nil, errors.New("dial scopes.internal: refused")
	}
	return f.Backend.All(ctx)
}

// That the scopes are not known at the moment is no mistake of who asks, and
// its cause is not for them.
func TestScopesUnavailable(t *testing.T) {
	ctx, store, backend := t.Context(), authserver.NewMemory(), &failingScopes{Backend: scopes.Static{}}
	server, err := authserver.New(authserver.Config{Issuer: issuer, Store: store, Clients: store, Scopes: backend})
	require.NoError(t, err)
	ops, err := admin.New(admin.Config{Server: server, Store: store, Clients: store})
	require.NoError(t, err)
	_, err = ops.CreateClient(ctx, admin.NewClient{ID: "app"})
	require.NoError(t, err)
	backend.failed.Store(true)
	for name, do := range map[string]func() error{
		"create": func() error { _, err := ops.CreateClient(ctx, admin.NewClient{ID: "other"}); return err },
		"change": func() error { _, err := ops.ChangeClient(ctx, "app", "", admin.ClientSettings{}); return err },
		"secret": func() error { _, err := ops.AddSecret(ctx, "app", time.Time{}); return err },
	} {
		err := do()
		require.ErrorContains(t, err, "scopes.internal", name)
		require.NotErrorIs(t, err, admin.ErrInvalid, name)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"client_id":"a","scope":"b","jwks":{"keys":[]},"expires":"2030-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"client_name":null,"grant_types":["a"],"access_token_expire_seconds":9}`))
	f.Add([]byte(`{"a":{"a":{"a":[[[[`))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := admin.DecodeClient(data)
		if err != nil {
			return
		}
		text, err := json.Marshal(n)
		require.NoError(t, err)
		again, err := admin.DecodeClient(text)
		require.NoError(t, err, "%s", text)
		once, err := json.Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(text), string(once))
	})
}
