package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/sneckauth/sneck/adapter/redis/internal/resp"
)

const (
	// blockFor is how long one read waits for a message, and so how often a
	// quiet stream is checked.
	blockFor = time.Second
	// grace is what an answer may be late.
	grace = 2 * time.Second
	// beginning is before every entry.
	beginning = "0-0"
)

// Subscribe implements [cache.Bus]. First it delivers what is in the stream
// already. It calls receive and lost from one goroutine, one at a time. It
// returns ctx's error, or [ErrClosed].
func (r *Redis) Subscribe(ctx context.Context, receive func(message []byte), lost func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)()
	s := &subscription{r: r, receive: receive, lost: lost, position: beginning}
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
	r       *Redis
	receive func([]byte)
	lost    func()

	// position identifies the last entry that was read.
	position string
	// server is the replication id of the server that has the entry; empty
	// if not known.
	server string
	// secret is true if the server does not tell its replication id.
	secret bool
	// anchored is when an anchor was seen last, by anybody.
	anchored time.Time
	// replayed counts the messages read since the beginning, until the
	// stream was caught up with; negative from then on.
	replayed int
	// broken is true from a failure to the next success, for the log.
	broken bool
}

// step reads once, delivers, and then checks that nothing was missed: an
// alarm need not come before the messages that could be read.
func (s *subscription) step(ctx context.Context) error {
	if s.anchored.IsZero() || time.Since(s.anchored) > s.r.cfg.Retention/4 {
		if _, err := s.r.anchor(ctx); err != nil {
			return err
		}
		s.anchored = time.Now()
	}
	before := s.position
	entries, err := s.read(ctx)
	if errors.Is(err, resp.ErrTooLarge) {
		return s.jump(ctx)
	}
	if err != nil {
		return err
	}
	if s.replayed >= 0 {
		switch s.replayed += len(entries); {
		case s.replayed >= maxMessages:
			// The stream was full, so messages that are still of importance
			// may have been pushed out, before any of these.
			s.replayed = -1
			s.lost()
		case len(entries) < maxBatch:
			s.replayed = -1
		}
	}
	for _, entry := range entries {
		s.position = entry.ID
		if message, ok := entry.FieldValues[messageField]; ok {
			s.receive([]byte(message))
		} else {
			s.anchored = time.Now()
		}
	}
	return s.check(ctx, before)
}

// read returns what comes after the position, oldest first, and waits for it
// if there is nothing.
func (s *subscription) read(ctx context.Context) ([]rueidis.XRangeEntry, error) {
	ctx, cancel := context.WithTimeout(ctx, blockFor+grace)
	defer cancel()
	key := s.r.busKey()
	streams, err := do(ctx, s.r, func(ctx context.Context, client rueidis.Client) (map[string][]rueidis.XRangeEntry, error) {
		return client.Do(ctx, client.B().Xread().Count(maxBatch).Block(blockFor.Milliseconds()).Streams().Key(key).Id(s.position).Build()).AsXRead()
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

// check calls lost if what was read need not be all that came after before.
// If that entry still stands after the read, nothing newer had been dropped.
func (s *subscription) check(ctx context.Context, before string) error {
	server, there, err := s.ask(ctx, before)
	if err != nil {
		s.position = before // and read again: once more is allowed, once less is not
		return err
	}
	// Which server it was is not known if there was no answer yet, or if the
	// server never tells; then a failure counts as a change.
	moved := server != s.server && s.server != "" || s.broken && s.server == ""
	s.server = server
	switch {
	case moved:
		s.restart("the server was restarted or replaced")
	case before != beginning && !there:
		s.restart("the stream was dropped or trimmed")
	}
	if s.broken {
		s.broken = false
		s.r.cfg.Logger.Info("messages of the bus arrive again")
	}
	return nil
}

// restart reports a loss and begins anew: a new stream may give identifiers
// that are smaller than those of the old.
func (s *subscription) restart(why string) {
	s.r.cfg.Logger.Warn("messages of the bus may be lost", "cause", why)
	s.lost()
	s.position, s.anchored, s.replayed = beginning, time.Time{}, 0
}

// jump goes on behind an entry that is too large to be read, which no Publish
// made.
func (s *subscription) jump(ctx context.Context) error {
	id, err := s.r.anchor(ctx)
	if err != nil {
		return err
	}
	s.r.cfg.Logger.Warn("messages of the bus may be lost", "cause", "the stream has an entry that is too large")
	s.position, s.anchored, s.replayed = id, time.Now(), -1
	s.lost()
	return nil
}

// failed takes note of an error, and clears away what is not a stream.
func (s *subscription) failed(ctx context.Context, err error) {
	if !s.broken {
		s.r.cfg.Logger.Warn("messages of the bus do not arrive; trying again", "error", err)
	}
	s.broken = true
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

// millis returns the time in an entry's identifier, in milliseconds.
func millis(id string) (int64, error) {
	head, _, _ := strings.Cut(id, "-")
	at, err := strconv.ParseInt(head, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("redis: %q is not the identifier of an entry", id)
	}
	return at, nil
}
