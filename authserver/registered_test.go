package authserver_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

// asRegistered has nothing to add to what the client's record allows.
type asRegistered struct{ asked []scopes.Request }

func (*asRegistered) All(context.Context) ([]scopes.Described, error) { return nil, nil }

func (b *asRegistered) Available(_ context.Context, r scopes.Request) (scopes.Set, error) {
	b.asked = append(b.asked, r)
	return r.Registered, nil
}

func (b *asRegistered) Default(_ context.Context, r scopes.Request) (scopes.Set, error) {
	b.asked = append(b.asked, r)
	return r.Registered[:1], nil
}

// A backend learns what the client's record allows, and need not look it up.
func TestBackendGetsTheRegisteredScopes(t *testing.T) {
	var backend asRegistered
	w := newWorld(t, func(c *authserver.Config) { c.Scopes, c.DefaultScopes = &backend, nil })
	assert.Equal(t, token("3600", "read"), w.post("/token", "grant_type=client_credentials", as("app")...))
	want := scopes.Request{
		ClientID: "app", GrantType: authserver.GrantClientCredentials, Subject: "app",
		Audience: []string{api}, Registered: scopes.Set{"read", "write"},
	}
	assert.Equal(t, []scopes.Request{want, want}, backend.asked)
}
