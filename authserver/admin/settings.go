package admin

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

// ClientSettings is what can be said about a client, but for its ID and
// secrets. The names in JSON are those of RFC 7591, section 2, as far as there
// are any, and of the command line.
type ClientSettings struct {
	// Name is shown to people.
	Name string `json:"client_name,omitempty"`
	// Grants are the grant types that the client may use.
	Grants []string `json:"grant_types,omitempty"`
	// RedirectURIs is where people are sent back to.
	RedirectURIs []string `json:"redirect_uris,omitempty"`
	// RedirectSchemes replaces the server's list of schemes.
	RedirectSchemes []string `json:"redirect_uri_schemes,omitempty"`
	// Scope is what the client may get, with spaces between.
	Scope string `json:"scope,omitempty"`
	// DefaultScope is what it gets if it asks for nothing, with spaces between.
	DefaultScope string `json:"default_scope,omitempty"`
	// RequiredScope is what people can not leave out, with spaces between.
	RequiredScope string `json:"required_scope,omitempty"`
	// Audience is who the client's tokens are meant for.
	Audience []string `json:"audience,omitempty"`
	// Resources is what it may ask for besides (RFC 8707).
	Resources []string `json:"resources,omitempty"`
	// Introspect lets it introspect tokens for its ID and for what it serves.
	Introspect bool `json:"introspect,omitempty"`
	// Serves lists the audiences that it serves as a resource server.
	Serves []string `json:"serves,omitempty"`
	// TokenTTL is the life of its access tokens in seconds; zero leaves it to
	// the server.
	TokenTTL int64 `json:"access_token_expire_seconds,omitempty"`
	// TokenFormat is "opaque" or "jwt"; empty leaves it to the server.
	TokenFormat string `json:"access_token_format,omitempty"`
	// AuthMethod is how it authenticates; empty is client_secret_basic or
	// client_secret_post, and "none" makes it public.
	AuthMethod string `json:"token_endpoint_auth_method,omitempty"`
	// AuthAlgorithm is what it signs with to authenticate; empty is whatever
	// its keys are for.
	AuthAlgorithm string `json:"token_endpoint_auth_signing_alg,omitempty"`
	// JWKS is its public keys, a JWK Set.
	JWKS json.RawMessage `json:"jwks,omitempty"`
	// JWKSURI is where these can be had instead.
	JWKSURI string `json:"jwks_uri,omitempty"`
	// CertificateSubject is the subject of its certificate (RFC 4514).
	CertificateSubject string `json:"tls_client_auth_subject_dn,omitempty"`
	// CertificateDNS is an alternative name in its certificate.
	CertificateDNS string `json:"tls_client_auth_san_dns,omitempty"`
	// CertificateURI is another kind of such.
	CertificateURI string `json:"tls_client_auth_san_uri,omitempty"`
	// CertificateIP is another kind of such.
	CertificateIP string `json:"tls_client_auth_san_ip,omitempty"`
	// CertificateEmail is another kind of such.
	CertificateEmail string `json:"tls_client_auth_san_email,omitempty"`
	// CertificateBound binds its tokens to its certificate.
	CertificateBound bool `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	// DPoPBound has it send a DPoP proof with every token request.
	DPoPBound bool `json:"dpop_bound_access_tokens,omitempty"`
}

// maxTTL is the longest life in seconds that a time.Duration holds.
const maxTTL = int64(1<<63-1) / int64(time.Second)

// methodNone is the authentication method of public clients (RFC 7591, section
// 2). Clients themselves have none then, and no secrets.
const methodNone = "none"

// usesSecret reports whether a client that authenticates so has a secret.
func usesSecret(method string) bool {
	return method == "" || strings.HasPrefix(method, "client_secret_")
}

// apply writes the settings into a client, which has no secrets any more if it
// does not authenticate by one.
func (s ClientSettings) apply(c *authserver.Client) error {
	var sets [3]scopes.Set
	for i, text := range []string{s.Scope, s.DefaultScope, s.RequiredScope} {
		set, err := scopes.Parse(text)
		if err != nil {
			return invalid(err)
		}
		sets[i] = set
	}
	if s.TokenTTL < 0 || s.TokenTTL > maxTTL {
		return refuse(ErrInvalid, "access_token_expire_seconds %d is not the life of a token (hint: seconds, such as 900)", s.TokenTTL)
	}
	c.Name, c.Grants, c.RedirectURIs, c.RedirectSchemes = s.Name, s.Grants, s.RedirectURIs, s.RedirectSchemes
	c.Scopes, c.DefaultScopes, c.RequiredScopes = sets[0], sets[1], sets[2]
	c.Audience, c.Resources, c.Introspect, c.Serves = s.Audience, s.Resources, s.Introspect, s.Serves
	c.AccessTokenTTL, c.AccessTokenFormat = time.Duration(s.TokenTTL)*time.Second, authserver.TokenFormat(s.TokenFormat)
	c.AuthMethod, c.AuthAlgorithm, c.JWKS, c.JWKSURI = s.AuthMethod, s.AuthAlgorithm, s.JWKS, s.JWKSURI
	if s.AuthMethod == methodNone {
		c.AuthMethod = ""
	}
	if !usesSecret(s.AuthMethod) {
		c.Secrets = nil
	}
	c.Certificate = authserver.ClientCertificate{
		Subject: s.CertificateSubject, DNS: s.CertificateDNS, URI: s.CertificateURI, IP: s.CertificateIP, Email: s.CertificateEmail,
	}
	c.CertificateBound, c.DPoPBound = s.CertificateBound, s.DPoPBound
	return nil
}

func settingsOf(c *authserver.Client) ClientSettings {
	method := c.AuthMethod
	if c.Public() {
		method = methodNone
	}
	return ClientSettings{
		Name: c.Name, Grants: c.Grants, RedirectURIs: c.RedirectURIs, RedirectSchemes: c.RedirectSchemes,
		Scope: c.Scopes.String(), DefaultScope: c.DefaultScopes.String(), RequiredScope: c.RequiredScopes.String(),
		Audience: c.Audience, Resources: c.Resources, Introspect: c.Introspect, Serves: c.Serves,
		TokenTTL: int64(c.AccessTokenTTL / time.Second), TokenFormat: string(c.AccessTokenFormat),
		AuthMethod: method, AuthAlgorithm: c.AuthAlgorithm, JWKS: c.JWKS, JWKSURI: c.JWKSURI,
		CertificateSubject: c.Certificate.Subject, CertificateDNS: c.Certificate.DNS, CertificateURI: c.Certificate.URI,
		CertificateIP: c.Certificate.IP, CertificateEmail: c.Certificate.Email,
		CertificateBound: c.CertificateBound, DPoPBound: c.DPoPBound,
	}
}
