package authserver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/sneckauth/sneck/scopes"
)

// A LoginFunc finds out who sits in front of the browser and whether they
// approve. It either returns an Approval; or one of the errors below, which is
// reported to the client; or nil and nil after it has written an answer of its
// own, such as a page, or a redirect to one, from which the user comes back
// to the same URL.
//
// It is called for GET, and for POST if a form on its own page was sent to the
// same URL; requests from other sites do not get here. The headers that it
// finds set keep its pages out of frames and caches.
type LoginFunc func(w http.ResponseWriter, r *http.Request, a *AuthorizationRequest) (*Approval, error)

// What a LoginFunc may report to the client (RFC 6749, section 4.1.2.1; OpenID
// Connect Core, section 3.1.2.6).
var (
	// ErrAccessDenied means that the user does not approve.
	ErrAccessDenied = errors.New("authserver: access denied")
	// ErrLoginRequired means that the client asked for no page (prompt=none)
	// and nobody is signed in.
	ErrLoginRequired = errors.New("authserver: login required")
	// ErrConsentRequired means that the client asked for no page and the user
	// has not approved yet.
	ErrConsentRequired = errors.New("authserver: consent required")
)

// An AuthorizationRequest is what a client asks the user for. It has been
// checked: client and redirect URI are known, the scopes may be granted. It is
// read-only.
type AuthorizationRequest struct {
	Client      *Client
	RedirectURI string
	Scopes      scopes.Set
	Audience    []string
	// Prompt is the "prompt" parameter, such as "none", "login" or "consent".
	Prompt string
	// LoginHint is who the client thinks the user is; nothing vouches for it.
	LoginHint string
	// UserCode is the code that a user has typed who connects a device (RFC 8628); empty
	// otherwise. There is no RedirectURI then, and an approval for GET is
	// confirmed by the user on a page of the server.
	UserCode string
	// Form holds all parameters, for what has no field here.
	Form Form

	server    *Server
	from      netip.Addr
	state     string
	named     bool // the client has named the redirect URI
	implicit  bool // the answer is a token, in the fragment
	challenge challenge
}

// An Approval says that a user lets a client act for them.
type Approval struct {
	// Subject identifies the user, for ever and never anybody else. It must
	// not be the ID of a client.
	Subject string
	// Scopes is what the user approves of; nil for all that was asked for.
	Scopes scopes.Set
	// Authentication is told to resource servers.
	Authentication
	// Claims is said about the tokens besides: a JSON object, or nil.
	Claims json.RawMessage
	// Remember has the consent remembered, so that it need not be asked for
	// again: see [AuthorizationRequest.Consented].
	Remember bool
}

// An Authentication says how a user was authenticated.
type Authentication struct {
	// Username is a name for people to read.
	Username string `json:"username,omitempty"`
	// AuthTime is when the user signed in, in seconds since 1970; 0 if
	// unknown.
	AuthTime int64 `json:"auth_time,omitempty"`
	// ACR names the authentication context class.
	ACR string `json:"acr,omitempty"`
}

func (a Authentication) authTime() time.Time {
	if a.AuthTime == 0 {
		return time.Time{}
	}
	return time.Unix(a.AuthTime, 0)
}

