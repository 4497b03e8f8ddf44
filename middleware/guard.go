package middleware

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/dpop"
	"github.com/sneckauth/sneck/scopes"
)

// A Guard admits requests whose token passes. Make one with [New]. It is safe
// for concurrent use and does not change.
type Guard struct {
	config     Config           // Realm, RetryAfter and Now are filled in
	remembers  sneck.VerifierAt // the Verifier, if it is one and keeps our time
	challenges challenges
	bodies     map[*outcome][]byte
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
	var remembers sneck.VerifierAt
	if c.Now == nil {
		c.Now = newClock().now
		remembers, _ = c.Verifier.(sneck.VerifierAt)
	}
	c.DPoP = c.DPoP.filled(c.Now)
	c.MTLS.TrustedProxies = slices.Clone(c.MTLS.TrustedProxies)
	c.Metadata = c.Metadata.clone()
	return &Guard{
		config:     c,
		remembers:  remembers,
		challenges: newChallenges(&c),
		bodies:     newBodies(),
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
	if err := g.CheckPolicy(p); err != nil {
		panic(err)
	}
	p.ACR, p.Audience = slices.Clone(p.ACR), slices.Clone(p.Audience)
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var d Decision
			g.check(r, &p, &d)
			if !d.Allowed && !d.Shadow {
				g.Refuse(w, r, d)
				return
			}
			h.ServeHTTP(w, g.admit(w, r, &d))
		})
	}
}

// CheckPolicy returns an error that names every mistake in a policy, such as
// one that no request can satisfy. [Guard.Protect] panics with it.
func (g *Guard) CheckPolicy(p Policy) error { return p.check(&g.config) }

// Check decides whether a request may pass, and reports the decision to the
// Logger and to Observe. It writes nothing: see [Guard.Admit] and
// [Guard.Refuse].
func (g *Guard) Check(r *http.Request, p Policy) Decision {
	var d Decision
	g.check(r, &p, &d)
	return d
}

// check fills in a zero Decision. It is large, and most requests need little
// of it, so it is not passed around by value.
func (g *Guard) check(r *http.Request, p *Policy, d *Decision) {
	begun := g.begin()
	g.decide(r, p, d)
	if d.Rule = p.Name; d.Rule == "" {
		d.Rule = r.Pattern
	}
	if !d.Allowed {
		switch d.Status() {
		case http.StatusServiceUnavailable:
			if d.RetryAfter <= 0 {
				d.RetryAfter = g.config.RetryAfter
			}
		case http.StatusUnauthorized:
			d.Challenge = p.OtherwiseChallenge
			if g.config.ScopesInChallenges {
				d.Required = p.Scopes.For(r.Method).Closest(nil)
			}
		}
		d.Shadow = p.DangerouslyShadow
	}
	g.report(r, d, begun)
}

// Admit readies a request that was allowed for its handler: it returns a
// request whose context carries the token ([sneck.FromContext]), and sets
// what the answer needs in the header of w.
func (g *Guard) Admit(w http.ResponseWriter, r *http.Request, d Decision) *http.Request {
	return g.admit(w, r, &d)
}

