package middleware_test

import (
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// scopeGroups are the rules for scopes per route that depend on more than the
// token.
func scopeGroups() []group {
	const forbidden = middleware.ReasonForbidden
	hierarchy, err := scopes.NewHierarchy(map[string][]string{"admin": {"write"}, "write": {"read"}})
	if err != nil {
		panic(err)
	}
	policy := func(req scopes.Requirement) middleware.Policy { return middleware.Policy{Scopes: req} }

	return []group{
		{"read and write", nil, policy(scopes.ReadWrite{}.Required()), []row{
			{"get", do("GET", "/", "Bearer read"), admitted, ok},
			{"head", do("HEAD", "/", "Bearer read"), admittedHead, ok},
			{"options", do("OPTIONS", "/", "Bearer read"), admitted, ok},
			{"post", do("POST", "/", "Bearer read"), needs("write"), scope},
			{"put", do("PUT", "/", "Bearer read"), needs("write"), scope},
			{"patch", do("PATCH", "/", "Bearer read"), needs("write"), scope},
			{"delete", do("DELETE", "/", "Bearer read"), needs("write"), scope},
			{"trace", do("TRACE", "/", "Bearer read"), needs("write"), scope},
			{"lower case", do("get", "/", "Bearer read"), needs("write"), scope},
			{"override", change(do("POST", "/", "Bearer read"), set("X-HTTP-Method-Override", "GET")), needs("write"), scope},
			{"get with write", do("GET", "/", "Bearer write"), needs("read"), scope},
			{"post with write", do("POST", "/", "Bearer write"), admitted, ok},
			{"get after post", do("GET", "/", "Bearer read"), admitted, ok},
			{"post, nothing", do("POST", "/"), bare, noToken},
		}},
		{"read and write besides listed", nil, policy(scopes.ReadWrite{}.Required().And(scopes.All("songs"))), []row{
			{"get", do("GET", "/", "Bearer read-songs"), admitted, ok},
			{"get without the listed", do("GET", "/", "Bearer read"), needs("read songs"), scope},
			{"post", do("POST", "/", "Bearer read-songs"), needs("write songs"), scope},
		}},
		{"per resource", nil, policy(scopes.ReadWrite{}.Resource("songs")), []row{
			{"get", do("GET", "/", "Bearer songs-read"), admitted, ok},
			{"post", do("POST", "/", "Bearer songs-read"), needs("songs:write"), scope},
			{"post with write", do("POST", "/", "Bearer songs-write"), admitted, ok},
			{"get with plain read", do("GET", "/", "Bearer read"), needs("songs:read"), scope},
		}},
		{"per method", nil, policy(scopes.Methods(map[string]scopes.Requirement{
			"GET":  scopes.Any("read", "admin"),
			"POST": scopes.All("read", "write").Or(scopes.All("admin")),
		})), []row{
			{"get", do("GET", "/", "Bearer read"), admitted, ok},
			{"get, other alternative", do("GET", "/", "Bearer admin"), admitted, ok},
			{"get, neither", do("GET", "/", "Bearer write"), needs("read"), scope},
			{"post", do("POST", "/", "Bearer read"), needs("read write"), scope},
			{"post, all", do("POST", "/", "Bearer read-write"), admitted, ok},
			{"delete", do("DELETE", "/", "Bearer admin"), noMethod, forbidden},
			{"head", do("HEAD", "/", "Bearer admin"), headOf(noMethod), forbidden},
			{"lower case", do("get", "/", "Bearer admin"), noMethod, forbidden},
			{"delete, unknown", do("DELETE", "/", "Bearer unknown"), invalid, refused},
			{"delete, nothing", do("DELETE", "/"), bare, noToken},
		}},
		{"hierarchy", nil, policy(scopes.ReadWrite{}.Required().Under(hierarchy)), []row{
			{"get with read", do("GET", "/", "Bearer read"), admitted, ok},
			{"get with write", do("GET", "/", "Bearer write"), admitted, ok},
			{"get with admin", do("GET", "/", "Bearer admin"), admitted, ok},
			{"post with admin", do("POST", "/", "Bearer admin"), admitted, ok},
			{"post with read", do("POST", "/", "Bearer read"), needs("write"), scope},
			{"get with reader", do("GET", "/", "Bearer reader"), needs("read"), scope},
		}},
	}
}
