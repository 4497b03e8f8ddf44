package authserver_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
)

func settingPrompt(t *testing.T) {
	var asked bool
	open := func(prompt authserver.ApprovalPrompt) *world {
		return newDeviceWorld(t, func(c *authserver.Config) {
			c.ApprovalPrompt = prompt
			c.Login = func(_ http.ResponseWriter, r *http.Request, a *authserver.AuthorizationRequest) (*authserver.Approval, error) {
				consented, err := a.Consented(r.Context(), "user-1")
				asked = !consented
				return &authserver.Approval{Subject: "user-1", Remember: a.Form.Get("login_hint") == ""}, err
			}
		})
	}
	for _, prompt := range []authserver.ApprovalPrompt{authserver.PromptForce, authserver.PromptAuto} {
		w := open(prompt)
		for _, step := range []struct {
			name    string
			changes []string
			asked   bool // with PromptAuto
		}{
			{"not to be remembered", []string{"scope", "read", "login_hint", "x"}, true},
			{"first", []string{"scope", "read"}, true},
			{"again", []string{"scope", "read"}, false},
			{"another scope", []string{"scope", "read write"}, true},
			{"both", []string{"scope", "write read"}, false},
			{"stricter", []string{"scope", "read", "prompt", "login consent"}, true},
			{"never laxer", []string{"scope", "read", "approval_prompt", "force", "prompt", "none"}, false},
		} {
			w.code(t, "web", step.changes...)
			assert.Equal(t, step.asked || prompt == authserver.PromptForce, asked, step.name)
		}
		w.code(t, "no refresh")
		assert.True(t, asked, "for another client")
	}

	// It outlives the tokens, but not what ends the user's bond to the client.
	w := open(authserver.PromptAuto)
	p := w.login(t, "web")
	assert.Equal(t, revoked, w.post("/revoke", "token="+p.Refresh, as("web")...))
	w.now = epoch.AddDate(1, 0, 0)
	_, err := w.DeleteExpired(t.Context(), nil)
	require.NoError(t, err)
	w.code(t, "web")
	assert.False(t, asked)
	_, err = w.memory.Revoke(t.Context(), authserver.Selector{Client: "web", Subject: "user-1"})
	require.NoError(t, err)
	w.code(t, "web")
	assert.True(t, asked)

	get(w, w.device(t).Complete)
	assert.True(t, asked, "for a device always")

	m := authserver.NewMemory()
	_, err = authserver.New(authserver.Config{Issuer: issuer, Store: m, Clients: m, ApprovalPrompt: 7})
	require.ErrorContains(t, err, "ApprovalPrompt 7 is not known")
}