func (g *Guard) admit(w http.ResponseWriter, r *http.Request, d *Decision) *http.Request {
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
// has been refused before, and so is a request during which somebody's code
// panics.
func (g *Guard) decide(r *http.Request, p *Policy, d *Decision) {
	defer func() {
		if v := recover(); v != nil {
			*d = Decision{Reason: ReasonBroken, Source: d.Source, Scheme: d.Scheme, Err: newPanicError(v)}
		}
	}()
	if g.config.AllowPreflight && !p.unmatched && preflight(r) {
		d.Reason, d.Allowed = ReasonPreflight, true
		return
	}
	if p.Otherwise != nil {
		if g.otherwise(r, p, d); d.Reason != "" {
			return
		}
	}
	token := g.credential(r, d)
	if token == "" {
		if d.Reason == "" {
			d.Reason, d.Allowed = ReasonNoToken, p.Optional
			if p.Optional {
				d.Reason = ReasonAnonymous
			}
		}
		return
	}
	if d.Source == SourceCookie && g.fromElsewhere(r) {
		d.Reason = ReasonCrossOrigin
		return
	}

	if g.remembers == nil || d.Scheme == string(schemeDPoP) {
		// Otherwise only if the token is refused: what is remembered is one.
		if mistake := misshapen(token); mistake != "" {
			d.mistake(mistake)
			return
		}
	}

	start := g.config.Now()
	var proof *dpop.Proof
	if d.Scheme == string(schemeDPoP) {
		d.Nonce = g.config.DPoP.nonces.At(start)
		if proof, d.Reason, d.Err = g.config.DPoP.read(r, token, start); d.Reason != "" {
			return
		}
	}

	t, err := g.verify(r.Context(), token, start)
	if err == nil && p.tooStale(t, start) {
		// The Verifier is only told of the bound if its answer needs it, so
		// that most requests do without a context of their own.
		t, err = g.verify(sneck.WithMaxStaleness(r.Context(), p.MaxStaleness), token, start)
	}
	if err != nil {
		g.refuse(r, d, token, err)
		return
	}
	now := start
	if g.remembers == nil || !t.VerifiedAt.Before(start) {
		now = g.config.Now() // the answer was waited for
	}
	d.Token = t
	if !t.VerifiedAt.IsZero() {
		d.Age = max(time.Duration(now.UnixNano()-t.VerifiedAt.UnixNano()), 0)
	}
	if p.tooStale(t, start) {
		d.Reason = ReasonStale
		return
	}
	g.weigh(r, p, proof, now, d)
}

// fromElsewhere reports whether another site had the browser make the request.
// A WebSocket begins with a GET, but is not read-only, and no browser keeps
// other sites from reading what it sends.
func (g *Guard) fromElsewhere(r *http.Request) bool {
	if r.Header["Upgrade"] != nil {
		r = &http.Request{Method: http.MethodPost, URL: r.URL, Host: r.Host, Header: r.Header}
	}
	return g.crossSite.Check(r) != nil
}

// preflight reports whether a request is a CORS preflight (Fetch Standard,
// section 3.3.2). It never has credentials.
func preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header["Authorization"] == nil &&
		r.Header["Origin"] != nil && r.Header["Access-Control-Request-Method"] != nil
}

// otherwise asks the policy's own means of authentication. It leaves the
// Reason empty if they have nothing to say. They read the one Authorization
// field that there may be, and nobody behind them shall find a second.
func (g *Guard) otherwise(r *http.Request, p *Policy, d *Decision) {
	if len(r.Header["Authorization"]) > 1 {
		d.Reason = ReasonTwoTokens
		return
	}
	t, err := p.Otherwise(r)
	switch {
	case errors.Is(err, sneck.ErrInvalid):
		d.Reason, d.Err = ReasonSignIn, err
	case err != nil && !errors.Is(err, sneck.ErrUnrecognized):
		g.refuse(r, d, "", err)
	case err == nil && t != nil:
		d.Reason, d.Allowed, d.Token = ReasonOtherwise, true, t
	}
}

// weigh decides about a token that the Verifier knows.
func (g *Guard) weigh(r *http.Request, p *Policy, proof *dpop.Proof, now time.Time, d *Decision) {
	t := d.Token
	switch {
	case !g.meantFor(t, p):
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
	need := p.Scopes.For(r.Method)
	if p.ScopesOf != nil {
		if need, d.Err = p.ScopesOf(r, t); d.Err != nil {
			d.Reason = ReasonRequest
			return
		}
		need = need.For(r.Method)
	}
	if !need.Met(t.Scopes) {
		d.Reason = ReasonForbidden
		switch {
		case p.ambiguous:
			d.Reason = ReasonPath
			return
		case p.unmatched:
			d.Reason = ReasonNoRoute
		}
		if d.Required = need.Closest(t.Scopes); d.Required != nil {
			d.Reason, d.Missing = ReasonScope, need.Missing(t.Scopes)
		}
		return
	}
	if !p.signedIn(t, now) {
		d.Reason, d.ACR, d.MaxAge = ReasonStepUp, p.ACR, p.MaxAge
		return
	}
	d.Reason, d.Allowed = ReasonAdmitted, true
}

// meantFor reports whether the token is for this resource server.
func (g *Guard) meantFor(t *sneck.Token, p *Policy) bool {
	audience := g.config.Audience
	if p.Audience != nil {
		audience = p.Audience
	} else if g.config.DangerouslyAnyAudience {
		return true
	}
	return t.MeantFor(audience...)
}
