package yaml

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// A Table is a list of routes that was read from a file.
type Table struct {
	source *Source
	routes []middleware.Route
}

// Parse reads a table. The file's name is for mistakes, which the error joins,
// each of them a [*Mistake].
func Parse(file string, data []byte) (*Table, error) {
	var f tableFile
	source, _ := Decode(file, data, &f) // mistakes stay in the source
	t := &Table{source: source}
	h := f.hierarchy(source)
	for i := range f.Routes {
		t.add(i, &f.Routes[i], h)
	}
	if f.Routes != nil && len(f.Routes) == 0 && !source.reader.flawed[source.find("routes")] {
		source.Wrong("is empty, so everything would be refused", "routes")
	}
	if err := source.Err(); err != nil {
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

// Check returns what every guard finds wrong with the table, each a [*Mistake]:
// as [Table.Guard] does, without one that verifies tokens.
func (t *Table) Check() error {
	guard, err := middleware.New(middleware.Config{
		Verifier: sneck.VerifierFunc(func(context.Context, string) (*sneck.Token, error) { return nil, sneck.ErrInvalid }),
		Audience: []string{"check"},
	})
	if err != nil {
		return err
	}
	_, err = t.Guard(guard)
	return err
}

// Replace puts the table into force in place of another. If there is an error,
// which is like that of [Table.Guard], the other stays.
func (t *Table) Replace(routes *middleware.Routes) error { return t.located(routes.Replace(t.routes)) }

// located says where in the file the mistakes are that a guard has found.
func (t *Table) located(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	// A table may be tried on several guards, so its own source stays as it is.
	source := &Source{reader: &reader{file: t.source.reader.file}, root: t.source.root}
	for _, e := range joined.Unwrap() {
		var route *middleware.RouteError
		if !errors.As(e, &route) {
			return err
		}
		source.wrongs(route.Err, "routes", route.Index, "route")
	}
	return source.Err()
}

// wrongs adds each mistake of those that an error joins.
func (s *Source) wrongs(err error, path ...any) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		s.Wrong(strings.TrimPrefix(strings.TrimPrefix(line, "middleware: "), "scopes: "), path...)
	}
}

// A tableFile is what a file with routes holds.
type tableFile struct {
	Hierarchy map[string][]string `yaml:"hierarchy" doc:"scopes, each with those that it includes"`
	Routes    []routeEntry        `yaml:"routes,required" doc:"what requests demand; what no route matches is refused"`
}

func (f *tableFile) hierarchy(s *Source) scopes.Hierarchy {
	for _, name := range slices.Sorted(maps.Keys(f.Hierarchy)) {
		if s.reader.flawed[s.find("hierarchy", name)] {
			return scopes.Hierarchy{} // more would only be confusing
		}
	}
	h, err := scopes.NewHierarchy(f.Hierarchy)
	if err != nil {
		s.wrongs(err, "hierarchy")
	}
	return h
}

// A routeEntry is what a file says of one route.
type routeEntry struct {
	Route string `yaml:"route,required" doc:"the pattern of http.ServeMux: method, host, path" example:"GET /songs/{id}"`
	Name  string `yaml:"name" doc:"what logs call the route instead of its pattern"`

	Scopes    *alternatives           `yaml:"scopes" doc:"scopes that are all demanded; or lists of such, of which one is"`
	ReadWrite *readWrite              `yaml:"read_write" doc:"one scope of GET, HEAD and OPTIONS, another of all other methods"`
	Resources []string                `yaml:"resources" doc:"of songs: songs:read or songs:write, by method"`
	Methods   map[string]alternatives `yaml:"methods" doc:"methods, and the scopes that each demands; other methods are refused"`
	AnyToken  bool                    `yaml:"any_token" enum:"true" doc:"every valid token is admitted"`
	Public    bool                    `yaml:"public" doc:"everybody is admitted, and no token is looked at"`
	Optional  bool                    `yaml:"optional" doc:"who has no token is admitted, too"`

	Audience          []string      `yaml:"audience" doc:"identifiers of which the token must be meant for one, instead of the guard's own"`
	MaxStaleness      time.Duration `yaml:"max_staleness_seconds" min:"1" doc:"how long ago the authority may have been asked about the token"`
	AlwaysAsk         bool          `yaml:"always_ask" doc:"the authority is asked for each request"`
	SenderConstrained bool          `yaml:"sender_constrained" doc:"the token must be bound to a key of the sender, by DPoP or TLS"`
	ACR               []string      `yaml:"acr_values" doc:"ways to sign in, of which the user must have taken one (RFC 9470)"`
	MaxAge            time.Duration `yaml:"max_age_seconds" min:"1" doc:"how long ago the user may have signed in (RFC 9470)"`

	DangerouslyShadow bool `yaml:"dangerously_shadow" doc:"what would be refused is logged and let through"`
}

