package mcp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/brief"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// A Guard admits requests to an MCP server whose token passes. Make one with
// [New]. It is safe for concurrent use and does not change.
type Guard struct {
	guard   *middleware.Guard
	policy  middleware.Policy
	now     func() time.Time
	logger  *slog.Logger
	observe func(context.Context, middleware.Decision)

	tools   map[string]scopes.Requirement
	similar map[string]bool // the names of the tools in lower case
	methods map[string]scopes.Requirement

	origins   []string
	maxBody   int64
	passToken bool
}

// basic are the methods that need no rule: what sessions are made of.
var basic = []string{
	"initialize", "ping", "server/discover", "logging/setLevel",
	"tools/list", "prompts/list", "resources/list", "resources/templates/list", methodListen,
	"notifications/initialized", "notifications/cancelled", "notifications/progress", "notifications/roots/list_changed",
	"", // the response to a request of the server
}

const (
	methodCall   = "tools/call"
	methodListen = "subscriptions/listen"
)

// New returns a Guard, or an error that names every mistake in the config.
func New(c Config) (*Guard, error) {
	base := c.Scopes
	if isZero(base) {
		base = scopes.AnyToken()
	}
	policy := c.Policy
	policy.Scopes = base.Under(c.Hierarchy)
	inner, err := middleware.New(c.guard())
	if err == nil {
		err = inner.CheckPolicy(policy)
	}
	if err := errors.Join(c.check(), err); err != nil {
		return nil, err
	}
	u, _ := url.Parse(c.Resource)
	g := &Guard{
		guard: inner, policy: policy, now: c.Guard.Now, logger: c.Guard.Logger, observe: c.Guard.Observe,
		tools: map[string]scopes.Requirement{}, similar: map[string]bool{}, methods: map[string]scopes.Requirement{},
		origins: append(slices.Clone(c.Origins), originOf(u)),
		maxBody: c.MaxBodyBytes, passToken: c.DangerouslyPassToken,
	}
	if g.now == nil {
		g.now = time.Now
	}
	if g.maxBody == 0 {
		g.maxBody = defaultMaxBodyBytes
	}
	for _, method := range basic {
		g.methods[method] = policy.Scopes
	}
	for method, req := range c.Methods {
		g.methods[method] = base.And(req).Under(c.Hierarchy)
	}
	for name, req := range c.Tools {
		g.tools[name] = base.And(req).Under(c.Hierarchy)
		g.similar[strings.ToLower(name)] = true
	}
	return g, nil
}

// Metadata returns a handler that tells clients where to get tokens (RFC
// 9728). Mount it at "/.well-known/", as [middleware.Guard.Metadata].
func (g *Guard) Metadata() http.Handler { return g.guard.Metadata() }

// Protect returns a handler that admits requests to the MCP server whose token
// meets the rules for what they ask. The handler finds the token with
// [sneck.FromContext].
//
// Streams that wait for messages of the server (GET, subscriptions/listen) end
// when their token expires, so that the client comes back with another one.
func (g *Guard) Protect(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.sameOrigin(r) {
			g.refuseOrigin(w, r)
			return
		}
		c := &call{guard: g}
		policy := g.policy
		policy.ScopesOf = c.scopes
		d := g.guard.Check(r, policy)
		switch {
		case d.Allowed || d.Shadow:
		case d.Reason == middleware.ReasonRequest:
			c.refuse(w, c.fault)
			return
		default:
			g.guard.Refuse(w, r, d)
			return
		}
		r = g.guard.Admit(w, r, d)
		if c.stream && d.Allowed && !d.Token.Expires.IsZero() {
			ctx, cancel := context.WithTimeout(r.Context(), d.Token.Expires.Sub(g.now()))
			defer cancel()
			r = r.WithContext(ctx)
		}
		if !g.passToken {
			r = withoutToken(r)
		}
		h.ServeHTTP(w, r)
	})
}

// sameOrigin reports whether a request comes from no page, or from one that
// may send it (Streamable HTTP, Security). The Host header has no say in it:
// who rebinds a name chooses both.
func (g *Guard) sameOrigin(r *http.Request) bool {
	from := r.Header["Origin"]
	return from == nil || len(from) == 1 && slices.Contains(g.origins, from[0])
}

