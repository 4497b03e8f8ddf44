package authserver

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/sneckauth/sneck/scopes"
)

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request, form Form) (*Client, error) {
	ctx := r.Context()
	client, err := s.authenticate(r, form)
	if err != nil {
		return nil, err
	}
	if err := s.limitClient(r, &s.limits.token, client); err != nil {
		return client, err
	}
	grantType := form.Get("grant_type")
	if grantType == "" {
		return client, invalidRequest("grant_type is missing")
	}
	grant, known := s.grants[grantType]
	if !known {
		return client, &Error{Code: codeUnsupportedGrantType, Description: "the grant type is not supported"}
	}
	if !client.MayUse(grantType) || client.Public() && !grant.Public {
		return client, &Error{Code: codeUnauthorizedClient, Description: "the client may not use this grant type"}
	}
	if nonce := s.nonces.At(s.config.Now()); nonce != "" && (client.DPoPBound || len(r.Header["Dpop"]) > 0) {
		w.Header().Set("DPoP-Nonce", nonce) // RFC 9449, section 8.2
	}
	proved, proof, err := s.confirm(r, client)
	if err != nil {
		return client, err
	}
	request := &GrantRequest{Client: client, Form: form, server: s, proved: proved, proof: proof, request: r, from: s.address(r)}
	if !client.Public() {
		if err := request.spendProof(ctx); err != nil {
			return client, err
		}
	}
	issue, err := grant.Handle(ctx, request)
	if err != nil {
		return client, err
	}
	if err := s.complete(ctx, grantType, request, issue); err != nil {
		return client, err
	}
	if err := request.spendProof(ctx); err != nil {
		return client, err
	}
	a, err := s.issue(ctx, grantType, request, issue)
	if err != nil {
		return client, err
	}
	s.config.Logger.LogAttrs(ctx, slog.LevelDebug, "token issued",
		slog.String("client", client.ID), slog.String("grant_type", grantType), slog.String("scope", a.Scope))
	if err := s.observeIssue(ctx, grantType, request, issue, a); err != nil {
		return client, err
	}
	answerJSON(w, http.StatusOK, a.json())
	return client, nil
}

// observeIssue reports a token that is about to be sent.
func (s *Server) observeIssue(ctx context.Context, grantType string, r *GrantRequest, issue *Issue, a *tokenAnswer) error {
	if !s.observes() {
		return nil
	}
	kind := EventTokenIssued
	if grantType == GrantRefreshToken {
		kind = EventTokenRefreshed
	}
	return s.observe(ctx, Event{
		Kind: kind, Client: r.Client.ID, Subject: issue.Subject, Grant: grantType, Scopes: issue.Scopes, Audience: issue.Audience,
		Token: a.id, Family: issue.Family, Address: r.from,
	})
}

// audience returns who a token is meant for: the resources that were asked
// for, as far as the client may (RFC 8707), or else the default.
func (s *Server) audience(client *Client, resources []string) ([]string, error) {
	standard := s.standardAudience(client)
	asked, err := choose(resources, func(resource string) bool {
		return slices.Contains(standard, resource) || slices.Contains(client.Resources, resource)
	})
	if err != nil || len(asked) > 0 {
		return asked, err
	}
	if len(standard) == 0 {
		return nil, &Error{
			Code:        codeInvalidTarget,
			Description: "the client has no default audience: ask for a resource, or have an audience registered",
		}
	}
	return standard, nil
}

// standardAudience returns who the client's tokens are meant for if nothing is
// asked for.
func (s *Server) standardAudience(client *Client) []string {
	if len(client.Audience) > 0 {
		return client.Audience
	}
	return s.config.Audience
}

// choose returns the resources that were asked for, each once, or an error if
// one is not allowed.
func choose(resources []string, allowed func(string) bool) ([]string, error) {
	var asked []string
	for _, resource := range resources {
		switch {
		case resource == "":
			continue // as if left out
		case !validResource(resource):
			return nil, &Error{Code: codeInvalidTarget, Description: "a resource must be an absolute URI without a fragment"}
		case !allowed(resource):
			return nil, &Error{Code: codeInvalidTarget, Description: "the client may not ask for this resource"}
		case !slices.Contains(asked, resource):
			asked = append(asked, resource)
		}
	}
	return asked, nil
}

// allowedScopes returns what the client can be granted at all.
func (s *Server) allowedScopes(ctx context.Context, client *Client, r scopes.Request) (scopes.Set, error) {
	r.Registered = client.Scopes
	available, err := s.config.Scopes.Available(ctx, r)
	if err != nil {
		return nil, unavailable(fmt.Errorf("ask for available scopes: %w", err))
	}
	return intersect(client.Scopes, available), nil
}

// grantScopes decides what is granted: exactly what was asked for, or the
// default, or nothing at all (RFC 6749, section 3.3).
func (s *Server) grantScopes(ctx context.Context, client *Client, asked string, r scopes.Request) (scopes.Set, error) {
	wanted, err := scopes.Parse(asked)
	if err != nil {
		return nil, &Error{Code: codeInvalidScope, Description: "the scope is malformed"}
	}
	allowed, err := s.allowedScopes(ctx, client, r)
	if err != nil {
		return nil, err
	}
	if len(wanted) > 0 {
		if !allowed.HasAll(wanted) {
			return nil, &Error{Code: codeInvalidScope, Description: "a scope is unknown or not allowed to the client"}
		}
		return wanted, nil
	}
	standard := client.DefaultScopes
	if len(standard) == 0 {
		r.Registered = client.Scopes
		if standard, err = s.config.Scopes.Default(ctx, r); err != nil {
			return nil, unavailable(fmt.Errorf("ask for default scopes: %w", err))
		}
	}
	if len(standard) == 0 {
		standard = s.config.DefaultScopes
	}
	// A backend's default may be all that is registered.
	standard = intersect(standard, allowed).Without(scopes.Set{AdminScope})
	if len(standard) == 0 {
		return nil, &Error{Code: codeInvalidScope, Description: "no scope was asked for, and there is no default"}
	}
	return standard, nil
}

func intersect(a, b scopes.Set) scopes.Set {
	var both scopes.Set
	for _, name := range a {
		if b.Has(name) {
			both = append(both, name)
		}
	}
	return both
}

// wholeSecond returns the first whole second that is not before t. Others are
// told expiries in whole seconds, and a token must not die before the
// "expires_in" that its client was promised.
func wholeSecond(t time.Time) time.Time {
	if whole := t.Truncate(time.Second); whole.Equal(t) {
		return whole
	}
	return t.Truncate(time.Second).Add(time.Second)
}

// ttl returns the life of an access token.
func (s *Server) ttl(ctx context.Context, r *TokenRequest) time.Duration {
	if s.config.TokenExpiresIn != nil {
		if d := s.config.TokenExpiresIn(ctx, r).Truncate(time.Second); d > 0 {
			return d
		}
	}
	if r.Client.AccessTokenTTL > 0 {
		return r.Client.AccessTokenTTL.Truncate(time.Second)
	}
	return s.config.AccessTokenTTL
}
