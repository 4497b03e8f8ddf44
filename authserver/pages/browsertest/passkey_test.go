package browsertest_test

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	passkeys "github.com/sneckauth/sneck/adapter/webauthn"
)

// Somebody makes a passkey, signs out, and signs in with nothing but it. The
// browser takes no passkeys from sites whose certificate it does not know, so
// this is a loopback host without TLS.
func TestPasskey(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t, withPasskeys(t)), open(t)
	b.authenticator()

	// There is none yet.
	b.get(w.authorize())
	b.sees("Sign in")
	b.judge("sign-in-passkey")
	b.click("Use a passkey")
	b.reads("That did not work.")
	b.judge("passkey-failed")
	b.click("Back")
	b.sees("Sign in")

	b.get(w.issuer + "/account")
	b.signIn(password)
	b.sees("Your applications")
	b.click("Add a passkey")
	b.reads("The passkey was added.")
	b.judge("account-passkey")
	b.get(w.issuer + "/signout")
	b.do(chromedp.Click("main button.primary"))
	b.sees("You are signed out")

	b.get(w.authorize())
	b.click("Use a passkey")
	b.sees(asks)
	b.click("Allow")
	assert.NotEmpty(t, b.arrives().Get("code"))

	// What was removed is of no use any more.
	b.get(w.issuer + "/account")
	b.click("Remove")
	b.reads("The passkey was removed.")
	b.get(w.authorize("prompt", "login"))
	b.click("Use a passkey")
	b.reads("This passkey is not known here")
}

// Who has made a passkey at the pages for people signs in with it at those for
// administrators, which are at another port of the same host.
func TestPasskeyOfAnAdministrator(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t, withPasskeys(t)), open(t)
	b.authenticator()
	alice, err := w.site.Accounts().ByName(t.Context(), "alice")
	require.NoError(t, err)
	require.NoError(t, w.site.Accounts().SetAdmin(t.Context(), alice.ID, true))
	o := openOffice(t, w.memory, true)

	b.get(w.issuer + "/account")
	b.signIn(password)
	b.click("Add a passkey")
	b.reads("The passkey was added.")
	b.get(o.url + "/admin/people")
	b.sees("Sign in")
	b.click("Use a passkey")
	b.sees("People")
	b.reads("alice")
}

// withPasskeys makes a world in which there are passkeys.
func withPasskeys(t *testing.T) func(*settings) {
	return func(s *settings) {
		s.plain = true
		if s.pages.Issuer != "" {
			var err error
			s.pages.Passkeys, err = passkeys.New(passkeys.Config{Issuer: s.pages.Issuer, Name: "Example Notes"})
			require.NoError(t, err)
		}
	}
}

// authenticator gives the tab a virtual authenticator, for passkeys.
func (b *tab) authenticator() {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		if _, err := cdp.Call(ctx, tab, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, tab, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
			Options: &webauthn.VirtualAuthenticatorOptions{
				Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
				HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
			},
		})
		return err
	}))
}
