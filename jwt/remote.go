package jwt

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sneckauth/sneck"
)

// A Remote is a [KeySource] that fetches the key set of one issuer and keeps
// it fresh. Make it with [NewJWKS] or [Discover], close it with Close. It is
// safe for concurrent use, and a Key call for a known key takes no lock.
//
// A set is fetched when it is first asked for. At about four fifths of
// Fetch.Refresh it is fetched again in the background, at the latest at all
// of it before the next key is given out; so a key that was taken out of the
// set is used for that long at most. Each set replaces the one before.
//
// If a fetch fails, or the answer has no usable key, the last good set is
// used on, for Fetch.MaxStale after it was fetched, and fetching is tried
// again, ever less often up to every 30 seconds.
//
// A key that is not in the set causes one fetch for all who wait, at most
// one in Fetch.UnknownKeyInterval; keys not found then are not looked for
// again for 2 minutes. So neither new keys nor garbage need attention.
type Remote struct {
	name   string // issuer or URL, for logs
	locate *locator
	fetch  Fetch
	log    *slog.Logger
	now    func() time.Time

	current atomic.Pointer[snapshot]

	mu      sync.Mutex
	flight  *flight              // the fetch under way, or nil
	failed  int                  // fetches that failed since the last good one
	err     error                // why the last one failed
	retry   time.Time            // when it is worth to try again after a failure
	unknown time.Time            // when the last fetch that looked for an unknown key began
	missing map[string]time.Time // key IDs that are not in the set, and until when that is believed
	closed  bool
	running sync.WaitGroup
}

// A snapshot is a key set and the moments of its life.
type snapshot struct {
	*KeySet
	fetched time.Time // when the question was asked
	soft    time.Time // then a new one is fetched in the background
	hard    time.Time // then it is not used without asking for a new one
	dead    time.Time // then it is not used at all
}

// A flight is one fetch, for all who wait for it.
type flight struct {
	done   chan struct{}
	cancel context.CancelFunc
}

const (
	maxBackoff   = 30 * time.Second
	missingTTL   = 2 * time.Minute
	maxMissing   = 1000
	softFraction = 0.8
)

// Key implements [KeySource]. Its errors wrap [ErrNoKey], or are a
// [*sneck.UnavailableError].
func (r *Remote) Key(ctx context.Context, alg, kid string) (*Key, error) {
	now := r.now()
	if s := r.current.Load(); s != nil && now.Before(s.soft) {
		if k := s.find(alg, kid); k != nil {
			return k, nil
		}
	}
	key, wait, own, err := r.decide(now, alg, kid)
	if wait == nil {
		return key, err
	}
	if err := wait.wait(ctx); err != nil {
		return nil, err
	}
	key, wait, _, err = r.settle(alg, kid, own)
	if wait == nil {
		return key, err
	}
	// The first fetch was begun by somebody else, maybe before the issuer
	// published the key. This one began after the token was seen, whoever
	// began it, so its answer is one for this token, too.
	if err := wait.wait(ctx); err != nil {
		return nil, err
	}
	key, _, _, err = r.settle(alg, kid, true)
	return key, err
}

func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return &sneck.UnavailableError{Err: ctx.Err()}
	}
}

// decide returns a key or an error, or else a fetch to wait for, and whether
// that was begun here.
func (r *Remote) decide(now time.Time, alg, kid string) (key *Key, wait *flight, own bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.current.Load()
	switch {
	case r.closed:
		return nil, nil, false, &sneck.UnavailableError{Err: errClosed}
	case s == nil || !now.Before(s.dead):
		if wait, own = r.begin(now); wait == nil {
			return nil, nil, false, r.unavailable(now)
		}
		return nil, wait, own, nil
	case !now.Before(s.hard) && r.failed == 0:
		wait, own = r.begin(now)
		return nil, wait, own, nil
	case !now.Before(s.soft):
		r.begin(now)
	}
	if key = s.find(alg, kid); key != nil {
		return key, nil, false, nil
	}
	return r.miss(now, s, kid)
}

// miss decides what to do for a key that is not in the set: to wait for a
// fetch, or nothing. It is called with the lock held.
func (r *Remote) miss(now time.Time, s *snapshot, kid string) (*Key, *flight, bool, error) {
	if kid == "" || s.ids[kid] || now.Before(r.missing[kid]) {
		// Without an ID no fetch would help for long, and a known ID with
		// another algorithm is a forgery.
		return nil, nil, false, ErrNoKey
	}
	if r.flight != nil {
		return nil, r.flight, false, nil
	}
	if now.Sub(r.unknown) < r.fetch.UnknownKeyInterval {
		if r.failed > 0 {
			return nil, nil, false, r.unavailable(now)
		}
		return nil, nil, false, ErrNoKey
	}
	wait, own := r.begin(now)
	if wait == nil {
		return nil, nil, false, r.unavailable(now)
	}
	r.unknown = now
	return nil, wait, own, nil
}

