package jwt

import (
	"bytes"
	"errors"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/jws"
	"github.com/sneckauth/sneck/scopes"
)

// claims are what is read of a payload, before anything is known about it.
type claims struct {
	iss                           []byte // part of the payload; nil if absent or no string
	sub, clientID, jti, acr       string
	username, preferred, azp, cid string
	aud                           []string
	exp, nbf, iat, authTime       time.Time
	scope                         string
	hasScope                      bool
	scp                           []string
	cnf                           *sneck.Confirmation
	mark                          mark // the strongest there is, for tokens without a type
	markedBy                      string
	refused                       error // the first mistake; reading goes on, as iss decides whose it is
}

// claimNames are the names that no other spelling of is let pass. What this
// package would not see, a handler that decodes the claims with encoding/json
// would.
var claimNames = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "cnf", "auth_time", "acr",
	"username", "preferred_username", "azp", "cid", "scp", "typ", "token_use", "nonce", "events",
}

var errVariant = errors.New("a claim's name is written in another case")

// parseClaims reads a decoded payload. The error means that it is not one
// clean JSON object; a mistake in a claim is left in refused.
func parseClaims(payload []byte) (*claims, error) {
	c := new(claims)
	if err := jws.Members(payload, c.member); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *claims) member(name, value []byte) error {
	switch string(name) {
	case "iss":
		c.issuer(value)
	case "sub":
		c.text("sub", value, &c.sub)
	case "aud":
		c.audience(value)
	case "exp":
		c.date("exp", value, &c.exp)
	case "nbf":
		c.date("nbf", value, &c.nbf)
	case "iat":
		c.date("iat", value, &c.iat)
	case "auth_time":
		c.date("auth_time", value, &c.authTime)
	case "jti":
		c.text("jti", value, &c.jti)
	case "client_id":
		c.text("client_id", value, &c.clientID)
	case "scope":
		c.hasScope = true
		c.text("scope", value, &c.scope)
	case "acr":
		c.text("acr", value, &c.acr)
	case "cnf":
		c.confirmation(value)
	case "username":
		c.text("username", value, &c.username)
	case "preferred_username":
		c.text("preferred_username", value, &c.preferred)
	case "azp":
		c.azp, _ = jws.String(value)
	case "cid":
		c.cid, _ = jws.String(value)
	case "scp":
		if s, ok := jws.String(value); ok {
			c.scp = []string{s}
		} else {
			c.scp, _ = jws.Strings(value)
		}
	case "nonce", "at_hash", "c_hash", "s_hash", "events", "htm", "htu", "token_introspection", "typ", "token_use":
		if m := markOf(string(name), value); m > c.mark {
			c.mark, c.markedBy = m, string(name)
		}
	default:
		if jws.Variant(name, claimNames) {
			c.refuse(errVariant)
		}
	}
	return nil
}

func (c *claims) refuse(err error) {
	if c.refused == nil {
		c.refused = err
	}
}

func (c *claims) issuer(value []byte) {
	if value[0] == '"' && bytes.IndexByte(value, '\\') < 0 {
		c.iss = value[1 : len(value)-1]
	} else if s, ok := jws.String(value); ok {
		c.iss = []byte(s)
	}
}

func (c *claims) text(name string, value []byte, dst *string) {
	s, ok := jws.String(value)
	if !ok {
		c.refuse(errors.New(name + " is not a string"))
	}
	*dst = s
}

func (c *claims) audience(value []byte) {
	if s, ok := jws.String(value); ok {
		c.aud = []string{s}
	} else if c.aud, ok = jws.Strings(value); !ok {
		c.refuse(errors.New("aud is neither a string nor an array of strings"))
		return
	}
	for _, aud := range c.aud {
		if aud == "" {
			c.refuse(errors.New("aud has an empty string"))
		}
	}
	if len(c.aud) == 0 {
		c.refuse(errors.New("aud is empty"))
	}
}

func (c *claims) confirmation(value []byte) {
	c.cnf = new(sneck.Confirmation)
	err := jws.Members(value, func(name, value []byte) error {
		switch string(name) {
		case "jkt":
			c.text("cnf.jkt", value, &c.cnf.JKT)
		case "x5t#S256":
			c.text("cnf.x5t#S256", value, &c.cnf.X5TS256)
		default:
			c.cnf.Unknown = true
		}
		return nil
	})
	if err != nil {
		c.refuse(errors.New("cnf is not an object"))
	}
}

// date reads a NumericDate (RFC 7519, section 2).
func (c *claims) date(name string, value []byte, dst *time.Time) {
	at, ok := jws.Date(value)
	if !ok {
		c.refuse(errors.New(name + " is not a number of seconds in a sane range"))
		return
	}
	*dst = at
}

// scopes returns what the token grants.
func (c *claims) scopes(p Profile) (scopes.Set, error) {
	if p == Legacy && !c.hasScope && c.scp != nil {
		if len(c.scp) == 1 {
			return scopes.Parse(c.scp[0])
		}
		return scopes.Of(c.scp...)
	}
	return scopes.Parse(c.scope)
}

// client returns the client that the token was issued to.
func (c *claims) client(p Profile) string {
	if p == Legacy {
		return first(c.clientID, c.azp, c.cid)
	}
	return c.clientID
}

// first returns the first string that is not empty.
func first(s ...string) string {
	for _, s := range s {
		if s != "" {
			return s
		}
	}
	return ""
}
