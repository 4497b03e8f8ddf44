package middleware

import "github.com/sneckauth/sneck/scopes"

// A Policy is what one route demands of a request. The zero Policy admits
// nobody, since the zero [scopes.Requirement] is met by no token.
type Policy struct {
	// Scopes is what the token must grant.
	Scopes scopes.Requirement
	// Optional admits a request without a token; the handler then finds no
	// token in its context. A token that is there must still pass, so that
	// a client learns of its mistake instead of being served as a stranger.
	Optional bool
}

func (p *Policy) check() error { return p.Scopes.Check() }
