package ui_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/audit"
	"github.com/sneckauth/sneck/authserver/pages"
)

// An account is made, and its password shown once; then it is deleted.
func TestAnAccount(t *testing.T) {
	w := newWorld(t)
	root := w.as(t, "root")
	got := root.post("/admin/people/new", "username", "bob", "admin", "1")
	assert.Equal(t, "bob", got.title())
	made := secret(got)
	require.NotEmpty(t, made)
	assert.Empty(t, secret(root.get(got.path)))
	bob, err := w.ops.AccountByName(t.Context(), "bob")
	require.NoError(t, err)
	assert.True(t, bob.Admin)
	b := w.browser(t)
	assert.Equal(t, "Administration", b.post("/admin/", "action", "sign-in", "username", "bob", "password", made).title())

	got = root.post("/admin/people/new", "username", "BOB")
	assert.Equal(t, http.StatusConflict, got.status)
	assert.Contains(t, got.body, `value="BOB"`)
	assert.Equal(t, http.StatusUnprocessableEntity, root.post("/admin/people/new", "username", "two words").status)

	page := "/admin/person?id=" + bob.ID
	sessions, err := w.ops.Sessions(t.Context(), bob.ID)
	require.NoError(t, err)
	require.Len(t, sessions, 1)
	end := "/admin/person/end?id=" + bob.ID + "&session=" + sessions[0].Ref
	assert.Contains(t, root.get(page).body, strings.ReplaceAll(end, "&", "&amp;"))
	assert.Equal(t, "End this session?", root.get(end).title())
	assert.Equal(t, "Administration", b.get("/admin/").title(), "looking does nothing")
	assert.Contains(t, root.post(end).body, "The session has ended.")
	assert.Equal(t, "Sign in", b.get("/admin/").title())
	assert.Equal(t, http.StatusNotFound, root.get(end).status)

	b.post("/admin/", "action", "sign-in", "username", "bob", "password", made)
	got = root.post("/admin/person/password?id=" + bob.ID)
	assert.Contains(t, got.body, "The password was replaced.")
	require.NotEmpty(t, secret(got))
	assert.NotEqual(t, made, secret(got))
	assert.Equal(t, "Sign in", b.get("/admin/").title(), "it ends sessions")
	b.post("/admin/", "action", "sign-in", "username", "bob", "password", secret(got))
	assert.Contains(t, root.post("/admin/person/no-admin?id="+bob.ID).body, "no administrator any more")
	assert.Equal(t, http.StatusForbidden, b.get("/admin/").status)
	assert.Contains(t, root.post("/admin/person/admin?id="+bob.ID).body, "is an administrator now")
	assert.Contains(t, root.post("/admin/person/end-all?id="+bob.ID).body, "signed out everywhere")
	assert.Equal(t, "Sign in", b.get("/admin/").title())
	assert.Equal(t, "/admin/people?done=person_deleted", root.post("/admin/person/delete?id="+bob.ID).path)
	assert.Equal(t, http.StatusNotFound, root.get(page).status)

	// All of it is on record, with who did it.
	found, err := w.ops.AuditSearch(t.Context(), audit.Query{By: w.root.ID, Subject: bob.ID}, "", 0)
	require.NoError(t, err)
	var kinds []authserver.EventKind
	for _, e := range found.Entries {
		kinds = append(kinds, e.Kind)
	}
	assert.Equal(t, []authserver.EventKind{
		authserver.EventAccountDeleted, authserver.EventSessionEnded, authserver.EventAccountChanged, authserver.EventAccountChanged,
		authserver.EventPasswordChanged, authserver.EventSessionEnded, authserver.EventAccountChanged, authserver.EventAccountCreated,
	}, kinds)
}

// Nobody locks themselves out by a click.
func TestOwnAccount(t *testing.T) {
	w := newWorld(t)
	root := w.as(t, "root")
	for _, what := range []string{"no-admin", "delete", "password"} {
		got := root.post("/admin/person/" + what + "?id=" + w.root.ID)
		assert.Equal(t, http.StatusUnprocessableEntity, got.status, what)
		assert.Contains(t, got.body, "this account is your own")
	}
	assert.Equal(t, "Administration", root.get("/admin/").title())
	assert.Equal(t, "Administration", w.as(t, "root").get("/admin/").title(), "the password is the same")
}

