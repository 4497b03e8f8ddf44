package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sneckauth/sneck/scopes"
)

// Clients is where clients are looked up. They may live anywhere.
//
// It must be safe for concurrent use.
type Clients interface {
	// Client returns the client with the identifier, ErrNotFound if there is
	// none, or another error if it could not find out. The result is
	// read-only for both sides from then on.
	Client(ctx context.Context, id string) (*Client, error)
}

// A ClientRegistry is a [Clients] that clients can be added to. The server does
// not need it; commands and pages that manage clients do.
type ClientRegistry interface {
	Clients
	// CreateClient adds a client, after it was checked, or returns ErrExists
	// if there is one with the same ID. Of several calls with one ID at the
	// same time exactly one succeeds.
	CreateClient(ctx context.Context, c *Client) error
	// PutClient adds a client or replaces the one with the same ID, after it
	// was checked.
	PutClient(ctx context.Context, c *Client) error
	// DeleteClient deletes the client with the ID, if there is one. What was
	// issued to it lives on; Store.Revoke ends that.
	DeleteClient(ctx context.Context, id string) error
	// ListClients returns up to limit clients in the order of their IDs, byte
	// by byte, beginning after the given one.
	ListClients(ctx context.Context, after string, limit int) ([]*Client, error)
}

// A ClientChanger is a [ClientRegistry] that can read a client and write what
// follows from it in one step, so that nothing is lost if several callers, or
// several processes, change it at the same time. Package storetest says whether
// an implementation is right.
type ClientChanger interface {
	ClientRegistry
	// ChangeClient replaces the client with the ID by what change makes of it,
	// after that was checked. An error of change is returned as it is, and
	// nothing is changed then; ErrNotFound means that there is no such client.
	//
	// change must be quick, must not use the registry nor a store, and must not
	// write to what it gets. It may be called again.
	ChangeClient(ctx context.Context, id string, change func(c *Client) (*Client, error)) error
}

// A Client is an application or a resource server that is known to the
// authorization server. The zero value of every field is the choice that
// allows least.
type Client struct {
	// ID is the client identifier (RFC 6749, section 2.2): 1 to 255 visible
	// ASCII characters or spaces.
	ID string
	// Name is shown to people.
	Name string
	// Secrets authenticate the client; any one that has not expired does. A
	// client that has none, and no AuthMethod that goes without, is public.
	Secrets []Secret
	// AuthMethod is the one way in which the client authenticates (RFC 7591,
	// section 2; RFC 8705, section 2): "client_secret_basic",
	// "client_secret_post", "client_secret_jwt", "private_key_jwt",
	// "tls_client_auth" or "self_signed_tls_client_auth". If empty, the first
	// two will both do.
	AuthMethod string
	// AuthAlgorithm is the one algorithm that the client signs with to
	// authenticate; if empty, all will do that its keys are for. An RSA key
	// that does not name one is for this, or RS256.
	AuthAlgorithm string
	// JWKS is a JWK Set of the client's public keys, for "private_key_jwt",
	// and certificates ("x5c"), for "self_signed_tls_client_auth". JWKSURI is
	// where it can be had instead.
	JWKS    json.RawMessage `json:",omitempty"`
	JWKSURI string
	// Certificate is what the client's certificate says who it is, for
	// "tls_client_auth".
	Certificate ClientCertificate
	// CertificateBound binds the client's tokens to its certificate (RFC
	// 8705, section 3), however it authenticates. It needs Config.MutualTLS.
	CertificateBound bool
	// DPoPBound has the client send a DPoP proof with every token request
	// (RFC 9449, section 5.2). Its tokens are bound if it sends one in any
	// case.
	DPoPBound bool
	// AccessTokenFormat is the form of the client's access tokens; if empty,
	// Config.AccessTokenFormat.
	AccessTokenFormat TokenFormat
	// Grants lists the grant types that the client may use. A resource
	// server, which only introspects, needs none.
	Grants []string
	// RedirectURIs lists where the authorization endpoint may send answers to.
	// They are compared byte by byte, except that a loopback IP address may
	// have any port.
	RedirectURIs []string
	// RedirectSchemes replaces Config.RedirectSchemes for the client.
	RedirectSchemes []string
	// Scopes are those that may be granted to the client, as far as the scope
	// backend has them available.
	Scopes scopes.Set
	// DefaultScopes are granted if a request names none. If empty, the scope
	// backend and Config.DefaultScopes decide, within Scopes.
	DefaultScopes scopes.Set
	// RequiredScopes are those without which the client is of no use: a user
	// who approves of others only has not approved. They must be in Scopes.
	RequiredScopes scopes.Set
	// Audience is who the client's tokens are meant for, unless a request
	// asks for less or for other Resources. If empty, it is Config.Audience.
	Audience []string
	// Resources lists what, besides its Audience, the client may ask for with
	// the "resource" parameter (RFC 8707). What is taken out of both is left
	// out when a token is refreshed, and if nothing else is left, that is refused.
	Resources []string
	// Introspect allows the client to introspect tokens whose audience is its
	// ID or is in Serves.
	Introspect bool
	// Serves lists the audiences that the client serves as a resource server.
	Serves []string
	// AccessTokenTTL is the life of the client's access tokens; zero leaves
	// it to Config.AccessTokenTTL.
	AccessTokenTTL time.Duration
}

// Public reports whether the client can not authenticate.
func (c *Client) Public() bool { return len(c.Secrets) == 0 && !c.byKey() }

