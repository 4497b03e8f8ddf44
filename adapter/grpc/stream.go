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
	received := make(chan receipt, 1)
	go s.receive(m, received)
	select {
	case r := <-received:
		if hasExpired(s.ctx) {
			return ended
		}
		return r.result()
	case <-s.ctx.Done():
		if hasExpired(s.ctx) {
			return ended
		}
		r := <-received // the client has gone, and what it sent comes to an end
		return r.result()
	}
}

// A receipt is how receiving ended.
type receipt struct {
	err      error
	panicked any
}

// receive receives a message. A panic is for who waits for it: here nobody could
// recover it, and it would end the process.
func (s *expiring) receive(m any, received chan<- receipt) {
	var r receipt
	defer func() {
		r.panicked = recover()
		received <- r
	}()
	r.err = s.ServerStream.RecvMsg(m)
}

func (r receipt) result() error {
	if r.panicked != nil {
		panic(r.panicked)
	}
	return r.err
}
