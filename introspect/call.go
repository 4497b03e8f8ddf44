package introspect

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/sneckauth/sneck/internal/strictjson"
)

// A call is one question with all its tries. It is the context of its
// requests, by which the hooks of retryablehttp, which all calls share, find
// it.
type call struct {
	context.Context
	client *Client
	token  string

	// The current try.
	header http.Header
	body   []byte

	repeated, renewed bool
	signed            bool // for the next try already
}

// ask returns the body of a definite answer, or an error of one of the three
// kinds.
func (c *Client) ask(ctx context.Context, token string) ([]byte, error) {
	q := &call{Context: ctx, client: c, token: token}
	if err := q.sign(""); err != nil {
		return nil, unavailable(0, err)
	}
	request, err := http.NewRequestWithContext(q, http.MethodPost, "", nil)
	if err != nil {
		return nil, unavailable(0, describe(err))
	}
	request.URL, request.Host = c.endpoint, c.endpoint.Host
	request.Header = q.header
	repeatable := &retryablehttp.Request{Request: request}
	if err := repeatable.SetBody(retryablehttp.ReaderFunc(q.reader)); err != nil {
		return nil, unavailable(0, describe(err))
	}
	response, err := c.http.Do(repeatable)
	if response != nil {
		defer response.Body.Close()
	}
	if err != nil {
		return nil, failed(ctx, err)
	}
	return c.judge(ctx, response)
}

// sign makes header and body of a try. The ones of the try before may still
// be read by its connection and are left alone.
func (q *call) sign(refused string) error {
	c := q.client
	form := make(url.Values, 3+len(c.cfg.Parameters))
	for name, values := range c.cfg.Parameters {
		form[name] = values
	}
	form["token"] = []string{q.token}
	if c.cfg.TokenTypeHint != "" {
		form["token_type_hint"] = []string{c.cfg.TokenTypeHint}
	}
	header := make(http.Header, len(c.header)+1)
	for name, values := range c.header {
		header[name] = values
	}
	r := Request{Issuer: c.cfg.Issuer, URL: c.cfg.Endpoint, Header: header, Form: form, Refused: refused}
	if err := c.cfg.Credential.Sign(q, &r); err != nil {
		return &signError{fmt.Errorf("introspect: the request could not be signed: %w", err)}
	}
	q.header, q.body = r.Header, []byte(r.Form.Encode())
	return nil
}

// reader is called by retryablehttp once for every try.
func (q *call) reader() (io.Reader, error) { return bytes.NewReader(q.body), nil }

// failed turns the error of an exchange into the third kind of "no".
func failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return unavailable(0, describe(err))
}

// judge reads a response to its end.
func (c *Client) judge(ctx context.Context, r *http.Response) ([]byte, error) {
	if r.StatusCode != http.StatusOK {
		return nil, c.refused(ctx, r)
	}
	if !mediaType(r, "application/json") {
		return nil, c.badAnswer("is not of type application/json")
	}
	body, err := readBody(r, maxAnswerBytes)
	if err != nil {
		return nil, failed(ctx, err)
	}
	return body, nil
}

// refused says what a status other than 200 means.
func (c *Client) refused(ctx context.Context, r *http.Response) error {
	after := retryAfter(r, c.now())
	switch status := r.StatusCode; {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return c.credentialsRefused(ctx, status)
	case status == http.StatusBadRequest:
		switch code := c.errorCode(r); {
		case code == "invalid_token", code == "unsupported_token_type":
			return errRefused
		case code == "invalid_client", code == "unauthorized_client":
			return c.credentialsRefused(ctx, status)
		case c.cfg.InvalidTokenOn400:
			return errRefused
		}
		return unavailable(after, errBadRequest)
	case status >= 300 && status < 400:
		return unavailable(after, &exchangeError{fmt.Sprintf("the authority answered with status %d, and redirects are not followed (hint: configure the final URL)", status), nil})
	default:
		return unavailable(after, &exchangeError{fmt.Sprintf("the authority answered with status %d", status), nil})
	}
}

var errBadRequest = &exchangeError{"the authority answered with status 400 (hint: if it means a bad token, set Config.InvalidTokenOn400)", nil}

// errorCode returns the "error" of a JSON body (RFC 6749, section 5.2), or "".
func (c *Client) errorCode(r *http.Response) string {
	if !mediaType(r, "application/json") {
		return ""
	}
	body, err := readBody(r, maxAnswerBytes)
	if err != nil {
		return ""
	}
	var answer struct {
		Error string `json:"error"`
	}
	if strictjson.Unmarshal(body, &answer) != nil {
		return ""
	}
	return answer.Error
}

func (c *Client) credentialsRefused(ctx context.Context, status int) error {
	c.counters.credentials.Add(1)
	if n := c.alarm.ring(c.now()); n > 0 {
		c.log.ErrorContext(ctx, "introspect: the authority refuses our credentials, no token can be verified",
			"authority", c.endpoint.Host, "status", status, "times", n)
	}
	return unavailable(0, fmt.Errorf("%w: status %d", ErrCredentials, status))
}

func (c *Client) badAnswer(what string) error {
	c.counters.badAnswers.Add(1)
	return unavailable(0, &exchangeError{"the answer " + what, nil})
}
