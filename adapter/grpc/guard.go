package grpc

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc"

	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// A Config is what a [Guard] is made from. Guard and Rules are mandatory; the
// zero value of every other field is the safe choice.
type Config struct {
	// Guard decides.
	Guard *middleware.Guard
	// Rules says what calls must satisfy, by the full name of their method,
	// such as "/songs.v1.Songs/Add", or of their service with a slash at the
	// end, such as "/songs.v1.Songs/", which holds for the methods without a
	// rule of their own. A call that no rule is for is refused.
	//
	// As every call is a POST, requirements must not depend on the method of
	// HTTP: give methods that read and methods that write rules of their own.
	// A policy without a Name is called by its key.
	Rules map[string]middleware.Policy
	// Unguarded are the methods and services, named as in Rules, that anybody
	// may call, such as "/grpc.health.v1.Health/". The guard does not look at
	// their calls at all.
	Unguarded []string
	// DangerouslyOutliveToken lets streams go on when the token that they
	// were opened with has expired.
	DangerouslyOutliveToken bool
}

// A Guard admits calls whose token passes. Make one with [New]. It is safe for
// concurrent use and does not change.
type Guard struct {
	guard   *middleware.Guard
	rules   map[string]*rule
	outlive bool
}

// A rule says what calls must satisfy.
type rule struct {
	name      string
	policy    middleware.Policy
	unguarded bool
}

// unlisted is the rule for what has none: nobody satisfies the zero Policy. A
// server that answers methods which it does not know passes on names that
// clients have made up, so the rule has a name that is its own.
var unlisted = &rule{name: "unlisted", policy: middleware.Policy{Name: "unlisted"}}

// New returns a Guard, or an error that names every mistake in the config.
func New(c Config) (*Guard, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	g := &Guard{guard: c.Guard, rules: make(map[string]*rule), outlive: c.DangerouslyOutliveToken}
	for name, policy := range c.Rules {
		policy.ACR, policy.Audience = slices.Clone(policy.ACR), slices.Clone(policy.Audience)
		g.rules[name] = &rule{name: name, policy: policy}
	}
	for _, name := range c.Unguarded {
		g.rules[name] = &rule{name: name, unguarded: true}
	}
	return g, nil
}

func (c *Config) check() error {
	var errs []error
	mistake := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("adapter/grpc: "+format, args...))
	}
	if c.Guard == nil {
		mistake("Guard is missing (hint: middleware.New)")
	}
	if len(c.Rules) == 0 {
		mistake(`Rules is missing, so nothing could be called (hint: {"/songs.v1.Songs/": {Scopes: scopes.All("songs")}})`)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Rules)) {
		policy := c.Rules[name]
		if !wellFormed(name) {
			mistake("Rules has %q, which is no method or service (hint: /package.Service/Method or /package.Service/)", name)
		}
		if dependsOnMethod(policy.Scopes) {
			mistake("Rules[%q] needs other scopes by HTTP method, but every call is a POST (hint: a rule for each method of the service)", name)
		}
		if c.Guard == nil {
			continue
		}
		if err := c.Guard.CheckPolicy(policy); err != nil {
			mistake("Rules[%q]: %w", name, err)
		}
	}
	for i, name := range c.Unguarded {
		if !wellFormed(name) {
			mistake("Unguarded has %q, which is no method or service (hint: /grpc.health.v1.Health/)", name)
		}
		if _, also := c.Rules[name]; also {
			mistake("%q is in Rules and in Unguarded", name)
		}
		if slices.Contains(c.Unguarded[:i], name) {
			mistake("Unguarded has %q twice", name)
		}
	}
	return errors.Join(errs...)
}

// wellFormed reports whether a name is "/service/method" or "/service/", of
// visible ASCII.
func wellFormed(name string) bool {
	service, method, ok := split(name)
	return ok && service != "" && !strings.Contains(method, "/") &&
		strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}

// split returns the parts of "/service/method". Gateways have been passed by
// names without the first slash, which matched no rule but found a method.
func split(name string) (service, method string, ok bool) {
	if name, ok = strings.CutPrefix(name, "/"); !ok {
		return "", "", false
	}
	return strings.Cut(name, "/")
}

func dependsOnMethod(req scopes.Requirement) bool {
	return req.Check() == nil && req.For("POST").String() != req.String()
}

// rule returns the rule for a method.
func (g *Guard) rule(fullMethod string) *rule {
	if r, found := g.rules[fullMethod]; found {
		return r
	}
	service, _, ok := split(fullMethod)
	if !ok {
		return unlisted
	}
	if r, found := g.rules["/"+service+"/"]; found {
		return r
	}
	return unlisted
}

// CheckServices returns an error that names every method of a server that no
// rule is for, and every rule that no method is for. Call it with what
// [grpc.Server.GetServiceInfo] returns, before the server serves: a rule with
// a misspelled name refuses where it should admit, or leaves a method to the
// rule of its service.
func (g *Guard) CheckServices(services map[string]grpc.ServiceInfo) error {
	var errs []error
	used := make(map[*rule]bool)
	names := make(map[string]bool)
	for service, info := range services {
		names["/"+service+"/"] = true
		for _, method := range info.Methods {
			names["/"+service+"/"+method.Name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		r := g.rule(name)
		used[r] = true
		if r == unlisted && !strings.HasSuffix(name, "/") {
			errs = append(errs, fmt.Errorf("adapter/grpc: %s has no rule, so that every call of it is refused", name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(g.rules)) {
		if !used[g.rules[name]] {
			errs = append(errs, fmt.Errorf("adapter/grpc: the rule %s is for nothing that the server has", name))
		}
	}
	return errors.Join(errs...)
}
