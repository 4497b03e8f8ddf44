package middleware

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
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
// backslash, a semicolon, a control character, an escaped slash or dot, or one of
// these in more bytes of UTF-8 than it has. And so is one, if it has a valid
// token, or the rule is public, that is under another rule for a router that
// does not decode it, as some do not, that takes no notice of a slash at the end,
// or none of the case of letters, be it of the method, or for which the path ends
// at an escaped "?" or "#"; without a token the answer is 401. A redirect to the
// clean path, as ServeMux makes, would tell which routes there are.
//
// A pattern with a host matches by the Host header, which the client sends: a
// handler that serves all hosts alike must not be guarded by host. If there is
// such a pattern, a request is refused in the same way whose host is under another
// rule when it is spelled as usual, in lower case and without a dot at its end.
//
// Where [Config.AllowPreflight] is set, a preflight request is admitted if a
// route matches it or the request that it announces.
type Routes struct {
	guard *Guard
	table atomic.Pointer[table]
}

// A table is a list of routes in force.
type table struct {
	mux    *http.ServeMux
	byHost bool // a pattern has a host
	// folded has the patterns in lower case, and mixed says that some of them
	// are not so in mux. It is mux if they would conflict.
	folded *http.ServeMux
	mixed  bool
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
	if err := patternsAreKnown(); err != nil {
		return err
	}
	t := &table{mux: http.NewServeMux()}
	var errs []error
	var rules []*rule
	for i, route := range routes {
		rule, err := rs.guard.rule(route)
		if err == nil && !register(t.mux, rule.pattern, rule) {
			err = explain(rule.pattern, routes[:i])
		}
		if err != nil {
			errs = append(errs, &RouteError{i, err})
		}
		rules = append(rules, rule)
		t.byHost = t.byHost || hostOf(route.Pattern) != ""
	}
	if errs != nil {
		return errors.Join(errs...)
	}
	t.fold(routes)
	findTwins(rules)
	rs.table.Store(t)
	return nil
}

// patternsAreKnown returns an error in a program that has its muxes work as
// before Go 1.22. They would take "GET /admin/" for the name of a host, and let
// another route decide about what is below /admin/.
func patternsAreKnown() error {
	mux := http.NewServeMux()
	mux.Handle("GET /{segment}", http.NotFoundHandler())
	if _, pattern := mux.Handler(&http.Request{Method: "GET", URL: &url.URL{Path: "/a"}}); pattern == "" {
		return errors.New("middleware: the program's muxes do not know methods and wildcards (hint: remove httpmuxgo121=1 from GODEBUG)")
	}
	return nil
}

// hostOf returns the host of a pattern; "" for none.
func hostOf(pattern string) string {
	if i := strings.IndexAny(pattern, " \t"); i >= 0 {
		pattern = strings.TrimLeft(pattern[i:], " \t")
	}
	host, _, _ := strings.Cut(pattern, "/")
	return host
}

// A rule is a route in force. It is a handler because that is what a mux finds.
type rule struct {
	policy  Policy
	pattern string
	public  bool
	twins   bool // see findTwins
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
	if host := hostOf(route.Pattern); host != usualHost(host) {
		return nil, fmt.Errorf("middleware: the host of pattern %q is not as hosts are compared (hint: %q, in lower case and without a port)", route.Pattern, usualHost(host))
	}
	if p.Name == "" {
		p.Name = route.Pattern
	}
	p.ACR, p.Audience = slices.Clone(p.ACR), slices.Clone(p.Audience)
	return &rule{policy: p, pattern: route.Pattern, public: route.Public}, nil
}

// register adds the rule to the mux and reports whether it could: a mux panics
// about a pattern that is malformed or conflicts with an earlier one.
func register(mux *http.ServeMux, pattern string, r *rule) (ok bool) {
	defer func() { ok = recover() == nil }()
	mux.Handle(pattern, r)
	return true
}

