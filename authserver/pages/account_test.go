package pages_test

import (
	"context"
	"errors"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
)

// A renewing store has sessions that are renewed while they are listed.
type renewing struct {
	*authserver.Memory
	renew func(authserver.Record)
}

func (r renewing) List(ctx context.Context, kind authserver.Kind, which authserver.Selector, after authserver.Key, limit int) ([]authserver.Record, error) {
	list, err := r.Memory.List(ctx, kind, which, after, limit)
	if kind == "session" {
		for _, record := range list {
			r.renew(record)
		}
	}
	return list, err
}

// Who is signed out everywhere is, however often somebody has signed in, and
// whatever browsers do meanwhile.
func TestSignedOutEverywhere(t *testing.T) {
	ctx, m := t.Context(), authserver.NewMemory()
	store := renewing{m, func(r authserver.Record) {
		renewed := r
		renewed.Key = authserver.KeyOf(r.Family + " renewed")
		if r.Key == renewed.Key || !r.Spent.IsZero() {
			return
		}
		_, err := m.Spend(ctx, authserver.Spend{Key: r.Key, Now: epoch, Grace: time.Minute, Yield: []authserver.Record{renewed}})
		require.NoError(t, err)
	}}
	accounts, err := pages.NewAccounts(store, func() time.Time { return epoch })
	require.NoError(t, err)
	alice, err := accounts.Create(ctx, "alice", password)
	require.NoError(t, err)
	keep := "session 7"
	for _, end := range []func() error{
		func() error { return accounts.EndSessions(ctx, alice.ID) },
		func() error { return accounts.SetPassword(ctx, alice.ID, "a second password", keep) },
	} {
		for i := range 2500 {
			family := "session " + strconv.Itoa(i)
			require.NoError(t, m.Create(ctx, authserver.Record{
				Key: authserver.KeyOf(family), Kind: "session", Family: family, Subject: alice.ID, Issued: epoch, Expires: epoch.Add(time.Hour),
			}))
		}
		require.NoError(t, end())
		left, err := m.List(ctx, "session", authserver.Selector{Subject: alice.ID}, authserver.Key{}, 5000)
		require.NoError(t, err)
		for _, r := range left {
			assert.Equal(t, keep, r.Family)
			_, err := m.Revoke(ctx, authserver.Selector{Family: r.Family})
			require.NoError(t, err)
		}
	}
}

func TestAccounts(t *testing.T) {
	ctx, m := t.Context(), authserver.NewMemory()
	now := epoch
	accounts, err := pages.NewAccounts(m, func() time.Time { return now })
	require.NoError(t, err)
	alice, err := accounts.Create(ctx, "Alice", password)
	require.NoError(t, err)
	assert.Regexp(t, "^u_[A-Z0-9]{26}$", alice.ID)
	assert.Equal(t, &pages.Account{ID: alice.ID, Username: "Alice", Created: epoch}, alice)
	_, err = accounts.Create(ctx, "aLICE", password)
	require.ErrorIs(t, err, pages.ErrUsernameTaken)
	zoe, err := accounts.Create(ctx, "zoé@example.com", "another long one")
	require.NoError(t, err)
	bob, err := accounts.Create(ctx, "bob", password)
	require.NoError(t, err)
	assert.False(t, authserver.Secret{Hash: pages.Stranger}.Outdated(), "an account that is not there costs the same")
	list, err := accounts.List(ctx, 10)
	require.NoError(t, err)
	assert.Equal(t, []*pages.Account{alice, bob, zoe}, list)

	for _, wrong := range [][2]string{{"", password}, {"a b", password}, {"a\x00", password}, {strings.Repeat("x", 129), password}, {"x", "short"}, {"x", strings.Repeat("x", 1025)}, {"x", "\xff23456789012"}} {
		_, err := accounts.Create(ctx, wrong[0], wrong[1])
		require.Error(t, err, wrong)
	}

	got, err := accounts.SignIn(ctx, "ALICE", password)
	require.NoError(t, err)
	assert.Equal(t, alice, got)
	for _, wrong := range [][2]string{{"alice", "another long one"}, {"alice", ""}, {"nobody", password}, {"", ""}} {
		_, err := accounts.SignIn(ctx, wrong[0], wrong[1])
		require.ErrorIs(t, err, pages.ErrWrongPassword, wrong)
	}

	// The clock goes back; the new password counts all the same.
	now = epoch.Add(-time.Hour)
	require.NoError(t, accounts.SetPassword(ctx, alice.ID, "a second password", ""))
	_, err = accounts.SignIn(ctx, "alice", password)
	require.ErrorIs(t, err, pages.ErrWrongPassword)
	_, err = accounts.SignIn(ctx, "alice", "a second password")
	require.NoError(t, err)
	require.Error(t, accounts.SetPassword(ctx, alice.ID, "short", ""))
	require.ErrorIs(t, accounts.SetPassword(ctx, "u_x", password, ""), pages.ErrNoAccount)

	require.NoError(t, m.Create(ctx, authserver.Record{Key: authserver.KeyOf("a token"), Client: "app", Subject: alice.ID}))
	require.NoError(t, accounts.Delete(ctx, alice.ID))
	require.ErrorIs(t, accounts.Delete(ctx, alice.ID), pages.ErrNoAccount)
	_, err = accounts.SignIn(ctx, "alice", "a second password")
	require.ErrorIs(t, err, pages.ErrWrongPassword)
	_, err = m.Get(ctx, authserver.KeyOf("a token"))
	require.ErrorIs(t, err, authserver.ErrNotFound, "what was issued ends with the account")
	again, err := accounts.Create(ctx, "alice", password)
	require.NoError(t, err)
	assert.NotEqual(t, alice.ID, again.ID, "an ID is nobody else's")
	_, err = accounts.ByID(ctx, alice.ID)
	require.ErrorIs(t, err, pages.ErrNoAccount)
}

