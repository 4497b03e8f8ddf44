package grpc

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A stream has the context with the token.
type stream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *stream) Context() context.Context { return s.ctx }

// An expiring stream ends with its context, which ends with the token.
type expiring struct{ stream }

// errExpired is the cause of such a context's end.
var errExpired = errors.New("adapter/grpc: the token has expired")

func hasExpired(ctx context.Context) bool { return context.Cause(ctx) == errExpired }

// ended is what a handler gets that goes on. Its client gets more.
var ended = status.Error(codes.Unauthenticated, errExpired.Error())

func (s *expiring) SendMsg(m any) error {
	if hasExpired(s.ctx) {
		return ended
	}
	return s.ServerStream.SendMsg(m)
}

// RecvMsg does not wait for a message longer than the token lives, as else a
// client that sends none would keep its stream. What is left behind then ends
// with the stream, that is when the handler returns. Nobody reads m any more.
func (s *expiring) RecvMsg(m any) error {
	if hasExpired(s.ctx) {
		return ended
	}
	received := make(chan error, 1)
	go func() { received <- s.ServerStream.RecvMsg(m) }()
	select {
	case err := <-received:
		if hasExpired(s.ctx) {
			return ended
		}
		return err
	case <-s.ctx.Done():
		if hasExpired(s.ctx) {
			return ended
		}
		return <-received // the client has gone, and what it sent comes to an end
	}
}
