package authserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"

	"github.com/sneckauth/sneck/scopes"
)

// The grant types of the past. No server has them unless they are among its
// Config.Grants.
const (
	GrantPassword = "password"
	GrantImplicit = "implicit"
)

// LegacyPassword is the grant of a client that asks people for their passwords
// (RFC 6749, section 4.3). RFC 9700, section 2.4, forbids it: the client, and
// whoever looks like it, learns every password, and there is no second factor.
// It is for clients that can not be changed yet, and of those for such as
// authenticate; set Public on the Grant to allow others.
//
// check returns what the person lets the client do, which can only be less
// than it asks for; or ErrAccessDenied, for an unknown name as well as for a
// wrong password, and takes as long for either; other errors mean that it
// could not find out. Wrong passwords, and those that are being looked at, are
// limited by Limits.Failures: of one name at one address, and of one address,
// which is that of the client.
func LegacyPassword(check func(ctx context.Context, username, password string) (*Approval, error)) Grant {
	return Grant{
		Type: GrantPassword,
		Handle: func(ctx context.Context, r *GrantRequest) (*Issue, error) {
			return r.password(ctx, check)
		},
	}
}

func (r *GrantRequest) password(ctx context.Context, check func(context.Context, string, string) (*Approval, error)) (*Issue, error) {
	username, password := r.Form.Get("username"), r.Form.Get("password")
	if username == "" || password == "" {
		return nil, invalidRequest("username and password must both be there")
	}
	a, err := r.asked(ctx, GrantPassword)
	if err != nil {
		return nil, err
	}
	back, err := r.tryPassword(username)
	if err != nil {
		return nil, err
	}
	approval, err := check(ctx, username, password)
	if errors.Is(err, ErrAccessDenied) {
		return nil, r.wrongPassword(ctx)
	}
	back()
	switch {
	case err != nil:
		return nil, unavailable(fmt.Errorf("check a password: %w", err))
	case approval == nil:
		return nil, unavailable(errors.New("the check of a password returned nothing"))
	}
	record := Record{Audience: a.Audience}
	claims, err := r.server.accept(ctx, a, approval, &record)
	if errors.Is(err, ErrAccessDenied) {
		return nil, invalidGrant(err)
	} else if err != nil {
		return nil, unavailable(err)
	}
	return &Issue{Subject: record.Subject, Scopes: record.Scopes, Audience: record.Audience, Claims: claims, Refresh: true}, nil
}

// asked returns what a client asks a user for at the token endpoint.
func (r *GrantRequest) asked(ctx context.Context, grantType string) (*AuthorizationRequest, error) {
	audience, err := r.server.audience(r.Client, r.Form.Resources())
	if err != nil {
		return nil, err
	}
	set, err := r.server.grantScopes(ctx, r.Client, r.Form.Get("scope"), scopes.Request{
		ClientID: r.Client.ID, GrantType: grantType, Audience: audience,
	})
	return &AuthorizationRequest{server: r.server, Client: r.Client, Scopes: set, Audience: audience, Form: r.Form}, err
}

// tryPassword counts a password before it is looked at. A name counts whether
// there is such a person or not, and only with the address, so that nobody is
// locked out by others.
func (r *GrantRequest) tryPassword(username string) (back func(), err error) {
	rates, from := r.server.config.Limits.Failures, Network(r.from)
	name := sha256.Sum256([]byte(strings.ToLower(username)))
	units := []counted{{LimitKey{What: "password.user", Client: "user " + hex.EncodeToString(name[:]), Address: from}, rates.Client}}
	if from.IsValid() {
		units = append(units, counted{LimitKey{What: "password.address", Address: from}, rates.Address})
	}
	return r.server.try(r.request, units...)
}

// wrongPassword reports a wrong password, and returns the answer.
func (r *GrantRequest) wrongPassword(ctx context.Context) error {
	_ = r.server.observe(ctx, Event{
		Kind: EventAuthenticationFailed, Client: r.Client.ID, Grant: GrantPassword, Address: r.from, Reason: "wrong name or password",
	}) // the request is refused anyway
	return &Error{Code: codeInvalidGrant, Description: "the name or the password is wrong"}
}

// LegacyImplicit is the grant of a client that gets its access token from the
// authorization endpoint, in the fragment of the redirect URI (RFC 6749,
// section 4.2). RFC 9700, section 2.1.2, advises against it: the token is in
// browser histories, can be injected by others, and is bound to nothing. It is
// for clients that can not be changed to [AuthorizationCode] yet. It needs
// Config.Login, and yields no refresh token.
func LegacyImplicit() Grant {
	return Grant{
		Type: GrantImplicit, Public: true,
		Handle: func(context.Context, *GrantRequest) (*Issue, error) {
			return nil, &Error{Code: codeUnsupportedGrantType, Description: "the implicit grant has no use for the token endpoint"}
		},
	}
}

// issueDirectly issues an access token for what was approved at the
// authorization endpoint, and returns the parameters of the answer (RFC 6749,
// section 4.2.2).
func (s *Server) issueDirectly(ctx context.Context, a *AuthorizationRequest, approval *Approval) (url.Values, error) {
	record := Record{
		Family: string(appendRandom(nil, familyLen)), Client: a.Client.ID, Audience: a.Audience, Issued: s.config.Now(),
	}
	claims, err := s.accept(ctx, a, approval, &record)
	if err != nil {
		return nil, err
	}
	if approval.Remember {
		if err := s.remember(ctx, record, a.Scopes); err != nil {
			return nil, err
		}
	}
	request := &GrantRequest{Client: a.Client, Form: a.Form, server: s, from: a.from}
	issue := &Issue{Subject: record.Subject, Scopes: record.Scopes, Audience: record.Audience, Claims: claims, Family: record.Family}
	token, err := s.issue(ctx, GrantImplicit, request, issue)
	var e *Error
	if errors.As(err, &e) && e.Code == codeInvalidGrant {
		err = ErrAccessDenied // there is no grant here that could be invalid
	}
	if err != nil {
		return nil, err
	}
	s.config.Logger.LogAttrs(ctx, slog.LevelDebug, "token issued",
		slog.String("client", a.Client.ID), slog.String("grant_type", GrantImplicit), slog.String("scope", token.Scope))
	if err := s.observeApproval(ctx, a, record); err != nil {
		return nil, err
	}
	if err := s.observeIssue(ctx, GrantImplicit, request, issue, token); err != nil {
		return nil, err
	}
	return url.Values{
		"access_token": {token.AccessToken}, "token_type": {token.TokenType},
		"expires_in": {strconv.FormatInt(token.ExpiresIn, 10)}, "scope": {token.Scope},
	}, nil
}

// bound reports whether all tokens of a client have to be bound to a key of
// it, which it can not show where a browser comes in its place.
func (c *Client) bound() bool { return c.DPoPBound || c.CertificateBound }