// Of two who take a name at the same time, one gets it.
func TestAccountNameIsTakenOnce(t *testing.T) {
	accounts, err := pages.NewAccounts(authserver.NewMemory(), nil)
	require.NoError(t, err)
	var mu sync.Mutex
	made := 0
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			_, err := accounts.Create(context.Background(), "alice", password)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made++
			} else {
				assert.ErrorIs(t, err, pages.ErrUsernameTaken)
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 1, made)
}

// An account that is not there costs what one costs that is, and looks the
// same; so do those that are tried too often.
func TestNobodyLearnsWhoHasAnAccount(t *testing.T) {
	w := newWorld(t)
	verified := 0
	w.site.Accounts().CountPasswords(&verified)
	see := func(name string) (replies []reply) {
		for range 12 {
			b := w.browser()
			b.get("/account")
			got := b.signIn(name, "wrong password")
			got.body = strings.ReplaceAll(got.body, name, "NAME")
			replies = append(replies, got)
		}
		return replies
	}
	known := see("alice")
	assert.Equal(t, 10, verified)
	assert.Equal(t, 422, known[9].status)
	assert.Contains(t, known[9].body, "The user name or the password is wrong.")
	assert.Equal(t, 429, known[10].status)
	assert.Equal(t, "91", known[10].header.Get("Retry-After"))
	for _, name := range []string{"nobody", "with spaces in it"} {
		verified = 0
		assert.Equal(t, known, see(name))
		assert.Equal(t, 10, verified)
	}
}

// Whoever tries too many passwords locks out nobody but themselves.
func TestLockOut(t *testing.T) {
	w := newWorld(t)
	home := w.browser()
	home.get("/account")
	require.Equal(t, "Your applications", title(home.signIn("alice", password)))
	home.get("/signout")
	home.post()
	assert.Equal(t, []string{"__Host-sneck-browser"}, keys(home.cookies))

	attacker := w.browser()
	attacker.get("/account")
	for range 10 {
		require.Equal(t, 422, attacker.signIn("alice", "wrong password").status)
	}
	assert.Equal(t, 429, attacker.signIn("alice", password).status, "from this address")
	elsewhere := w.browser()
	elsewhere.addr = "192.0.2.2:1"
	elsewhere.get("/account")
	assert.Equal(t, "Your applications", title(elsewhere.signIn("alice", password)), "others are not locked out")
	home.get("/account")
	assert.Equal(t, "Your applications", title(home.signIn("alice", password)), "the same address, but a browser that is known")

	// A known browser has its own limit, also from many addresses.
	home.get("/signout")
	home.post()
	home.get("/account")
	for i := range 10 {
		home.addr = netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}).String() + ":1"
		require.Equal(t, 422, home.signIn("alice", "wrong password").status)
	}
	assert.Equal(t, 429, home.signIn("alice", password).status)

	// All of an address count together.
	for i := range 40 {
		require.Equal(t, 422, attacker.signIn("user"+string(rune('a'+i%26))+string(rune('a'+i/26)), "wrong password").status)
	}
	assert.Equal(t, 429, attacker.signIn("somebody else", "wrong password").status)
	attacker.addr = "[2001:db8::1]:1"
	for range 10 {
		require.Equal(t, 422, attacker.signIn("alice", "wrong password").status)
	}
	attacker.addr = "[2001:db8::2:1]:1"
	assert.Equal(t, 429, attacker.signIn("alice", "wrong password").status, "a network of IPv6 is one")

	w.now = w.now.Add(15 * time.Minute)
	assert.Equal(t, "Your applications", title(home.signIn("alice", password)), "it ends")
}

