package sneck

import (
	"context"
	"time"
)

// NewContext returns a context that carries the token that a request was
// admitted with.
func NewContext(ctx context.Context, t *Token) context.Context {
	return &tokenContext{ctx, t}
}

// FromContext returns the token that the request was admitted with, or nil if
// there was none. The nil Token grants nothing, so the result can be asked
// without a check.
func FromContext(ctx context.Context) *Token {
	t, _ := ctx.Value(tokenKey{}).(*Token)
	return t
}

type tokenKey struct{}

// A tokenContext is a value context for the one key that every request sets;
// unlike context.WithValue it needs no boxed key.
type tokenContext struct {
	context.Context
	token *Token
}

func (c *tokenContext) Value(key any) any {
	if _, ok := key.(tokenKey); ok {
		return c.token
	}
	return c.Context.Value(key)
}

// WithMaxStaleness returns a context in which a Verifier that remembers
// answers may only use those whose question was asked at most d ago
// ([Token.VerifiedAt]); it asks anew otherwise. Zero asks for an answer that
// is not remembered at all. Like a deadline, the bound belongs to the request
// and passes every Verifier in between unharmed. Of two bounds the stricter
// counts.
func WithMaxStaleness(ctx context.Context, d time.Duration) context.Context {
	if have, ok := MaxStaleness(ctx); ok && have <= d {
		return ctx
	}
	return context.WithValue(ctx, stalenessKey{}, max(d, 0))
}

// MaxStaleness returns the bound set by [WithMaxStaleness], and whether there
// is one.
func MaxStaleness(ctx context.Context) (time.Duration, bool) {
	d, ok := ctx.Value(stalenessKey{}).(time.Duration)
	return d, ok
}

type stalenessKey struct{}

// WithKnown returns a context for a question about a token that its authority
// has called active before. A Verifier that limits how many questions may be
// asked about tokens of which nothing is known, as somebody may make them up,
// does not count this one. It is for Verifiers that remember answers.
func WithKnown(ctx context.Context) context.Context { return context.WithValue(ctx, knownKey{}, true) }

// Known reports whether [WithKnown] made the context or one that it is from.
func Known(ctx context.Context) bool { return ctx.Value(knownKey{}) != nil }

type knownKey struct{}
