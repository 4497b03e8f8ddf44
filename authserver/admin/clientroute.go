package admin

import (
	"net/http"
	"time"
)

type (
	// A clientPage is a page of clients.
	clientPage struct {
		Clients []*Client `json:"clients"`
		// Next is the "after" of the next page; not there if there is none.
		Next string `json:"next,omitempty"`
	}
	// A secretRequest asks for a secret.
	secretRequest struct {
		// Expires is when it ends; it does not if that is left out.
		Expires time.Time `json:"expires,omitzero"`
	}
	// An expiry is when something ends.
	expiry struct {
		// Expires is in the future.
		Expires time.Time `json:"expires"`
	}
)

func clientRoutes() []route {
	return []route{
		{
			method: http.MethodGet, path: "clients", id: "listClients", summary: "List the clients in the order of their IDs.",
			query: []parameter{searchText, pageAfter, pageLimit}, result: clientPage{}, status: http.StatusOK,
			serve: func(c *call) (any, error) {
				limit, err := c.limit()
				if err != nil {
					return nil, err
				}
				list, next, err := c.ops.Clients(c.Context(), c.query.Get("q"), c.query.Get("after"), limit)
				return clientPage{list, next}, err
			},
		},
		{
			method: http.MethodPost, path: "clients", id: "createClient", summary: "Register a client; its secret is in this answer only.",
			body: NewClient{}, result: Client{}, status: http.StatusCreated, tagged: true,
			serve: func(c *call) (any, error) {
				n, err := decode[NewClient](c)
				if err != nil {
					return nil, err
				}
				return c.client(c.ops.CreateClient(c.Context(), n))
			},
		},
		{
			method: http.MethodGet, path: "clients/{client_id}", id: "getClient", summary: "Get a client.",
			result: Client{}, status: http.StatusOK, tagged: true,
			serve: func(c *call) (any, error) {
				return c.client(c.ops.Client(c.Context(), c.PathValue("client_id")))
			},
		},
		{
			method: http.MethodPut, path: "clients/{client_id}", id: "changeClient",
			summary: "Replace the settings of a client; what is left out is empty then. Secrets stay, unless it authenticates by something else now: then they end. One that had none and names a method with a secret has a new one in this answer only, and its keys end.",
			body:    ClientSettings{}, result: Client{}, status: http.StatusOK, tagged: true, versioned: true,
			serve: func(c *call) (any, error) {
				s, err := decode[ClientSettings](c)
				if err != nil {
					return nil, err
				}
				return c.client(c.ops.ChangeClient(c.Context(), c.PathValue("client_id"), c.version, s))
			},
		},
		{
			method: http.MethodDelete, path: "clients/{client_id}", id: "deleteClient",
			summary: "Delete a client, and revoke what was issued to it.",
			result:  revoked{}, status: http.StatusOK,
			serve: func(c *call) (any, error) {
				n, err := c.ops.DeleteClient(c.Context(), c.PathValue("client_id"))
				return revoked{n}, err
			},
		},
		{
			method: http.MethodPost, path: "clients/{client_id}/secrets", id: "addSecret",
			summary: "Make a further secret for a client; it is in this answer only.",
			body:    secretRequest{}, result: NewSecret{}, status: http.StatusCreated,
			serve: func(c *call) (any, error) {
				req, err := decode[secretRequest](c)
				if err != nil {
					return nil, err
				}
				return c.ops.AddSecret(c.Context(), c.PathValue("client_id"), req.Expires)
			},
		},
		{
			method: http.MethodPut, path: "clients/{client_id}/secrets/{id}", id: "expireSecret",
			summary: "Let a secret expire at a moment in the future, unless it does sooner.",
			body:    expiry{}, result: Client{}, status: http.StatusOK, tagged: true,
			serve: func(c *call) (any, error) {
				req, err := decode[expiry](c)
				if err != nil {
					return nil, err
				}
				if req.Expires.IsZero() {
					return nil, refuse(ErrInvalid, "expires is missing (hint: DELETE ends the secret at once)")
				}
				return c.client(c.ops.RetireSecret(c.Context(), c.PathValue("client_id"), c.PathValue("id"), req.Expires))
			},
		},
		{
			method: http.MethodDelete, path: "clients/{client_id}/secrets/{id}", id: "retireSecret", summary: "End a secret at once.",
			result: Client{}, status: http.StatusOK, tagged: true,
			serve: func(c *call) (any, error) {
				return c.client(c.ops.RetireSecret(c.Context(), c.PathValue("client_id"), c.PathValue("id"), time.Time{}))
			},
		},
	}
}

// client returns a client with its version.
func (c *call) client(v *Client, err error) (any, error) {
	if err == nil {
		c.tag = v.Version
	}
	return v, err
}
