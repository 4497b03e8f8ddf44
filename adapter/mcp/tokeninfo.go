package mcp

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sneckauth/sneck"
)

// tokenKey is where a TokenInfo has the Token that it was made from.
const tokenKey = "github.com/sneckauth/sneck.Token"

// TokenInfo returns what the SDK knows about a token.
//
// Its UserID joins issuer, subject and client, so that a session belongs to
// one user with one client, whatever token they use: after a renewal, or with
// more scopes. It is meant for comparison; for who it is, see [Token]. Tokens
// that say nothing about any of the three share the sessions of their like.
func TokenInfo(t *sneck.Token) *auth.TokenInfo {
	if t == nil {
		return nil
	}
	return &auth.TokenInfo{
		Scopes:     slices.Clone(t.Scopes),
		Expiration: t.Expires,
		UserID:     fmt.Sprintf("%q %q %q", t.Issuer, t.Subject, t.ClientID),
		Extra:      map[string]any{tokenKey: t},
	}
}

// Token returns the token that a TokenInfo was made from, such as the one in
// the Extra of a request to a tool, or nil if it was made by somebody else.
// The nil Token grants nothing.
func Token(info *auth.TokenInfo) *sneck.Token {
	if info == nil {
		return nil
	}
	t, _ := info.Extra[tokenKey].(*sneck.Token)
	return t
}

// WithTokenInfo returns a handler that hands on what a guard before it has
// found out about the token, in the way of the SDK: Extra.TokenInfo of
// requests, and the user to whom the handler binds its sessions. It checks
// nothing itself: behind no guard, there is no token.
func WithTokenInfo(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if t := sneck.FromContext(r.Context()); t != nil {
			r = r.WithContext(newContext(r.Context(), TokenInfo(t)))
		}
		h.ServeHTTP(w, r)
	})
}

// newContext returns a context in which the SDK finds the TokenInfo. The SDK
// lets nobody but its own middleware write it, so that is asked to do so for a
// request that is nothing but the context. The token has been admitted, so its
// expiry is not looked at again.
func newContext(ctx context.Context, info *auth.TokenInfo) context.Context {
	verified := func(context.Context, string, *http.Request) (*auth.TokenInfo, error) { return info, nil }
	options := &auth.RequireBearerTokenOptions{AllowMissingExpiration: true, ClockSkew: math.MaxInt64}
	out := ctx
	keep := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { out = r.Context() })
	r := (&http.Request{Header: http.Header{"Authorization": {"Bearer admitted"}}}).WithContext(ctx)
	auth.RequireBearerToken(verified, options)(keep).ServeHTTP(nil, r)
	return out
}

// TokenInContext is middleware for an SDK server ([mcp.Server.AddReceivingMiddleware])
// by which tools find their request's token with [sneck.FromContext]. Without
// it, what they find is the token of the request that began the session.
func TokenInContext(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, r mcp.Request) (mcp.Result, error) {
		var t *sneck.Token
		if extra := r.GetExtra(); extra != nil {
			t = Token(extra.TokenInfo)
		}
		return next(sneck.NewContext(ctx, t), method, r)
	}
}

var _ mcp.Middleware = TokenInContext
