package ui_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
)

// authenticates reports whether a client gets a token with a secret.
func (w *world) authenticates(t testing.TB, id, secret string) bool {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://auth.example.com/token", strings.NewReader("grant_type=client_credentials&scope=read"))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(id, secret)
	rec := newRecorder()
	w.server.ServeHTTP(rec, r)
	return strings.Contains(rec.body.String(), "access_token")
}

// A client is registered, and its secret is on one page, once.
func TestRegisterAClient(t *testing.T) {
	w := newWorld(t)
	root := w.as(t, "root")
	made := hidden(t, root.get("/admin/clients/new"), "client_id")
	assert.Regexp(t, `^[a-z2-7]{26}$`, made)
	fields := []string{"client_id", made, "client_name", "Notes", "grant_types", "client_credentials", "scope", "read", "audience", "https://a.example\r\nhttps://b.example\r\n"}
	got := root.post("/admin/clients/new", fields...)
	assert.Equal(t, []any{http.StatusOK, made}, []any{got.status, got.title()})
	assert.Contains(t, got.body, "The client is registered.")
	first := secret(got)
	require.NotEmpty(t, first)
	assert.True(t, w.authenticates(t, made, first))

	// Neither when the page is loaded again, nor at any other.
	assert.Empty(t, secret(root.get(got.path)))
	for _, page := range []string{"/admin/client?id=" + made, "/admin/client/edit?id=" + made, "/admin/clients", "/admin/audit", "/admin/"} {
		assert.NotContains(t, root.get(page).body, first)
	}
	c, err := w.ops.Client(t.Context(), made)
	require.NoError(t, err)
	assert.Equal(t, admin.ClientSettings{
		Name: "Notes", Grants: []string{"client_credentials"}, Scope: "read", Audience: []string{"https://a.example", "https://b.example"},
	}, c.ClientSettings)

	// A form that is sent twice registers one client.
	again := root.post("/admin/clients/new", fields...)
	assert.Equal(t, http.StatusConflict, again.status)
	assert.Contains(t, again.body, "exists already")
	found, _, err := w.ops.Clients(t.Context(), "", "", 0)
	require.NoError(t, err)
	assert.Len(t, found, 1)
	assert.True(t, w.authenticates(t, made, first))
}

// A secret that waits to be shown is for who has made it, and for its page.
func TestSecretIsForOne(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.ops.SetAdmin(t.Context(), w.alice.ID, true))
	root, alice := w.as(t, "root"), w.as(t, "alice")
	client := root.client.CheckRedirect
	var shown *url.URL
	root.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		shown = r.URL
		return http.ErrUseLastResponse
	}
	create := func(id string) string {
		root.post("/admin/clients/new", "client_id", id, "grant_types", "client_credentials", "scope", "read")
		return strings.TrimPrefix(shown.String(), w.url)
	}
	one, two, three := create("one"), create("two"), create("three")
	late := create("late")
	root.client.CheckRedirect = client
	assert.Empty(t, secret(alice.get(one)), "not for another person")
	assert.NotEmpty(t, secret(root.get(one)), "whose look uses up nothing")
	assert.Empty(t, secret(root.get(strings.Replace(two, "id=two", "id=one", 1))), "not for another client")
	assert.Empty(t, secret(root.get("/admin/client?id=three&shown=AAAA")))
	waiting, err := w.memory.List(t.Context(), "shown_once", authserver.Selector{Subject: w.root.ID}, authserver.Key{}, 100)
	require.NoError(t, err)
	shownOnce := secret(root.get(three))
	require.NotEmpty(t, shownOnce)
	require.NotEmpty(t, waiting)
	for _, r := range waiting {
		assert.NotContains(t, string(r.Extra), shownOnce)
	}
	left, err := w.memory.List(t.Context(), "shown_once", authserver.Selector{Subject: w.root.ID}, authserver.Key{}, 100)
	require.NoError(t, err)
	assert.Len(t, left, len(waiting)-1, "it is gone")
	w.ahead.Store(int64(3 * time.Minute))
	assert.Empty(t, secret(root.get(late)), "it took too long")
}

// A client that is made public is said to have no secrets any more, and has none.
func TestMakeAClientPublic(t *testing.T) {
	w := newWorld(t)
	plain := w.app(t)
	root := w.as(t, "root")
	form := root.get("/admin/client/edit?id=app")
	assert.Contains(t, form.body, `<option value="none"`)
	got := root.post("/admin/client/edit?id=app", "version", hidden(t, form, "version"), "grant_types", "authorization_code",
		"redirect_uris", "https://app.example/cb", "scope", "read", "token_endpoint_auth_method", "none")
	assert.Equal(t, "/admin/client?done=secrets_ended&id=app", got.path)
	assert.Contains(t, got.body, "Its secrets have ended.")
	assert.False(t, w.authenticates(t, "app", plain))
	c, err := w.ops.Client(t.Context(), "app")
	require.NoError(t, err)
	assert.Equal(t, []any{true, []admin.Secret{}}, []any{c.Public, c.Secrets})
	assert.Contains(t, root.get("/admin/client/edit?id=app").body, `<option value="none" selected`)
}

