package browsertest_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const asks = "Allow Sketchbook access to your account?"

func TestSignIn(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t), open(t)
	b.get(w.authorize())
	b.sees("Sign in")
	b.judge("sign-in")

	b.signIn("wrong password")
	b.reads("The user name or the password is wrong.")
	b.judge("wrong-password")
	assert.Equal(t, "alice", run(b, chromedp.Value("#username")), "is not to be typed again")

	b.signIn(password)
	b.sees(asks)
	b.judge("consent")
}

func TestConsentWithAScopeUnticked(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t), open(t)
	b.get(w.authorize())
	b.signIn(password)
	b.sees(asks)
	b.do(chromedp.Click(`input[value="notes:write"]`))
	b.click("Allow")
	assert.Equal(t, "notes:read profile", sorted(w.scopeOf(t, b.arrives())))

	// What was remembered is not asked again, and the rest is.
	b.get(w.authorize("scope", "notes:read profile"))
	assert.NotEmpty(t, b.arrives().Get("code"))
	b.get(w.authorize())
	b.sees(asks)
	b.click("Refuse")
	assert.Equal(t, "access_denied", b.arrives().Get("error"))
}

// sorted returns the names of a scope in the order of the alphabet.
func sorted(scope any) string {
	text, _ := scope.(string)
	names := strings.Fields(text)
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestDeviceOnAPhone(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t), open(t)
	b.phone()
	device := w.post(t, "/device_authorization", url.Values{"client_id": {"tv"}, "scope": {"notes:read profile"}})
	code := device["user_code"].(string)
	b.get(w.issuer + "/device")
	b.sees("Connect a device")
	b.judge("device-phone")
	b.fill("user_code", "BBBB-BBBB")
	b.click("Continue")
	b.reads("This code is not valid")
	b.judge("device-wrong-phone")
	b.fill("user_code", strings.ToLower(strings.Replace(code, "-", " ", 1)))
	b.click("Continue")
	b.sees("Sign in")
	b.judge("sign-in-phone")
	b.signIn(password)
	b.sees("Allow Living room TV access to your account?")
	b.reads(code)
	b.judge("device-consent-phone")
	b.click("Allow")
	b.sees("Your device is connected")
	b.judge("device-connected-phone")
	assert.NotEmpty(t, w.post(t, "/token", url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {device["device_code"].(string)}, "client_id": {"tv"},
	})["access_token"])
	b.get(w.issuer + "/account")
	b.reads("Living room TV")
	b.judge("account-phone")

	device = w.post(t, "/device_authorization", url.Values{"client_id": {"tv"}, "scope": {"notes:read profile"}})
	b.get(device["verification_uri_complete"].(string))
	b.click("Refuse")
	b.sees("The device was refused")
	b.judge("device-refused-phone")
}

func TestAccountPages(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t), open(t)
	b.get(w.issuer + "/account")
	b.signIn(password)
	b.sees("Your applications")
	b.judge("account-empty")
	b.get(w.authorize())
	b.click("Allow")
	w.scopeOf(t, b.arrives())
	b.get(w.issuer + "/account")
	b.reads("Sketchbook")
	b.judge("account")
	b.click("Take back")
	b.reads("The application has no access any more.")
	b.judge("account-revoked")
	b.click("Password")
	b.sees("Change your password")
	b.judge("password")
	b.fill("password", "wrong password")
	b.fill("new-password", "a new password")
	b.click("Change password")
	b.reads("The current password is wrong.")
	b.judge("password-wrong")

	b.click("Sign out")
	b.sees("Sign out")
	b.judge("sign-out")
	b.do(chromedp.Click("main button.primary"))
	b.sees("You are signed out")
	b.judge("signed-out")
	b.get(w.issuer + "/account")
	b.sees("Sign in")
}

func TestErrorAndChoicePages(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t), open(t)
	b.get(w.authorize("redirect_uri", "https://evil.example.com/"))
	b.sees("This does not work")
	b.reads("redirect_uri is not registered")
	b.judge("error")
	b.get(w.issuer + "/account")
	b.signIn(password)
	b.sees("Your applications")
	b.get(w.authorize("prompt", "select_account"))
	b.sees("Choose an account")
	b.judge("choose")
	b.click("Continue as alice")
	b.sees(asks)
	b.get(w.authorize("prompt", "login"))
	b.reads("Please confirm that it is you.")
	b.judge("sign-in-again")
}

func TestGerman(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t), open(t)
	b.get(w.authorize("ui_locales", "de"))
	b.sees("Anmelden")
	b.judge("sign-in-german")
	b.fill("username", "alice")
	b.fill("password", password)
	b.click("Anmelden")
	b.sees("Sketchbook Zugriff auf Ihr Konto erlauben?")
	b.judge("consent-german")
}

// On the way back, after a form, the application is at once in the history:
// going back leads to the page before, which works as ever.
func TestBackAfterConsent(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t), open(t)
	b.get(w.authorize("prompt", "consent"))
	b.signIn(password)
	b.sees(asks)
	b.click("Allow")
	first := b.arrives().Get("code")
	b.do(chromedp.NavigateBack())
	b.sees(asks)
	b.click("Allow")
	second := b.arrives().Get("code")
	assert.NotEmpty(t, second)
	assert.NotEqual(t, first, second)
	w.scopeOf(t, b.arrives())
}

