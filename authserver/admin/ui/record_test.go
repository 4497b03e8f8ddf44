package ui_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
)

// What was made although the audit log is full is shown, once, with a warning;
// what was taken back is not said to be there.
func TestMadeButNotRecorded(t *testing.T) {
	var full atomic.Bool
	w := newWorld(t, func(s *settings) {
		s.admin.Record = func(context.Context, authserver.Event) error {
			if full.Load() {
				return errors.New("disk full")
			}
			return nil
		}
	})
	const warning = `<p class="note problem" role="alert" id="problem">It was done, but the audit log could not take it.`
	old := w.app(t)
	root := w.as(t, "root")
	version := hidden(t, root.get("/admin/client/secret?id=app"), "version")
	full.Store(true)

	got := root.post("/admin/client/secret?id=app", "version", version, "older", "day")
	assert.Equal(t, http.StatusOK, got.status)
	assert.Contains(t, got.body, warning)
	made := secret(got)
	assert.True(t, w.authenticates(t, "app", made) && w.authenticates(t, "app", old))
	c, err := w.ops.Client(t.Context(), "app")
	require.NoError(t, err)
	assert.Equal(t, []bool{true, false}, []bool{!c.Secrets[0].Expires.IsZero(), !c.Secrets[1].Expires.IsZero()}, "the older one ends as it was told to")
	assert.Empty(t, secret(root.get(got.path)), "it is shown once")
	assert.NotContains(t, root.get("/admin/client?id=app").body, warning)

	full.Store(false)
	_, err = w.ops.CreateClient(t.Context(), admin.NewClient{ID: "keyed", ClientSettings: admin.ClientSettings{
		Grants: []string{"client_credentials"}, Scope: "read", Audience: []string{"https://api.example"}, AuthMethod: "private_key_jwt", JWKSURI: "https://app.example/keys",
	}})
	require.NoError(t, err)
	full.Store(true)
	form := root.get("/admin/client/edit?id=keyed")
	got = root.post("/admin/client/edit?id=keyed", "version", hidden(t, form, "version"), "grant_types", "client_credentials", "scope", "read",
		"audience", "https://api.example", "token_endpoint_auth_method", "client_secret_basic")
	assert.Equal(t, http.StatusOK, got.status)
	assert.Contains(t, got.body, warning)
	assert.True(t, w.authenticates(t, "keyed", secret(got)))
	assert.Empty(t, secret(root.get(got.path)), "it is shown once")

	got = root.post("/admin/person/password?id=" + w.alice.ID)
	assert.Equal(t, http.StatusOK, got.status)
	assert.Contains(t, got.body, warning)
	made = secret(got)
	assert.Empty(t, secret(root.get(got.path)), "it is shown once")
	alice := w.browser(t)
	assert.Equal(t, http.StatusForbidden, alice.post("/admin/", "action", "sign-in", "username", "alice", "password", made).status, "she is no administrator")

	for path, fields := range map[string][]string{
		"/admin/clients/new": {"client_id", "other", "grant_types", "client_credentials", "scope", "read"},
		"/admin/people/new":  {"username", "bob"},
	} {
		got = root.post(path, fields...)
		assert.Equal(t, http.StatusServiceUnavailable, got.status, path)
		assert.Contains(t, got.body, "so nothing was made", path)
	}
	got = root.post("/admin/person/admin?id=" + w.alice.ID)
	assert.Equal(t, http.StatusServiceUnavailable, got.status, "where there is nothing to be shown")
	assert.Contains(t, got.body, "It was done, but the audit log could not take it.")
}

// A part of the audit log that can not be read is named above what was found.
func TestSearchBesideWhatCanNotBeRead(t *testing.T) {
	w := newWorld(t)
	require.True(t, w.authenticates(t, "app", w.app(t)))
	require.NoError(t, os.Symlink(w.audit+".1", w.audit+".1"))
	got := w.as(t, "root").get("/admin/audit")
	assert.Equal(t, http.StatusOK, got.status)
	assert.Contains(t, got.body, `<p class="note problem"> audit.jsonl.1 could not be read, so something may be missing.</p>`)
	assert.Contains(t, got.body, `<ul class="cards">`)
}
