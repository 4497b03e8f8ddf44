package main

import (
	"context"

	"github.com/sneckauth/sneck/scopes"
)

// registeredScopes is the scope backend of a server that has no list of its
// own: what a client was registered with is what there is for it.
type registeredScopes struct{ texts []scopes.Described }

// All returns the scopes that there is a text for.
func (b registeredScopes) All(context.Context) ([]scopes.Described, error) { return b.texts, nil }

// Available returns the scopes in the client's record.
func (registeredScopes) Available(_ context.Context, r scopes.Request) (scopes.Set, error) {
	return r.Registered, nil
}

// Default leaves the choice to the client's record.
func (registeredScopes) Default(context.Context, scopes.Request) (scopes.Set, error) { return nil, nil }