func TestDoubleSubmit(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t), open(t)
	b.get(w.authorize())
	b.fill("username", "alice")
	b.fill("password", password)
	twice := func(selector string) chromedp.Action[chromedp.Void] {
		return chromedp.DoubleClick(selector)
	}
	b.do(twice(`button[value="sign-in"]`))
	b.sees(asks)
	b.do(twice(`button[value="approve"]`))
	assert.Equal(t, "notes:read notes:write profile", sorted(w.scopeOf(t, b.arrives())))
	b.get(w.issuer + "/account")
	b.sees("Your applications")
}

func TestTwoTabs(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t), open(t)
	other := b.another()
	b.get(w.authorize("state", "one"))
	other.get(w.authorize("state", "two"))
	b.signIn(password)
	b.sees(asks)
	// The other one still has the page from before.
	other.signIn(password)
	other.sees(asks)
	b.click("Allow")
	// The session is another one since; the decision has to be made again.
	b.reads("Something has changed since you have seen this page.")
	b.judge("changed")
	b.click("Allow")
	assert.Equal(t, "one", b.arrives().Get("state"))
	other.get(w.authorize("state", "two"))
	assert.Equal(t, "two", other.arrives().Get("state"), "both may go on")
}

func TestExpiredSession(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t), open(t)
	b.get(w.authorize())
	b.signIn(password)
	b.sees(asks)
	w.ahead.Store(int64(25 * time.Hour))
	b.click("Allow")
	b.sees("Sign in")
	b.signIn(password)
	b.sees(asks)
	b.click("Allow")
	assert.NotEmpty(t, b.arrives().Get("code"))
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t), open(t)
	b.get(w.issuer + "/account")
	b.signIn(password)
	b.sees("Your applications")
	b.get(w.issuer + "/signout")
	b.do(chromedp.Click("main button.primary"))
	b.sees("You are signed out")
	b.do(chromedp.NavigateBack())
	b.get(w.authorize())
	b.sees("Sign in")
	cookies := run(b, func(ctx context.Context, t *chromedp.Target) ([]*network.Cookie, error) {
		all, err := cdp.Call(ctx, t, network.GetCookies, network.GetCookiesParams{})
		return all.Cookies, err
	})
	require.Len(t, cookies, 1)
	assert.Equal(t, "__Host-sneck-browser", cookies[0].Name)
	assert.True(t, cookies[0].HTTPOnly && cookies[0].Secure && cookies[0].SameSite == network.CookieSameSiteLax)
}

// All but passkeys works without JavaScript.
func TestWithoutJavaScript(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t), open(t)
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	b.get(w.authorize())
	b.signIn(password)
	b.sees(asks)
	b.click("Allow")
	assert.NotEmpty(t, b.arrives().Get("code"))
}

// A browser that does not know the header Refresh has a link instead.
func TestWithoutRefresh(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t, func(s *settings) { s.old = true }), open(t)
	b.get(w.authorize())
	b.signIn(password)
	b.sees(asks)
	b.click("Allow")
	b.sees("One moment")
	b.judge("back")
	b.click("Continue to the application")
	assert.NotEmpty(t, b.arrives().Get("code"))
}

// Somebody who has no mouse signs in and decides.
func TestKeyboardOnly(t *testing.T) {
	t.Parallel()
	w, b := newWorld(t), open(t)
	b.get(w.authorize())
	b.sees("Sign in")
	b.do(chromedp.KeyEvent("alice" + kb.Tab + password + kb.Enter))
	b.sees(asks)
	// The first boxes are the scopes; space unticks one.
	b.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(" "), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
	assert.Equal(t, "notes:write profile", sorted(w.scopeOf(t, b.arrives())))
}

// tabThrough presses the tabulator until it has been everywhere, and looks after
// each press, as a person does.
func (b *tab) tabThrough(name string) {
	b.t.Helper()
	const listStops = `(() => { let parts = 0; window.stops = [];
  for (const e of document.querySelectorAll("a[href], button, select, textarea, summary, input:not([type=hidden])"))
    if (!e.disabled && e.checkVisibility()) { window.stops.push(e); if (e.type === "date") parts += 3; }
  document.activeElement.blur(); return [window.stops.length, parts] })()`
	counted := eval[[2]int](b, listStops)
	stops := counted[0]
	seen, before := map[int]bool{}, -1
	// A date has a day, a month, a year and a calendar, which show the focus
	// themselves. Twice round is enough: once it may go to the browser, or where a
	// page that opens wants it.
	for range 2 * (stops + counted[1] + 1) {
		if len(seen) == stops {
			break
		}
		b.do(chromedp.KeyEvent(kb.Tab))
		type place struct {
			Stop    int
			Outline string
		}
		at := eval[place](b, `({Stop: window.stops.indexOf(document.activeElement), Outline: getComputedStyle(document.activeElement).outlineStyle})`)
		if at.Stop >= 0 && at.Stop != before {
			seen[at.Stop] = true
			assert.NotEqual(b.t, "none", at.Outline, "%s: one does not see where the keyboard is: stop %d", name, at.Stop)
		}
		before = at.Stop
	}
	assert.Len(b.t, seen, stops, "%s: the keyboard does not reach everything", name)
	eval[chromedp.Void](b, `document.activeElement.blur()`)
}

// What judges the pages finds what is wrong with a page.
func TestAxeFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.get(`data:text/html,<title>x</title><main><h1>x</h1><img src="x"><p style="color:%23eee;background:%23fff">pale</p></main>`)
	eval[chromedp.Void](b, chrome.axe)
	var found []string
	for _, v := range eval[[]violation](b, runAxe) {
		found = append(found, v.ID)
	}
	assert.ElementsMatch(t, []string{"html-has-lang", "image-alt", "color-contrast"}, found)
}
