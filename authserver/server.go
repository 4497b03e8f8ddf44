package authserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/dpop"
	"github.com/sneckauth/sneck/scopes"
)

// A Server is an authorization server. It is an [http.Handler] for the
// endpoints below its issuer, and the sneck.Verifier of the tokens it issued.
// Make one with [New]. It is safe for concurrent use.
type Server struct {
	config   Config
	path     string // path of the issuer: "" or "/x/y"
	metadata string // path of the metadata
	grants   map[string]Grant
	keeper   *keeper
	remote   *remoteKeys
	polls    polls
	limits   limits
	nonces   *dpop.Nonces   // of the token endpoint; nil if none are wanted
	local    *MemoryLimiter // when the configured one fails, and for events
	lost     atomic.Int64   // events that the audit could not take
	upgrades sync.Map       // client IDs and hashes of secrets that are being replaced
	// crossOrigin keeps forms of other sites from the authorization endpoint.
	crossOrigin http.CrossOriginProtection
}

var (
	_ http.Handler   = (*Server)(nil)
	_ sneck.Verifier = (*Server)(nil)
)

// New returns a server, or an error that names every mistake in the config.
// Later changes of the config have no effect.
func New(config Config) (*Server, error) {
	config, err := config.prepare()
	if err != nil {
		return nil, err
	}
	issuer, err := url.Parse(config.Issuer)
	if err != nil {
		return nil, err
	}
	s := &Server{config: config, path: issuer.Path, metadata: metadataPath + issuer.Path, keeper: newKeeper(&config)}
	s.remote = newRemoteKeys(config.Assertions.client(), config.Now)
	s.limits = config.Limits.named()
	s.nonces = dpop.NewNonces(config.DPoPNonceKey, "sneck DPoP-Nonce of the token endpoint", config.DPoPNonceTTL)
	s.local = NewMemoryLimiter(localKeys, config.Now)
	s.grants = map[string]Grant{}
	for _, g := range config.Grants {
		s.grants[g.Type] = g
	}
	return s, nil
}

// Issuer returns the URL that identifies the server.
func (s *Server) Issuer() string { return s.config.Issuer }

// The paths of the endpoints below that of the issuer.
const (
	pathAuthorize  = "/authorize"
	pathToken      = "/token"
	pathDevice     = "/device"
	pathIntrospect = "/introspect"
	pathRevoke     = "/revoke"
	pathKeys       = "/jwks"
	metadataPath   = "/.well-known/oauth-authorization-server"

	pathDeviceAuthorization = "/device_authorization"
)

// ServeHTTP answers at the endpoints. If the issuer has a path, they are found
// below it, and also at the root for a proxy that strips it or a handler that
// is mounted with http.StripPrefix. The metadata is at the root of the host
// in any case, with the path of the issuer behind it (RFC 8414, section 3.1).
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := checkHeaders(r.Header); err != nil {
		s.refuse(w, r, nil, err)
		return
	}
	if r.URL.Path == s.metadata {
		if admitScripts(w, r, "GET, HEAD", "*") {
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			s.refuse(w, r, nil, methodNotAllowed(w, "GET, HEAD"))
			return
		}
		s.serveMetadata(w, r)
		return
	}
	path := r.URL.Path
	if below, ok := strings.CutPrefix(path, s.path); ok && strings.HasPrefix(below, "/") {
		path = below
	}
	switch path {
	case pathAuthorize:
		s.serveBrowser(w, r, s.grantsType(GrantAuthorizationCode) || s.grantsType(GrantImplicit), s.serveAuthorize)
		return
	case pathDevice:
		s.serveBrowser(w, r, s.grantsType(GrantDeviceCode), s.serveDevice)
		return
	case pathDeviceAuthorization:
		if !s.grantsType(GrantDeviceCode) {
			http.NotFound(w, r)
			return
		}
		s.servePost(w, r, &s.limits.device, s.serveDeviceAuthorization)
	case pathToken:
		s.servePost(w, r, &s.limits.token, s.serveToken)
	case pathIntrospect:
		s.servePost(w, r, &s.limits.introspect, s.serveIntrospect)
	case pathRevoke:
		s.servePost(w, r, &s.limits.revoke, s.serveRevoke)
	case pathKeys:
		s.serveKeys(w, r)
	default:
		http.NotFound(w, r)
	}
}

// localKeys is how many keys the server's own limiter remembers.
const localKeys = 1 << 14

