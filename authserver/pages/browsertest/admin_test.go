package browsertest_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	passkeys "github.com/sneckauth/sneck/adapter/webauthn"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/admin/ui"
	"github.com/sneckauth/sneck/authserver/audit"
	"github.com/sneckauth/sneck/authserver/pages"
	"github.com/sneckauth/sneck/scopes"
)

// An office is where a server is administered: "alice" may, "bob" may not.
type office struct {
	url    string
	server *authserver.Server
	ops    *admin.Operations
	bob    *pages.Account
}

func newOffice(t *testing.T) *office {
	t.Helper()
	memory := authserver.NewMemory()
	accounts, err := pages.NewAccounts(memory, nil)
	require.NoError(t, err)
	alice, err := accounts.Create(t.Context(), "alice", password)
	require.NoError(t, err)
	require.NoError(t, accounts.SetAdmin(t.Context(), alice.ID, true))
	bob, err := accounts.Create(t.Context(), "bob", password)
	require.NoError(t, err)
	o := openOffice(t, memory, false)
	o.bob = bob
	return o
}

// openOffice returns an office for the accounts in memory. Without TLS there
// are passkeys.
func openOffice(t *testing.T, memory *authserver.Memory, plain bool) *office {
	t.Helper()
	o := new(office)
	var handler http.Handler
	server := serve(t, plain, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	o.url = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	log, err := audit.Open(audit.Config{Path: path})
	require.NoError(t, err)
	t.Cleanup(func() { _ = log.Close() })
	ring, err := authserver.NewKeyRing(authserver.KeyRingConfig{Store: memory, InsecureUnsealed: true})
	require.NoError(t, err)
	o.server, err = authserver.New(authserver.Config{
		Issuer: "https://auth.example.com", Store: memory, Clients: memory, Keys: ring, Audit: log.Record,
		Scopes: scopes.Static{List: []scopes.Described{{Name: "notes:read", Text: "Read your notes"}, {Name: "notes:write", Text: "Change and delete your notes"}}},
	})
	require.NoError(t, err)
	accounts, err := pages.NewAccounts(memory, nil)
	require.NoError(t, err)
	o.ops, err = admin.New(admin.Config{Server: o.server, Store: memory, Clients: memory, Accounts: accounts, Keys: ring, AuditPath: path})
	require.NoError(t, err)
	config := pages.Config{Issuer: o.url, InsecureHTTP: plain, Store: memory, Clients: memory, Title: "Example Notes"}
	if plain {
		config.Passkeys, err = passkeys.New(passkeys.Config{Issuer: o.url})
		require.NoError(t, err)
	}
	handler, err = ui.New(ui.Config{Operations: o.ops, Pages: config})
	require.NoError(t, err)
	return o
}

// gets gets a token as a client that acts for itself, and reports whether there
// was one.
func (o *office) gets(t *testing.T, id, secret string) bool {
	t.Helper()
	server := serve(t, true, o.server)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/token", strings.NewReader(url.Values{
		"grant_type": {"client_credentials"}, "scope": {"notes:read"},
	}.Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(id, secret)
	resp, err := server.Client().Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode == http.StatusOK
}

