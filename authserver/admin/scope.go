package admin

import "context"

// A Scope is what a token can allow.
type Scope struct {
	// Name is what tokens have.
	Name string `json:"name"`
	// Text is what people are told that it allows.
	Text string `json:"text"`
}

// Scopes returns the scopes that the server knows, in the order in which people
// see them.
func (o *Operations) Scopes(ctx context.Context) ([]Scope, error) {
	list, err := o.config.Server.Scopes(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Scope, len(list))
	for i, d := range list {
		all[i] = Scope{d.Name, d.Text}
	}
	return all, nil
}