// servePost answers where clients come with a form.
func (s *Server) servePost(w http.ResponseWriter, r *http.Request, l *limit,
	serve func(http.ResponseWriter, *http.Request, Form) (*Client, error)) {
	if l != &s.limits.introspect && admitScriptsWithForms(w, r) {
		return
	}
	if r.Method != http.MethodPost {
		s.refuse(w, r, nil, methodNotAllowed(w, "POST"))
		return
	}
	err := s.limitAddress(r, l)
	if err == nil && l != &s.limits.introspect {
		err = s.auditable(r.Context())
	}
	var form Form
	if err == nil {
		form, err = s.config.Decoder(w, r)
	}
	if err != nil {
		s.refuse(w, r, nil, err)
		return
	}
	if client, err := serve(w, r, form); err != nil {
		s.refuse(w, r, client, s.limitFailure(r, form, err))
	}
}

// serveBrowser answers where users come with a browser, if there is a grant for
// that.
func (s *Server) serveBrowser(w http.ResponseWriter, r *http.Request, granted bool, serve http.HandlerFunc) {
	switch {
	case !granted:
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		s.refuse(w, r, nil, methodNotAllowed(w, "GET, POST"))
	default:
		if err := s.auditable(r.Context()); err != nil {
			protectPage(w.Header())
			s.page(w, r, nil, http.StatusServiceUnavailable, "the server can not answer at the moment", err)
			return
		}
		serve(w, r)
	}
}

// grantsType reports whether the server answers a grant type.
func (s *Server) grantsType(grantType string) bool {
	_, known := s.grants[grantType]
	return known
}

func methodNotAllowed(w http.ResponseWriter, allow string) error {
	w.Header().Set("Allow", allow)
	return &Error{
		Code: codeInvalidRequest, Description: "the method is not allowed here, but " + allow,
		Status: http.StatusMethodNotAllowed,
	}
}

// NewClient completes and checks a client that is about to be registered: it
// makes up an ID if there is none and, unless secret is false, a secret, which
// it returns and which is not kept anywhere. Whoever calls it stores the
// client. An [Error] with status 503 says that the scopes are not known at the
// moment, any other error what is wrong with the client.
func (s *Server) NewClient(ctx context.Context, c Client, secret bool) (*Client, string, error) {
	if c.ID == "" {
		c.ID = s.config.ClientID()
	}
	plain := ""
	if secret {
		plain = s.config.ClientSecret()
		if err := checkSecret(plain); err != nil {
			return nil, "", err
		}
		kept, err := s.keepSecret(ctx, &c, plain)
		if err != nil {
			return nil, "", err
		}
		c.Secrets = append(c.Secrets[:len(c.Secrets):len(c.Secrets)], kept)
	}
	errs := []error{c.Check(), s.supports(&c), s.checkScopes(ctx, &c)}
	for _, uri := range c.RedirectURIs {
		if err := checkRedirectURI(uri, s.redirectSchemes(&c), s.config.InsecureHTTPRedirects); err != nil {
			errs = append(errs, fmt.Errorf("authserver: client %q: redirect URI %q: %w", c.ID, uri, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, "", err
	}
	return &c, plain, nil
}

// checkScopes refuses scopes that the server does not know, and does not have
// available to this client either: some backends take whatever is registered.
func (s *Server) checkScopes(ctx context.Context, c *Client) error {
	all, err := s.allScopes(ctx)
	if err != nil {
		return unavailable(err)
	}
	unknown := c.Scopes.Without(all)
	if len(unknown) == 0 {
		return nil
	}
	available, err := s.config.Scopes.Available(ctx, scopes.Request{ClientID: c.ID, Registered: c.Scopes})
	if err != nil {
		return unavailable(fmt.Errorf("ask for available scopes: %w", err))
	}
	if unknown = unknown.Without(available); len(unknown) > 0 {
		return fmt.Errorf("authserver: client %q: Scopes %q are not among the server's %q", c.ID, []string(unknown), []string(all))
	}
	return nil
}

// Scopes returns every scope that the server knows, with its text, in the
// order in which people should see them. It is read-only.
func (s *Server) Scopes(ctx context.Context) ([]scopes.Described, error) {
	list, err := s.config.Scopes.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("authserver: ask for all scopes: %w", err)
	}
	return list, nil
}

func (s *Server) allScopes(ctx context.Context) (scopes.Set, error) {
	list, err := s.Scopes(ctx)
	if err != nil {
		return nil, err
	}
	names := make(scopes.Set, len(list))
	for i, d := range list {
		names[i] = d.Name
	}
	return names, nil
}