func (g *Guard) refuseOrigin(w http.ResponseWriter, r *http.Request) {
	d := middleware.Decision{Reason: middleware.ReasonCrossOrigin}
	if g.observe != nil {
		g.observe(r.Context(), d)
	}
	if g.logger != nil {
		g.logger.LogAttrs(r.Context(), slog.LevelInfo, "request refused",
			slog.String("method", brief.Method(r)), slog.String("route", r.Pattern), slog.Any("decision", d))
	}
	g.guard.Refuse(w, r, d)
}

// withoutToken returns a copy of the request without the credentials that were
// for this server alone.
func withoutToken(r *http.Request) *http.Request {
	clean := *r
	clean.Header = r.Header.Clone()
	clean.Header.Del("Authorization")
	clean.Header.Del("DPoP")
	return &clean
}

// A call is one request on its way.
type call struct {
	guard  *Guard
	id     jsontext.Value
	stream bool
	fault  *fault
}

// scopes is the [middleware.Policy.ScopesOf] of a request.
func (c *call) scopes(r *http.Request, t *sneck.Token) (scopes.Requirement, error) {
	messages, f := c.read(r)
	if f != nil {
		c.fault = f
		return scopes.Requirement{}, f
	}
	needs := make([]scopes.Requirement, len(messages))
	for i, m := range messages {
		c.stream = c.stream || m.method == methodListen
		if needs[i], c.fault = c.guard.need(m); c.fault != nil {
			return scopes.Requirement{}, c.fault
		}
	}
	return all(needs, r.Method, t.Scopes), nil
}

// read returns what a request asks for: no more than a session if it has no
// body. The body can be read again afterwards.
func (c *call) read(r *http.Request) ([]message, *fault) {
	switch r.Method {
	case http.MethodPost:
	case http.MethodGet, http.MethodDelete:
		if r.ContentLength != 0 {
			return nil, withBody
		}
		c.stream = r.Method == http.MethodGet
		return []message{{}}, nil
	default:
		return nil, otherMethod
	}
	if f := checkForm(r.Header); f != nil {
		return nil, f
	}
	body, f := readBody(r, c.guard.maxBody)
	if f != nil {
		return nil, f
	}
	messages, f := parse(body)
	if f != nil {
		return nil, f
	}
	if len(messages) == 1 {
		c.id = messages[0].id
	}
	return messages, checkHeader(r.Header, messages)
}

func readBody(r *http.Request, most int64) ([]byte, *fault) {
	if r.ContentLength > most {
		return nil, tooLong
	}
	if r.Body == nil {
		return nil, notJSON
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	r.Body = &replay{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
	switch {
	case err != nil:
		return nil, unreadable
	case int64(len(body)) > most:
		return nil, tooLong
	}
	return body, nil
}

// A replay is a body of which a part was read already.
type replay struct {
	io.Reader
	io.Closer
}

// need returns what a message needs; the zero Requirement for what has no
// rule.
func (g *Guard) need(m message) (scopes.Requirement, *fault) {
	if m.method != methodCall {
		return g.methods[m.method], nil
	}
	if req, listed := g.tools[m.name]; listed {
		return req, nil
	}
	// It must not pass by the rule for other tools and then be taken for one
	// that is listed, by a server that trims or folds names.
	if len(g.tools) > 0 && (g.similar[strings.ToLower(m.name)] || !visible(m.name)) {
		return scopes.Requirement{}, similarName
	}
	return g.methods[methodCall], nil
}

// visible reports whether a name has nothing but visible ASCII characters.
func visible(name string) bool {
	return strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}

// all returns the requirement that stands for all of several. As the scopes
// that are held are known, it needs no more alternatives than one.
func all(needs []scopes.Requirement, method string, held scopes.Set) scopes.Requirement {
	if len(needs) == 1 {
		return needs[0]
	}
	var lacking scopes.Set
	for _, need := range needs {
		need = need.For(method)
		if need.Met(held) {
			continue
		}
		closest := need.Closest(held)
		if len(closest) == 0 {
			return scopes.Requirement{} // nothing would do
		}
		lacking = append(lacking, closest.Without(lacking)...)
	}
	if lacking == nil {
		return scopes.AnyToken()
	}
	return scopes.All(lacking...)
}
