package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
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

const issuer = "https://auth.example.com"

var epoch = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// A world is a server with everything that can be administered, and the events
// that it has seen.
type world struct {
	store  *authserver.Memory
	server *authserver.Server
	ops    *admin.Operations
	api    *admin.API
	audit  string // path of the log
	now    time.Time
	events []authserver.Event
}

// newWorld returns a world without limits, as what is wrong is tried often. Each
// change may alter the server's config before.
func newWorld(t *testing.T, change ...func(*authserver.Config)) *world {
	w := &world{store: authserver.NewMemory(), now: epoch}
	now := func() time.Time { return w.now }
	ring, err := authserver.NewKeyRing(authserver.KeyRingConfig{Store: w.store, InsecureUnsealed: true, Now: now})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	w.audit = path
	log, err := audit.Open(audit.Config{Path: path})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, log.Close()) })
	config := authserver.Config{
		Issuer: issuer, Store: w.store, Clients: w.store, Now: now, Keys: ring,
		Scopes: scopes.Static{List: []scopes.Described{
			{Name: "notes:read", Text: "Read your notes"}, {Name: "notes:write"}, {Name: authserver.AdminScope, Text: "Administer the server"},
		}},
		Audit: log.Record,
		Observe: func(_ context.Context, e authserver.Event) {
			if e.By != "" {
				w.events = append(w.events, e)
			}
		},
	}
	config.Limits.Failures.Address = authserver.Rate{InsecureUnlimited: true}
	for _, f := range change {
		f(&config)
	}
	w.server, err = authserver.New(config)
	require.NoError(t, err)
	accounts, err := pages.NewAccounts(w.store, now)
	require.NoError(t, err)
	w.ops, err = admin.New(admin.Config{
		Server: w.server, Store: w.store, Clients: w.store, Accounts: accounts, Keys: ring, Now: now,
		AuditPath: path,
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
func (w *world) tokenOf(t *testing.T, id string, set scopes.Set, audience ...string) string {
	t.Helper()
	c, secret, err := w.server.NewClient(t.Context(), authserver.Client{
		ID: id, Grants: []string{authserver.GrantClientCredentials}, Scopes: set, Audience: audience,
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

func (w *world) ask(t *testing.T, token, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, admin.Path+path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return w.serve(r)
}

// signIn starts sessions of an account.
func (w *world) signIn(t *testing.T, id string, names ...string) {
	t.Helper()
	for _, name := range names {
		extra := fmt.Sprintf(`{"username":"x","signed_in":%d,"ends":%d,"agent":"Mozilla/5.0 (X11; Linux) Firefox/1"}`, w.now.Unix(), w.now.Add(time.Hour).Unix())
		require.NoError(t, w.store.Create(t.Context(), authserver.Record{
			Key: authserver.KeyOf(name), Kind: "session", Family: "session " + name, Subject: id, Issued: w.now, Expires: w.now.Add(time.Hour), Extra: []byte(extra),
		}))
	}
}

// issue writes the record of an access token, and one of something else.
func (w *world) issue(t *testing.T, client, subject, family string) {
	t.Helper()
	for _, kind := range []authserver.Kind{authserver.KindAccess, authserver.KindCode} {
		require.NoError(t, w.store.Create(t.Context(), authserver.Record{
			Key: authserver.KeyOf(family + string(kind)), Kind: kind, Family: family, Client: client, Subject: subject, Scopes: scopes.Set{"notes:read"},
			Audience: []string{"https://notes.example"}, Issued: w.now, Expires: w.now.Add(time.Hour),
		}))
	}
}

// seq returns the number of the last event of a kind.
func (w *world) seq(t *testing.T, kind authserver.EventKind) string {
	t.Helper()
	found, err := w.ops.AuditSearch(t.Context(), audit.Query{Kinds: []authserver.EventKind{kind}}, "", 1)
	require.NoError(t, err)
	require.Len(t, found.Entries, 1)
	return strconv.FormatUint(found.Entries[0].Seq, 10)
}
