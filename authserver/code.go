package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// codePrefix begins every authorization code.
const codePrefix = "sneck_ac_"

// codeExtra is what the record of a code keeps besides.
type codeExtra struct {
	RedirectURI string    `json:"redirect_uri"`
	Named       bool      `json:"named,omitempty"` // by the client, in its request
	Challenge   challenge `json:"challenge,omitzero"`
	// Key is the thumbprint of the DPoP key that the code is for, or empty
	// (RFC 9449, section 10).
	Key    string          `json:"dpop_jkt,omitempty"`
	Claims json.RawMessage `json:"claims,omitempty"`
	// Registered is as that of a refreshExtra.
	Registered []string `json:"registered,omitempty"`
}

// issueCode issues an authorization code for what was approved.
func (s *Server) issueCode(ctx context.Context, a *AuthorizationRequest, approval *Approval) (string, error) {
	now := s.config.Now()
	record := Record{
		Kind: KindCode, Family: string(appendRandom(nil, familyLen)), Client: a.Client.ID,
		Audience: a.Audience, Issued: now, Expires: now.Add(s.config.AuthorizationCodeTTL),
	}
	claims, err := s.accept(ctx, a, approval, &record)
	if err != nil {
		return "", err
	}
	record.Extra, err = json.Marshal(codeExtra{
		RedirectURI: a.RedirectURI, Named: a.named, Challenge: a.challenge, Key: a.Form.Get("dpop_jkt"), Claims: claims,
		Registered: a.Client.registered(a.Audience),
	})
	if err != nil {
		return "", err
	}
	if approval.Remember {
		if err := s.remember(ctx, record, a.Scopes); err != nil {
			return "", err
		}
	}
	code := mint(codePrefix)
	record.Key, record.Random = KeyOf(code), true
	if err := s.config.Store.Create(ctx, record); err != nil {
		return "", fmt.Errorf("store a code: %w", err)
	}
	s.logApproval(ctx, a, record.Scopes)
	return code, s.observeApproval(ctx, a, record)
}

// observeApproval reports what a user has approved of.
func (s *Server) observeApproval(ctx context.Context, a *AuthorizationRequest, granted Record) error {
	return s.observe(ctx, Event{
		Kind: EventAuthorizationApproved, Client: granted.Client, Subject: granted.Subject, Grant: a.grantType(),
		Scopes: granted.Scopes, Audience: granted.Audience, Family: granted.Family, Address: a.from,
	})
}

// accept checks an approval and takes it over into a record: who, and how much
// of what was asked for. It returns the claims of the tokens.
func (s *Server) accept(ctx context.Context, a *AuthorizationRequest, approval *Approval, r *Record) (json.RawMessage, error) {
	if approval.Subject == "" {
		return nil, errors.New("the approval has no subject")
	}
	// A user that could pass for a client would have its rights (RFC 9700,
	// section 4.15).
	switch _, err := s.config.Clients.Client(ctx, approval.Subject); {
	case err == nil:
		return nil, errSubjectIsClient
	case !errors.Is(err, ErrNotFound):
		return nil, fmt.Errorf("look up a client: %w", err)
	}
	r.Subject, r.Scopes = approval.Subject, a.Scopes
	if approval.Scopes != nil {
		r.Scopes = intersect(a.Scopes, approval.Scopes)
	}
	if len(r.Scopes) == 0 || !r.Scopes.HasAll(a.Required()) {
		return nil, ErrAccessDenied
	}
	who, err := json.Marshal(approval.Authentication)
	if err != nil {
		return nil, err
	}
	claims, err := mergeClaims(approval.Claims, who)
	if err != nil {
		return nil, err
	}
	return claims, checkClaims(claims)
}

var errSubjectIsClient = errors.New("the subject of the approval is the ID of a client")

// AuthorizationCode is the grant of a client that got a code from the
// authorization endpoint (RFC 6749, section 4.1.3). A code is used once: the
// second time, all that came of the first is revoked.
func AuthorizationCode() Grant {
	return Grant{Type: GrantAuthorizationCode, Public: true, Handle: handleCode}
}

func handleCode(ctx context.Context, r *GrantRequest) (*Issue, error) {
	s := r.server
	code := r.Form.Get("code")
	if code == "" {
		return nil, invalidRequest("code is missing")
	}
	record, err := r.present(ctx, code, KindCode, func(c string) bool { return minted(codePrefix, c) })
	if err != nil {
		return nil, err
	}
	var extra codeExtra
	if err := json.Unmarshal(record.Extra, &extra); err != nil {
		return nil, fmt.Errorf("the record of a code is damaged: %w", err)
	}
	// Who does not know the verifier is not the one who started this, and must
	// not be able to end it either, so this comes before reuse.
	if !extra.Challenge.met(r.Form.Get("code_verifier")) {
		return nil, invalidGrant(errors.New("the code_verifier does not fit"))
	}
	if !r.proved.meets(confirmation{JKT: extra.Key}) {
		return nil, invalidGrant(errors.New("the code is bound to another key"))
	}
	uri := r.Form.Get("redirect_uri")
	if uri != extra.RedirectURI && (extra.Named || uri != "") {
		return nil, invalidGrant(errors.New("the redirect_uri is not that of the code"))
	}
	if !record.Spent.IsZero() {
		if err := r.reused(ctx, record); err != nil {
			return nil, unavailable(err)
		}
		return nil, invalidGrant(ErrSpent)
	}
	if record.ExpiredAt(s.config.Now()) {
		return nil, invalidGrant(ErrExpired)
	}
	audience, err := choose(r.Form.Resources(), func(resource string) bool { return contains(record.Audience, resource) })
	if err != nil {
		return nil, err
	}
	if audience == nil {
		audience = record.Audience
	}
	return &Issue{
		Subject: record.Subject, Scopes: record.Scopes, Audience: audience, Claims: extra.Claims, Family: record.Family,
		Refresh: true, RefreshAudience: record.Audience,
		Spend: &Spend{Key: record.Key}, Reused: r.reused, registered: extra.Registered,
	}, nil
}

// maxCodeTTL is the longest life of a code (RFC 6749, section 4.1.2).
const maxCodeTTL = 10 * time.Minute
