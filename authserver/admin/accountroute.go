package admin

import (
	"net/http"

	"github.com/sneckauth/sneck/authserver/pages"
)

type (
	// An accountPage is a page of accounts.
	accountPage struct {
		Accounts []*Account `json:"accounts"`
		// Next is the "after" of the next page; not there if there is none.
		Next string `json:"next,omitempty"`
	}
	// A passwordRequest sets a password.
	passwordRequest struct {
		// Password is made up if it is left out.
		Password string `json:"password,omitempty"`
	}
	// A passwordAnswer tells a password.
	passwordAnswer struct {
		// Password is the one that was made up; not there if none was.
		Password string `json:"password,omitempty"`
	}
	// An adminRequest says whether an account may administer the server.
	adminRequest struct {
		// Admin must be there.
		Admin *bool `json:"admin"`
	}
	// A sessionList is where a person is signed in.
	sessionList struct {
		Sessions []pages.Session `json:"sessions"`
	}
	// An ended says how many sessions were ended.
	ended struct {
		Ended int `json:"ended"`
	}
)

func accountRoutes() []route {
	const one = "accounts/{sub}"
	return []route{
		{
			method: http.MethodGet, path: "accounts", id: "listAccounts", summary: "List the accounts, in an order that means nothing.",
			query: []parameter{searchText, pageAfter, pageLimit}, result: accountPage{}, status: http.StatusOK,
			serve: func(c *call) (any, error) {
				limit, err := c.limit()
				if err != nil {
					return nil, err
				}
				list, next, err := c.ops.Accounts(c.Context(), c.query.Get("q"), c.query.Get("after"), limit)
				return accountPage{list, next}, err
			},
		},
		{
			method: http.MethodPost, path: "accounts", id: "createAccount", summary: "Make an account; a password that is made up is in this answer only.",
			body: NewAccount{}, result: Account{}, status: http.StatusCreated,
			serve: func(c *call) (any, error) {
				n, err := decode[NewAccount](c)
				if err != nil {
					return nil, err
				}
				return c.ops.CreateAccount(c.Context(), n)
			},
		},
		{
			method: http.MethodGet, path: one, id: "getAccount", summary: "Get an account.", result: Account{}, status: http.StatusOK,
			serve: func(c *call) (any, error) { return c.ops.Account(c.Context(), c.PathValue("sub")) },
		},
		{
			method: http.MethodDelete, path: one, id: "deleteAccount", summary: "Delete an account, and revoke what was issued for it.",
			serve: func(c *call) (any, error) { return nil, c.ops.DeleteAccount(c.Context(), c.PathValue("sub")) },
		},
		{
			method: http.MethodPut, path: one + "/password", id: "setPassword",
			summary: "Give an account another password, and sign it out everywhere; one that is made up is in this answer only.",
			body:    passwordRequest{}, result: passwordAnswer{}, status: http.StatusOK,
			serve: func(c *call) (any, error) {
				req, err := decode[passwordRequest](c)
				if err != nil {
					return nil, err
				}
				made, err := c.ops.SetPassword(c.Context(), c.PathValue("sub"), req.Password)
				return passwordAnswer{made}, err
			},
		},
		{
			method: http.MethodPut, path: one + "/admin", id: "setAdmin", summary: "Say whether an account may administer the server.",
			body: adminRequest{}, result: Account{}, status: http.StatusOK,
			serve: func(c *call) (any, error) {
				req, err := decode[adminRequest](c)
				if err != nil {
					return nil, err
				}
				if req.Admin == nil {
					return nil, refuse(ErrInvalid, "admin is missing (hint: true or false)")
				}
				if err := c.ops.SetAdmin(c.Context(), c.PathValue("sub"), *req.Admin); err != nil {
					return nil, err
				}
				return c.ops.Account(c.Context(), c.PathValue("sub"))
			},
		},
		{
			method: http.MethodGet, path: one + "/sessions", id: "listSessions", summary: "List where a person is signed in.",
			result: sessionList{}, status: http.StatusOK,
			serve: func(c *call) (any, error) {
				list, err := c.ops.Sessions(c.Context(), c.PathValue("sub"))
				return sessionList{append([]pages.Session{}, list...)}, err
			},
		},
		{
			method: http.MethodDelete, path: one + "/sessions", id: "endSessions", summary: "Sign a person out everywhere.",
			result: ended{}, status: http.StatusOK,
			serve: func(c *call) (any, error) {
				n, err := c.ops.EndSessions(c.Context(), c.PathValue("sub"))
				return ended{n}, err
			},
		},
		{
			method: http.MethodDelete, path: one + "/sessions/{id}", id: "endSession", summary: "End one session of a person.",
			serve: func(c *call) (any, error) {
				return nil, c.ops.EndSession(c.Context(), c.PathValue("sub"), c.PathValue("id"))
			},
		},
	}
}