func keys(m map[string]string) (list []string) {
	for k := range m {
		list = append(list, k)
	}
	return list
}

func TestCheckPasswordOfOthers(t *testing.T) {
	broken := false
	w := newWorld(t, func(s *settings) {
		s.pages.CheckPassword = func(_ context.Context, username, password string) (*pages.Account, error) {
			switch {
			case broken:
				return nil, errors.New("the directory is down")
			case password == "from LDAP":
				return &pages.Account{ID: "uid=" + username, Username: username}, nil
			}
			return nil, pages.ErrWrongPassword
		}
	})
	require.NoError(t, w.site.Subject(t.Context(), "uid=carol"))
	b := w.browser()
	b.get(authorize())
	assert.Equal(t, 422, b.signIn("carol", "x").status)
	page := b.signIn("carol", "from LDAP")
	assert.Equal(t, pageConsent, title(page))
	assert.NotEmpty(t, answer(t, b.approve(t, page, "read")).Get("code"))
	page = b.get("/account")
	assert.Contains(t, page.body, "Notes")
	assert.NotContains(t, page.body, "/account/password")
	assert.Equal(t, 404, b.get("/account/password").status)

	broken = true
	b = w.browser()
	b.get("/account")
	got := b.signIn("carol", "from LDAP")
	assert.Equal(t, 503, got.status)
	assert.Contains(t, got.body, "can not answer at the moment")
	b.get(authorize())
	assert.Equal(t, "temporarily_unavailable", answer(t, b.signIn("carol", "from LDAP")).Get("error"))
}

var refs = regexp.MustCompile(`name="session" value="([0-9a-f]+)"`)

