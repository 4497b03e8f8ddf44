package redis

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/sneckauth/sneck/adapter/redis/internal/resp"
	"github.com/sneckauth/sneck/cache"
)

const (
	// blockFor is how long one read waits for a message, and so how often a
	// quiet stream is checked.
	blockFor = time.Second
	// grace is what an answer may be late.
	grace = 2 * time.Second
	// maxAnchorPause is how far apart anchors are at most, and so by how much
	// the past may look too short.
	maxAnchorPause = time.Minute
	// beginning is before every entry.
	beginning = "0-0"
)

// Subscribe implements [cache.Bus]. It calls the functions of to from one
// goroutine. It returns ctx's error, or [ErrClosed].
func (r *Redis) Subscribe(ctx context.Context, to cache.Subscriber) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)()
	s := &subscription{r: r, to: to, position: beginning}
	pause := firstPause
	for {
		err := s.step(ctx)
		switch {
		case r.ctx.Err() != nil:
			return ErrClosed
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			pause = firstPause
			continue
		}
		s.failed(ctx, err)
		if r.sleep(ctx, pause) {
			pause = min(2*pause, maxPause)
		}
	}
}

// Retention implements [cache.Bus].
func (r *Redis) Retention() time.Duration { return r.cfg.Retention }

// A subscription is one reader of the stream.
type subscription struct {
	r  *Redis
	to cache.Subscriber

	// position identifies the last entry that was read.
	position string
	// server is the replication id of the server that has the entry; empty
	// if not known.
	server string
	// secret is true if the server does not tell its replication id.
	secret bool
	// anchored is when an anchor was seen last, by anybody.
	anchored time.Time
	// past is what the stream says about the time before it was joined, until
	// it has been read; since is the moment, by our clock, after which nothing
	// is missing, from then on.
	past  past
	since time.Time
	// broken is true from a failure to the next success.
	broken bool
}

// step reads once, delivers, and then checks that nothing was missed: an
// alarm need not come before the messages that could be read.
func (s *subscription) step(ctx context.Context) error {
	if s.anchored.IsZero() || time.Since(s.anchored) > min(s.r.cfg.Retention/4, maxAnchorPause) {
		if err := s.anchor(ctx); err != nil {
			return err
		}
	}
	before := s.position
	entries, err := s.read(ctx)
	if errors.Is(err, resp.ErrTooLarge) {
		return s.jump(ctx)
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		s.position = entry.ID
		if message, ok := entry.FieldValues[messageField]; ok {
			s.to.Receive([]byte(message))
		} else if server, ok := entry.FieldValues[anchorField]; ok {
			s.anchored = time.Now()
			s.past.see(entry.ID, server, s.server)
		}
	}
	whole, err := s.check(ctx, before)
	if err == nil && whole && len(entries) < maxBatch { // the end of the stream
		s.current()
	}
	return err
}

// current says that everything was delivered.
func (s *subscription) current() {
	if s.since.IsZero() {
		s.since = s.past.since()
	}
	s.to.Current(s.since)
}

// anchor leaves an anchor in the stream. The first one of a subscription says
// which server it was.
func (s *subscription) anchor(ctx context.Context) error {
	if s.server == "" && !s.secret {
		server, _, err := s.ask(ctx, beginning)
		if err != nil {
			return err
		}
		s.server = server
	}
	id, err := s.r.anchor(ctx, s.server)
	if err != nil {
		return err
	}
	s.anchored = time.Now()
	if s.past.joined.IsZero() {
		s.past = past{own: id, joined: s.anchored}
	}
	return nil
}

// read returns what comes after the position, oldest first, and waits for it
// if there is nothing, unless the connection is new: then it is time to say
// so.
func (s *subscription) read(ctx context.Context) ([]rueidis.XRangeEntry, error) {
	ctx, cancel := context.WithTimeout(ctx, blockFor+grace)
	defer cancel()
	key := s.r.busKey()
	wait := blockFor.Milliseconds()
	if s.broken {
		wait = 1
	}
	streams, err := do(ctx, s.r, func(ctx context.Context, client rueidis.Client) (map[string][]rueidis.XRangeEntry, error) {
		return client.Do(ctx, client.B().Xread().Count(maxBatch).Block(wait).Streams().Key(key).Id(s.position).Build()).AsXRead()
	})
	if rueidis.IsRedisNil(err) {
		return nil, nil
	}
	return streams[key], err
}

