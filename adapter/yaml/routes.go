package yaml

import (
	"errors"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// A Table is a list of routes that was read from a file.
type Table struct {
	file   string
	routes []middleware.Route
	nodes  []*yaml.Node // of the patterns
}

// Parse reads a table. The file's name is for mistakes, which the error joins,
// each of them a [*Mistake].
func Parse(file string, data []byte) (*Table, error) {
	r := &reader{file: file}
	t := &Table{file: file}
	if root := r.document(data); root != nil {
		r.table(root, t)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return t, nil
}

// Routes returns the routes in the order of the file.
func (t *Table) Routes() []middleware.Route { return t.routes }

// Guard returns the table in force in front of nothing yet. The error joins
// what the guard finds wrong, each a [*Mistake].
func (t *Table) Guard(g *middleware.Guard) (*middleware.Routes, error) {
	routes, err := g.Routes(t.routes)
	if err != nil {
		return nil, t.located(err)
	}
	return routes, nil
}

// Replace puts the table into force in place of another. If there is an error,
// which is like that of [Table.Guard], the other stays.
func (t *Table) Replace(routes *middleware.Routes) error { return t.located(routes.Replace(t.routes)) }

// located says where in the file the mistakes are that a guard has found.
func (t *Table) located(err error) error {
	if err == nil {
		return nil
	}
	r := &reader{file: t.file}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	for _, e := range joined.Unwrap() {
		var route *middleware.RouteError
		if !errors.As(e, &route) {
			return err
		}
		for line := range strings.SplitSeq(route.Err.Error(), "\n") {
			r.wrong(t.nodes[route.Index], "%s", strings.TrimPrefix(strings.TrimPrefix(line, "middleware: "), "scopes: "))
		}
	}
	return r.err()
}

func (r *reader) table(root *yaml.Node, t *Table) {
	var h scopes.Hierarchy
	var routes *yaml.Node
	r.mapping(root, map[string]func(*yaml.Node){
		"hierarchy": func(n *yaml.Node) { h = r.hierarchy(n) },
		"routes":    func(n *yaml.Node) { routes = n },
	})
	if routes == nil {
		if root.Kind == yaml.MappingNode {
			r.wrong(root, "routes is missing")
		}
		return
	}
	r.list(routes, func(n *yaml.Node) { r.route(n, h, t) })
	if routes.Kind == yaml.SequenceNode && len(routes.Content) == 0 {
		r.wrong(routes, "there is no route, so everything would be refused")
	}
}

func (r *reader) hierarchy(n *yaml.Node) scopes.Hierarchy {
	includes := map[string][]string{}
	r.entries(n, func(key, value *yaml.Node) { includes[key.Value] = r.texts(value) })
	h, err := scopes.NewHierarchy(includes)
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			r.wrong(n, "%s", strings.TrimPrefix(line, "scopes: "))
		}
	}
	return h
}

// route reads one route. What it demands of scopes is the sum of all that it
// says.
func (r *reader) route(n *yaml.Node, h scopes.Hierarchy, t *Table) {
	var (
		route     middleware.Route
		p         = &route.Policy
		pattern   *yaml.Node
		anyToken  bool
		demands   []scopes.Requirement
		exclusive []*yaml.Node // keys that say what is demanded at all
	)
	demand := func(n *yaml.Node, req scopes.Requirement) {
		exclusive = append(exclusive, n)
		demands = append(demands, req)
	}
	before := len(r.mistakes)
	r.mapping(n, map[string]func(*yaml.Node){
		"route":      func(n *yaml.Node) { pattern, route.Pattern = n, r.text(n) },
		"name":       func(n *yaml.Node) { p.Name = r.text(n) },
		"scopes":     func(n *yaml.Node) { demand(n, r.alternatives(n)) },
		"read_write": func(n *yaml.Node) { demand(n, r.readWrite(n)) },
		"resources":  func(n *yaml.Node) { demand(n, scopes.ReadWrite{}.Resource(r.texts(n)...)) },
		"methods":    func(n *yaml.Node) { demand(n, r.methods(n)) },
		"any_token": func(n *yaml.Node) {
			before := len(r.mistakes)
			if anyToken = r.truth(n); !anyToken && len(r.mistakes) == before {
				r.wrong(n, "can only be true (hint: leave it out)")
			}
		},
		"public":                func(n *yaml.Node) { route.Public = r.truth(n) },
		"optional":              func(n *yaml.Node) { p.Optional = r.truth(n) },
		"audience":              func(n *yaml.Node) { p.Audience = r.texts(n) },
		"max_staleness_seconds": func(n *yaml.Node) { p.MaxStaleness = time.Duration(r.seconds(n)) * time.Second },
		"always_ask":            func(n *yaml.Node) { p.AlwaysAsk = r.truth(n) },
		"sender_constrained":    func(n *yaml.Node) { p.SenderConstrained = r.truth(n) },
		"acr_values":            func(n *yaml.Node) { p.ACR = r.texts(n) },
		"max_age_seconds":       func(n *yaml.Node) { p.MaxAge = time.Duration(r.seconds(n)) * time.Second },
		"dangerously_shadow":    func(n *yaml.Node) { p.DangerouslyShadow = r.truth(n) },
	})
	switch {
	case len(r.mistakes) > before:
		return // more would only be confusing
	case pattern == nil:
		r.wrong(n, "route is missing (hint: route: GET /songs/{id})")
		return
	case anyToken && len(demands) > 0:
		r.wrong(exclusive[0], "demands scopes although any_token is true")
		return
	case route.Public && (anyToken || len(demands) > 0):
		r.wrong(pattern, "is public and demands a token (hint: optional admits requests without one)")
		return
	case !route.Public && !anyToken && len(demands) == 0:
		r.wrong(pattern, "demands nothing (hint: scopes, any_token or public)")
		return
	}
	if anyToken {
		p.Scopes = scopes.AnyToken()
	}
	for i, d := range demands {
		if i == 0 {
			p.Scopes = d
		} else {
			p.Scopes = p.Scopes.And(d)
		}
	}
	if !route.Public {
		p.Scopes = p.Scopes.Under(h)
	}
	t.routes, t.nodes = append(t.routes, route), append(t.nodes, pattern)
}

// alternatives reads a list of scopes, of which all are demanded, or a list of
// such lists, of which one is.
func (r *reader) alternatives(n *yaml.Node) scopes.Requirement {
	var req scopes.Requirement
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		r.wrong(n, "is empty (hint: any_token: true takes every valid token)")
	}
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 || n.Content[0].Kind != yaml.SequenceNode {
		return scopes.All(r.texts(n)...)
	}
	for _, item := range n.Content {
		if len(item.Content) == 0 && item.Kind == yaml.SequenceNode {
			r.wrong(item, "is empty (hint: any_token: true takes every valid token)")
			continue
		}
		req = req.Or(scopes.All(r.texts(item)...))
	}
	return req
}

func (r *reader) readWrite(n *yaml.Node) scopes.Requirement {
	var rw scopes.ReadWrite
	r.mapping(n, map[string]func(*yaml.Node){
		"read":  func(n *yaml.Node) { rw.Read = r.text(n) },
		"write": func(n *yaml.Node) { rw.Write = r.text(n) },
	})
	return rw.Required()
}

func (r *reader) methods(n *yaml.Node) scopes.Requirement {
	demands := map[string]scopes.Requirement{}
	r.entries(n, func(key, value *yaml.Node) { demands[key.Value] = r.alternatives(value) })
	return scopes.Methods(demands)
}
