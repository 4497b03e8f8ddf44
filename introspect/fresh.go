package introspect

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	minPause = 500 * time.Millisecond
	maxPause = 30 * time.Second
)

// A fresh keeps a value that is fetched from elsewhere. One fetch runs at a
// time; it begins when somebody asks after the value's soft end, and nobody
// waits for it before the hard one. After a fetch that failed there is a
// pause, which doubles each time.
type fresh[T any] struct {
	fetch   func(context.Context) (aged[T], error)
	timeout time.Duration // of one fetch
	settle  time.Duration // between a fetch and a renewal
	now     func() time.Time

	mu      sync.Mutex
	value   aged[T]
	held    bool
	fetched time.Time
	flight  *flight
	pause   time.Duration
	until   time.Time // of the pause
	last    error     // which began the pause
	closed  bool
}

// An aged value is good until its soft end without another thought, and until
// its hard end if there is no better one.
type aged[T any] struct {
	value      T
	soft, hard time.Time
}

type flight struct {
	done   chan struct{}
	cancel context.CancelFunc
	err    error
}

var errClosed = &exchangeError{"the client is closed", nil}

// get returns the value, which it waits for only if there is none.
func (f *fresh[T]) get(ctx context.Context) (T, error) {
	f.mu.Lock()
	now := f.now()
	if f.held && now.Before(f.value.hard) {
		if !now.Before(f.value.soft) && !now.Before(f.until) {
			f.begin()
		}
		defer f.mu.Unlock()
		return f.value.value, nil
	}
	return f.await(ctx, now)
}

// renew returns a value that was fetched after refused, or the same if it is
// too soon for another.
func (f *fresh[T]) renew(ctx context.Context, refused func(T) bool) (T, error) {
	f.mu.Lock()
	now := f.now()
	if f.held && now.Before(f.value.hard) && (!refused(f.value.value) || now.Sub(f.fetched) < f.settle) {
		defer f.mu.Unlock()
		return f.value.value, nil
	}
	return f.await(ctx, now)
}

// await unlocks, and waits for a fetch that it begins if there is none.
func (f *fresh[T]) await(ctx context.Context, now time.Time) (T, error) {
	var none T
	if f.flight == nil && now.Before(f.until) {
		defer f.mu.Unlock()
		return none, f.last
	}
	run := f.begin()
	f.mu.Unlock()
	if run == nil {
		return none, errClosed
	}
	select {
	case <-run.done:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	if run.err != nil {
		return none, run.err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.value.value, nil
}

// begin returns the fetch in progress, or a new one. It is called with the
// lock held. The fetch is nobody's in particular, so that the one who happens
// to begin it can not end it for all others.
func (f *fresh[T]) begin() *flight {
	if f.flight != nil || f.closed {
		return f.flight
	}
	ctx, cancel := context.WithTimeout(context.Background(), f.timeout)
	run := &flight{done: make(chan struct{}), cancel: cancel}
	f.flight = run
	go func() {
		defer cancel()
		value, err := f.fetch(ctx)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.end(run, value, err)
	}()
	return run
}

func (f *fresh[T]) end(run *flight, value aged[T], err error) {
	now := f.now()
	f.flight = nil
	defer close(run.done)
	if err != nil {
		f.pause = min(max(2*f.pause, minPause), maxPause)
		f.until = now.Add(f.pause*3/4 + rand.N(f.pause/2))
		f.last, run.err = err, err
		return
	}
	f.value, f.held, f.fetched = value, true, now
	f.pause, f.until, f.last = 0, time.Time{}, nil
}

// close ends the fetch in progress and waits for its end. There is no other
// after it.
func (f *fresh[T]) close() {
	f.mu.Lock()
	f.closed = true
	run := f.flight
	f.mu.Unlock()
	if run != nil {
		run.cancel()
		<-run.done
	}
}