// settle answers after a fetch. own says whether that was begun for this
// call; if not, and the key is still missing, another may be worth it.
func (r *Remote) settle(alg, kid string, own bool) (*Key, *flight, bool, error) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.current.Load()
	if s == nil || !now.Before(s.dead) {
		return nil, nil, false, r.unavailable(now)
	}
	if key := s.find(alg, kid); key != nil {
		return key, nil, false, nil
	}
	if r.failed > 0 {
		return nil, nil, false, r.unavailable(now)
	}
	if own {
		// Whatever it was begun for, this fetch answered for the unknown key.
		r.unknown = s.fetched
		r.believeMissing(now, kid)
		return nil, nil, false, ErrNoKey
	}
	return r.miss(now, s, kid)
}

// begin joins or begins a fetch. It returns nil if after a failure it is too
// early for another. It is called with the lock held.
func (r *Remote) begin(now time.Time) (f *flight, own bool) {
	if r.flight != nil {
		return r.flight, false
	}
	if now.Before(r.retry) || r.closed {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.fetch.Timeout)
	f = &flight{make(chan struct{}), cancel}
	r.flight = f
	r.running.Go(func() {
		defer cancel()
		set, raw, age, err := r.get(ctx)
		r.land(f, now, set, age, err)
		if err == nil {
			r.save(now, raw)
		}
	})
	return f, true
}

// land takes the outcome of a fetch that began at the given time.
func (r *Remote) land(f *flight, began time.Time, set *KeySet, age time.Duration, err error) {
	defer close(f.done)
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flight = nil
	if r.closed {
		return
	}
	if err != nil {
		backoff := min(time.Second<<min(r.failed, 10), maxBackoff, r.fetch.Refresh)
		r.failed++
		r.err = err
		r.retry = now.Add(backoff)
		r.log.Warn("key set not fetched", slog.String("source", r.name), slog.Int("failures", r.failed),
			slog.Duration("retry_in", backoff), slog.Any("error", err))
		return
	}
	r.current.Store(r.snapshot(set, began, age))
	r.failed, r.err, r.retry = 0, nil, time.Time{}
	for kid, until := range r.missing {
		if set.ids[kid] || !now.Before(until) {
			delete(r.missing, kid)
		}
	}
}

// snapshot gives a set its times. The moment of the background fetch is
// spread, so that a fleet that started together does not ask together.
func (r *Remote) snapshot(set *KeySet, fetched time.Time, age time.Duration) *snapshot {
	life := r.fetch.Refresh
	if age >= 0 {
		life = min(life, max(age, minRefresh))
	}
	soft := time.Duration(float64(life) * softFraction * (0.9 + 0.1*rand.Float64()))
	return &snapshot{set, fetched, fetched.Add(soft), fetched.Add(life), fetched.Add(r.fetch.MaxStale)}
}

func (r *Remote) believeMissing(now time.Time, kid string) {
	if kid == "" {
		return
	}
	if len(r.missing) >= maxMissing {
		clear(r.missing) // the interval still bounds the fetches
	}
	r.missing[kid] = now.Add(missingTTL)
}

func (r *Remote) unavailable(now time.Time) error {
	err := r.err
	if r.closed {
		err = errClosed
	}
	if err == nil {
		err = errors.New("jwt: no keys yet")
	}
	return &sneck.UnavailableError{Err: err, RetryAfter: max(r.retry.Sub(now), 0)}
}

// A Status is how a [Remote] is doing, for health checks and metrics.
type Status struct {
	// Fetched is when the key set in use was asked for; zero if there is none.
	Fetched time.Time
	// Keys is the number of usable keys in it.
	Keys int
	// Failures is how many fetches failed since, and Err why the last did.
	Failures int
	Err      error
}

// Status returns how the Remote is doing.
func (r *Remote) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := Status{Failures: r.failed, Err: r.err}
	if s := r.current.Load(); s != nil {
		st.Fetched, st.Keys = s.fetched, s.Len()
	}
	return st
}

// Close ends a fetch that is under way and waits for its end. Keys can not be
// had from then on.
func (r *Remote) Close() error {
	r.stop()
	r.running.Wait()
	return nil
}

// stop is Close without waiting.
func (r *Remote) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.current.Store(nil)
	if r.flight != nil {
		r.flight.cancel()
	}
}
