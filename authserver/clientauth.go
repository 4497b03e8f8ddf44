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
	methodBasic = "client_secret_basic"
	methodPost  = "client_secret_post"
	methodNone  = "none"
)

// credentials is what a client presented. The method is empty for a client
// that only said who it is.
type credentials struct{ id, secret, method string }

// readCredentials finds the one way in which the client authenticates. Two at
// once are refused (RFC 6749, section 2.3).
func readCredentials(header http.Header, form Form) (credentials, error) {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	values := header.Values("Authorization")
	switch {
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
	return credentials{id, secret, methodPost}, nil
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
	return credentials{id, secret, methodBasic}, nil
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
	if c.method == "" {
		if client == nil || !client.Public() {
			return nil, invalidClient("the client does not authenticate", err)
		}
		return client, nil
	}
	// A client that is not known is refused in the same words and after the
	// same work as a wrong secret.
	secret, err := s.keeper.verify(ctx, client, c.secret, s.config.Now(), func() error { return s.failures(r, c.id, 0) })
	if err != nil {
		return nil, notVerified(err)
	}
	if client.AuthMethod != "" && client.AuthMethod != c.method {
		return nil, invalidClient("the client is registered for another authentication method", nil)
	}
	s.upgrade(ctx, client, secret, c.secret)
	return client, nil
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
