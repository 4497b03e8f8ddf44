package introspect

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/sneckauth/sneck/internal/strictjson"
)

// failed turns the error of an exchange into the third kind of "no".
func failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return unavailable(0, describe(err))
}

// judge reads a response to its end.
func (q *call) judge(ctx context.Context, r *http.Response) ([]byte, error) {
	c := q.client
	if r.StatusCode >= 500 {
		q.leave(ctx, sick)
	}
	if r.StatusCode != http.StatusOK {
		defer q.leave(ctx, healthy)
		return nil, q.refused(ctx, r)
	}
	if want := c.cfg.mediaType(); !mediaType(r, want) {
		q.leave(ctx, healthy)
		return nil, c.badAnswer("is not of type " + want)
	}
	body, err := readBody(r, maxAnswerBytes)
	var bad *badBody
	switch {
	case errors.As(err, &bad):
		q.leave(ctx, healthy)
		return nil, c.badAnswer(bad.what)
	case err != nil:
		q.leave(ctx, blame(ctx, err))
		return nil, failed(ctx, err)
	}
	q.leave(ctx, healthy)
	return body, nil
}

// refused says what a status other than 200 means.
func (q *call) refused(ctx context.Context, r *http.Response) error {
	c := q.client
	after := retryAfter(r, c.now())
	switch status := r.StatusCode; {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return q.credentialsRefused(ctx, status)
	case status == http.StatusBadRequest:
		body, _ := readBody(r, maxAnswerBytes)
		switch code := errorCode(r, body); {
		case code == "invalid_token", code == "unsupported_token_type":
			return errRefused
		case refusesClient(code):
			return q.credentialsRefused(ctx, status)
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

// refusesClient reports whether an error code is about the credentials.
func refusesClient(code string) bool {
	return code == "invalid_client" || code == "unauthorized_client"
}

// errorCode returns the "error" of a JSON body (RFC 6749, section 5.2), or "".
func errorCode(r *http.Response, body []byte) string {
	var answer struct {
		Error string `json:"error"`
	}
	if !mediaType(r, "application/json") || strictjson.Unmarshal(body, &answer) != nil {
		return ""
	}
	return answer.Error
}

func (q *call) credentialsRefused(ctx context.Context, status int) error {
	q.alarm(ctx)
	return unavailable(0, fmt.Errorf("%w: status %d", ErrCredentials, status))
}

// alarm makes it known that our credentials were refused.
func (q *call) alarm(ctx context.Context) {
	c := q.client
	c.counters.credentials.Add(1)
	if n := c.credentialsAlarm.ring(c.now()); n > 0 {
		c.log.ErrorContext(ctx, "introspect: the authority refuses our credentials, no token can be verified",
			"authority", q.at.url.Host, "times", n)
	}
}

func (c *Client) badAnswer(what string) error {
	c.counters.badAnswers.Add(1)
	return unavailable(0, &exchangeError{"the answer " + what, nil})
}
