package introspect

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/strictjson"
)

// An answer is the response of RFC 7662, section 2.2, with the members that
// others added to it. Each is read only after "active" is known to be true.
type answer struct {
	Active    jsontext.Value `json:"active"`
	Issuer    jsontext.Value `json:"iss"`
	Subject   jsontext.Value `json:"sub"`
	ClientID  jsontext.Value `json:"client_id"`
	Username  jsontext.Value `json:"username"`
	Audience  jsontext.Value `json:"aud"`
	Scope     jsontext.Value `json:"scope"`
	ID        jsontext.Value `json:"jti"`
	TokenType jsontext.Value `json:"token_type"`
	TokenUse  jsontext.Value `json:"token_use"`
	Typ       jsontext.Value `json:"typ"`
	IssuedAt  jsontext.Value `json:"iat"`
	NotBefore jsontext.Value `json:"nbf"`
	Expires   jsontext.Value `json:"exp"`
	AuthTime  jsontext.Value `json:"auth_time"`
	ACR       jsontext.Value `json:"acr"`
	Confirm   jsontext.Value `json:"cnf"`
}

// read turns the JSON object of an answer into a Token, which keeps body.
func (c *Client) read(body []byte, asked time.Time) (*sneck.Token, error) {
	var a answer
	if strictjson.Unmarshal(body, &a) != nil {
		// The error of the decoder may name a member, and the member may be
		// the token.
		return nil, c.badAnswer("is no JSON object, or has a member twice, or goes on after its end")
	}
	switch a.Active.Kind() {
	case 't':
	case 'f':
		return nil, errInactive
	default:
		return nil, c.badAnswer(`has no boolean "active"`)
	}
	t := &sneck.Token{VerifiedAt: asked, Source: "introspection", RawClaims: body}
	m := members{zone: c.cfg.ExpZone}
	typ, use := a.fill(t, &m)
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
func (a *answer) fill(t *sneck.Token, m *members) (typ, use string) {
	t.Issuer = m.text("iss", a.Issuer)
	t.Subject = m.text("sub", a.Subject)
	t.ClientID = m.text("client_id", a.ClientID)
	t.Username = m.text("username", a.Username)
	t.Audience = m.texts("aud", a.Audience)
	t.Scopes = m.scopes("scope", a.Scope)
	t.ID = m.text("jti", a.ID)
	t.Type = m.text("token_type", a.TokenType)
	t.IssuedAt = m.time("iat", a.IssuedAt)
	t.NotBefore = m.time("nbf", a.NotBefore)
	t.Expires = m.expiry("exp", a.Expires)
	t.AuthTime = m.time("auth_time", a.AuthTime)
	t.ACR = m.text("acr", a.ACR)
	t.Confirmation = m.confirmation("cnf", a.Confirm)
	return m.text("typ", a.Typ), m.text("token_use", a.TokenUse)
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
	case notAccess[kind(t.Type)], notAccess[kind(typ)], use != "" && !accessUse[kind(use)]:
		return errWrongUse
	case c.cfg.Issuer != "" && t.Issuer != "" && t.Issuer != c.cfg.Issuer:
		return errOtherIssue
	}
	if t.Issuer == "" {
		t.Issuer = c.cfg.Issuer
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

// kind strips what says nothing about the kind of a token.
func kind(s string) string {
	s = strings.ToLower(s)
	s = strings.TrimPrefix(s, "urn:ietf:params:oauth:token-type:")
	return strings.TrimPrefix(s, "application/")
}