// An administrator registers a client, sees its secret once, replaces it,
// revokes what it has got and deletes it.
func TestAdministerClients(t *testing.T) {
	t.Parallel()
	o, b := newOffice(t), open(t)
	b.get(o.url + "/")
	b.sees("Sign in")
	b.judge("admin-sign-in")
	b.signIn(password)
	b.sees("Administration")
	b.judge("admin-overview")
	b.click("Clients")
	b.sees("Clients")
	b.click("Register a client")
	b.sees("Register a client")
	b.judge("admin-new-client")
	b.fill("f-client-id", "notes-app")
	b.fill("f-client-name", `Notes <script>document.title = "evil"</script>`)
	b.do(chromedp.Click(`input[value="client_credentials"]`))
	b.fill("f-scope", "notes:read notes:nothing else\x7f")
	b.fill("f-audience", "https://notes.example")
	b.click("Register")
	b.reads("That is not possible as it is.")
	b.judge("admin-new-client-wrong")
	b.fill("f-scope", "notes:read")
	b.click("Register")
	b.sees("notes-app")
	secret := run(b, chromedp.Text("#secret"))
	assert.True(t, o.gets(t, "notes-app", secret))
	b.judge("admin-client-created")
	b.do(chromedp.Reload())
	b.sees("notes-app")
	assert.False(t, eval[bool](b, `document.documentElement.innerHTML.includes("`+secret+`")`), "it is shown once")
	assert.NotEqual(t, "evil", run(b, chromedp.Title()))

	b.click("Change")
	b.sees("Change notes-app")
	b.fill("f-client-name", "Better notes")
	b.click("Save")
	b.reads("The client was changed.")
	b.reads("Better notes")
	b.click("Add a secret")
	b.sees("Add a secret")
	b.click("Add a secret")
	b.reads("The client has another secret.")
	another := run(b, chromedp.Text("#secret"))
	assert.True(t, o.gets(t, "notes-app", secret) && o.gets(t, "notes-app", another), "both work")

	b.click("Tokens")
	b.sees("Tokens")
	b.get(o.url + "/admin/tokens?client=notes-app")
	b.reads("Access token")
	b.judge("admin-tokens")
	b.click("Revoke")
	b.sees("Revoke this?")
	b.judge("admin-revoke")
	b.click("Revoke")
	b.reads("Revoked.")
	b.click("Revoke all of these")
	b.click("Cancel")
	b.reads("Access token")

	b.get(o.url + "/admin/clients?text=BETTER")
	b.reads("Better notes")
	b.judge("admin-clients")
	b.click("notes-app")
	b.click("Delete the client")
	b.sees("Delete this client?")
	b.judge("admin-delete")
	b.click("Delete")
	b.reads("The client was deleted.")
	b.reads("There are no such clients.")
	assert.False(t, o.gets(t, "notes-app", another))

	b.get(o.url + "/admin/audit")
	b.do(chromedp.SetValue("#f-kind", "client_deleted"))
	b.click("Search")
	b.do(chromedp.WaitVisible(`.cards > li:only-child`))
	b.judge("admin-audit")
	assert.Contains(t, run(b, chromedp.Text(".cards h3")), "Client deleted")
}

// On a phone, and in German: people, keys and scopes.
func TestAdministerOnAPhone(t *testing.T) {
	t.Parallel()
	o, b := newOffice(t), open(t)
	b.phone()
	b.get(o.url + "/admin/people")
	b.signIn(password)
	b.sees("People")
	b.judge("admin-people-phone")
	b.click("bob")
	b.sees("bob")
	b.judge("admin-person-phone")
	b.click("New password")
	b.sees("Replace the password?")
	b.click("Make a new password")
	b.reads("The password was replaced.")
	b.reads("it is not shown again")
	b.judge("admin-password-phone")
	b.click("People")
	b.click("Create an account")
	b.sees("Create an account")
	b.judge("admin-new-person-phone")
	b.fill("f-username", "carol")
	b.click("Create")
	b.sees("carol")
	b.get(o.url + "/admin/keys/rotate?ui_locales=de")
	b.sees("Weiteren Signaturschlüssel erzeugen?")
	b.judge("admin-rotate-phone-german")
	b.click("Schlüssel erzeugen")
	b.reads("There is another key.")
	b.judge("admin-keys-phone")
	b.click("Scopes")
	b.reads("Read your notes")
	b.judge("admin-scopes-phone")
	b.get(o.url + "/admin/client/edit?id=nobody")
	b.sees("This does not work")
	b.judge("admin-not-found-phone")
}

// Who is no administrator gets nowhere.
func TestNoAdministrator(t *testing.T) {
	t.Parallel()
	o, b := newOffice(t), open(t)
	b.get(o.url + "/admin/person/delete?id=" + o.bob.ID)
	b.fill("username", "bob")
	b.fill("password", password)
	b.click("Sign in")
	b.sees("This does not work")
	b.reads("your account is not one")
	b.judge("admin-forbidden")
	b.click("Sign out")
	b.do(chromedp.Click("main button.primary"))
	b.sees("You are signed out")
}

// Somebody who has no mouse makes an account and deletes it.
func TestAdministerByKeyboard(t *testing.T) {
	t.Parallel()
	o, b := newOffice(t), open(t)
	b.get(o.url + "/admin/people/new")
	b.sees("Sign in")
	b.do(chromedp.KeyEvent("alice" + kb.Tab + password + kb.Enter))
	b.sees("Create an account")
	b.do(chromedp.KeyEvent("carol"+kb.Tab), chromedp.KeyEvent(" "), chromedp.KeyEvent(kb.Enter))
	b.sees("carol")
	b.reads("Administrator")
	before, _, err := o.ops.Accounts(t.Context(), "carol", "", 0)
	require.NoError(t, err)
	require.Len(t, before, 1)
	b.get(o.url + "/admin/person/delete?id=" + before[0].ID)
	b.sees("Delete this account?")
	b.do(chromedp.Focus("main button.danger"), chromedp.KeyEvent(kb.Enter))
	b.reads("The account was deleted.")
	after, _, err := o.ops.Accounts(t.Context(), "carol", "", 0)
	require.NoError(t, err)
	assert.Empty(t, after)
}