// With an administrator elsewhere, who does not sign in here, the last account
// that is one stays.
func TestLastAdministrator(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.ui.May = func(context.Context, *pages.Account) (bool, error) { return true, nil }
	})
	alice := w.as(t, "alice")
	for _, what := range []string{"no-admin", "delete"} {
		got := alice.post("/admin/person/" + what + "?id=" + w.root.ID)
		assert.Equal(t, http.StatusUnprocessableEntity, got.status, what)
		assert.Contains(t, got.body, "make somebody else an administrator first")
	}
	root, err := w.ops.Account(t.Context(), w.root.ID)
	require.NoError(t, err)
	assert.True(t, root.Admin)
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	plain := w.app(t)
	for range 3 {
		require.True(t, w.authenticates(t, "app", plain))
	}
	root := w.as(t, "root")
	assert.Contains(t, root.get("/admin/tokens").body, "Say of whom")
	got := root.get("/admin/tokens?client=app")
	tokens, _, err := w.ops.Tokens(t.Context(), admin.TokenSelector{Client: "app"}, "", 0)
	require.NoError(t, err)
	require.Len(t, tokens, 3)
	for _, token := range tokens {
		assert.Contains(t, got.body, "<dd>"+token.ID+"</dd>")
	}
	_, rest, _ := strings.Cut(got.body, `href="/admin/tokens/revoke?client=app&amp;`)
	query, _, _ := strings.Cut(rest, `"`)
	one := "/admin/tokens/revoke?client=app&" + strings.ReplaceAll(query, "&amp;", "&")
	assert.Equal(t, "Revoke this?", root.get(one).title())
	got = root.post(one)
	assert.Contains(t, got.body, "Revoked.")
	assert.Equal(t, 2, strings.Count(got.body, "<h3>Access token</h3>"))
	assert.Equal(t, http.StatusNotFound, root.post(one).status, "sent twice")

	got = root.get("/admin/tokens/revoke?client=app")
	assert.Contains(t, got.body, "<dt>Live tokens</dt><dd>2</dd>")
	got = root.post("/admin/tokens/revoke?client=app")
	assert.Equal(t, "/admin/tokens?client=app&done=tokens_revoked", got.path)
	assert.Contains(t, got.body, "There are no such tokens.")
	assert.Contains(t, root.get("/admin/tokens?person=ALICE").body, "/admin/tokens/revoke?sub="+w.alice.ID, "by name")
}

func TestKeys(t *testing.T) {
	w := newWorld(t)
	root := w.as(t, "root")
	keys := func() int {
		list, err := w.ops.Keys(t.Context())
		require.NoError(t, err)
		return len(list)
	}
	before := keys()
	assert.Equal(t, "Make another signing key?", root.get("/admin/keys/rotate").title())
	assert.Equal(t, before, keys(), "looking does nothing")
	got := root.post("/admin/keys/rotate")
	assert.Contains(t, got.body, "There is another key.")
	list, err := w.ops.Keys(t.Context())
	require.NoError(t, err)
	require.Len(t, list, before+1)
	last := list[before].ID
	assert.Contains(t, got.body, `<h3>`+last)
	assert.Equal(t, "Take back this key at once?", root.get("/admin/keys/retire?kid="+last).title())
	assert.Contains(t, root.post("/admin/keys/retire?kid="+last).body, "The key was taken back.")
	assert.NotContains(t, root.get("/admin/keys").body, last)
}

func TestScopes(t *testing.T) {
	w := newWorld(t)
	got := w.as(t, "root").get("/admin/scopes")
	assert.Contains(t, got.body, "Read your notes")
	assert.Contains(t, got.body, `href="/admin/clients?text=read"`)
}

// The audit log is searched, the newest first.
func TestAudit(t *testing.T) {
	w := newWorld(t)
	plain := w.app(t)
	require.True(t, w.authenticates(t, "app", plain))
	require.False(t, w.authenticates(t, "app", "wrong"))
	root := w.as(t, "root")
	root.post("/admin/people/new", "username", "bob")
	titles := func(query string) (list []string) {
		for line := range strings.Lines(root.get("/admin/audit" + query).body) {
			if _, rest, ok := strings.Cut(line, "<h3>"); ok {
				title, _, _ := strings.Cut(rest, " <span")
				list = append(list, title)
			}
		}
		return list
	}
	all := []string{"Account created", "Authentication failed", "Token issued", "Client created"}
	assert.Equal(t, all, titles(""))
	for query, want := range map[string][]string{
		"?kind=token_issued":                 all[2:3],
		"?client=app":                        all[1:],
		"?by=root":                           all[:1],
		"?text=AUTHENTICATION":               all[1:2],
		"?since=2000-01-01&until=2999-01-01": all,
		"?until=2000-01-01":                  nil,
		"?since=2999-01-01":                  nil,
		"?kind=swept":                        nil,
		"?client=app&kind=client_created":    all[3:],
	} {
		assert.Equal(t, want, titles(query), query)
	}
	got := root.get("/admin/")
	for _, title := range all {
		assert.Contains(t, got.body, "<h3>"+title)
	}
	assert.NotContains(t, root.get("/admin/audit").body, plain)
}

// What a server does not have, its pages do not show.
func TestAServerWithLess(t *testing.T) {
	w := newWorld(t)
	less, err := admin.New(admin.Config{Server: w.server, Store: w.memory, Clients: w.memory})
	require.NoError(t, err)
	w2 := newWorld(t, func(s *settings) { s.less = less })
	root := w2.as(t, "root")
	got := root.get("/admin/")
	assert.Equal(t, "Administration", got.title())
	assert.NotContains(t, got.body, "What happened last")
	for _, page := range []string{"/admin/people", "/admin/keys", "/admin/audit"} {
		got := root.get(page)
		assert.Equal(t, http.StatusNotFound, got.status, page)
		assert.Contains(t, got.body, "This server is not set up for that.", page)
	}
}
