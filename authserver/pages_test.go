package authserver_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

func TestPagesReplaceThePlainOnes(t *testing.T) {
	w := newDeviceWorld(t, func(c *authserver.Config) {
		c.Pages = authserver.Pages{
			Error: func(w http.ResponseWriter, _ *http.Request, e authserver.PageError) {
				w.WriteHeader(e.Status)
				fmt.Fprintf(w, "error: %s", e.Text)
			},
			Device: func(w http.ResponseWriter, _ *http.Request, p authserver.DevicePage) {
				client := ""
				if p.Client != nil {
					client = p.Client.ID
				}
				fmt.Fprintf(w, "step %d %s %s %s", p.Step, client, p.UserCode, p.Scopes)
			},
			Return: func(w http.ResponseWriter, _ *http.Request, location string) { fmt.Fprintf(w, "to %s", location) },
		}
	})
	got := w.ask("web", "client_id", "nobody")
	assert.Equal(t, 400, got.status)
	assert.Equal(t, "error: the client is not known", got.body)

	d := w.device(t)
	typed := "user_code=%20" + string(d.UserCode[0]|0x20) + d.UserCode[1:4] + d.UserCode[5:]
	assert.Equal(t, "step 0   ", get(w, issuer+"/device").body)
	assert.Equal(t, "step 1   ", get(w, issuer+"/device?user_code=BBBB-BBBB").body)
	assert.Equal(t, "step 2 tv "+d.UserCode+" read write", get(w, issuer+"/device?"+typed).body)
	assert.Equal(t, "step 3   ", w.decide(d.UserCode, "approve=1").body)
	d = w.device(t)
	assert.Equal(t, "step 4   ", w.decide(d.UserCode, "deny=1").body)

	// Only after a form there is more to do than to redirect.
	target := "/authorize?response_type=code&client_id=web&code_challenge_method=S256&code_challenge=" + s256(verifier)
	assert.Equal(t, 303, get(w, issuer+target).status)
	got = send(w, request(target, "", "Origin", issuer))
	assert.Equal(t, 200, got.status)
	assert.Regexp(t, "^to "+callback+`\?code=sneck_ac_`, got.body)
}

func TestAuthorizationRequestSaysWhatItMeans(t *testing.T) {
	type facts struct {
		Until    time.Duration
		Scopes   []scopes.Described
		Required scopes.Set
	}
	ask := func(client string, change func(*authserver.Config), params ...string) (f facts) {
		w := newCodeWorld(t, change, func(c *authserver.Config) {
			c.Scopes = scopes.Static{List: []scopes.Described{{Name: "write", Text: "Change"}, {Name: "read", Text: "Look"}}}
			c.Login = func(_ http.ResponseWriter, r *http.Request, a *authserver.AuthorizationRequest) (*authserver.Approval, error) {
				if until := a.Until(r.Context()); !until.IsZero() {
					f.Until = until.Sub(epoch)
				}
				f.Required = a.Required()
				var err error
				f.Scopes, err = a.DescribedScopes(r.Context())
				return nil, err
			}
		})
		c, err := w.memory.Client(t.Context(), client)
		require.NoError(t, err)
		needy := *c
		needy.RequiredScopes = scopes.Set{"read"}
		require.NoError(t, w.memory.PutClient(t.Context(), &needy))
		w.ask(client, params...)
		return f
	}
	nothing := func(*authserver.Config) {}
	both := []scopes.Described{{Name: "write", Text: "Change"}, {Name: "read", Text: "Look"}}
	assert.Equal(t, facts{30*24*time.Hour + time.Hour, both, scopes.Set{"read"}}, ask("web", nothing))
	assert.Equal(t, facts{time.Hour, both[:1], nil}, ask("no refresh", nothing, "scope", "write"))
	assert.Equal(t, facts{0, both[1:], scopes.Set{"read"}}, ask("web", func(c *authserver.Config) { c.RefreshTokenTTL = authserver.Never }, "scope", "read"))
	assert.Equal(t, facts{time.Hour, both, scopes.Set{"read"}}, ask("web", func(c *authserver.Config) { c.RefreshTokenTTL = authserver.NoRefreshTokens }))
	assert.Equal(t, facts{time.Minute, both, scopes.Set{"read"}}, ask("no refresh", func(c *authserver.Config) {
		c.TokenExpiresIn = func(context.Context, *authserver.TokenRequest) time.Duration { return time.Minute }
	}))
}

// An approval without what the client can not do without is none.
func TestRequiredScopes(t *testing.T) {
	var approved scopes.Set
	w := newCodeWorld(t, func(c *authserver.Config) {
		c.Login = func(http.ResponseWriter, *http.Request, *authserver.AuthorizationRequest) (*authserver.Approval, error) {
			return &authserver.Approval{Subject: "user-1", Scopes: approved}, nil
		}
	})
	c, err := w.memory.Client(t.Context(), "web")
	require.NoError(t, err)
	needy := *c
	needy.RequiredScopes = scopes.Set{"read"}
	require.NoError(t, w.memory.PutClient(t.Context(), &needy))
	answer := func(set scopes.Set, changes ...string) string {
		approved = set
		u, err := url.Parse(w.ask("web", changes...).header.Get("Location"))
		require.NoError(t, err)
		return u.Query().Get("error")
	}
	assert.Equal(t, "", answer(scopes.Set{"read"}))
	assert.Equal(t, "", answer(nil))
	assert.Equal(t, "access_denied", answer(scopes.Set{"write"}))
	assert.Equal(t, "", answer(scopes.Set{"write"}, "scope", "write"), "it was not asked for")

	needy.RequiredScopes = scopes.Set{"other"}
	require.ErrorContains(t, needy.Check(), `RequiredScopes ["other"] are not in Scopes`)
}

func TestSecretMatches(t *testing.T) {
	chosen, err := authserver.HashChosen("a chosen secret")
	require.NoError(t, err)
	for _, c := range []struct {
		hash, secret      string
		matches, outdated bool
	}{
		{chosen, "a chosen secret", true, false},
		{chosen, "another", false, false},
		{authserver.HashGenerated("x"), "x", true, false},
		{"$2a$04$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe", "", false, true},
	} {
		s := authserver.Secret{Hash: c.hash}
		got, err := s.Matches(c.secret)
		require.NoError(t, err)
		assert.Equal(t, c.matches, got, c.hash)
		assert.Equal(t, c.outdated, s.Outdated(), c.hash)
	}
	_, err = authserver.Secret{Hash: "plain"}.Matches("plain")
	require.ErrorContains(t, err, "unknown kind")
}