// explain returns what is wrong with a pattern that can not be registered.
func explain(pattern string, earlier []Route) error {
	for _, other := range earlier {
		if conflict(other.Pattern, pattern) {
			return fmt.Errorf("middleware: pattern %q conflicts with %q: both match some requests, and neither is more specific", pattern, other.Pattern)
		}
	}
	return fmt.Errorf("middleware: pattern %q is malformed (hint: such as \"GET /songs/{id}\", see http.ServeMux)", pattern)
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

// unmatched is the policy of requests that no route matches, and ambiguous that
// of those that are under another rule for some handler: nobody meets them. Who
// has no valid token is not told which of them it is, nor that it is one.
var (
	unmatched = Policy{unmatched: true}
	ambiguous = Policy{unmatched: true, ambiguous: true}
)

func (rs *Routes) check(r *http.Request, d *Decision) {
	begun := rs.guard.begin()
	if !plainPath(r) {
		d.Reason = ReasonPath
		rs.guard.report(r, d, begun)
		return
	}
	rule, clear := rs.rule(r)
	switch {
	case !clear && rule != nil && rule.public: // no token is looked at
		d.Reason = ReasonPath
		rs.guard.report(r, d, begun)
	case !clear:
		rs.guard.check(r, &ambiguous, d)
	case rule == nil:
		rs.guard.check(r, &unmatched, d)
	case rule.public:
		d.Allowed, d.Reason, d.Rule = true, ReasonPublic, rule.policy.Name
		rs.guard.report(r, d, begun)
	default:
		rs.guard.check(r, &rule.policy, d)
	}
}

// rule returns the rule of a request with a plain path, or nil if there is none,
// and whether every handler would see a request for which that is the rule.
func (rs *Routes) rule(r *http.Request) (_ *rule, clear bool) {
	t := rs.table.Load()
	found, clear := t.rule(r, r.Method)
	if found == nil && clear && rs.guard.config.AllowPreflight && preflight(r) {
		return t.rule(r, r.Header["Access-Control-Request-Method"][0])
	}
	return found, clear
}

func (t *table) rule(r *http.Request, method string) (_ *rule, clear bool) {
	if method != r.Method {
		r = &http.Request{Method: method, Host: r.Host, URL: r.URL}
	}
	found := match(t.mux, r)
	clear = true
	if raw := r.URL.RawPath; raw != "" {
		// Some routers go by the path as it was sent.
		undecoded := &http.Request{Method: r.Method, Host: r.Host, URL: &url.URL{Path: raw}}
		clear = match(t.mux, undecoded) == found
	}
	if clear && found != nil {
		if strings.IndexFunc(r.Method, isSmall) >= 0 {
			// Methods are case-sensitive, but not to all who read them.
			r = &http.Request{Method: strings.ToUpper(r.Method), Host: r.Host, URL: r.URL}
			clear = match(t.mux, r) == found
		}
		clear = clear && t.plainSpelling(r, found) && t.plainEnd(r, found)
	}
	if t.byHost && clear {
		clear = t.plainHost(r, found)
	}
	return found, clear
}

func isSmall(c rune) bool { return 'a' <= c && c <= 'z' }

// plainHost reports whether the rule that was found is also that of the host in
// its usual spelling. A mux goes by how the host is written, others by what it
// means.
func (t *table) plainHost(r *http.Request, found *rule) bool {
	host := r.Host
	if strings.IndexByte(host, ':') >= 0 && host[0] != '[' {
		name, _, err := net.SplitHostPort(host)
		if err != nil {
			return false
		}
		host = name
	}
	usual := usualHost(host)
	if usual == host {
		return true
	}
	return match(t.mux, &http.Request{Method: r.Method, Host: usual, URL: r.URL}) == found
}

// usualHost returns the usual spelling of a host (RFC 3986, section 6.2.2.1),
// without the port and the dot of the root.
func usualHost(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// match returns the rule that the mux finds, or nil where it would answer by
// itself: not found, not allowed, or a redirect.
func match(mux *http.ServeMux, r *http.Request) *rule {
	found, _ := mux.Handler(r)
	matched, _ := found.(*rule)
	return matched
}
