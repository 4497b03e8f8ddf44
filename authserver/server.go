package authserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/scopes"
)

// A Server is an authorization server. It is an [http.Handler] for the
// endpoints below its issuer, and the sneck.Verifier of the tokens it issued.
// Make one with [New]. It is safe for concurrent use.
type Server struct {
	config   Config
	path     string // path of the issuer: "" or "/x/y"
	metadata string // path of the metadata
	grants   map[string]grantFunc
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
	s := &Server{config: config, path: issuer.Path, metadata: metadataPath + issuer.Path}
	s.grants = map[string]grantFunc{GrantClientCredentials: s.clientCredentials}
	return s, nil
}

// Issuer returns the URL that identifies the server.
func (s *Server) Issuer() string { return s.config.Issuer }

// The paths of the endpoints below that of the issuer.
const (
	pathToken      = "/token"
	pathIntrospect = "/introspect"
	pathRevoke     = "/revoke"
	metadataPath   = "/.well-known/oauth-authorization-server"
)

// ServeHTTP answers at the endpoints. If the issuer has a path, they are found
// below it, and also at the root for a proxy that strips it or a handler that
// is mounted with http.StripPrefix. The metadata is at the root of the host
// in any case, with the path of the issuer behind it (RFC 8414, section 3.1).
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == s.metadata {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			s.refuse(w, r, nil, methodNotAllowed(w, "GET, HEAD"))
			return
		}
		s.serveMetadata(w, r)
		return
	}
	var serve func(http.ResponseWriter, *http.Request, Form) (*Client, error)
	path := r.URL.Path
	if below, ok := strings.CutPrefix(path, s.path); ok && strings.HasPrefix(below, "/") {
		path = below
	}
	switch path {
	case pathToken:
		serve = s.serveToken
	case pathIntrospect:
		serve = s.serveIntrospect
	case pathRevoke:
		serve = s.serveRevoke
	default:
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodPost {
		s.refuse(w, r, nil, methodNotAllowed(w, "POST"))
		return
	}
	form, err := readForm(w, r)
	if err != nil {
		s.refuse(w, r, nil, err)
		return
	}
	if client, err := serve(w, r, form); err != nil {
		s.refuse(w, r, client, err)
	}
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
// client.
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
		c.Secrets = append(c.Secrets[:len(c.Secrets):len(c.Secrets)], Secret{Hash: HashGenerated(plain)})
	}
	all, err := s.allScopes(ctx)
	if err != nil {
		return nil, "", err
	}
	if unknown := c.Scopes.Without(all); len(unknown) > 0 {
		return nil, "", fmt.Errorf("authserver: client %q: Scopes %q are not among the server's %q", c.ID, []string(unknown), []string(all))
	}
	if err := c.Check(); err != nil {
		return nil, "", err
	}
	return &c, plain, nil
}

func (s *Server) allScopes(ctx context.Context) (scopes.Set, error) {
	list, err := s.config.Scopes.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("authserver: ask for all scopes: %w", err)
	}
	names := make(scopes.Set, len(list))
	for i, d := range list {
		names[i] = d.Name
	}
	return names, nil
}

// find returns the live access token that was presented. ErrNotFound covers
// all that is none, without distinction.
func (s *Server) find(ctx context.Context, token string) (Record, error) {
	if !sneck.ValidToken(token) || !s.config.RecognizeToken(token) {
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
	if !s.config.RecognizeToken(token) {
		if strings.HasPrefix(token, AccessTokenPrefix) {
			return nil, fmt.Errorf("authserver: %w: damaged", sneck.ErrInvalid)
		}
		return nil, sneck.ErrUnrecognized
	}
	asked := s.config.Now()
	r, err := s.find(ctx, token)
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("authserver: %w: unknown, expired or revoked", sneck.ErrInvalid)
	}
	if err != nil {
		return nil, &sneck.UnavailableError{Err: fmt.Errorf("authserver: ask the store: %w", err)}
	}
	claims, err := s.claims(r)
	if err != nil {
		return nil, err
	}
	return &sneck.Token{
		Issuer: s.config.Issuer, Subject: r.Subject, ClientID: r.Client, Audience: r.Audience,
		Scopes: r.Scopes, ID: tokenID(r.Key), Type: typeBearer,
		IssuedAt: r.Issued, NotBefore: r.NotBefore, Expires: r.Expires,
		VerifiedAt: asked, Source: "store", RawClaims: claims,
	}, nil
}
