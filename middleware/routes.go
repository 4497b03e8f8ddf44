package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync/atomic"
)

// A Route says what a request demands that matches a pattern.
type Route struct {
	// Pattern is one of [http.ServeMux]: "GET /songs/{id}", "/files/",
	// "api.example/status". Of several that match, the most specific counts.
	Pattern string
	// Policy is what the request demands. Its Name is the Pattern if empty.
	Policy Policy
	// Public admits every request, and does not look at its token. The Policy
	// must then be empty.
	Public bool
}

// A RouteError says which route of a list is wrong.
type RouteError struct {
	Index int // in the list
	Err   error
}

func (e *RouteError) Error() string { return fmt.Sprintf("route %d: %v", e.Index, e.Err) }

// Unwrap returns the mistake.
func (e *RouteError) Unwrap() error { return e.Err }

// Routes is a table of what requests demand, in front of any handler: a mux of
// any kind, or a proxy. It can be replaced while it is in use. Make one with
// [Guard.Routes]. It is safe for concurrent use.
//
// A request that no route matches, by its path or by its method, is refused as
// one that no token opens: with 401 as long as it has no valid token, and then
// with 403. So strangers can not find out which routes there are.
//
// The decision must be about the path that the handler sees, however it reads
// it. So a request is refused with 400 whose path would be another one when
// cleaned or decoded once more: with an empty segment, "." or "..", a
// backslash, a semicolon, a control character, or an escaped slash or dot; and
// one that is under another rule for a router that does not decode it, as some
// do not. A redirect to the clean path, as ServeMux makes, would tell which
// routes there are.
//
// A pattern with a host matches by the Host header, which the client sends: a
// handler that serves all hosts alike must not be guarded by host.
type Routes struct {
	guard *Guard
	mux   atomic.Pointer[http.ServeMux]
}

// Routes returns the table, or an error that joins a [RouteError] for each
// route that is wrong.
func (g *Guard) Routes(routes []Route) (*Routes, error) {
	rs := &Routes{guard: g}
	if err := rs.Replace(routes); err != nil {
		return nil, err
	}
	return rs, nil
}

// Replace puts another list into force, for requests that begin from now on.
// If it returns an error, which is like that of [Guard.Routes], the former one
// stays.
func (rs *Routes) Replace(routes []Route) error {
	mux := http.NewServeMux()
	var errs []error
	for i, route := range routes {
		rule, err := rs.guard.rule(route)
		if err == nil {
			err = register(mux, rule, routes[:i])
		}
		if err != nil {
			errs = append(errs, &RouteError{i, err})
		}
	}
	if errs != nil {
		return errors.Join(errs...)
	}
	rs.mux.Store(mux)
	return nil
}

// A rule is a route in force. It is a handler because that is what a mux finds.
type rule struct {
	policy  Policy
	pattern string
	public  bool
}

// ServeHTTP is never called.
func (*rule) ServeHTTP(http.ResponseWriter, *http.Request) {}

func (g *Guard) rule(route Route) (*rule, error) {
	p := route.Policy
	if route.Public {
		if !p.empty() {
			return nil, errors.New("middleware: a public route has a policy (hint: Policy.Optional admits requests without a token)")
		}
	} else if err := p.check(&g.config); err != nil {
		return nil, err
	}
	if p.Name == "" {
		p.Name = route.Pattern
	}
	p.ACR, p.Audience = slices.Clone(p.ACR), slices.Clone(p.Audience)
	return &rule{p, route.Pattern, route.Public}, nil
}

// register adds the rule to the mux. It turns the panic about a pattern that is
// malformed or conflicts with an earlier one into an error.
func register(mux *http.ServeMux, r *rule, earlier []Route) (err error) {
	defer func() {
		if v := recover(); v == nil {
			return
		}
		for _, other := range earlier {
			if conflict(other.Pattern, r.pattern) {
				err = fmt.Errorf("middleware: pattern %q conflicts with %q: both match some requests, and neither is more specific", r.pattern, other.Pattern)
				return
			}
		}
		err = fmt.Errorf("middleware: pattern %q is malformed (hint: such as \"GET /songs/{id}\", see http.ServeMux)", r.pattern)
	}()
	mux.Handle(r.pattern, r)
	return nil
}

