package authserver

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// An introspection is the answer for a live token (RFC 7662, section 2.2).
type introspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope,omitempty"`
	ClientID  string   `json:"client_id"`
	TokenType string   `json:"token_type"`
	Expires   int64    `json:"exp,omitempty"`
	Issued    int64    `json:"iat,omitempty"`
	NotBefore int64    `json:"nbf,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	Audience  audience `json:"aud,omitempty"`
	Issuer    string   `json:"iss"`
	ID        string   `json:"jti,omitempty"`
}

// An audience is a string if it has one member, else a list (RFC 7519, section
// 4.1.3).
type audience []string

func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

func (s *Server) serveIntrospect(w http.ResponseWriter, r *http.Request, form Form) (*Client, error) {
	ctx := r.Context()
	caller, err := s.introspecter(r, form)
	if err != nil {
		return caller, err
	}
	if err := s.limitClient(r, &s.limits.introspect, caller); err != nil {
		return caller, err
	}
	token := form.Get("token")
	if token == "" {
		return caller, invalidRequest("token is missing")
	}
	record, err := s.find(ctx, token)
	if errors.Is(err, ErrNotFound) || err == nil && !caller.mayKnow(record) {
		return caller, s.answerIntrospection(w, r, caller, inactive)
	}
	if err == nil {
		record, err = s.hookIntrospect(ctx, caller, record)
	}
	if errors.Is(err, ErrNotFound) {
		return caller, s.answerIntrospection(w, r, caller, inactive)
	}
	if err != nil {
		return caller, err
	}
	claims, _, err := s.claims(record)
	if err != nil {
		return caller, err
	}
	if s.config.ObserveIntrospections && s.observes() {
		err := s.observe(ctx, Event{
			Kind: EventTokenIntrospected, Client: caller.ID, Subject: record.Subject, Scopes: record.Scopes, Audience: record.Audience,
			Token: publicID(record), Family: record.Family, Address: s.address(r),
		})
		if err != nil {
			return caller, err
		}
	}
	return caller, s.answerIntrospection(w, r, caller, claims)
}

// introspecter returns the client that asks, which may introspect. It has
// authenticated or has a token for that.
func (s *Server) introspecter(r *http.Request, form Form) (*Client, error) {
	authorization := r.Header.Values("Authorization")
	if len(authorization) == 1 {
		if scheme, token, _ := strings.Cut(authorization[0], " "); strings.EqualFold(scheme, "Bearer") {
			return s.bearerOf(r, form, strings.Trim(token, " "))
		}
	}
	caller, err := s.authenticate(r, form)
	if err != nil {
		return nil, err
	}
	if caller.Public() {
		return caller, invalidClient("the client does not authenticate", nil)
	}
	if !caller.Introspect {
		return caller, &Error{
			Code: codeUnauthorizedClient, Description: "the client may not introspect tokens",
			Status: http.StatusForbidden,
		}
	}
	return caller, nil
}

// bearerOf returns the client that got a token with IntrospectionScope for this
// server, so that it need not show its secret (RFC 7662, section 2.1).
func (s *Server) bearerOf(r *http.Request, form Form, token string) (*Client, error) {
	ctx := r.Context()
	invalid := &Error{
		Code: "invalid_token", Description: "the token is not valid here",
		Status: http.StatusUnauthorized, challenge: `Bearer error="invalid_token"`,
	}
	if form.Get("client_id") != "" || form.Get("client_secret") != "" || form.Get("client_assertion") != "" {
		return nil, invalidRequest("the client authenticates in two ways at once")
	}
	record, err := s.find(ctx, token)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, invalid
	case err != nil:
		return nil, unavailable(fmt.Errorf("ask the store: %w", err))
	case len(record.Audience) != 1 || record.Audience[0] != s.config.Issuer:
		// Whoever else it was shown to could come with it.
		invalid.Description = "the token is not meant for this server alone: ask for its issuer as the resource"
		return nil, invalid
	}
	_, extra, err := s.claims(record)
	if err != nil {
		return nil, err
	}
	if !(confirmation{X5T: s.thumbprint(r)}).meets(extra.Bound) {
		invalid.Description = "the token is bound to a key: authenticate in another way"
		return nil, invalid
	}
	caller, err := s.config.Clients.Client(ctx, record.Client)
	if errors.Is(err, ErrNotFound) {
		return nil, invalid
	}
	if err != nil {
		return nil, unavailable(fmt.Errorf("look up a client: %w", err))
	}
	if !record.Scopes.Has(IntrospectionScope) || !caller.Introspect {
		return caller, &Error{
			Code: "insufficient_scope", Description: "the token does not allow to introspect others", Status: http.StatusForbidden,
			challenge: `Bearer error="insufficient_scope", scope="` + IntrospectionScope + `"`,
		}
	}
	return caller, s.hookClient(r, caller)
}

// mayKnow reports whether the record is meant for this resource server.
func (c *Client) mayKnow(r Record) bool {
	return slices.ContainsFunc(r.Audience, func(aud string) bool {
		return aud == c.ID || slices.Contains(c.Serves, aud)
	})
}

// An accessExtra is what the record of an access token keeps besides, as far
// as the server makes something of it.
type accessExtra struct {
	Authentication
	// ID is the "jti" of a JWT.
	ID string `json:"jti"`
	// Bound is to which keys the token is bound.
	Bound confirmation `json:"cnf"`
}

// claims returns what is said about a live access token, and what of it is not
// in the fields of its record.
func (s *Server) claims(r Record) ([]byte, accessExtra, error) {
	var extra accessExtra
	if r.Extra != nil {
		if err := json.Unmarshal(r.Extra, &extra); err != nil {
			return nil, extra, fmt.Errorf("the record of a token is damaged: %w", err)
		}
	}
	a := introspection{
		Active: true, Scope: r.Scopes.String(), ClientID: r.Client, TokenType: extra.Bound.tokenType(),
		Expires: unix(r.Expires), Issued: unix(r.Issued), NotBefore: unix(r.begins()),
		Subject: r.Subject, Audience: r.Audience, Issuer: s.config.Issuer,
	}
	if extra.ID == "" {
		extra.ID = tokenID(r.Key)
		a.ID = extra.ID
	}
	data, err := json.Marshal(a)
	return joinObjects(data, r.Extra), extra, err
}

// begins returns the first moment a record is valid.
func (r Record) begins() time.Time {
	if r.NotBefore.IsZero() {
		return r.Issued
	}
	return r.NotBefore
}

// unix returns the seconds since 1970, and 0 for the zero time.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// TokenID returns the "jti" of the token, as introspection reports it. It does
// not lead back to the token or to its key.
func (r Record) TokenID() string { return publicID(r) }

// publicID names the token of a record as its introspection does.
func publicID(r Record) string {
	var extra accessExtra
	if r.Kind == KindAccess && r.Extra != nil && json.Unmarshal(r.Extra, &extra) == nil && extra.ID != "" {
		return extra.ID
	}
	return tokenID(r.Key)
}

// tokenID names a token in public ("jti"). It is derived from the key, from
// which it does not lead back.
func tokenID(k Key) string {
	sum := sha256.Sum256(append([]byte("jti:"), k[:]...))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
