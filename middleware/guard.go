package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/scopes"
)

// A Guard admits requests whose token passes. Make one with [New]. It is safe
// for concurrent use and does not change.
type Guard struct {
	config     Config // Realm, RetryAfter and Now are filled in
	challenges challenges
	sources    []source // besides the header
	crossSite  *http.CrossOriginProtection
}

// New returns a Guard, or an error that names every mistake in the config.
func New(c Config) (*Guard, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	c.Audience = slices.Clone(c.Audience)
	if c.Realm == "" {
		c.Realm = defaultRealm
	}
	if c.RetryAfter == 0 {
		c.RetryAfter = defaultRetryAfter
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Guard{
		config:     c,
		challenges: newChallenges(&c),
		sources:    newSources(&c),
		crossSite:  http.NewCrossOriginProtection(),
	}, nil
}

// Require returns middleware that admits requests whose token meets the
// requirement. It panics if the requirement can not be met, as
// [http.ServeMux.Handle] does for a bad pattern.
func (g *Guard) Require(req scopes.Requirement) func(http.Handler) http.Handler {
	return g.Protect(Policy{Scopes: req})
}

// Wrap returns a handler that admits requests with any valid token.
func (g *Guard) Wrap(h http.Handler) http.Handler { return g.Require(scopes.AnyToken())(h) }

// Optional returns a handler that admits requests with any valid token and
// requests without one. A token that is not valid is refused.
func (g *Guard) Optional(h http.Handler) http.Handler {
	return g.Protect(Policy{Scopes: scopes.AnyToken(), Optional: true})(h)
}

// Protect returns middleware that admits requests that satisfy the policy.
// The handler finds the token with [sneck.FromContext]. Protect panics if no
// request can satisfy the policy.
func (g *Guard) Protect(p Policy) func(http.Handler) http.Handler {
	if err := p.check(); err != nil {
		panic(err)
	}
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			d := g.Check(r, p)
			if !d.Allowed {
				g.Refuse(w, r, d)
				return
			}
			h.ServeHTTP(w, g.Admit(w, r, d))
		})
	}
}

// Check decides whether a request may pass, and reports the decision to the
// Logger and to Observe. It writes nothing: see [Guard.Admit] and
// [Guard.Refuse].
func (g *Guard) Check(r *http.Request, p Policy) Decision {
	d := g.decide(r, &p)
	g.report(r, &d)
	return d
}

// Admit readies a request that was allowed for its handler: it returns a
// request whose context carries the token ([sneck.FromContext]), and sets
// what the answer needs in the header of w.
func (g *Guard) Admit(w http.ResponseWriter, r *http.Request, d Decision) *http.Request {
	if !d.Allowed || d.Token == nil {
		return r
	}
	r = r.WithContext(sneck.NewContext(r.Context(), d.Token))
	if d.Source == SourceQuery {
		w.Header().Set("Cache-Control", "private") // RFC 6750, section 2.3
		stripQuery(r)
	}
	return r
}

// decide is the whole way of a request. Whatever is not admitted at its end
// has been refused before.
func (g *Guard) decide(r *http.Request, p *Policy) Decision {
	c, mistake := g.credential(r)
	switch {
	case mistake != "":
		return Decision{Reason: mistake}
	case c.token == "" && p.Optional:
		return Decision{Reason: ReasonAnonymous, Allowed: true}
	case c.token == "":
		return Decision{Reason: ReasonNoToken}
	case c.source == SourceCookie && g.crossSite.Check(r) != nil:
		return Decision{Reason: ReasonCrossOrigin, Source: c.source}
	}

	t, err := g.verify(r.Context(), c.token)
	if err != nil {
		return g.refusal(r, c, err)
	}

	now := g.config.Now()
	need := p.Scopes.For(r.Method)
	d := Decision{Token: t, Source: c.source}
	if !t.VerifiedAt.IsZero() {
		d.Age = max(now.Sub(t.VerifiedAt), 0)
	}
	switch {
	case !g.config.DangerouslyAnyAudience && !t.MeantFor(g.config.Audience...):
		d.Reason = ReasonAudience
	case t.ExpiredAt(now):
		d.Reason = ReasonExpired
	case now.Before(t.NotBefore):
		d.Reason = ReasonNotYet
	case t.Confirmation != nil:
		d.Reason = ReasonBinding // the key was not proven
	case !need.Met(t.Scopes):
		d.Reason = ReasonForbidden
		if d.Required = need.Closest(t.Scopes); d.Required != nil {
			d.Reason, d.Missing = ReasonScope, need.Missing(t.Scopes)
		}
	default:
		d.Reason, d.Allowed = ReasonAdmitted, true
	}
	return d
}

// verify asks the Verifier. A Verifier that panics or that has neither token
// nor error has not found out, so the request is refused like in an outage.
func (g *Guard) verify(ctx context.Context, token string) (t *sneck.Token, err error) {
	defer func() {
		if v := recover(); v != nil {
			t, err = nil, newPanicError(v)
		}
	}()
	t, err = g.config.Verifier.Verify(ctx, token)
	switch {
	case err != nil:
		return nil, withhold(err, token)
	case t == nil:
		return nil, errNoVerdict
	}
	return t, nil
}

// refusal tells the three kinds of "no" apart.
func (g *Guard) refusal(r *http.Request, c credential, err error) Decision {
	d := Decision{Err: err, Source: c.source}
	var unavailable *sneck.UnavailableError
	var panicked *panicError
	switch {
	case errors.As(err, &panicked), errors.Is(err, errNoVerdict):
		d.Reason = ReasonBroken
	case errors.Is(err, sneck.ErrInvalid):
		d.Reason = ReasonInvalid
		return d
	case errors.Is(err, sneck.ErrUnrecognized):
		d.Reason = ReasonUnrecognized
		return d
	case r.Context().Err() != nil:
		d.Reason = ReasonGone
	default:
		d.Reason = ReasonUnavailable
	}
	d.RetryAfter = g.config.RetryAfter
	if errors.As(err, &unavailable) && unavailable.RetryAfter > 0 {
		d.RetryAfter = min(unavailable.RetryAfter, maxRetryAfter)
	}
	return d
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
