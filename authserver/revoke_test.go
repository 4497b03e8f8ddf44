package authserver_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authserver"
)

var revoked = reply{200, noStore(), ""}

func TestAR01_Revocation(t *testing.T) {
	w := newWorld(t)
	for _, hint := range []string{"", "&token_type_hint=access_token", "&token_type_hint=refresh_token", "&token_type_hint=nonsense"} {
		token := w.issue(t, "app", "")
		other := w.issue(t, "app", "")
		assert.Equal(t, revoked, w.post("/revoke", "token="+token+hint, as("app")...))
		assert.Equal(t, revoked, w.post("/revoke", "token="+token+hint, as("app")...), "again")
		assert.Equal(t, inactive, w.post("/introspect", "token="+token, as("api")...))
		_, err := w.Verify(t.Context(), token)
		require.ErrorIs(t, err, sneck.ErrInvalid)
		_, err = w.Verify(t.Context(), other)
		require.NoError(t, err)
	}
	for _, token := range []string{"unknown", "sneck_at_x", "a%00b"} {
		assert.Equal(t, revoked, w.post("/revoke", "token="+token, as("app")...))
	}
	assert.Equal(t, refusal(400, "invalid_request", "token is missing"), w.post("/revoke", "", as("app")...))
	assert.Equal(t, refusal(401, "invalid_client", "client authentication failed"), w.post("/revoke", "token=x", basic("app", "x")...))
}

func TestAR02_OnlyOwnTokens(t *testing.T) {
	w := newWorld(t)
	token := w.issue(t, "app", "")
	for _, client := range []string{"other app", "api"} {
		assert.Equal(t, refusal(400, "invalid_grant", "the token was issued to another client"),
			w.post("/revoke", "token="+token, as(client)...))
	}
	_, err := w.Verify(t.Context(), token)
	require.NoError(t, err)
}

// The built-in tokens are told from garbage without the store.
func TestGarbageDoesNotReachTheStore(t *testing.T) {
	w := newWorld(t, func(c *authserver.Config) { c.Store, c.AccessToken = failingStore{}, nil })
	for _, token := range []string{"unknown", "sneck_at_", "sneck_at_%00", sample[:20], sample + "x"} {
		assert.Equal(t, inactive, w.post("/introspect", "token="+token, as("api")...))
		assert.Equal(t, revoked, w.post("/revoke", "token="+token, as("app")...))
	}
}

// A sluggish store writes a token only after its client was deleted, with all
// that it had by then.
type sluggish struct{ *authserver.Memory }

func (s sluggish) Create(ctx context.Context, records ...authserver.Record) error {
	if err := s.DeleteClient(ctx, "app"); err != nil {
		return err
	}
	if _, err := s.Revoke(ctx, authserver.Selector{Client: "app"}); err != nil {
		return err
	}
	return s.Memory.Create(ctx, records...)
}

// A token that is issued while its client is being deleted does not outlive it.
func TestTokenDoesNotOutliveItsClient(t *testing.T) {
	w := newWorld(t, func(c *authserver.Config) { c.Store = sluggish{c.Store.(*authserver.Memory)} })
	got := w.post("/token", "grant_type=client_credentials", as("app")...)
	assert.Equal(t, refusal(401, "invalid_client", "client authentication failed"), got)
	_, err := w.Verify(t.Context(), "token-1")
	require.ErrorIs(t, err, sneck.ErrInvalid)
	left, err := w.memory.List(t.Context(), "", authserver.Selector{Client: "app"}, authserver.Key{}, 10)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// lingering is a store that writes a token only after its user is gone.
type lingering struct {
	*authserver.Memory
	leave func()
}

func (l lingering) Create(ctx context.Context, records ...authserver.Record) error {
	l.leave()
	return l.Memory.Create(ctx, records...)
}

// A token that is issued while its user is being deleted does not outlive them.
func TestTokenDoesNotOutliveItsUser(t *testing.T) {
	for name, test := range map[string]struct {
		hook error // what it says once the user is gone
		want reply
		left int
	}{
		"deleted":    {authserver.ErrNotFound, refusal(400, "invalid_grant", "what was presented is not valid, not for this client, or was used before"), 0},
		"refused":    {&authserver.Error{Code: "access_denied", Description: "not on Sundays"}, refusal(400, "access_denied", "not on Sundays"), 0},
		"not known":  {errBroken, refusal(503, "temporarily_unavailable", "the server can not answer at the moment"), 2},
		"still here": {nil, reply{}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			gone := false
			w := newLegacyWorld(t, func(c *authserver.Config) {
				c.Store = lingering{c.Store.(*authserver.Memory), func() { gone = true }}
				c.Hooks.Subject = func(context.Context, string) error {
					if gone {
						return test.hook
					}
					return nil
				}
			})
			got := w.post("/token", people+"&scope=read", as("old")...)
			if test.hook == nil {
				assert.Equal(t, 200, got.status)
			} else {
				assert.Equal(t, test.want, got)
			}
			left, err := w.memory.List(t.Context(), "", authserver.Selector{Client: "old"}, authserver.Key{}, 10)
			require.NoError(t, err)
			assert.Len(t, left, test.left)
		})
	}
}
