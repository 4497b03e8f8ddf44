package authserver

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// The ways in which a client may authenticate (RFC 7591, section 2).
const (
	methodBasic         = "client_secret_basic"
	methodPost          = "client_secret_post"
	methodSecretJWT     = "client_secret_jwt"
	methodPrivateKeyJWT = "private_key_jwt"
	methodTLS           = "tls_client_auth"
	methodSelfSignedTLS = "self_signed_tls_client_auth"
	methodNone          = "none"
)

// authMethods are those that a client can be registered for.
var authMethods = []string{methodBasic, methodPost, methodSecretJWT, methodPrivateKeyJWT, methodTLS, methodSelfSignedTLS}

// credentials is what a client presented. The method is empty for a client
// that only said who it is.
type credentials struct {
	id, secret, method string
	// assertion is there instead of method and secret.
	assertion *assertion
}

// readCredentials finds the one way in which the client authenticates. Two at
// once are refused (RFC 6749, section 2.3).
func readCredentials(header http.Header, form Form) (credentials, error) {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	values := header.Values("Authorization")
	asserts := form.Get("client_assertion") != "" || form.Get("client_assertion_type") != ""
	switch {
	case asserts && (len(values) > 0 || secret != ""):
		return credentials{}, invalidRequest("the client authenticates in two ways at once")
	case asserts:
		return readAssertion(id, form)
	case len(values) > 1:
		return credentials{}, invalidRequest("there is more than one Authorization header")
	case len(values) == 1 && secret != "":
		return credentials{}, invalidRequest("the client authenticates in two ways at once")
	case len(values) == 1:
		c, err := parseBasic(values[0])
		if err == nil && id != "" && id != c.id {
			return credentials{}, invalidRequest("the client_id differs from the one in the Authorization header")
		}
		return c, err
	case id == "":
		return credentials{}, invalidClient("the client does not say who it is", nil)
	case secret == "":
		return credentials{id: id}, nil
	}
	return credentials{id: id, secret: secret, method: methodPost}, nil
}

// readAssertion reads the assertion of a client, which says who that is (RFC
// 7521, section 4.2).
func readAssertion(id string, form Form) (credentials, error) {
	if form.Get("client_assertion_type") != assertionType {
		return credentials{}, invalidClient("the client_assertion_type is missing or not supported", nil)
	}
	a, err := parseAssertion(form.Get("client_assertion"))
	if err != nil {
		return credentials{}, invalidClient("the client assertion is malformed", err)
	}
	if id != "" && id != a.subject {
		return credentials{}, invalidRequest("the client_id differs from the one in the client assertion")
	}
	return credentials{id: a.subject, assertion: a}, nil
}

// parseBasic reads the value of an Authorization header in which identifier
// and secret are form-encoded first and then joined by a colon and encoded in
// base64 (RFC 6749, section 2.3.1).
func parseBasic(authorization string) (credentials, error) {
	scheme, encoded, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return credentials{}, invalidClient("the authentication scheme is not understood here", nil)
	}
	malformed := invalidClient("the Authorization header is malformed", nil)
	plain, err := base64.StdEncoding.Strict().DecodeString(strings.Trim(encoded, " "))
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		return credentials{}, malformed
	}
	user, password, found := strings.Cut(string(plain), ":")
	if !found {
		return credentials{}, malformed
	}
	id, err1 := url.QueryUnescape(user)
	secret, err2 := url.QueryUnescape(password)
	if err1 != nil || err2 != nil || id == "" {
		return credentials{}, malformed
	}
	return credentials{id: id, secret: secret, method: methodBasic}, nil
}

// authenticate returns the client that sent the request: one that has proved
// to know its secret, or a public one, which has not proved anything.
func (s *Server) authenticate(r *http.Request, form Form) (*Client, error) {
	client, err := s.identify(r, form)
	if err == nil {
		err = s.hookClient(r, client)
	}
	if err != nil {
		return nil, err
	}
	return client, nil
}

func (s *Server) identify(r *http.Request, form Form) (*Client, error) {
	ctx := r.Context()
	c, err := readCredentials(r.Header, form)
	if err != nil {
		return nil, err
	}
	var client *Client
	if validID(c.id) {
		client, err = s.config.Clients.Client(ctx, c.id)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, unavailable(fmt.Errorf("look up a client: %w", err))
	}
	switch {
	case c.assertion != nil:
		return s.byAssertion(ctx, client, c.assertion)
	case c.method == "" && client != nil && client.byCertificate():
		return s.authenticateTLS(r, client)
	}
	if client != nil && client.byKey() {
		client = nil // it has no secret that could be shown
	}
	if c.method == "" {
		if client == nil || !client.Public() {
			return nil, invalidClient("the client does not authenticate", err)
		}
		return client, nil
	}
	// A client that is not known is refused in the same words and after the
	// same work as a wrong secret.
	secret, err := s.verifySecret(r, client, c)
	if err != nil {
		return nil, err
	}
	if client.AuthMethod != "" && client.AuthMethod != c.method {
		return nil, invalidClient("the client is registered for another authentication method", nil)
	}
	s.upgrade(ctx, client, secret, c.secret)
	return client, nil
}

// verifySecret returns which of the client's secrets it has shown. If that is slow
// to say, those who say at one address to be one client are verified one after
// the other, and who fails is counted before the next: of many guesses at once
// no more get through than of one by one.
func (s *Server) verifySecret(r *http.Request, client *Client, c credentials) (*Secret, error) {
	var done func()
	defer func() {
		if done != nil {
			done()
		}
	}()
	gate := func() error {
		err := s.failures(r, c.id, 0)
		if err == nil && done == nil {
			done, err = s.keeper.turn(r.Context(), s.failureKey(r, c.id))
		}
		return err
	}
	secret, err := s.keeper.verify(r.Context(), client, c.secret, s.config.Now(), gate)
	switch {
	case err == nil:
		return secret, nil
	case done == nil || !errors.Is(err, errWrongSecret):
		return nil, notVerified(err)
	}
	if err := s.failures(r, c.id, 1); err != nil {
		return nil, err
	}
	refused := invalidClient("client authentication failed", err)
	refused.counted = true
	return nil, refused
}

// notVerified returns the answer to who could not be verified.
func notVerified(err error) error {
	var limited *Error
	switch {
	case errors.Is(err, errWrongSecret):
		return invalidClient("client authentication failed", err)
	case errors.As(err, &limited):
		return limited
	}
	return unavailable(fmt.Errorf("verify a secret: %w", err))
}