// continuity is what a check asks for: the replication id, which a restart
// and a failover change, and whether an entry is in the stream. It is one
// script so that in a Cluster the node answers that has the stream.
const continuity = `return {string.match(redis.call('INFO','replication'),'master_replid:(%x+)') or '',#redis.call('XRANGE',KEYS[1],ARGV[1],ARGV[1])}`

// check reports whether what was read is all that came after before, and
// begins anew if it need not be. If that entry still stands after the read,
// nothing newer had been dropped.
func (s *subscription) check(ctx context.Context, before string) (whole bool, err error) {
	server, there, err := s.ask(ctx, before)
	if err != nil {
		s.position = before // and read again: once more is allowed, once less is not
		return false, err
	}
	// Which server it was is not known if there was no answer yet, or if the
	// server never tells; then a failure counts as a change.
	moved := server != s.server && s.server != "" || s.broken && s.server == ""
	s.server = server
	whole = true
	switch {
	case moved:
		s.restart("the server was restarted or replaced")
		whole = false
	case before != beginning && !there:
		s.restart("the stream was dropped or trimmed")
		whole = false
	}
	if s.broken {
		s.broken = false
		s.r.cfg.Logger.Info("messages of the bus arrive again")
	}
	return whole, nil
}

// restart reports a loss and begins anew: a new stream may give identifiers
// that are smaller than those of the old.
func (s *subscription) restart(why string) {
	s.position, s.anchored = beginning, time.Time{}
	s.lost(why)
}

// lost says that what came until now need not be all there was.
func (s *subscription) lost(why string) {
	s.r.cfg.Logger.Warn("messages of the bus may be lost", "cause", why)
	s.since = time.Now()
	s.to.Current(s.since)
}

// jump goes on behind an entry that is too large to be read, which no Publish
// made.
func (s *subscription) jump(ctx context.Context) error {
	id, err := s.r.anchor(ctx, s.server)
	if err != nil {
		return err
	}
	s.position, s.anchored = id, time.Now()
	s.lost("the stream has an entry that is too large")
	return nil
}

// failed takes note of an error, and clears away what is not a stream.
func (s *subscription) failed(ctx context.Context, err error) {
	if !s.broken {
		s.r.cfg.Logger.Warn("messages of the bus do not arrive; trying again", "error", err)
	}
	s.broken = true
	s.to.Behind()
	if failure, ok := rueidis.IsRedisErr(err); ok && wrongType(failure) {
		_, _ = do(ctx, s.r, func(ctx context.Context, client rueidis.Client) (struct{}, error) {
			return struct{}{}, client.Do(ctx, client.B().Del().Key(s.r.busKey()).Build()).Error()
		})
	}
}

// ask returns the server's replication id and whether the entry is there.
func (s *subscription) ask(ctx context.Context, id string) (server string, there bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	key := s.r.busKey()
	if !s.secret {
		answer, err := do(ctx, s.r, func(ctx context.Context, client rueidis.Client) ([]rueidis.RedisMessage, error) {
			return client.Do(ctx, client.B().Eval().Script(continuity).Numkeys(1).Key(key).Arg(id).Build()).ToArray()
		})
		if failure, ok := rueidis.IsRedisErr(err); ok && refused(failure.Error()) {
			s.secret = true
			s.r.cfg.Logger.Warn("the server does not tell its replication id; every lost connection counts as lost messages (hint: allow the user EVAL and INFO)", "error", err)
		} else if err != nil || len(answer) != 2 {
			return "", false, errors.Join(err, s.r.ctx.Err(), errUnexpected)
		} else {
			server, err = answer[0].ToString()
			n, err2 := answer[1].AsInt64()
			return server, n == 1, errors.Join(err, err2)
		}
	}
	found, err := do(ctx, s.r, func(ctx context.Context, client rueidis.Client) ([]rueidis.XRangeEntry, error) {
		return client.Do(ctx, client.B().Xrange().Key(key).Start(id).End(id).Build()).AsXRange()
	})
	return "", len(found) == 1, err
}

var errUnexpected = errors.New("redis: the check of the bus failed")

// refused reports whether the server will never run the script: it gave a
// reason, and not one of those that pass.
func refused(reply string) bool {
	code, _, _ := strings.Cut(reply, " ")
	switch code {
	case "LOADING", "BUSY", "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "NOREPLICAS", "UNBLOCKED", "MISCONF", "OOM", "WRONGTYPE":
		return false
	}
	return true
}