// From keys a client comes back to a secret, which is shown once.
func TestBackToASecret(t *testing.T) {
	w := newWorld(t)
	_, err := w.ops.CreateClient(t.Context(), admin.NewClient{ID: "app", ClientSettings: admin.ClientSettings{
		Grants: []string{"client_credentials"}, Scope: "read", AuthMethod: "private_key_jwt", JWKSURI: "https://app.example/keys",
	}})
	require.NoError(t, err)
	root := w.as(t, "root")
	change := func(method string) reply {
		form := root.get("/admin/client/edit?id=app")
		return root.post("/admin/client/edit?id=app", "version", hidden(t, form, "version"), "grant_types", "client_credentials",
			"scope", "read", "audience", "https://api.example", "jwks_uri", "https://app.example/keys", "token_endpoint_auth_method", method)
	}
	got := change("")
	assert.Equal(t, http.StatusUnprocessableEntity, got.status)
	assert.Contains(t, got.body, "client_secret_basic makes one")
	got = change("client_secret_basic")
	assert.Equal(t, http.StatusOK, got.status)
	assert.Contains(t, got.body, "It authenticates by a secret now")
	assert.NotContains(t, got.body, "https://app.example/keys")
	assert.True(t, w.authenticates(t, "app", secret(got)))
	assert.Empty(t, secret(root.get(got.path)))
}

func TestChangeAClient(t *testing.T) {
	w := newWorld(t)
	plain := w.app(t)
	root, other := w.as(t, "root"), w.as(t, "root")
	version := hidden(t, root.get("/admin/client/edit?id=app"), "version")
	mine := []string{"version", version, "client_name", "Better notes", "grant_types", "client_credentials", "scope", "read write", "audience", "https://api.example"}
	got := other.post("/admin/client/edit?id=app", mine...)
	assert.Equal(t, "/admin/client?done=client_changed&id=app", got.path)
	assert.Contains(t, got.body, "Better notes")
	assert.True(t, w.authenticates(t, "app", plain), "secrets stay")

	// Somebody else has changed it meanwhile: nothing is lost, of either.
	mine[3] = "Other notes"
	got = root.post("/admin/client/edit?id=app", mine...)
	assert.Equal(t, http.StatusConflict, got.status)
	assert.Contains(t, got.body, `value="Other notes"`)
	assert.Contains(t, got.body, "It has changed since")
	c, err := w.ops.Client(t.Context(), "app")
	require.NoError(t, err)
	assert.Equal(t, "Better notes", c.Name)

	// What is wrong is said, beside what was typed.
	version = hidden(t, root.get("/admin/client/edit?id=app"), "version")
	for name, value := range map[string]string{
		"redirect_uris": "no scheme", "scope": `a"b`, "access_token_expire_seconds": "soon", "jwks": "{", "token_endpoint_auth_method": "magic",
	} {
		got = root.post("/admin/client/edit?id=app", "version", version, "client_name", "Typed", "grant_types", "authorization_code", name, value)
		assert.Equal(t, http.StatusUnprocessableEntity, got.status, name)
		assert.Contains(t, got.body, `value="Typed"`, name)
		assert.Contains(t, got.body, `<details open>`, name)
		assert.Regexp(t, `<p class="note problem" lang="en">[^<]+</p>`, got.body, name)
	}
	assert.Equal(t, http.StatusConflict, root.post("/admin/client/edit?id=app", "client_name", "x").status, "without a version")
}

