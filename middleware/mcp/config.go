package mcp

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// A Config is what a [Guard] is made from. Resource, AuthorizationServers,
// Verifier and what may be called are mandatory; every other zero field is the
// safe choice.
type Config struct {
	// Resource is the canonical URI of the MCP server, which clients name as
	// the resource when they ask for a token (RFC 8707): the URL of its
	// endpoint, with scheme and host in lower case and no slash at the end.
	// Tokens must be meant for it.
	Resource string
	// AuthorizationServers are the issuers at which clients get tokens.
	AuthorizationServers []string
	// Verifier says what a token is.
	Verifier sneck.Verifier

	// Scopes is what every request needs, and what clients are told to ask
	// for that have no token yet; the zero Requirement asks for none.
	Scopes scopes.Requirement
	// Tools says what calls of a tool need besides, by its exact name.
	Tools map[string]scopes.Requirement
	// Methods says what requests need besides by their exact JSON-RPC method,
	// such as "resources/read". For "tools/call" it is what the tools need
	// that are not in Tools.
	//
	// What is in neither is refused, but for what every session is made of:
	// initialize, ping, server/discover, the four lists, the log level, the
	// streams, the notifications and answers of clients. That needs no more
	// than Scopes.
	Methods map[string]scopes.Requirement
	// Hierarchy says which scopes include others.
	Hierarchy scopes.Hierarchy

	// Origins are the origins of web pages that may send requests besides
	// those of the Resource's own, such as "https://chat.example". Requests
	// of others are refused, so that no page reaches a server in the user's
	// own network by DNS rebinding.
	Origins []string
	// MaxBodyBytes is the length of the longest message; 4 MiB if zero. The
	// messages of clients with a valid token are read into memory before
	// they are handed on.
	MaxBodyBytes int64
	// DangerouslyPassToken leaves the token in the request that the handler
	// gets. Without it, the handler can not hand it on to others, which a
	// server must not do.
	DangerouslyPassToken bool

	// Policy is what every request must satisfy besides, such as a fresh
	// verdict. It must not have Scopes, ScopesOf or Otherwise, or be Optional.
	Policy middleware.Policy
	// Guard is what else is configured: sender constraint, logs and the like.
	// Verifier must be empty. Audience may have other names of the server.
	// Metadata may be set for its texts, and for Scopes that are worth asking
	// for if those above do not say it.
	Guard middleware.Config
}

const (
	defaultMaxBodyBytes = 4 << 20
	maxMaxBodyBytes     = 64 << 20
)

// mistakes are all that is wrong with a Config.
type mistakes []error

func (m *mistakes) add(format string, args ...any) {
	*m = append(*m, fmt.Errorf("middleware/mcp: "+format, args...))
}

func (c *Config) check() error {
	var m mistakes
	c.checkResource(&m)
	c.checkRules(&m)
	c.checkGuard(&m)
	for _, origin := range c.Origins {
		if u, err := url.Parse(origin); err != nil || originOf(u) != origin {
			m.add("Origins has %q, which is not an origin (hint: https://chat.example)", origin)
		}
	}
	if c.MaxBodyBytes < 0 || c.MaxBodyBytes > maxMaxBodyBytes {
		m.add("MaxBodyBytes %d is not between 0 and %d", c.MaxBodyBytes, maxMaxBodyBytes)
	}
	return errors.Join(m...)
}

// checkResource leaves to the middleware what that checks.
func (c *Config) checkResource(m *mistakes) {
	u, err := url.Parse(c.Resource)
	switch {
	case c.Resource == "":
		m.add("Resource is missing (hint: the URL of the endpoint, such as https://mcp.example.com/mcp)")
	case err == nil && (u.Scheme != strings.ToLower(u.Scheme) || u.Host != strings.ToLower(u.Host) ||
		!strings.HasPrefix(c.Resource, u.Scheme) || strings.HasSuffix(c.Resource, "/")):
		m.add("Resource %q is not canonical (hint: scheme and host in lower case, no slash at the end)", c.Resource)
	}
	for _, issuer := range c.AuthorizationServers {
		if u, err := url.Parse(issuer); err != nil || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
			m.add("AuthorizationServers has %q, which is not an https URL", issuer)
		}
	}
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// offline is a scope that asks for a refresh token, which is no affair of the
// resource.
const offline = "offline_access"

func (c *Config) checkRules(m *mistakes) {
	if len(c.Tools) == 0 && len(c.Methods) == 0 {
		m.add(`Tools and Methods are missing, so nothing could be called (hint: Methods: {"tools/call": scopes.AnyToken()} lets every token call every tool)`)
	}
	rules := func(field string, list map[string]scopes.Requirement) {
		for _, name := range slices.Sorted(maps.Keys(list)) {
			req := list[name]
			switch {
			case !plain(name):
				m.add("%s has the name %q, which is empty, too long or has control characters", field, name)
			case req.Check() != nil:
				m.add("%s[%q]: %w", field, name, req.Check())
			case slices.ContainsFunc(req.Alternatives(), func(s scopes.Set) bool { return s.Has(offline) }):
				m.add("%s[%q] needs %s, which is no resource's to demand", field, name, offline)
			}
		}
	}
	rules("Tools", c.Tools)
	if c.Scopes.Closest(nil).Has(offline) {
		m.add("Scopes has %s, which is no resource's to demand", offline)
	}
	rules("Methods", c.Methods)
	if p := &c.Policy; p.Optional || p.Otherwise != nil || p.ScopesOf != nil || !isZero(p.Scopes) {
		m.add("Policy must not be Optional, nor have Scopes, ScopesOf or Otherwise: every request needs a token (hint: Scopes of the Config)")
	}
}

func (c *Config) checkGuard(m *mistakes) {
	g := &c.Guard
	if g.Verifier != nil {
		m.add("Guard.Verifier is set (hint: Verifier)")
	}
	if g.DangerouslyAnyAudience {
		m.add("Guard.DangerouslyAnyAudience is set, but tokens must be meant for this server")
	}
	if g.AllowQuery || g.AllowFormBody || g.AllowCookie != "" {
		m.add("Guard takes tokens from elsewhere than the Authorization header, where they must be")
	}
	if d := g.Metadata; d != nil {
		if d.Resource != "" && d.Resource != c.Resource || d.AuthorizationServers != nil && !slices.Equal(d.AuthorizationServers, c.AuthorizationServers) {
			m.add("Guard.Metadata has another Resource or other AuthorizationServers (hint: leave them out)")
		}
		if d.Scopes.Has(offline) {
			m.add("Guard.Metadata.Scopes has %s, which is no resource's to demand", offline)
		}
	}
}

// guard returns what the middleware is made from.
func (c *Config) guard() middleware.Config {
	g := c.Guard
	g.Verifier = c.Verifier
	g.Audience = slices.Concat([]string{c.Resource}, g.Audience)
	g.ScopesInChallenges = true
	var described middleware.Metadata
	if g.Metadata != nil {
		described = *g.Metadata
	}
	described.Resource, described.AuthorizationServers = c.Resource, slices.Clone(c.AuthorizationServers)
	if described.Scopes == nil {
		described.Scopes = c.Scopes.Closest(nil)
	}
	g.Metadata = &described
	return g
}

// isZero reports whether nobody has said anything; a mistake is something.
func isZero(req scopes.Requirement) bool { return reflect.ValueOf(req).IsZero() }

// originOf returns the origin of a URL as browsers write it (RFC 6454, section
// 6.2).
func originOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return u.Scheme + "://" + host
}