// MayUse reports whether the client may use a grant type.
func (c *Client) MayUse(grantType string) bool { return slices.Contains(c.Grants, grantType) }

// clone returns a copy that shares nothing with c.
func (c *Client) clone() *Client {
	copied := *c
	copied.Secrets, copied.JWKS = slices.Clone(c.Secrets), slices.Clone(c.JWKS)
	for _, list := range []*[]string{
		&copied.Grants, &copied.RedirectURIs, &copied.RedirectSchemes, (*[]string)(&copied.Scopes),
		(*[]string)(&copied.DefaultScopes), (*[]string)(&copied.RequiredScopes), &copied.Audience, &copied.Resources, &copied.Serves,
	} {
		*list = slices.Clone(*list)
	}
	return &copied
}

// WithHash returns a copy of the client in which the hash of a secret is replaced
// by a better one of the same secret, for those who implement [SecretUpgrader].
func (c *Client) WithHash(from, to string) *Client {
	upgraded := c.clone()
	for i := range upgraded.Secrets {
		if upgraded.Secrets[i].Hash == from {
			upgraded.Secrets[i].Hash = to
		}
	}
	return upgraded
}

// CheckAs is [Client.Check] for a client that must have the ID.
func (c *Client) CheckAs(id string) error {
	if c == nil {
		return fmt.Errorf("authserver: client %q can not become nothing (hint: DeleteClient)", id)
	}
	if c.ID != id {
		return fmt.Errorf("authserver: client %q can not become %q (hint: register another one)", id, c.ID)
	}
	return c.Check()
}

// Check returns what is wrong with the client, all mistakes joined, or nil.
func (c *Client) Check() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("authserver: client %q: "+format, append([]any{c.ID}, args...)...))
	}
	if !validID(c.ID) {
		bad("the ID must have 1 to %d visible ASCII characters or spaces", maxID)
	}
	if err := c.checkAuth(); err != nil {
		bad("%w", err)
	}
	if !c.AccessTokenFormat.known() {
		bad("AccessTokenFormat %q is not known (hint: %s or %s)", c.AccessTokenFormat, FormatOpaque, FormatJWT)
	}
	for _, s := range c.Secrets {
		if err := s.check(); err != nil {
			bad("%w", err)
		}
	}
	if c.Public() && c.Introspect {
		bad("a public client can not be allowed to introspect (hint: give it a secret)")
	}
	if c.Public() && c.MayUse(GrantClientCredentials) {
		bad("a public client can not use %s (hint: give it a secret)", GrantClientCredentials)
	}
	for _, uri := range c.RedirectURIs {
		if u, err := url.Parse(uri); err != nil || forbiddenScheme(u.Scheme) || u.Fragment != "" {
			bad("the redirect URI %q is not absolute, has a fragment or a forbidden scheme", uri)
		}
	}
	for _, grant := range []string{GrantAuthorizationCode, GrantImplicit} {
		if c.MayUse(grant) && len(c.RedirectURIs) == 0 {
			bad("%s needs a redirect URI", grant)
		}
	}
	if c.MayUse(GrantImplicit) && c.bound() {
		bad("%s can not issue tokens that are bound to a key", GrantImplicit)
	}
	for _, set := range []scopes.Set{c.Scopes, c.DefaultScopes, c.RequiredScopes} {
		if _, err := scopes.Of(set...); err != nil {
			bad("%w", err)
		}
	}
	if extra := c.DefaultScopes.Without(c.Scopes); len(extra) > 0 {
		bad("DefaultScopes %q are not in Scopes", []string(extra))
	}
	if c.DefaultScopes.Has(AdminScope) {
		bad("DefaultScopes has %q (hint: who needs it asks for it)", AdminScope)
	}
	if extra := c.RequiredScopes.Without(c.Scopes); len(extra) > 0 {
		bad("RequiredScopes %q are not in Scopes", []string(extra))
	}
	for _, r := range c.Resources {
		if !validResource(r) {
			bad("the resource %q is not an absolute URI without a fragment", r)
		}
	}
	if slices.Contains(c.Audience, "") || slices.Contains(c.Serves, "") {
		bad("an audience must not be empty")
	}
	if err := checkTTL("AccessTokenTTL", c.AccessTokenTTL); err != nil {
		bad("%w", err)
	}
	return errors.Join(errs...)
}

const maxID = 255

// validID reports whether s is 1*VSCHAR (RFC 6749, appendix A.1) of a bounded
// length.
func validID(s string) bool { return s != "" && len(s) <= maxID && isVSCHAR(s) }

func isVSCHAR(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// registeredFor reports whether the client's own record has the audience.
func (c *Client) registeredFor(audience string) bool {
	return slices.Contains(c.Audience, audience) || slices.Contains(c.Resources, audience)
}

// registered returns what of an audience the client's own record has.
func (c *Client) registered(audience []string) []string {
	return slices.DeleteFunc(slices.Clone(audience), func(aud string) bool { return !c.registeredFor(aud) })
}

// validResource reports whether s is an absolute URI without a fragment (RFC
// 8707, section 2).
func validResource(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme != "" && (u.Host != "" || u.Opaque != "") && !strings.Contains(s, "#") && isVSCHAR(s)
}

func contains(list []string, s string) bool { return slices.Contains(list, s) }

// checkTTL refuses a lifetime that can not be told to clients, who count in
// whole seconds. Zero stands for the default.
func checkTTL(name string, d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("%s %v is negative", name, d)
	}
	if d%time.Second != 0 {
		return fmt.Errorf("%s %v is not in whole seconds", name, d)
	}
	return nil
}
