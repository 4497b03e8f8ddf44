package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// A Scope is what a token can allow.
type Scope struct {
	// Name is what tokens have.
	Name string `json:"name"`
	// Text is what people are told that it allows; empty if there is no text.
	Text string `json:"text"`
	// Clients is how many clients may get it, among the first thousands.
	Clients int `json:"clients"`
}

// Scopes returns the scopes that the server knows, in the order in which people
// see them, and behind them others that clients are registered for.
func (o *Operations) Scopes(ctx context.Context) ([]Scope, error) {
	list, err := o.config.Server.Scopes(ctx)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for after, looked := "", 0; looked < maxLooks; looked += MaxPage {
		clients, err := o.config.Clients.ListClients(ctx, after, MaxPage)
		if err != nil {
			return nil, fmt.Errorf("admin: list clients: %w", err)
		}
		for _, c := range clients {
			after = c.ID
			for _, name := range c.Scopes {
				counts[name]++
			}
		}
		if len(clients) < MaxPage {
			break
		}
	}
	all := []Scope{}
	for _, d := range list {
		all = append(all, Scope{d.Name, d.Text, counts[d.Name]})
		delete(counts, d.Name)
	}
	known := len(all)
	for name, n := range counts {
		all = append(all, Scope{Name: name, Clients: n})
	}
	slices.SortFunc(all[known:], func(a, b Scope) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}
