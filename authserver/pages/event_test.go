package pages_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
)

// observed is a world whose events are kept.
func observed(t *testing.T, change ...func(*settings)) (*world, *[]authserver.Event) {
	var events []authserver.Event
	change = append(change, func(s *settings) {
		s.pages.Passkeys = &paper{}
		s.server.Observe = func(_ context.Context, e authserver.Event) { events = append(events, e) }
	})
	return newWorld(t, change...), &events
}

func TestEvents(t *testing.T) {
	w, events := observed(t)
	b, phone := w.browser(), w.browser()
	from := netip.MustParseAddr("192.0.2.1")
	// happened checks what was observed since the last time.
	happened := func(want ...authserver.Event) {
		t.Helper()
		for i := range want {
			want[i].Time = w.now
			want[i].Address = from
		}
		assert.Equal(t, want, *events)
		*events = nil
	}
	alice := w.alice.ID

	b.get("/account")
	b.signIn("alice", "wrong password")
	b.signIn("nobody", "wrong password")
	b.signIn("alice", password)
	happened(
		authserver.Event{Kind: authserver.EventSignInFailed, Subject: alice, Reason: "wrong password"},
		authserver.Event{Kind: authserver.EventSignInFailed, Reason: "wrong password"},
		authserver.Event{Kind: authserver.EventSignedIn, Subject: alice, Reason: "password"},
	)

	b.post("action", "passkey-created", "ticket", ticketOf(t, b.post("action", "add-passkey")), "answer", "blue")
	b.at = "/account"
	b.post("action", "passkey-created", "ticket", ticketOf(t, b.post("action", "add-passkey")), "answer", "blue")
	happened(authserver.Event{Kind: authserver.EventPasskeyAdded, Subject: alice})
	phone.get("/account")
	phone.post("action", "passkey-answer", "ticket", ticketOf(t, phone.post("action", "passkey")), "answer", "red")
	phone.post("action", "passkey-answer", "ticket", ticketOf(t, phone.post("action", "passkey")), "answer", "blue")
	happened(
		authserver.Event{Kind: authserver.EventSignInFailed, Reason: "wrong passkey"},
		authserver.Event{Kind: authserver.EventSignedIn, Subject: alice, Reason: "passkey"},
	)

	b.approve(t, b.get(authorize()), "read")
	*events = nil // the server's own
	page := b.get("/account")
	for range 2 { // the second time there is nothing to take away
		b.post("action", "revoke-application", "client", "app")
		b.post("action", "remove-passkey", "passkey", passkeyRefs.FindStringSubmatch(page.body)[1])
		b.post("action", "end-session", "session", refs.FindAllStringSubmatch(page.body, -1)[1][1])
	}
	happened(
		authserver.Event{Kind: authserver.EventConsentRevoked, Client: "app", Subject: alice, Count: 2}, // and a code
		authserver.Event{Kind: authserver.EventPasskeyRemoved, Subject: alice},
		authserver.Event{Kind: authserver.EventSessionEnded, Subject: alice, Count: 1},
	)

	b.at = "/account/password"
	b.post("action", "change", "password", "wrong password", "new-password", password+"!")
	b.post("action", "change", "password", password, "new-password", "short")
	b.post("action", "change", "password", password, "new-password", password+"!")
	b.get("/signout")
	b.post()
	b.post()
	happened(
		authserver.Event{Kind: authserver.EventSignInFailed, Subject: alice, Reason: "wrong current password"},
		authserver.Event{Kind: authserver.EventPasswordChanged, Subject: alice},
		authserver.Event{Kind: authserver.EventSignedOut, Subject: alice},
	)
}

// What somebody makes up who is not signed in, without being asked, is no event:
// it has no limit, and would fill the audit.
func TestWhatIsMadeUpIsNoEvent(t *testing.T) {
	w, events := observed(t)
	stranger := w.browser()
	stranger.get("/account")
	used := ticketOf(t, stranger.post("action", "passkey"))
	stranger.post("action", "passkey-answer", "ticket", used, "answer", "red")
	late := ticketOf(t, stranger.post("action", "passkey"))
	w.now = w.now.Add(5 * time.Minute)
	*events = nil
	for _, ticket := range []string{"", "X", used, late} {
		assert.Equal(t, 422, stranger.post("action", "passkey-answer", "ticket", ticket, "answer", "red").status)
	}
	stranger.get(authorize())
	assert.Equal(t, pageSignIn, title(stranger.post("action", "deny")))
	assert.Empty(t, *events)
}