// add adds a route of the file to the table, unless there is a mistake in it.
func (t *Table) add(i int, e *routeEntry, h scopes.Hierarchy) {
	if t.source.reader.flawed[t.source.find("routes", i)] {
		return // more would only be confusing
	}
	wrong := func(text, key string) { t.source.Wrong(text, "routes", i, key) }
	demands, first := e.demands()
	for key, empty := range map[string]bool{
		"resources": e.Resources != nil && len(e.Resources) == 0,
		"methods":   e.Methods != nil && len(e.Methods) == 0,
		"audience":  e.Audience != nil && len(e.Audience) == 0,
	} {
		if empty {
			wrong("is empty", key)
			return
		}
	}
	switch {
	case e.AnyToken && len(demands) > 0:
		wrong("demands scopes although any_token is true", first)
		return
	case e.Public && (e.AnyToken || len(demands) > 0):
		wrong("is public and demands a token (hint: optional admits requests without one)", "route")
		return
	case !e.Public && !e.AnyToken && len(demands) == 0:
		wrong("demands nothing (hint: scopes, any_token or public)", "route")
		return
	}
	p := middleware.Policy{
		Name: e.Name, Optional: e.Optional, Audience: e.Audience, MaxStaleness: e.MaxStaleness, AlwaysAsk: e.AlwaysAsk,
		SenderConstrained: e.SenderConstrained, ACR: e.ACR, MaxAge: e.MaxAge, DangerouslyShadow: e.DangerouslyShadow,
	}
	if e.AnyToken {
		p.Scopes = scopes.AnyToken()
	}
	for i, demand := range demands {
		if i == 0 {
			p.Scopes = demand
		} else {
			p.Scopes = p.Scopes.And(demand)
		}
	}
	if !e.Public {
		p.Scopes = p.Scopes.Under(h)
	}
	t.routes = append(t.routes, middleware.Route{Pattern: e.Route, Policy: p, Public: e.Public})
}

// demands returns all that the route demands of scopes, and the key of the first.
func (e *routeEntry) demands() (demands []scopes.Requirement, first string) {
	add := func(key string, req scopes.Requirement) {
		if demands = append(demands, req); first == "" {
			first = key
		}
	}
	if e.Scopes != nil {
		add("scopes", e.Scopes.requirement())
	}
	if e.ReadWrite != nil {
		add("read_write", scopes.ReadWrite{Read: e.ReadWrite.Read, Write: e.ReadWrite.Write}.Required())
	}
	if e.Resources != nil {
		add("resources", scopes.ReadWrite{}.Resource(e.Resources...))
	}
	if e.Methods != nil {
		methods := map[string]scopes.Requirement{}
		for names, list := range e.Methods {
			methods[names] = list.requirement()
		}
		add("methods", scopes.Methods(methods))
	}
	return demands, first
}

// readWrite names the scopes of methods that read and of all others.
type readWrite struct {
	Read  string `yaml:"read" doc:"the scope of GET, HEAD and OPTIONS; read if not named"`
	Write string `yaml:"write" doc:"the scope of all other methods; write if not named"`
}

// alternatives are lists of scopes, of which one is demanded, or in a file just
// one such list.
type alternatives struct{ lists [][]string }

func (a *alternatives) requirement() (req scopes.Requirement) {
	for _, list := range a.lists {
		req = req.Or(scopes.All(list...))
	}
	return req
}

func (a *alternatives) decode(r *reader, n *yaml.Node) {
	if !r.is(n, yaml.SequenceNode, "", "a list") {
		return
	}
	items := n.Content
	if len(items) == 0 || items[0].Kind != yaml.SequenceNode {
		items = []*yaml.Node{n}
	}
	for _, item := range items {
		var names []string
		r.list(item, func(name *yaml.Node) { names = append(names, r.text(name)) })
		if item.Kind == yaml.SequenceNode && len(names) == 0 {
			r.wrong(item, "is empty (hint: any_token: true takes every valid token)")
		}
		a.lists = append(a.lists, names)
	}
}

func (*alternatives) schema() object {
	list := object{"type": "array", "items": text(), "minItems": 1}
	return object{"anyOf": []object{list, {"type": "array", "items": list, "minItems": 1}}}
}
