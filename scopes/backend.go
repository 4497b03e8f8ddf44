package scopes

import (
	"context"
	"fmt"
)

// A Described scope is a name together with a text that tells people what
// they grant by it.
type Described struct {
	// Name is the scope-token (RFC 6749, section 3.3).
	Name string
	// Text is shown to the resource owner who is asked to consent.
	Text string
}

// A Request says for whom scopes are asked.
type Request struct {
	// ClientID is the client that will hold the token.
	ClientID string
	// GrantType is the way in which the token is asked for, such as
	// "client_credentials".
	GrantType string
	// Subject is the resource owner; the client itself where it acts for
	// nobody else, and empty where the owner is not known yet.
	Subject string
	// Audience lists the resource servers that the token will be meant for.
	Audience []string
	// Registered is what the client's own record allows, for a backend that
	// has nothing to add to it.
	Registered Set
}

// A Backend says which scopes there are. It answers three questions, of which
// the last two may depend on who asks. An error means that the backend could
// not find out.
//
// A Backend must be safe for concurrent use. The answers are read-only for
// those who get them.
type Backend interface {
	// All returns every scope, in the order in which people should see them.
	All(ctx context.Context) ([]Described, error)
	// Available returns the scopes that may be granted to this request. The
	// client's own record may narrow them further.
	Available(ctx context.Context, r Request) (Set, error)
	// Default returns the scopes that a request gets that names none; an
	// empty answer leaves the choice to the configuration of the server.
	Default(ctx context.Context, r Request) (Set, error)
}

// Static is a [Backend] with a fixed list of scopes, all of them available to
// everybody. The zero Static has the scopes "read" and "write".
//
// It is safe for concurrent use as long as it is not changed.
type Static struct {
	// List holds the scopes in the order in which people should see them. A
	// nil List stands for the two scopes named by Read and Write.
	List []Described
	// Defaults are the scopes of a request that names none. Each must be in
	// the list.
	Defaults Set
	// Read and Write name the scopes that reading and writing need; empty
	// means "read" and "write".
	Read, Write string
}

// All returns the list.
func (s Static) All(context.Context) ([]Described, error) {
	if s.List != nil {
		return s.List, nil
	}
	return []Described{{s.ReadScope(), "Read your data"}, {s.WriteScope(), "Change your data"}}, nil
}

// Available returns every scope of the list.
func (s Static) Available(ctx context.Context, _ Request) (Set, error) {
	list, err := s.All(ctx)
	names := make(Set, len(list))
	for i, d := range list {
		names[i] = d.Name
	}
	return names, err
}

// Default returns the Defaults.
func (s Static) Default(context.Context, Request) (Set, error) { return s.Defaults, nil }

// ReadScope returns the name of the scope that reading needs.
func (s Static) ReadScope() string { return orElse(s.Read, "read") }

// WriteScope returns the name of the scope that writing needs.
func (s Static) WriteScope() string { return orElse(s.Write, "write") }

// CheckDescribed returns an error if a name in the list is not a scope, or
// stands there twice.
func CheckDescribed(list []Described) error {
	seen := make(map[string]struct{}, len(list))
	for _, d := range list {
		if err := Check(d.Name); err != nil {
			return err
		}
		if _, again := seen[d.Name]; again {
			return fmt.Errorf("scopes: %q is in the list twice", d.Name)
		}
		seen[d.Name] = struct{}{}
	}
	return nil
}

func orElse(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return name
}
