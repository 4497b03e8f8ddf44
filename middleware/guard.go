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
	"github.com/sneckauth/sneck/internal/dpop"
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
	c.DPoP = c.DPoP.filled(c.Now)
	c.MTLS.TrustedProxies = slices.Clone(c.MTLS.TrustedProxies)
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
	if d.RetryAfter <= 0 && d.Status() == http.StatusServiceUnavailable {
		d.RetryAfter = g.config.RetryAfter
	}
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
	if d.Nonce != "" {
		w.Header().Set("DPoP-Nonce", d.Nonce) // RFC 9449, section 8.2
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
	d := Decision{Reason: mistake, Source: c.source, Scheme: string(c.scheme)}
	switch {
	case mistake != "":
		return d
	case c.token == "" && p.Optional:
		d.Reason, d.Allowed = ReasonAnonymous, true
		return d
	case c.token == "":
		d.Reason = ReasonNoToken
		return d
	case c.source == SourceCookie && g.crossSite.Check(r) != nil:
		d.Reason = ReasonCrossOrigin
		return d
	}

	var proof *dpop.Proof
	if c.scheme == schemeDPoP {
		now := g.config.Now()
		d.Nonce = g.config.DPoP.nonce(now)
		if proof, d.Reason, d.Err = g.config.DPoP.read(r, c.token, now); d.Reason != "" {
			return d
		}
	}

	t, err := g.verify(r.Context(), c.token)
	if err != nil {
		g.refuse(r, &d, err)
		return d
	}

	d.Token = t
	g.weigh(r, p, proof, &d)
	return d
}

// weigh decides about a token that the Verifier knows.
func (g *Guard) weigh(r *http.Request, p *Policy, proof *dpop.Proof, d *Decision) {
	t, now := d.Token, g.config.Now()
	if !t.VerifiedAt.IsZero() {
		d.Age = max(now.Sub(t.VerifiedAt), 0)
	}
	switch {
	case !g.config.DangerouslyAnyAudience && !t.MeantFor(g.config.Audience...):
		d.Reason = ReasonAudience
		return
	case t.ExpiredAt(now):
		d.Reason = ReasonExpired
		return
	case now.Before(t.NotBefore):
		d.Reason = ReasonNotYet
		return
	}
	if d.Reason, d.Err = g.bound(r, p, t, proof); d.Reason != "" {
		return
	}
	if need := p.Scopes.For(r.Method); !need.Met(t.Scopes) {
		d.Reason = ReasonForbidden
		if d.Required = need.Closest(t.Scopes); d.Required != nil {
			d.Reason, d.Missing = ReasonScope, need.Missing(t.Scopes)
		}
		return
	}
	d.Reason, d.Allowed = ReasonAdmitted, true
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
