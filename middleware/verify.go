package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/sneckauth/sneck"
)

// verify asks the Verifier. One that has neither token nor error has not
// found out, so the request is refused like in an outage.
func (g *Guard) verify(ctx context.Context, token string, start time.Time) (t *sneck.Token, err error) {
	if g.remembers != nil {
		t, err = g.remembers.VerifyAt(ctx, token, start)
	} else {
		t, err = g.config.Verifier.Verify(ctx, token)
	}
	if err != nil {
		return nil, withhold(err, token)
	}
	if t == nil {
		return nil, errNoVerdict
	}
	return t, nil
}

// refuse tells the three kinds of "no" apart.
func (g *Guard) refuse(r *http.Request, d *Decision, token string, err error) {
	d.Err = err
	switch {
	case errors.Is(err, errNoVerdict):
		d.Reason = ReasonBroken
	case errors.Is(err, sneck.ErrInvalid):
		d.Reason = ReasonInvalid
		if mistake := misshapen(token); mistake != "" {
			d.mistake(mistake)
		}
	case errors.Is(err, sneck.ErrUnrecognized):
		d.Reason = ReasonUnrecognized
	case r.Context().Err() != nil:
		d.Reason = ReasonGone
	default:
		d.Reason = ReasonUnavailable
	}
	var unavailable *sneck.UnavailableError
	if errors.As(err, &unavailable) {
		d.RetryAfter = min(unavailable.RetryAfter, maxRetryAfter)
	}
}

var errNoVerdict = errors.New("middleware: the verifier returned neither a token nor an error")

// A panicError is a panic of the Verifier, without what might hold a token.
type panicError struct {
	what  string
	stack []byte
}

func newPanicError(v any) *panicError {
	what := fmt.Sprintf("a value of type %T", v)
	if err, ok := v.(runtime.Error); ok {
		what = err.Error()
	}
	return &panicError{what, debug.Stack()}
}

func (e *panicError) Error() string { return "middleware: the verifier panicked: " + e.what }

// withhold replaces an error that quotes the token, as it is or as it stands in
// a URL, such as a [url.Error] of a request that should not have had it there,
// and keeps its kind.
// Shorter tokens than any real one are not looked for: they are in any text.
func withhold(err error, token string) error {
	const shortest = 16
	if len(token) < shortest || !quotes(err.Error(), token) {
		return err
	}
	const text = "middleware: the verifier's error quoted the token and is withheld"
	switch {
	case errors.Is(err, sneck.ErrInvalid):
		return fmt.Errorf(text+": %w", sneck.ErrInvalid)
	case errors.Is(err, sneck.ErrUnrecognized):
		return fmt.Errorf(text+": %w", sneck.ErrUnrecognized)
	}
	return errors.New(text)
}

func quotes(text, token string) bool {
	return strings.Contains(text, token) ||
		strings.Contains(text, url.QueryEscape(token)) || strings.Contains(text, url.PathEscape(token))
}
