package authserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/scopes"
)

// GrantClientCredentials is the grant type of a client that acts for nobody
// but itself (RFC 6749, section 4.4).
const GrantClientCredentials = "client_credentials"

const typeBearer = "Bearer"

// A grantFunc answers a token request of an authenticated client that may use
// the grant type.
type grantFunc func(ctx context.Context, client *Client, form Form) (*tokenAnswer, error)

// A tokenAnswer is a successful answer (RFC 6749, section 5.1). The scope is
// always reported, so that a client never has to guess what it was granted.
type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"`
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request, form Form) (*Client, error) {
	ctx := r.Context()
	client, err := s.authenticate(ctx, r.Header, form)
	if err != nil {
		return nil, err
	}
	grantType := form.Get("grant_type")
	if grantType == "" {
		return client, invalidRequest("grant_type is missing")
	}
	grant, known := s.grants[grantType]
	if !known {
		return client, &Error{Code: codeUnsupportedGrantType, Description: "the grant type is not supported"}
	}
	if !client.MayUse(grantType) {
		return client, &Error{Code: codeUnauthorizedClient, Description: "the client may not use this grant type"}
	}
	a, err := grant(ctx, client, form)
	if err != nil {
		return client, err
	}
	s.config.Logger.LogAttrs(ctx, slog.LevelDebug, "token issued",
		slog.String("client", client.ID), slog.String("grant_type", grantType), slog.String("scope", a.Scope))
	return client, answer(w, http.StatusOK, a)
}

// clientCredentials issues a token to the client itself, and no refresh token
// (RFC 6749, section 4.4.3).
func (s *Server) clientCredentials(ctx context.Context, client *Client, form Form) (*tokenAnswer, error) {
	if client.Public() {
		return nil, &Error{Code: codeUnauthorizedClient, Description: "the client may not use this grant type"}
	}
	audience, err := s.audience(client, form.Resources())
	if err != nil {
		return nil, err
	}
	granted, err := s.grantScopes(ctx, client, form.Get("scope"), scopes.Request{
		ClientID: client.ID, GrantType: GrantClientCredentials, Subject: client.ID, Audience: audience,
	})
	if err != nil {
		return nil, err
	}
	return s.issue(ctx, &TokenRequest{
		GrantType: GrantClientCredentials, Client: client, Subject: client.ID, Scopes: granted, Audience: audience,
	})
}

// audience returns who a token is meant for: the resources that were asked
// for, as far as the client may (RFC 8707), or else the default.
func (s *Server) audience(client *Client, resources []string) ([]string, error) {
	standard := client.Audience
	if len(standard) == 0 {
		standard = s.config.Audience
	}
	var asked []string
	for _, resource := range resources {
		switch {
		case resource == "":
			continue // as if left out
		case !validResource(resource):
			return nil, &Error{Code: codeInvalidTarget, Description: "a resource must be an absolute URI without a fragment"}
		case !slices.Contains(standard, resource) && !slices.Contains(client.Resources, resource):
			return nil, &Error{Code: codeInvalidTarget, Description: "the client may not ask for this resource"}
		case !slices.Contains(asked, resource):
			asked = append(asked, resource)
		}
	}
	if len(asked) > 0 {
		return asked, nil
	}
	if len(standard) == 0 {
		return nil, &Error{
			Code:        codeInvalidTarget,
			Description: "the client has no default audience: ask for a resource, or have an audience registered",
		}
	}
	return standard, nil
}

// grantScopes decides what is granted: exactly what was asked for, or the
// default, or nothing at all (RFC 6749, section 3.3).
func (s *Server) grantScopes(ctx context.Context, client *Client, asked string, r scopes.Request) (scopes.Set, error) {
	wanted, err := scopes.Parse(asked)
	if err != nil {
		return nil, &Error{Code: codeInvalidScope, Description: "the scope is malformed"}
	}
	available, err := s.config.Scopes.Available(ctx, r)
	if err != nil {
		return nil, unavailable(fmt.Errorf("ask for available scopes: %w", err))
	}
	allowed := intersect(client.Scopes, available)
	if len(wanted) > 0 {
		if !allowed.HasAll(wanted) {
			return nil, &Error{Code: codeInvalidScope, Description: "a scope is unknown or not allowed to the client"}
		}
		return wanted, nil
	}
	standard := client.DefaultScopes
	if len(standard) == 0 {
		if standard, err = s.config.Scopes.Default(ctx, r); err != nil {
			return nil, unavailable(fmt.Errorf("ask for default scopes: %w", err))
		}
	}
	if len(standard) == 0 {
		standard = s.config.DefaultScopes
	}
	if standard = intersect(standard, allowed); len(standard) == 0 {
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

// issue makes up an access token and writes its record.
func (s *Server) issue(ctx context.Context, r *TokenRequest) (*tokenAnswer, error) {
	ttl := s.ttl(ctx, r)
	issued := s.config.Now().Truncate(time.Second)
	record := Record{
		Kind: KindAccess, Client: r.Client.ID, Subject: r.Subject, Scopes: r.Scopes, Audience: r.Audience,
		Issued: issued, Expires: issued.Add(ttl),
	}
	token, err := s.create(ctx, r, record)
	if err != nil {
		return nil, err
	}
	return &tokenAnswer{
		AccessToken: token, TokenType: typeBearer,
		ExpiresIn: int64(ttl / time.Second), Scope: r.Scopes.String(),
	}, nil
}

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

// maxAttempts is how often a token is made up before the generator, which
// yields nothing but tokens that exist, is given up.
const maxAttempts = 10

func (s *Server) create(ctx context.Context, r *TokenRequest, record Record) (string, error) {
	for range maxAttempts {
		token, err := s.config.AccessToken(ctx, r)
		if err != nil {
			return "", unavailable(fmt.Errorf("generate a token: %w", err))
		}
		if !sneck.ValidToken(token) {
			return "", unavailable(errors.New("the generated token is not a b64token"))
		}
		record.Key = KeyOf(token)
		err = s.config.Store.Create(ctx, record)
		if err == nil {
			return token, nil
		}
		if !errors.Is(err, ErrExists) {
			return "", unavailable(fmt.Errorf("store a token: %w", err))
		}
	}
	return "", unavailable(errors.New("the token generator yields only tokens that exist"))
}
