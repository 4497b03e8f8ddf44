package main

import (
	"context"

	"github.com/sneckauth/sneck/authserver"
)

// A recordFunc puts an event on record.
type recordFunc = func(context.Context, authserver.Event) error

// A recorder hands events on to a server that is made later, because what
// reports them is a part of it.
type recorder struct {
	server *authserver.Server
	early  []authserver.Event
}

// record keeps an event until there is a server. The server is set before
// anything runs at the same time.
func (r *recorder) record(ctx context.Context, e authserver.Event) error {
	if r.server == nil {
		r.early = append(r.early, e)
		return nil
	}
	return r.server.Record(ctx, e)
}

// use hands on what has happened before.
func (r *recorder) use(ctx context.Context, s *authserver.Server) error {
	r.server = s
	for _, e := range r.early {
		if err := s.Record(ctx, e); err != nil {
			return hinted(err, "look at --audit")
		}
	}
	return nil
}
