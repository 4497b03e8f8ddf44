package authserver

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sneckauth/sneck"
)

// find returns the live access token that was presented. ErrNotFound covers
// all that is none, without distinction.
func (s *Server) find(ctx context.Context, token string) (Record, error) {
	switch known, err := s.recognize(ctx, token); {
	case err != nil:
		return Record{}, err
	case !known:
		return Record{}, ErrNotFound
	}
	now := s.config.Now()
	r, err := s.config.Store.Get(ctx, KeyOf(token))
	switch {
	case err != nil:
		return Record{}, err
	case r.Kind != KindAccess, !r.Spent.IsZero(), r.ExpiredAt(now), now.Before(r.NotBefore):
		return Record{}, ErrNotFound
	}
	return r, nil
}

// Verify says what one of the server's own access tokens means, by a look into
// the store. It does not look at the audience: that is for the route to
// decide. Errors are as [sneck.Verifier] has them; a token without the
// server's prefix is not recognized.
func (s *Server) Verify(ctx context.Context, token string) (*sneck.Token, error) {
	if !sneck.ValidToken(token) {
		return nil, fmt.Errorf("authserver: %w: malformed", sneck.ErrInvalid)
	}
	asked := s.config.Now()
	switch known, err := s.recognize(ctx, token); {
	case err != nil:
		return nil, &sneck.UnavailableError{Err: fmt.Errorf("authserver: %w", err)}
	case !known:
		if strings.HasPrefix(token, AccessTokenPrefix) {
			return nil, fmt.Errorf("authserver: %w: damaged", sneck.ErrInvalid)
		}
		return nil, sneck.ErrUnrecognized
	}
	r, err := s.find(ctx, token)
	if err == nil {
		r, err = s.hookIntrospect(ctx, nil, r)
	}
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("authserver: %w: unknown, expired or revoked", sneck.ErrInvalid)
	}
	if err != nil {
		return nil, &sneck.UnavailableError{Err: fmt.Errorf("authserver: ask the store: %w", err)}
	}
	claims, extra, err := s.claims(r)
	if err != nil {
		return nil, fmt.Errorf("authserver: %w", err)
	}
	return &sneck.Token{
		Issuer: s.config.Issuer, Subject: r.Subject, ClientID: r.Client, Audience: r.Audience,
		Scopes: r.Scopes, ID: extra.ID, Type: extra.Bound.tokenType(), Confirmation: extra.Bound.public(),
		IssuedAt: r.Issued, NotBefore: r.NotBefore, Expires: r.Expires,
		Username: extra.Username, AuthTime: extra.authTime(), ACR: extra.ACR,
		VerifiedAt: asked, Source: "store", RawClaims: claims,
	}, nil
}
