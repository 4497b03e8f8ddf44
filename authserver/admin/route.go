package admin

import "net/http"

type (
	// A keyList is the signing keys, the oldest first.
	keyList struct {
		Keys []Key `json:"keys"`
	}
	// A scopeList is the scopes.
	scopeList struct {
		Scopes []Scope `json:"scopes"`
	}
)

var (
	searchText = parameter{name: "q", text: "Only what has this text in it.", kind: "string"}
	pageAfter  = parameter{name: "after", text: "The next of the page before.", kind: "string"}
	pageLimit  = parameter{name: "limit", text: "How many there may be on the page.", kind: "integer"}
)

// routes returns all operations.
func routes() []route {
	all := append(clientRoutes(), accountRoutes()...)
	all = append(all, tokenRoutes()...)
	all = append(all, otherRoutes()...)
	return append(all, auditRoutes()...)
}

func otherRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "keys", id: "listKeys", summary: "List the signing keys that are published.",
			result: keyList{}, status: http.StatusOK,
			serve: func(c *call) (any, error) {
				keys, err := c.ops.Keys(c.Context())
				return keyList{keys}, err
			},
		},
		{
			method: http.MethodPost, path: "keys", id: "rotateKey", summary: "Make a key that signs once everybody can know it.",
			result: Key{}, status: http.StatusCreated,
			serve: func(c *call) (any, error) { return c.ops.RotateKey(c.Context()) },
		},
		{
			method: http.MethodDelete, path: "keys/{kid}", id: "retireKey", summary: "Take a key back at once, with all tokens that it signed.",
			serve: func(c *call) (any, error) { return nil, c.ops.RetireKey(c.Context(), c.PathValue("kid")) },
		},
		{
			method: http.MethodGet, path: "scopes", id: "listScopes", summary: "List the scopes, with their texts.",
			result: scopeList{}, status: http.StatusOK,
			serve: func(c *call) (any, error) {
				list, err := c.ops.Scopes(c.Context())
				return scopeList{list}, err
			},
		},
	}
}
