package introspect

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/strictjson"
)

// An answer is where the members of a response (RFC 7662, section 2.2), and
// some that others added to it, are in its body. A member is looked at only
// after "active" is known to be true.
type answer struct {
	Active    span `json:"active"`
	Issuer    span `json:"iss"`
	Subject   span `json:"sub"`
	ClientID  span `json:"client_id"`
	Username  span `json:"username"`
	Audience  span `json:"aud"`
	Scope     span `json:"scope"`
	ID        span `json:"jti"`
	TokenType span `json:"token_type"`
	TokenUse  span `json:"token_use"`
	Typ       span `json:"typ"`
	IssuedAt  span `json:"iat"`
	NotBefore span `json:"nbf"`
	Expires   span `json:"exp"`
	AuthTime  span `json:"auth_time"`
	ACR       span `json:"acr"`
	Confirm   span `json:"cnf"`
}

// A span is the place of a JSON value. The zero span is of an absent one.
type span struct{ from, to int }

// UnmarshalJSONFrom takes note of the place of any value.
func (s *span) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	v, err := d.ReadValue()
	s.to = int(d.InputOffset())
	s.from = s.to - len(v)
	return err
}

func (s span) of(body []byte) jsontext.Value { return body[s.from:s.to] }

// read turns the JSON object of an answer into a Token, which keeps body.
func (c *Client) read(body []byte, asked time.Time) (*sneck.Token, error) {
	var a answer
	if strictjson.Unmarshal(body, &a) != nil {
		// The error of the decoder may name a member, and the member may be
		// the token.
		return nil, c.badAnswer("is no JSON object, or has a member twice, or goes on after its end")
	}
	switch a.Active.of(body).Kind() {
	case 't':
	case 'f':
		return nil, errInactive
	default:
		return nil, c.badAnswer(`has no boolean "active"`)
	}
	t := &sneck.Token{VerifiedAt: asked, Source: "introspection", RawClaims: body}
	m := members{zone: c.cfg.ExpZone}
	typ, use := a.fill(t, body, &m)
	if m.fault != "" {
		return nil, c.badAnswer("has a wrong " + m.fault)
	}
	if err := c.enforce(t, m.past, typ, use); err != nil {
		return nil, err
	}
	return t, nil
}

// fill reads every member into t, and returns the two that say what kind of
// token it is besides token_type.
func (a *answer) fill(t *sneck.Token, body []byte, m *members) (typ, use string) {
	t.Issuer = m.text("iss", a.Issuer.of(body))
	t.Subject = m.text("sub", a.Subject.of(body))
	t.ClientID = m.text("client_id", a.ClientID.of(body))
	t.Username = m.text("username", a.Username.of(body))
	t.Audience = m.texts("aud", a.Audience.of(body))
	t.Scopes = m.scopes("scope", a.Scope.of(body))
	t.ID = m.text("jti", a.ID.of(body))
	t.Type = m.text("token_type", a.TokenType.of(body))
	t.IssuedAt = m.time("iat", a.IssuedAt.of(body))
	t.NotBefore = m.time("nbf", a.NotBefore.of(body))
	t.Expires = m.expiry("exp", a.Expires.of(body))
	t.AuthTime = m.time("auth_time", a.AuthTime.of(body))
	t.ACR = m.text("acr", a.ACR.of(body))
	t.Confirmation = m.confirmation("cnf", a.Confirm.of(body))
	return m.text("typ", a.Typ.of(body)), m.text("token_use", a.TokenUse.of(body))
}

// enforce refuses what an authority should not have called active (RFC 7662,
// section 4).
func (c *Client) enforce(t *sneck.Token, past bool, typ, use string) error {
	now := c.now()
	switch {
	case past || t.ExpiredAt(now):
		return errExpired
	case t.NotBefore.After(now.Add(c.leeway)):
		return errNotYet
	case isNotAccess(t.Type), isNotAccess(typ), use != "" && !accessUse[kind(use)]:
		return errWrongUse
	case c.cfg.Issuer != "" && t.Issuer != "" && t.Issuer != c.cfg.Issuer:
		return errOtherIssue
	}
	if t.Issuer == "" {
		t.Issuer = c.cfg.Issuer
	}
	if t.NotBefore.After(now) {
		// The clock of the authority is ahead: by ours, it begins now. Who
		// compares it later, such as a guard, knows nothing of the leeway.
		t.NotBefore = now.Truncate(time.Second)
	}
	return nil
}

// notAccess are values of token_type and typ of what is no access token, and
// accessUse those of token_use of what is one.
var (
	notAccess = map[string]bool{
		"refresh": true, "refresh_token": true, "rt": true, "offline": true,
		"id": true, "id_token": true, "serialized-id": true,
		"logout": true, "logout_token": true, "logout+jwt": true,
		"authorization_code": true, "code": true, "device_code": true,
		"saml1": true, "saml2": true, "dpop+jwt": true, "secevent+jwt": true,
		"client-authentication+jwt": true, "oauth-authz-req+jwt": true, "token-introspection+jwt": true,
	}
	accessUse = map[string]bool{"access": true, "access_token": true}
)

func isNotAccess(s string) bool {
	switch s {
	case "", "Bearer", "bearer", "DPoP": // nearly always
		return false
	}
	return notAccess[kind(s)]
}

// kind strips what says nothing about the kind of a token.
func kind(s string) string {
	s = strings.ToLower(s)
	s = strings.TrimPrefix(s, "urn:ietf:params:oauth:token-type:")
	return strings.TrimPrefix(s, "application/")
}
