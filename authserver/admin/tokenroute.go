package admin

import (
	"net/http"
)

type (
	// A tokenPage is a page of tokens.
	tokenPage struct {
		Tokens []Token `json:"tokens"`
		// Next is the "after" of the next page; not there if there is none.
		Next string `json:"next,omitempty"`
	}
	// A revoked says how many records are gone.
	revoked struct {
		Revoked int64 `json:"revoked"`
	}
)

func tokenRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "tokens", id: "listTokens",
			summary: "List tokens that are still good, without themselves; one of client_id, sub and family must be there.",
			query: []parameter{
				{name: "client_id", text: "Only tokens of this client.", kind: "string"},
				{name: "sub", text: "Only tokens for this subject.", kind: "string"},
				{name: "family", text: "Only what came of one approval.", kind: "string"},
				{name: "jti", text: "Only this token.", kind: "string"},
				pageAfter, pageLimit,
			},
			result: tokenPage{}, status: http.StatusOK,
			serve: func(c *call) (any, error) {
				limit, err := c.limit()
				if err != nil {
					return nil, err
				}
				which := TokenSelector{c.query.Get("jti"), c.query.Get("family"), c.query.Get("client_id"), c.query.Get("sub")}
				list, next, err := c.ops.Tokens(c.Context(), which, c.query.Get("after"), limit)
				return tokenPage{list, next}, err
			},
		},
		{
			method: http.MethodPost, path: "tokens/revoke", id: "revokeTokens",
			summary: "Revoke the tokens that have all that is given, and what could yield others.",
			body:    TokenSelector{}, result: revoked{}, status: http.StatusOK,
			serve: func(c *call) (any, error) {
				which, err := decode[TokenSelector](c)
				if err != nil {
					return nil, err
				}
				n, err := c.ops.RevokeTokens(c.Context(), which)
				return revoked{n}, err
			},
		},
	}
}
