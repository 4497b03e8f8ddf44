package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"

	"github.com/sneckauth/sneck/scopes"
)

// Hooks are called at the steps of every endpoint alike, and can only make an
// answer stricter or say more in it. Each may be nil.
//
// To refuse, a hook returns an *Error, which is sent to the client, or where
// it says so ErrNotFound; any other error is reported as an outage. Hooks
// must be safe for concurrent use, and must not change what they get.
type Hooks struct {
	// Client is called after a client has authenticated, and at the
	// authorization endpoint for a client of LegacyImplicit, which does not.
	Client func(r *http.Request, c *Client) error
	// Scopes is called before an access token is issued. Of what it returns,
	// only what would have been granted anyway is granted; nothing left is
	// invalid_scope.
	Scopes func(ctx context.Context, r *TokenRequest) (scopes.Set, error)
	// Subject is called before a token is issued for a user, also when it is
	// refreshed. ErrNotFound means that the user must not get tokens any more
	// (invalid_grant).
	Subject func(ctx context.Context, subject string) error
	// Claims is called when an access token is issued. What it returns, a JSON
	// object or nil, is said about the token as long as it lives.
	Claims func(ctx context.Context, r *TokenRequest) (json.RawMessage, error)
	// Introspect is called for every answer about a live access token. caller
	// is nil for Server.Verify. What it returns, a JSON object or nil, is
	// added to this answer; ErrNotFound turns it into "inactive".
	Introspect func(ctx context.Context, caller *Client, r Record) (json.RawMessage, error)
	// Revoked is called after a token was revoked by its client, or with its
	// family after reuse. n is how many records are gone.
	Revoked func(ctx context.Context, r Record, n int64)
}

func (s *Server) hookClient(r *http.Request, c *Client) error {
	if s.config.Hooks.Client == nil {
		return nil
	}
	if err := s.config.Hooks.Client(r, c); err != nil {
		return fmt.Errorf("client hook: %w", err)
	}
	return nil
}

func (s *Server) hookScopes(ctx context.Context, r *TokenRequest) error {
	if s.config.Hooks.Scopes == nil {
		return nil
	}
	set, err := s.config.Hooks.Scopes(ctx, r)
	if err != nil {
		return fmt.Errorf("scopes hook: %w", err)
	}
	left := intersect(r.Scopes, set)
	if len(left) == 0 && len(r.Scopes) > 0 {
		return &Error{Code: codeInvalidScope, Description: "none of the scopes can be granted"}
	}
	r.Scopes = left
	return nil
}

func (s *Server) hookSubject(ctx context.Context, c *Client, subject string) error {
	if s.config.Hooks.Subject == nil || subject == c.ID {
		return nil
	}
	switch err := s.config.Hooks.Subject(ctx, subject); {
	case errors.Is(err, ErrNotFound):
		return invalidGrant(fmt.Errorf("subject hook: %w", err))
	case err != nil:
		return fmt.Errorf("subject hook: %w", err)
	}
	return nil
}

func (s *Server) hookClaims(ctx context.Context, r *TokenRequest, claims json.RawMessage) (json.RawMessage, error) {
	if s.config.Hooks.Claims == nil {
		return claims, nil
	}
	more, err := s.config.Hooks.Claims(ctx, r)
	if err == nil {
		claims, err = mergeClaims(claims, more)
	}
	if err != nil {
		return nil, fmt.Errorf("claims hook: %w", err)
	}
	return claims, nil
}

// hookIntrospect returns the record with more claims.
func (s *Server) hookIntrospect(ctx context.Context, caller *Client, r Record) (Record, error) {
	if s.config.Hooks.Introspect == nil {
		return r, nil
	}
	more, err := s.config.Hooks.Introspect(ctx, caller, r)
	if err == nil {
		r.Extra, err = mergeClaims(r.Extra, more)
	}
	if err != nil {
		return r, fmt.Errorf("introspect hook: %w", err)
	}
	return r, nil
}

func (s *Server) hookRevoked(ctx context.Context, r Record, n int64) {
	if s.config.Hooks.Revoked != nil {
		s.config.Hooks.Revoked(ctx, r, n)
	}
}

// mergeClaims returns the members of both; those of the second count.
func mergeClaims(claims, more json.RawMessage) (json.RawMessage, error) {
	if more == nil {
		return claims, nil
	}
	if err := checkClaims(more); err != nil {
		return nil, err
	}
	members := map[string]json.RawMessage{}
	for _, object := range []json.RawMessage{claims, more} {
		var m map[string]json.RawMessage
		if object == nil {
			continue
		}
		if err := json.Unmarshal(object, &m); err != nil {
			return nil, err
		}
		maps.Copy(members, m)
	}
	if len(members) == 0 {
		return nil, nil
	}
	return json.Marshal(members)
}