func TestApplicationsAndSessions(t *testing.T) {
	w := newWorld(t)
	b, phone := w.browser(), w.browser()
	b.header["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0"
	phone.header["User-Agent"] = "Mozilla/5.0 (iPhone; CPU iPhone OS 20_0 like Mac OS X) AppleWebKit/605.1.15 Version/20.0 Mobile/15E148 Safari/604.1"
	for _, b := range []*browser{b, phone} {
		b.get("/account")
		require.Contains(t, b.signIn("alice", password).body, "You have allowed no application anything.")
	}
	for _, client := range []string{"app", "needy"} {
		b.approve(t, b.get(authorize("client_id", client)), "read", "write")
	}
	page := b.get("/account")
	assert.Regexp(t, `(?s)needy.*Notes.*Firefox, Linux.*this one.*Safari, iPhone`, page.body)
	assert.Contains(t, page.body, "no access at the moment")
	require.NoError(t, w.memory.Create(t.Context(), authserver.Record{
		Key: authserver.KeyOf("token"), Kind: authserver.KindAccess, Client: "app", Subject: w.alice.ID,
		Scopes: []string{"admin"}, Issued: epoch, Expires: epoch.Add(time.Hour),
	}))
	page = b.get("/account")
	assert.Contains(t, page.body, "2 January 2030, 04:04 UTC")
	assert.Contains(t, page.body, "<code>admin</code>")

	page = b.post("action", "revoke-application", "client", "app")
	assert.Contains(t, page.body, "The application has no access any more.")
	assert.NotContains(t, page.body, "Notes")
	assert.Contains(t, page.body, "needy")
	_, err := w.memory.Get(t.Context(), authserver.KeyOf("token"))
	require.ErrorIs(t, err, authserver.ErrNotFound)
	assert.Equal(t, pageConsent, title(b.get(authorize())), "the consent is gone")
	assert.Equal(t, "Your applications", title(b.get("/account")), "the session is not")
	b.post("action", "revoke-application")
	assert.Contains(t, b.get("/account").body, "needy", "a form without a client revokes nothing")

	// Sessions of others are not to be ended, this one's other is.
	_, err = w.site.Accounts().Create(t.Context(), "bob", password)
	require.NoError(t, err)
	bob := w.browser()
	bob.get("/account")
	ref := refs.FindStringSubmatch(bob.signIn("bob", password).body)[1]
	b.post("action", "end-session", "session", ref)
	assert.Equal(t, "Your applications", title(bob.get("/account")))
	all := refs.FindAllStringSubmatch(b.get("/account").body, -1)
	require.Len(t, all, 2)
	page = b.post("action", "end-session", "session", all[1][1])
	assert.Contains(t, page.body, "The session has ended.")
	assert.Equal(t, pageSignIn, title(phone.get("/account")))
	b.post("action", "end-session", "session", all[0][1])
	assert.Equal(t, pageSignIn, title(b.get("/account")), "one's own, too")
	assert.NotContains(t, b.get("/account?done=%3Cscript%3E").body, "script", "only known texts")
}

func TestPasswordPage(t *testing.T) {
	w := newWorld(t)
	b, other := w.browser(), w.browser()
	for _, b := range []*browser{b, other} {
		b.get("/account/password")
		require.Equal(t, "Change your password", title(b.signIn("alice", password)))
	}
	change := func(current, next string) reply {
		b.at = "/account/password"
		return b.post("action", "change", "password", current, "new-password", next)
	}
	assert.Contains(t, change(password, "short").body, "too short")
	assert.Contains(t, change("wrong password", "a new password").body, "The current password is wrong.")
	assert.Contains(t, change(password, password+"!").body, "The password was changed.")
	assert.Equal(t, pageSignIn, title(other.get("/account")), "signed out everywhere else")
	assert.Equal(t, "Your applications", title(b.get("/account")))
	for range 10 {
		change("wrong password", "a new password")
		change(password, "short") // which must not make it count anew
	}
	got := change("wrong password", "a new password")
	assert.Equal(t, 429, got.status)
}

func TestSignOut(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.get("/account")
	b.signIn("alice", password)
	stolen := b.cookies["__Host-sneck-session"]
	page := b.get("/signout")
	assert.Contains(t, page.body, "You are signed in as alice")
	assert.Equal(t, "Your applications", title(b.get("/account")), "a link signs nobody out")
	b.get("/signout")
	page = b.post()
	assert.Contains(t, page.body, "You are signed out")
	assert.NotContains(t, b.cookies, "__Host-sneck-session")
	b.cookies["__Host-sneck-session"] = stolen
	assert.Equal(t, pageSignIn, title(b.get("/account")), "the session has ended on the server")
}

func TestSessionLimits(t *testing.T) {
	const name = "__Host-sneck-session"
	w := newWorld(t)
	b := w.browser()
	b.get("/account")
	b.signIn("alice", password)
	first := b.cookies[name]

	w.now = epoch.Add(24 * time.Hour)
	assert.Equal(t, pageSignIn, title(b.get("/account")), "a day without use")
	b.signIn("alice", password)
	assert.NotEqual(t, first, b.cookies[name])

	// In use it goes on, with another cookie each hour, to the end.
	start, cookies := w.now, map[string]bool{}
	for w.now.Before(start.Add(14*24*time.Hour - time.Second)) {
		require.Equal(t, "Your applications", title(b.get("/account")), w.now)
		cookies[b.cookies[name]] = true
		w.now = w.now.Add(59 * time.Minute)
	}
	assert.InDelta(t, 14*24/2, len(cookies), 5)
	w.now = start.Add(14 * 24 * time.Hour)
	assert.Equal(t, pageSignIn, title(b.get("/account")))

	// An old cookie works for requests under way; later it ends the session,
	// as two have it.
	b.signIn("alice", password)
	old := b.cookies[name]
	w.now = w.now.Add(time.Hour)
	b.get("/account")
	assert.NotEqual(t, old, b.cookies[name])
	thief := w.browser()
	thief.cookies[name] = old
	assert.Equal(t, "Your applications", title(thief.get("/account")))
	w.now = w.now.Add(time.Minute)
	thief.cookies[name] = old
	assert.Equal(t, pageSignIn, title(thief.get("/account")))
	assert.Equal(t, pageSignIn, title(b.get("/account")))

	// What a cookie is not.
	b.signIn("alice", password)
	good := b.cookies[name]
	for _, bad := range []string{"", "x", good + "x", strings.ToLower(good), strings.Repeat("x", 5000)} {
		b.cookies[name] = bad
		assert.Equal(t, pageSignIn, title(b.get("/account")), bad)
	}
}

// A cookie from before the sign-in is worth nothing afterwards, whoever has
// put it there.
func TestSessionFixation(t *testing.T) {
	const name = "__Host-sneck-session"
	w := newWorld(t)
	_, err := w.site.Accounts().Create(t.Context(), "mallory", password)
	require.NoError(t, err)
	mallory := w.browser()
	mallory.get("/account")
	mallory.signIn("mallory", password)
	for _, planted := range []string{mallory.cookies[name], strings.Repeat("A", 52)} {
		victim := w.browser()
		victim.cookies[name] = planted
		victim.get(authorize("prompt", "login"))
		require.Equal(t, pageConsent, title(victim.signIn("alice", password)))
		assert.NotEqual(t, planted, victim.cookies[name])
		mallory.cookies[name] = planted
		assert.Equal(t, pageSignIn, title(mallory.get("/account")))
	}
}

// Who signs in with a password while it is changed is not signed in after that,
// but for one that was only hashed anew.
func TestPasswordIsChangedWhileSomebodySignsIn(t *testing.T) {
	for _, test := range []struct {
		name string
		next string
		want string
	}{
		{"to another", "a second password", pageSignIn},
		{"to the same", password, "Your applications"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var w *world
			w = newWorld(t, func(s *settings) {
				s.pages.Record = func(ctx context.Context, e authserver.Event) error {
					if e.Kind == authserver.EventSignedIn { // it was right, and there is no session yet
						return w.site.Accounts().SetPassword(ctx, w.alice.ID, test.next, "")
					}
					return nil
				}
			})
			b := w.browser()
			b.get("/account")
			got := b.signIn("alice", password)
			assert.Equal(t, test.want, title(b.get("/account")))
			if test.want == pageSignIn {
				assert.Contains(t, got.body, "The user name or the password is wrong.")
				assert.Empty(t, b.cookies)
				sessions, err := w.site.Accounts().Sessions(t.Context(), w.alice.ID)
				require.NoError(t, err)
				assert.Empty(t, sessions)
			}
		})
	}
}