// A secret is replaced without a moment in which none works.
func TestReplaceASecret(t *testing.T) {
	w := newWorld(t)
	old := w.app(t)
	root := w.as(t, "root")
	form := root.get("/admin/client/secret?id=app")
	version := hidden(t, form, "version")
	assert.Equal(t, http.StatusUnprocessableEntity, root.post("/admin/client/secret?id=app", "version", version).status)
	got := root.post("/admin/client/secret?id=app", "version", version, "older", "day")
	fresh := secret(got)
	require.NotEmpty(t, fresh)
	assert.Contains(t, got.body, "The client has another secret.")
	assert.True(t, w.authenticates(t, "app", old) && w.authenticates(t, "app", fresh), "both work")
	assert.Equal(t, http.StatusConflict, root.post("/admin/client/secret?id=app", "version", version, "older", "day").status, "sent twice")

	c, err := w.ops.Client(t.Context(), "app")
	require.NoError(t, err)
	require.Len(t, c.Secrets, 2)
	retire := "/admin/client/retire?id=app&secret=" + c.Secrets[0].ID
	got = root.get(retire)
	assert.Equal(t, "Retire this secret?", got.title())
	assert.True(t, w.authenticates(t, "app", old), "looking does nothing")
	got = root.post(retire)
	assert.Contains(t, got.body, "The secret is good no more.")
	assert.False(t, w.authenticates(t, "app", old))
	assert.True(t, w.authenticates(t, "app", fresh))
	got = root.post("/admin/client/retire?id=app&secret=" + c.Secrets[1].ID)
	assert.Equal(t, http.StatusUnprocessableEntity, got.status, "the last one stays")
	assert.Contains(t, got.body, "has no other secret")
	assert.Equal(t, http.StatusNotFound, root.get(retire).status)
}

func TestDeleteAClient(t *testing.T) {
	w := newWorld(t)
	require.True(t, w.authenticates(t, "app", w.app(t)))
	root := w.as(t, "root")
	got := root.get("/admin/client/delete?id=app")
	assert.Equal(t, "Delete this client?", got.title())
	assert.Contains(t, got.body, "<dt>Live tokens</dt><dd>1</dd>")
	assert.Contains(t, root.get("/admin/client?id=app").body, "Notes", "looking does nothing")
	got = root.post("/admin/client/delete?id=app")
	assert.Equal(t, "/admin/clients?done=client_deleted", got.path)
	assert.Contains(t, got.body, "The client was deleted.")
	assert.Contains(t, got.body, "There are no such clients.")
	assert.Equal(t, http.StatusNotFound, root.post("/admin/client/delete?id=app").status, "sent twice")
	tokens, _, err := w.ops.Tokens(t.Context(), admin.TokenSelector{Client: "app"}, "", 0)
	require.NoError(t, err)
	assert.Empty(t, tokens)
}

// Whatever a client's ID is, its pages are there.
func TestOddIDs(t *testing.T) {
	w := newWorld(t)
	root := w.as(t, "root")
	for _, id := range []string{"..", "a/../b", "https://x.example/?a=b&c#d", `"'<>& `, "%2e%2e"} {
		_, err := w.ops.CreateClient(t.Context(), admin.NewClient{ID: id, Public: true, ClientSettings: admin.ClientSettings{
			Grants: []string{authserver.GrantDeviceCode}, Scope: "read",
		}})
		require.NoError(t, err, id)
		got := root.get("/admin/client?id=" + url.QueryEscape(id))
		assert.Equal(t, []any{http.StatusOK, id}, []any{got.status, got.title()})
		assert.Contains(t, html.UnescapeString(root.get("/admin/clients").body), `href="/admin/client?id=`+url.QueryEscape(id)+`"`)
		assert.Equal(t, "/admin/clients?done=client_deleted", root.post("/admin/client/delete?id="+url.QueryEscape(id)).path)
	}
}

// A list goes on where a page ends.
func TestPagesOfAList(t *testing.T) {
	w := newWorld(t)
	for i := range 60 {
		_, err := w.ops.CreateClient(t.Context(), admin.NewClient{ID: fmt.Sprintf("c%02d", i), Public: true, ClientSettings: admin.ClientSettings{
			Name: fmt.Sprintf("App %d", i%2), Grants: []string{authserver.GrantDeviceCode}, Scope: "read",
		}})
		require.NoError(t, err)
	}
	root := w.as(t, "root")
	got := root.get("/admin/clients?text=app+1&done=client_deleted")
	var seen []string
	for {
		for line := range strings.Lines(got.body) {
			if _, rest, ok := strings.Cut(line, `<h3><a href="/admin/client?id=`); ok {
				seen = append(seen, rest[:3])
			}
		}
		assert.Less(t, len(got.body), 30<<10)
		_, rest, ok := strings.Cut(got.body, `rel="next" href="`)
		if !ok {
			break
		}
		next, _, _ := strings.Cut(rest, `"`)
		got = root.get("/admin/clients" + html.UnescapeString(next))
		assert.NotContains(t, got.body, "was deleted", "it is said once")
		assert.Contains(t, got.body, "From the beginning")
	}
	var want []string
	for i := 1; i < 60; i += 2 {
		want = append(want, fmt.Sprintf("c%02d", i))
	}
	assert.Equal(t, want, seen)
}