// A limit that is reached is one event a minute, for an account that is there
// as for one that is not, and never holds what was typed.
func TestLockOutIsAnEvent(t *testing.T) {
	w, events := observed(t)
	for _, name := range []string{"alice", "hunter2-typed-here"} {
		b := w.browser()
		b.get("/account")
		for range 13 {
			b.signIn(name, "wrong password")
		}
	}
	w.now = w.now.Add(time.Minute)
	b := w.browser()
	b.get("/account")
	b.signIn("alice", "wrong password")
	var limited []authserver.Event
	for _, e := range *events {
		if e.Kind == authserver.EventRateLimited {
			limited = append(limited, e)
		}
	}
	from := netip.MustParseAddr("192.0.2.1")
	assert.Equal(t, []authserver.Event{
		{Kind: authserver.EventRateLimited, Time: epoch, Subject: w.alice.ID, Address: from, Reason: "sign_in.account"},
		{Kind: authserver.EventRateLimited, Time: epoch, Address: from, Reason: "sign_in.account"},
		{Kind: authserver.EventRateLimited, Time: w.now, Subject: w.alice.ID, Address: from, Reason: "sign_in.account"},
	}, limited)
	text, err := json.Marshal(*events)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "hunter2")
}

// Two who have the same cookie of a session are both signed out, on record.
func TestStolenCookieIsAnEvent(t *testing.T) {
	w, events := observed(t)
	b := w.browser()
	b.get("/account")
	b.signIn("alice", password)
	stolen := b.cookies["__Host-sneck-session"]
	w.now = w.now.Add(time.Hour)
	b.get("/account")
	w.now = w.now.Add(2 * time.Minute)
	*events = nil
	thief := w.browser()
	thief.cookies["__Host-sneck-session"] = stolen
	assert.Equal(t, pageSignIn, title(thief.get("/account")))
	assert.Equal(t, pageSignIn, title(b.get("/account")))
	assert.Equal(t, []authserver.Event{{
		Kind: authserver.EventSessionEnded, Time: w.now, Subject: w.alice.ID, Address: netip.MustParseAddr("192.0.2.1"),
		Reason: "cookie used twice", Count: 1,
	}}, *events)
}

// Nobody is let in who would not be on record, and what takes something away
// is done all the same.
func TestWhatHasToBeOnRecord(t *testing.T) {
	full := false
	w, _ := observed(t, func(s *settings) {
		s.server.AuditRequired = true
		s.server.Audit = func(context.Context, authserver.Event) error {
			if full {
				return errors.New("no space left on device")
			}
			return nil
		}
	})
	b, other := w.browser(), w.browser()
	for _, b := range []*browser{b, other} {
		b.get("/account")
		require.Equal(t, "Your applications", title(b.signIn("alice", password)))
	}
	page := b.post("action", "add-passkey")
	full = true

	stranger := w.browser()
	stranger.get("/account")
	assert.Equal(t, 503, stranger.signIn("alice", password).status)
	assert.Empty(t, stranger.cookies, "no session, and no cookie")
	assert.Equal(t, 503, b.post("action", "passkey-created", "ticket", ticketOf(t, page), "answer", "blue").status)
	b.at = "/account/password"
	assert.Equal(t, 503, b.post("action", "change", "password", password, "new-password", password+"!").status)
	other.get("/signout")
	assert.Equal(t, 503, other.post().status)
	assert.Equal(t, pageSignIn, title(other.get("/account")), "signed out is signed out")

	full = false
	assert.Contains(t, b.get("/account").body, "You have no passkey yet.")
	stranger.get("/account")
	assert.Equal(t, "Your applications", title(stranger.signIn("alice", password)), "the password is the old one")
}