// conflict reports whether a mux takes both patterns one by one and not
// together.
func conflict(a, b string) (conflicts bool) {
	takes := func(patterns ...string) (ok bool) {
		defer func() { ok = recover() == nil }()
		mux := http.NewServeMux()
		for _, p := range patterns {
			mux.Handle(p, http.NotFoundHandler())
		}
		return true
	}
	return takes(a) && takes(b) && !takes(a, b)
}

// Wrap returns a handler that admits the requests that the table admits. The
// handler finds the token with [sneck.FromContext].
//
// [sneck.FromContext]: https://pkg.go.dev/github.com/sneckauth/sneck#FromContext
func (rs *Routes) Wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var d Decision
		rs.check(r, &d)
		if !d.Allowed && !d.Shadow {
			rs.guard.Refuse(w, r, d)
			return
		}
		h.ServeHTTP(w, rs.guard.admit(w, r, &d))
	})
}

// Check decides about a request like [Guard.Check], by the rule of its route.
func (rs *Routes) Check(r *http.Request) Decision {
	var d Decision
	rs.check(r, &d)
	return d
}

// unmatched is the policy of requests that no route matches: nobody meets it.
var unmatched = Policy{unmatched: true}

func (rs *Routes) check(r *http.Request, d *Decision) {
	begun := rs.guard.begin()
	rule, clear := rs.rule(r)
	switch {
	case !clear:
		d.Reason = ReasonPath
		rs.guard.report(r, d, begun)
	case rule == nil:
		rs.guard.check(r, &unmatched, d)
	case rule.public:
		d.Allowed, d.Reason, d.Rule = true, ReasonPublic, rule.policy.Name
		rs.guard.report(r, d, begun)
	default:
		rs.guard.check(r, &rule.policy, d)
	}
}

// rule returns the rule of a request, or nil if there is none, and whether every
// handler would see a request for which that is the rule.
func (rs *Routes) rule(r *http.Request) (_ *rule, clear bool) {
	if !plainPath(r) {
		return nil, false
	}
	mux := rs.mux.Load()
	found := match(mux, r)
	if r.URL.RawPath == "" {
		return found, true
	}
	// Some routers go by the path as it was sent.
	undecoded := &http.Request{Method: r.Method, Host: r.Host, URL: &url.URL{Host: r.URL.Host, Path: r.URL.RawPath}}
	return found, match(mux, undecoded) == found
}

// match returns the rule that the mux finds, or nil where it would answer by
// itself: not found, not allowed, or a redirect.
func match(mux *http.ServeMux, r *http.Request) *rule {
	found, _ := mux.Handler(r)
	matched, _ := found.(*rule)
	return matched
}

// plainPath reports whether every reader of the request's path reads the same.
func plainPath(r *http.Request) bool {
	p := r.URL.Path
	if p == "" || p[0] != '/' || r.Method == http.MethodConnect {
		return false
	}
	for i := range len(p) {
		switch c := p[i]; {
		case c < ' ', c == 0x7f, c == '\\', c == ';':
			return false
		case c == '%' && len(p) > i+2 && isHex(p[i+1]) && isHex(p[i+2]): // decoded once more, it would be another path
			return false
		}
	}
	if clean := path.Clean(p); len(clean) != len(p) && (len(clean)+1 != len(p) || p[len(p)-1] != '/' || len(clean) == 1) {
		return false // but for a slash at the end
	}
	raw := r.URL.RawPath // empty unless the path is escaped in an unusual way
	for i := strings.IndexByte(raw, '%'); i >= 0; {
		if reserved(raw[i+1:]) {
			return false
		}
		next := strings.IndexByte(raw[i+1:], '%')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// reserved reports whether an escape, without its "%", stands for a byte that
// makes another path of one: a slash, a backslash, a dot, a semicolon or a
// control character.
func reserved(escape string) bool {
	if len(escape) < 2 {
		return false
	}
	switch strings.ToLower(escape[:2]) {
	case "2f", "5c", "2e", "3b", "7f":
		return true
	}
	return escape[0] == '0' || escape[0] == '1'
}
