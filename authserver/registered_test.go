package authserver_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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

// What lets a client administer the server is no default, whoever says so.
func TestBackendCanNotMakeAdministrators(t *testing.T) {
	w := newWorld(t, func(c *authserver.Config) { c.Scopes, c.DefaultScopes = &asRegistered{}, nil })
	require.NoError(t, w.memory.PutClient(t.Context(), &authserver.Client{
		ID: "root", Grants: []string{authserver.GrantClientCredentials}, Audience: []string{issuer},
		Scopes:  scopes.Set{authserver.AdminScope},
		Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}},
	}))
	assert.Equal(t, refusal(400, "invalid_scope", "no scope was asked for, and there is no default"),
		w.post("/token", "grant_type=client_credentials", as("root")...))
	assert.Equal(t, token("3600", authserver.AdminScope), w.post("/token", "grant_type=client_credentials&scope="+authserver.AdminScope, as("root")...))
}