// serveAuthorize answers at the authorization endpoint (RFC 6749, section
// 4.1.1). The parameters are in the query; a body belongs to the Login's page.
func (s *Server) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	protectPage(w.Header())
	if err := s.crossOrigin.Check(r); err != nil {
		s.page(w, r, nil, http.StatusForbidden, "the request came from another site", err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	form, err := readQuery(r)
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	a, err := s.authorizationTarget(r.Context(), form)
	var e *Error
	if errors.As(err, &e) && e.Status == http.StatusServiceUnavailable {
		s.page(w, r, nil, e.Status, e.Description, e.Err)
		return
	}
	if err != nil {
		// There is nobody to redirect to who could be trusted.
		s.page(w, r, nil, http.StatusBadRequest, err.Error(), nil)
		return
	}
	a.from = s.address(r)
	err = s.checkAuthorization(r.Context(), a)
	if err == nil && a.implicit {
		err = s.hookClient(r, a.Client) // it does not come to the token endpoint
	}
	if err != nil {
		s.redirectError(w, r, a, err)
		return
	}
	approval, err := s.config.Login(w, r, a)
	if err != nil {
		s.redirectError(w, r, a, err)
		return
	}
	if approval == nil {
		return // Login has answered
	}
	params, err := s.issueApproved(r.Context(), a, approval)
	if err != nil {
		s.redirectError(w, r, a, err)
		return
	}
	s.redirect(w, r, a, params)
}

// issueApproved issues what the client has asked for, and returns the
// parameters of the answer.
func (s *Server) issueApproved(ctx context.Context, a *AuthorizationRequest, approval *Approval) (url.Values, error) {
	if a.implicit {
		return s.issueDirectly(ctx, a, approval)
	}
	code, err := s.issueCode(ctx, a, approval)
	return url.Values{"code": {code}}, err
}

// protectPage keeps a page out of frames and caches, and its URL to itself.
func protectPage(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Content-Security-Policy", "frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
}

// authorizationTarget finds the client and where it wants the answer. Until
// both are known to be good, errors are shown to the user.
func (s *Server) authorizationTarget(ctx context.Context, form Form) (*AuthorizationRequest, error) {
	id := form.Get("client_id")
	if !validID(id) {
		return nil, errors.New("client_id is missing or malformed")
	}
	client, err := s.config.Clients.Client(ctx, id)
	if errors.Is(err, ErrNotFound) || err == nil && client == nil {
		return nil, errors.New("the client is not known")
	}
	if err != nil {
		return nil, unavailable(fmt.Errorf("look up a client: %w", err))
	}
	uri, err := s.redirectURI(client, form.Get("redirect_uri"))
	if err != nil {
		return nil, err
	}
	return &AuthorizationRequest{
		server: s, Client: client, RedirectURI: uri, named: form.Get("redirect_uri") != "", Form: form, state: form.Get("state"),
		Prompt: form.Get("prompt"), LoginHint: form.Get("login_hint"),
		implicit: form.Get("response_type") == "token" && s.grantsType(GrantImplicit),
	}, nil
}

// checkAuthorization checks all that can be reported to the client.
func (s *Server) checkAuthorization(ctx context.Context, a *AuthorizationRequest) error {
	form := a.Form
	standardMode := "query"
	switch responseType := form.Get("response_type"); {
	case responseType == "":
		return invalidRequest("response_type is missing")
	case a.implicit:
		standardMode = "fragment"
	case responseType != "code" || !s.grantsType(GrantAuthorizationCode):
		return &Error{Code: "unsupported_response_type", Description: "the response_type is not supported"}
	}
	if mode := form.Get("response_mode"); mode != "" && mode != standardMode {
		return invalidRequest("response_mode must be " + standardMode + " for this response_type")
	}
	if form.Get("request") != "" {
		return &Error{Code: "request_not_supported", Description: "request objects are not supported"}
	}
	if form.Get("request_uri") != "" {
		return &Error{Code: "request_uri_not_supported", Description: "request_uri is not supported"}
	}
	if !a.Client.MayUse(a.grantType()) {
		return &Error{Code: codeUnauthorizedClient, Description: "the client may not use this grant type"}
	}
	if a.implicit && (a.Client.bound() || form.Get("dpop_jkt") != "") {
		return &Error{Code: codeUnauthorizedClient, Description: "this grant can not bind tokens to a key"}
	}
	var err error
	if a.challenge, err = s.readChallenge(a); err != nil {
		return err
	}
	if a.Audience, err = s.audience(a.Client, form.Resources()); err != nil {
		return err
	}
	a.Scopes, err = s.grantScopes(ctx, a.Client, form.Get("scope"), scopes.Request{
		ClientID: a.Client.ID, GrantType: a.grantType(), Audience: a.Audience,
	})
	return err
}

// readChallenge returns the challenge of a request for a code.
func (s *Server) readChallenge(a *AuthorizationRequest) (challenge, error) {
	if a.implicit {
		return challenge{}, nil
	}
	c, err := readChallenge(a.Form.Get("code_challenge"), a.Form.Get("code_challenge_method"), s.config.InsecureAllowPlainPKCE)
	if err == nil && c.Value == "" && s.pkceRequired(a.Client) {
		return c, invalidRequest("code_challenge is missing")
	}
	return c, err
}

// pkceRequired reports whether the client has to send a challenge; a public
// one always has (RFC 9700, section 2.1.1).
func (s *Server) pkceRequired(c *Client) bool {
	return c.Public() || s.config.PKCERequired == nil || s.config.PKCERequired(c.ID)
}

// redirect sends the browser back to the client. With 303, it comes with GET
// and without what was in the body (RFC 9700, section 4.12).
func (s *Server) redirect(w http.ResponseWriter, r *http.Request, a *AuthorizationRequest, params url.Values) {
	if a.state != "" {
		params.Set("state", a.state)
	}
	params.Set("iss", s.config.Issuer) // RFC 9207, section 2
	location := withParams(a.RedirectURI, params)
	if a.implicit {
		location = a.RedirectURI + "#" + params.Encode() // what is registered has no fragment
	}
	if r.Method == http.MethodPost && s.config.Pages.Return != nil {
		s.config.Pages.Return(w, r, location)
		return
	}
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}

func (s *Server) redirectError(w http.ResponseWriter, r *http.Request, a *AuthorizationRequest, err error) {
	var e *Error
	switch {
	case errors.As(err, &e):
	case errors.Is(err, ErrAccessDenied):
		e = &Error{Code: codeAccessDenied, Description: "the user does not approve"}
	case errors.Is(err, ErrLoginRequired):
		e = &Error{Code: "login_required", Description: "the user is not signed in"}
	case errors.Is(err, ErrConsentRequired):
		e = &Error{Code: "consent_required", Description: "the user has not approved yet"}
	default:
		e = unavailable(err)
	}
	s.logRefusal(r, a.Client, e, http.StatusSeeOther)
	if e.Code == codeAccessDenied {
		event := Event{
			Kind: EventAuthorizationDenied, Client: a.Client.ID, Grant: a.grantType(),
			Scopes: a.Scopes, Audience: a.Audience, Address: a.from,
		}
		if s.observe(r.Context(), event) != nil {
			e = unavailable(nil)
		}
	}
	params := url.Values{"error": {e.Code}}
	if e.Description != "" {
		params.Set("error_description", e.Description)
	}
	s.redirect(w, r, a, params)
}

// pageError tells the user that something is wrong with the parameters.
func (s *Server) pageError(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusBadRequest
	var e *Error
	if errors.As(err, &e) {
		status = cmp.Or(e.Status, status)
	}
	s.page(w, r, nil, status, "the parameters are malformed, repeated or too long", err)
}

// page tells the user what is wrong where the client can not be told.
func (s *Server) page(w http.ResponseWriter, r *http.Request, client *Client, status int, text string, cause error) {
	s.logRefusal(r, client, &Error{Code: codeInvalidRequest, Description: text, Err: cause}, status)
	h := w.Header()
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	if s.config.Pages.Error != nil {
		s.config.Pages.Error(w, r, PageError{Status: status, Text: text, Client: client})
		return
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "This request can not be answered: %s.\n", text)
}

func (s *Server) logApproval(ctx context.Context, a *AuthorizationRequest, granted scopes.Set) {
	s.config.Logger.LogAttrs(ctx, slog.LevelDebug, "code issued",
		slog.String("client", a.Client.ID), slog.String("scope", granted.String()))
}
