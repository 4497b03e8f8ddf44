// Package songs is what the examples for routers and frameworks have in common.
package songs

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/introspect"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// NewGuard returns a guard that asks the authorization server about each token,
// once a minute at most.
func NewGuard(introspectionURL, secret string) (*middleware.Guard, error) {
	authority, err := introspect.New(introspect.Config{
		Endpoint:   introspectionURL,
		Credential: introspect.Basic("songs", secret),
	})
	if err != nil {
		return nil, err
	}
	remembered, err := cache.New(cache.Config{Verifier: authority, TTL: time.Minute})
	if err != nil {
		return nil, err
	}
	return middleware.New(middleware.Config{
		Verifier: remembered,
		Audience: []string{"https://songs.example"},
		Logger:   slog.Default(),
	})
}

// Own admits users to what is theirs, and to the rest with songs:admin.
var Own = middleware.Policy{
	Scopes: scopes.All("songs:read"),
	ScopesOf: func(r *http.Request, t *sneck.Token) (scopes.Requirement, error) {
		if t.Subject == r.PathValue("user") {
			return scopes.All("songs:read"), nil
		}
		return scopes.All("songs:admin"), nil
	},
}
