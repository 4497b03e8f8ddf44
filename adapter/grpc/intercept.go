package grpc

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/sneckauth/sneck/middleware"
)

// ServerOptions returns what [grpc.NewServer] needs to have all calls guarded,
// those with streams too. Interceptors that should run before the guard are
// options that come before these.
func (g *Guard) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(g.Unary), grpc.ChainStreamInterceptor(g.Stream)}
}

// Unary is a [grpc.UnaryServerInterceptor]. The handler finds the token with
// [sneck.FromContext]. A server needs [Guard.Stream] as well.
//
// [sneck.FromContext]: https://pkg.go.dev/github.com/sneckauth/sneck#FromContext
func (g *Guard) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	rule := g.rule(info.FullMethod)
	if rule.unguarded {
		return handler(ctx, req)
	}
	c, err := g.admit(ctx, info.FullMethod, rule)
	if err != nil {
		return nil, err
	}
	return handler(c.ctx, req)
}

// Stream is a [grpc.StreamServerInterceptor]. The handler finds the token with
// [sneck.FromContext] in the context of the stream. A server needs
// [Guard.Unary] as well.
//
// The token is checked when the stream begins. When it expires, the stream
// ends with Unauthenticated, whatever the handler returns, so that nobody
// takes what was sent so far for all: its context is done, and the handler can
// neither receive nor send. A handler that does neither must watch the
// context. A token that is revoked meanwhile is noticed by the next call.
//
// [sneck.FromContext]: https://pkg.go.dev/github.com/sneckauth/sneck#FromContext
func (g *Guard) Stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	rule := g.rule(info.FullMethod)
	if rule.unguarded {
		return handler(srv, ss)
	}
	c, err := g.admit(ss.Context(), info.FullMethod, rule)
	if err != nil {
		return err
	}
	if g.outlive || !c.expires() {
		return handler(srv, &stream{ss, c.ctx})
	}
	ctx, cancel := context.WithDeadlineCause(c.ctx, c.decision.Token.Expires, errExpired)
	defer cancel()
	err = handler(srv, &expiring{stream{ss, ctx}})
	if !hasExpired(ctx) {
		return err
	}
	c.decision.Allowed, c.decision.Reason = false, middleware.ReasonExpired
	return g.refuse(c)
}

// A call is one that a guard decides about.
type call struct {
	ctx      context.Context // of the handler, once it is admitted
	request  *http.Request
	decision middleware.Decision
}

// expires reports whether the call was admitted for as long as a token lives.
func (c *call) expires() bool {
	d := &c.decision
	return d.Allowed && d.Token != nil && !d.Token.Expires.IsZero()
}

// admit returns the call, or the status that refuses it.
func (g *Guard) admit(ctx context.Context, fullMethod string, rule *rule) (*call, error) {
	c := &call{ctx: ctx, request: newRequest(ctx, fullMethod, rule)}
	c.decision = g.guard.Check(c.request, rule.policy)
	if !c.decision.Allowed && !c.decision.Shadow {
		return nil, g.refuse(c)
	}
	answer := answer{}
	c.ctx = g.guard.Admit(answer, c.request, c.decision).Context()
	if md := answer.metadata(); md != nil {
		if err := grpc.SetHeader(ctx, md); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// newRequest returns the HTTP request that a call is. The names of metadata
// are those of header fields, but for what is not text.
func newRequest(ctx context.Context, fullMethod string, rule *rule) *http.Request {
	r := &http.Request{
		Method: http.MethodPost,
		URL:    &url.URL{Path: fullMethod},
		Proto:  "HTTP/2.0", ProtoMajor: 2,
		Pattern: rule.name,
	}
	md, _ := metadata.FromIncomingContext(ctx)
	r.Header = make(http.Header, len(md))
	for name, values := range md {
		switch {
		case name == ":authority" && len(values) == 1:
			r.Host = values[0]
		case strings.HasPrefix(name, ":"), strings.HasSuffix(name, "-bin"):
		default:
			name = http.CanonicalHeaderKey(name)
			r.Header[name] = append(r.Header[name], values...)
		}
	}
	if p, ok := peer.FromContext(ctx); ok {
		if p.Addr != nil {
			r.RemoteAddr = p.Addr.String()
		}
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			r.TLS = &info.State
		}
	}
	return r.WithContext(ctx)
}
