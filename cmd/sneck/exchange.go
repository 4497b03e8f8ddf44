package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sneckauth/sneck"
)

// A client is an HTTP client that follows no redirects, uses no proxy and
// keeps its connections to itself.
type client struct{ *http.Client }

// newClient returns a client that keeps as many connections as it may need at
// a time.
func newClient(connections int) client {
	return client{&http.Client{
		Transport: &http.Transport{
			MaxIdleConns:        connections,
			MaxIdleConnsPerHost: connections,
			IdleConnTimeout:     time.Minute,
			TLSHandshakeTimeout: 10 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// credentials are what a client authenticates with.
type credentials struct{ id, secret string }

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// maxAnswer is the longest answer that is read, in bytes.
const maxAnswer = 1 << 20

// send sends a request and reads the answer to its end.
func (c client) send(r *http.Request) (*answer, error) {
	resp, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	return &answer{resp.StatusCode, resp.Header, body}, nil
}

// post sends a form, with the credentials as RFC 6749, section 2.3.1, has it,
// if there are any.
func (c client) post(ctx context.Context, endpoint string, who credentials, form url.Values) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	if who != (credentials{}) {
		r.SetBasicAuth(url.QueryEscape(who.id), url.QueryEscape(who.secret))
	}
	return c.send(r)
}

// A tokenAnswer is a successful answer of a token endpoint (RFC 6749, section
// 5.1).
type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"`
}

// token reads the answer of a token endpoint. A [*refusedError] is its "no".
func (a *answer) token() (*tokenAnswer, error) {
	if a.status != http.StatusOK {
		e := &refusedError{status: a.status}
		_ = json.Unmarshal(a.body, e) // what is not JSON tells nothing more
		return nil, e
	}
	var t tokenAnswer
	if err := json.Unmarshal(a.body, &t); err != nil {
		return nil, fmt.Errorf("the answer is not that of a token endpoint: %w", err)
	}
	if !sneck.ValidToken(t.AccessToken) {
		return nil, fmt.Errorf("the answer is not that of a token endpoint: there is no access token in it")
	}
	return &t, nil
}

// A refusedError is an answer other than 200 (RFC 6749, section 5.2).
type refusedError struct {
	status      int
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

func (e *refusedError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("the server answered with status %d (hint: is --url the right endpoint?)", e.status)
	}
	text := fmt.Sprintf("the server answered with status %d: %s", e.status, printable(e.Code))
	if e.Description != "" {
		text += ", " + printable(e.Description)
	}
	return text + e.hint()
}

// hint says what to look at.
func (e *refusedError) hint() string {
	switch e.Code {
	case "invalid_client":
		return " (hint: look at --client and at the secret)"
	case "invalid_scope":
		return " (hint: --scope must be among the client's, see sneck client show)"
	case "invalid_target":
		return " (hint: the client needs an audience, or --resource one that it may ask for)"
	case "unauthorized_client":
		return " (hint: the client is not registered for this grant, see sneck client show)"
	}
	return ""
}
