package authserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Sweep says how records that have expired are deleted.
type Sweep struct {
	// Interval is the time from one round to the next; zero means that
	// nothing is deleted until somebody calls DeleteExpired.
	Interval time.Duration
	// BatchSize is how many records are deleted at once; zero means 10,000,
	// and more than MaxSweepBatch is an error.
	BatchSize int
	// Pause is the time between two batches, for others to use the store;
	// zero means 10 milliseconds.
	Pause time.Duration
	// Retain is how long records stay after they expired; zero means one
	// hour. As long as a spent code or refresh token is there, its reuse is
	// noticed.
	Retain time.Duration
}

// MaxSweepBatch is the largest Sweep.BatchSize.
const MaxSweepBatch = 1000000

const (
	defaultSweepBatch  = 10000
	defaultSweepPause  = 10 * time.Millisecond
	defaultSweepRetain = time.Hour
)

func (s *Sweep) prepare() error {
	if s.Interval < 0 || s.Pause < 0 || s.Retain < 0 || s.BatchSize < 0 || s.BatchSize > MaxSweepBatch {
		return fmt.Errorf("authserver: Sweep %+v has a negative member or a batch of more than %d", *s, MaxSweepBatch)
	}
	if s.BatchSize == 0 {
		s.BatchSize = defaultSweepBatch
	}
	if s.Pause == 0 {
		s.Pause = defaultSweepPause
	}
	if s.Retain == 0 {
		s.Retain = defaultSweepRetain
	}
	return nil
}

// Run deletes expired records every Config.Sweep.Interval until ctx is done,
// and returns its error. Without an interval it only waits. Whoever makes the
// server runs it in a goroutine of its own; of several servers that share a
// store, more than one may do so. An error of the store is logged, and the
// next round tries again.
func (s *Server) Run(ctx context.Context) error {
	if s.config.Sweep.Interval == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	tick := time.NewTicker(s.config.Sweep.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		n, err := s.deleteExpired(ctx, nil, true)
		switch {
		case err != nil && ctx.Err() == nil:
			s.config.Logger.LogAttrs(ctx, slog.LevelError, "sweep failed", slog.Int64("deleted", n), cause(err))
		case n > 0:
			s.config.Logger.LogAttrs(ctx, slog.LevelInfo, "swept", slog.Int64("deleted", n))
		}
	}
}

// CountExpired returns how many records DeleteExpired would delete now, or an
// error that wraps errors.ErrUnsupported if the store is no [ExpiredCounter].
func (s *Server) CountExpired(ctx context.Context) (int64, error) {
	counter, ok := s.config.Store.(ExpiredCounter)
	if !ok {
		return 0, fmt.Errorf("authserver: count expired records: the store can not: %w", errors.ErrUnsupported)
	}
	n, err := counter.CountExpired(ctx, s.config.Now().Add(-s.config.Sweep.Retain))
	if err != nil {
		return 0, fmt.Errorf("authserver: count expired records: %w", err)
	}
	return n, nil
}

// DeleteExpired deletes all records that have been expired for at least
// Config.Sweep.Retain, batch by batch, and returns how many. After each batch
// it calls progress, unless that is nil, with the number so far.
func (s *Server) DeleteExpired(ctx context.Context, progress func(deleted int64)) (int64, error) {
	return s.deleteExpired(ctx, progress, false)
}

// rests is for how many times as long as a store took to delete more than it was
// asked to, such as all of a partition, it is then left in peace: others may have
// felt that.
const rests = 10

// deleteExpired is DeleteExpired, with rests if there is no hurry.
func (s *Server) deleteExpired(ctx context.Context, progress func(deleted int64), gently bool) (int64, error) {
	sweep := s.config.Sweep
	before := s.config.Now().Add(-sweep.Retain)
	var total int64
	for {
		began, pause := time.Now(), sweep.Pause
		n, err := s.config.Store.DeleteExpired(ctx, before, sweep.BatchSize)
		if gently && n > int64(sweep.BatchSize) {
			pause = max(pause, rests*time.Since(began))
		}
		total += n
		if err != nil {
			return total, fmt.Errorf("authserver: delete expired records: %w", err)
		}
		if n == 0 {
			return total, s.observeSwept(ctx, total)
		}
		if progress != nil {
			progress(total)
		}
		select {
		case <-ctx.Done():
			return total, ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (s *Server) observeSwept(ctx context.Context, n int64) error {
	if n == 0 {
		return nil
	}
	return s.observe(ctx, Event{Kind: EventSwept, Count: n})
}
