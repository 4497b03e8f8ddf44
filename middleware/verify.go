package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/sneckauth/sneck"
)

// A clocked Verifier is told the time, as reading the clock is a tenth of the
// cost of a remembered answer. The token it returns was not expired when it
// returned, even if it has waited since the given time.
type clocked interface {
	VerifyAt(ctx context.Context, token string, now time.Time) (*sneck.Token, error)
}

// verify asks the Verifier, and returns the time at which the token has to be
// good. A Verifier that panics or that has neither token nor error has not
// found out, so the request is refused like in an outage.
func (g *Guard) verify(ctx context.Context, token string, start time.Time) (t *sneck.Token, now time.Time, err error) {
	defer func() {
		if v := recover(); v != nil {
			t, err = nil, newPanicError(v)
		}
	}()
	if g.clocked != nil {
		t, err = g.clocked.VerifyAt(ctx, token, start)
	} else {
		t, err = g.config.Verifier.Verify(ctx, token)
	}
	switch {
	case err != nil:
		return nil, start, withhold(err, token)
	case t == nil:
		return nil, start, errNoVerdict
	case g.clocked != nil && t.VerifiedAt.Before(start):
		return t, start, nil // it was remembered
	}
	return t, g.config.Now(), nil
}

// refuse tells the three kinds of "no" apart.
func (g *Guard) refuse(r *http.Request, d *Decision, err error) {
	var panicked *panicError
	d.Err = err
	switch {
	case errors.As(err, &panicked), errors.Is(err, errNoVerdict):
		d.Reason = ReasonBroken
	case errors.Is(err, sneck.ErrInvalid):
		d.Reason = ReasonInvalid
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

// withhold replaces an error that quotes the token, such as a [url.Error] of
// a request that should not have had it in its URL, and keeps its kind.
// Shorter tokens than any real one are not looked for: they are in any text.
func withhold(err error, token string) error {
	const shortest = 16
	if len(token) < shortest || !strings.Contains(err.Error(), token) {
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
