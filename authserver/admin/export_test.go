package admin

import "github.com/sneckauth/sneck/authserver"

// A Route is an operation, for tests that describe or walk them.
type Route struct {
	Method, Path, ID, Summary string
	Query                     []Parameter
	Body, Result              any
	Status                    int
	Tagged, Versioned         bool
}

// A Parameter is one of the query.
type Parameter struct {
	Name, Text, Kind string
	Repeated         bool
}

// Routes returns all operations.
func Routes() []Route {
	var all []Route
	for _, r := range routes() {
		one := Route{r.method, r.path, r.id, r.summary, nil, r.body, r.result, r.status, r.tagged, r.versioned}
		for _, p := range r.query {
			one.Query = append(one.Query, Parameter{p.name, p.text, p.kind, p.repeated})
		}
		all = append(all, one)
	}
	return all
}

// Problem is the type of refusals.
var Problem any = problem{}

// DecodeClient decodes the body of a client that is to be registered, and
// checks that its settings can be read.
func DecodeClient(data []byte) (NewClient, error) {
	n, err := decode[NewClient](&call{body: data})
	if err == nil {
		err = n.apply(new(authserver.Client))
	}
	return n, err
}