// Who changes a password while somebody else does, such as an administrator who
// takes an account back, changes nothing any more, unless it is still theirs.
func TestPasswordIsChangedByTwo(t *testing.T) {
	for _, test := range []struct{ meanwhile, counts string }{
		{"chosen for alice", "chosen for alice"},
		{password, "chosen by alice"},
	} {
		t.Run(test.meanwhile, func(t *testing.T) {
			var w *world
			w = newWorld(t, func(s *settings) {
				s.pages.Record = func(ctx context.Context, e authserver.Event) error {
					if e.Kind == authserver.EventPasswordChanged { // hers was right, and is not stored yet
						return w.site.Accounts().SetPassword(ctx, w.alice.ID, test.meanwhile, "")
					}
					return nil
				}
			})
			b := w.browser()
			b.get("/account")
			b.signIn("alice", password)
			b.at = "/account/password"
			b.post("action", "change", "password", password, "new-password", "chosen by alice")
			for _, p := range []string{password, "chosen for alice", "chosen by alice"} {
				_, err := w.site.Accounts().SignIn(t.Context(), "alice", p)
				assert.Equal(t, p == test.counts, err == nil, p)
			}
		})
	}
}

// Who is deleted is signed out, and gets no tokens any more.
func TestDeletedAccount(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.get(authorize())
	page := b.signIn("alice", password)
	require.NoError(t, w.site.Subject(t.Context(), w.alice.ID))
	require.NoError(t, w.site.Accounts().Delete(t.Context(), w.alice.ID))
	assert.Equal(t, pageSignIn, title(b.approve(t, page, "read")))
	require.ErrorIs(t, w.site.Subject(t.Context(), w.alice.ID), authserver.ErrNotFound)
}

// Requests at the same time, when the cookie is due to be replaced, all go on.
func TestSessionIsRenewedUnderConcurrency(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.get("/account")
	b.signIn("alice", password)
	w.now = w.now.Add(2 * time.Hour)
	var wg sync.WaitGroup
	tabs := make([]*browser, 8)
	for i := range tabs {
		tabs[i] = &browser{h: w, cookies: map[string]string{"__Host-sneck-session": b.cookies["__Host-sneck-session"]}, addr: b.addr}
		wg.Go(func() { assert.Equal(t, "Your applications", title(tabs[i].get("/account"))) })
	}
	wg.Wait()
	w.now = w.now.Add(time.Hour - time.Minute)
	renewed := 0
	for _, tab := range tabs {
		if tab.cookies["__Host-sneck-session"] == b.cookies["__Host-sneck-session"] {
			continue // it came later, when the browser had another one already
		}
		renewed++
		page := tab.get("/account")
		assert.Equal(t, "Your applications", title(page), "with whichever cookie came last")
		assert.Len(t, refs.FindAllString(page.body, -1), 1, "it is one session")
	}
	assert.NotZero(t, renewed)
}
