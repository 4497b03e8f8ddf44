package pages_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver/pages"
)

// paper is an authenticator for whom an answer is right if it is the ID of the
// passkey. What is inside is the matter of the adapter.
type paper struct{ down bool }

var errDown = errors.New("no random numbers are left")

func (p *paper) BeginCreate(a pages.Account, known [][]byte) (options, state json.RawMessage, err error) {
	if p.down {
		return nil, nil, errDown
	}
	options, err = json.Marshal(map[string]any{"user": a.Username, "known": len(known)})
	return options, json.RawMessage(`"create"`), err
}

func (p *paper) FinishCreate(_ pages.Account, state json.RawMessage, answer []byte) (pages.Passkey, error) {
	if string(state) != `"create"` || len(answer) == 0 {
		return pages.Passkey{}, pages.ErrWrongPasskey
	}
	return pages.Passkey{ID: answer, Credential: json.RawMessage(`{}`)}, nil
}

func (p *paper) BeginSignIn() (options, state json.RawMessage, err error) {
	if p.down {
		return nil, nil, errDown
	}
	return json.RawMessage(`{"challenge":"x"}`), json.RawMessage(`"sign in"`), nil
}

func (p *paper) FinishSignIn(state json.RawMessage, answer []byte, find func([]byte) (pages.Account, pages.Passkey, error)) (pages.Account, error) {
	if string(state) != `"sign in"` {
		return pages.Account{}, pages.ErrWrongPasskey
	}
	a, _, err := find(answer)
	return a, err
}

var ticket = regexp.MustCompile(`name="ticket" value="([A-Z0-9]+)"`)

var passkeyRefs = regexp.MustCompile(`name="passkey" value="([0-9a-f]+)"`)

func ticketOf(t *testing.T, got reply) string {
	m := ticket.FindStringSubmatch(got.body)
	require.NotNil(t, m, got.body)
	return m[1]
}

func TestPasskeys(t *testing.T) {
	keys := &paper{}
	w := newWorld(t, func(s *settings) { s.pages.Passkeys = keys })
	b := w.browser()
	b.get("/account")
	b.signIn("alice", password)
	assert.Contains(t, b.get("/account").body, "You have no passkey yet.")

	page := b.post("action", "add-passkey")
	assert.Equal(t, "Add a passkey", title(page))
	assert.Contains(t, page.body, `data-options="{&#34;known&#34;:0,&#34;user&#34;:&#34;alice&#34;}"`)
	first := ticketOf(t, page)
	page = b.post("action", "passkey-created", "ticket", first, "answer", "blue")
	assert.Contains(t, page.body, "The passkey was added.")
	b.at = "/account"
	for _, again := range [][]string{{"ticket", first, "answer", "red"}, {"ticket", "X", "answer", "red"}, {}} {
		page = b.post(append([]string{"action", "passkey-created"}, again...)...)
		assert.Contains(t, page.body, "The passkey was not added.", "a challenge is answered once")
		b.at = "/account"
	}
	page = b.post("action", "passkey-created", "ticket", ticketOf(t, b.post("action", "add-passkey")), "answer", "blue")
	assert.Contains(t, page.body, "The passkey was not added.", "it is somebody's already")

	// Signing in with it, in the middle of a request.
	other := w.browser()
	assert.Contains(t, other.get(authorize()).body, "Use a passkey")
	begin := func() string { return ticketOf(t, other.post("action", "passkey")) }
	used := begin()
	page = other.post("action", "passkey-answer", "ticket", used, "answer", "blue")
	assert.Equal(t, pageConsent, title(page))
	assert.Contains(t, page.body, "alice")
	other.cookies = map[string]string{}
	late := begin()
	w.now = w.now.Add(5 * time.Minute)
	for _, wrong := range [][]string{
		{"ticket", used, "answer", "blue"}, {"ticket", late, "answer", "blue"}, {"ticket", begin(), "answer", "red"},
		{"ticket", ticketOf(t, b.post("action", "add-passkey")), "answer", "blue"}, {},
	} {
		got := other.post(append([]string{"action", "passkey-answer"}, wrong...)...)
		assert.Equal(t, 422, got.status)
		assert.Contains(t, got.body, "This passkey is not known here")
		assert.Empty(t, other.cookies)
	}

	// A session that was left alone can neither add nor remove one.
	w.now = w.now.Add(10 * time.Minute)
	b.get("/account")
	ref := passkeyRefs.FindStringSubmatch(b.get("/account").body)[1]
	for _, action := range []string{"add-passkey", "remove-passkey"} {
		page = b.post("action", action, "passkey", ref)
		assert.Contains(t, page.body, "Please confirm that it is you.")
	}
	b.signIn("alice", password)
	assert.Contains(t, b.post("action", "remove-passkey", "passkey", ref).body, "The passkey was removed.")
	got := other.post("action", "passkey-answer", "ticket", begin(), "answer", "blue")
	assert.Equal(t, 422, got.status)

	keys.down = true
	b.at = "/account"
	assert.Equal(t, 503, b.post("action", "add-passkey").status)
	assert.Equal(t, "temporarily_unavailable", answer(t, other.post("action", "passkey")).Get("error"))
}

// Asking for challenges has a limit, and so have passkeys.
func TestPasskeyLimits(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.pages.Passkeys = &paper{} })
	b := w.browser()
	b.get("/account")
	for range 300 {
		require.Equal(t, 200, b.post("action", "passkey").status)
	}
	assert.Equal(t, 429, b.post("action", "passkey").status)
	b.signIn("alice", password)
	opened := ticketOf(t, b.post("action", "add-passkey"))
	for i := range 20 {
		b.at = "/account"
		b.post("action", "passkey-created", "ticket", ticketOf(t, b.post("action", "add-passkey")), "answer", string(rune('a'+i)))
	}
	b.at = "/account"
	assert.Contains(t, b.post("action", "add-passkey").body, "You have too many passkeys.")
	b.at = "/account"
	assert.Contains(t, b.post("action", "passkey-created", "ticket", opened, "answer", "z").body, "You have too many passkeys.", "the page was opened before")
}

func TestWithoutPasskeys(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	assert.NotContains(t, b.get("/account").body, "passkey")
	for _, action := range []string{"passkey", "passkey-answer"} {
		assert.Equal(t, 422, b.post("action", action, "ticket", "x", "answer", "x").status)
	}
	b.signIn("alice", password)
	for _, action := range []string{"add-passkey", "passkey-created", "remove-passkey"} {
		b.at = "/account"
		assert.Equal(t, "Your applications", title(b.post("action", action, "ticket", "x", "passkey", "x")))
	}
}
