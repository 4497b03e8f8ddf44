package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/sneckauth/sneck"
)

// A Cache is a [sneck.Verifier] that remembers the answers of another. It is
// safe for concurrent use.
type Cache struct {
	cfg    Config
	clock  clock
	start  time.Time // that the clock's monotonic time counts from
	tagger *tagger

	active   *memory // nil if the cache is off
	inactive *memory
	flights  flights
	slots    chan struct{} // taken by refreshes
	marks    *watermarks
	counters counters

	sealer  *sealer // nil without a shared tier
	breaker breaker
	link    link
	origin  uint64

	ctx  context.Context // of what runs in the background; done by Close
	stop context.CancelFunc
}

var (
	errRefused  = fmt.Errorf("cache: refused before, and remembered: %w", sneck.ErrInvalid)
	errNotToken = fmt.Errorf("cache: not a b64token: %w", sneck.ErrInvalid)
	errExpired  = fmt.Errorf("cache: expired: %w", sneck.ErrInvalid)
	errBusy     = errors.New("cache: too many unknown tokens are being asked about")
	errRevoked  = errors.New("cache: revoked while being asked about")
	errClosed   = errors.New("cache: closed")
)

// Verify returns the remembered answer for the token if it may be used, and
// asks the Verifier otherwise. An error is that of the Verifier, or a
// [*sneck.UnavailableError] if ctx is done first.
func (c *Cache) Verify(ctx context.Context, token string) (*sneck.Token, error) {
	if c.active == nil {
		return c.cfg.Verifier.Verify(ctx, token)
	}
	return c.verify(ctx, token, c.clock())
}

// VerifyAt is Verify for a caller that has just read [time.Now], see
// [sneck.VerifierAt]. A Cache with a clock of its own reads that one all the
// same.
func (c *Cache) VerifyAt(ctx context.Context, token string, now time.Time) (*sneck.Token, error) {
	if c.active == nil || c.cfg.Now != nil {
		return c.Verify(ctx, token)
	}
	return c.verify(ctx, token, moment{now.UnixNano(), int64(now.Sub(c.start))})
}

func (c *Cache) verify(ctx context.Context, token string, now moment) (*sneck.Token, error) {
	if len(token) > sneck.MaxTokenBytes {
		return nil, errNotToken // before its bytes are worth any work
	}
	t := c.tagger.tag(token)
	bound, bounded := sneck.MaxStaleness(ctx)
	if !bounded {
		bound = forever
	}
	e := c.active.get(t, now.mono)
	if e != nil {
		v := e.verdict.Load()
		age := now.since(v.asked)
		if bound > 0 && v.freshAt(age, bound) && c.marks.pass(v) {
			if v.token == nil {
				c.counters.inactiveHits.Add(1)
				return nil, errRefused
			}
			if v.soft > 0 && age >= v.soft {
				c.refresh(t, e, token, now, now.mono-int64(v.soft))
			}
			c.counters.hits[t[15]%8].n.Add(1)
			return v.token, nil
		}
	} else if refused := c.inactive.get(t, now.mono); refused != nil && bound > 0 {
		v := refused.verdict.Load()
		// It has a token if it was refused first and active later.
		if v.token == nil && v.fresh(now, bound) && c.marks.pass(v) {
			c.counters.inactiveHits.Add(1)
			return nil, errRefused
		}
	}
	return c.miss(ctx, t, e, token, now, bound)
}

// miss asks about a token, or waits for the question of another request.
func (c *Cache) miss(ctx context.Context, t tag, e *entry, token string, now moment, bound time.Duration) (*sneck.Token, error) {
	c.counters.misses.Add(1)
	if !sneck.ValidToken(token) {
		return nil, errNotToken
	}
	if e != nil && now.mono < e.retryAt.Load() {
		if v := c.stale(e, now, bound); v != nil {
			return v.token, nil
		}
	}
	since := now.mono - int64(bound)
	// A flight that was joined may bring a shared answer from before since,
	// and a revocation may arrive while any is under way. Then its answer
	// counts for nothing here, and the question is asked again.
	var before *flight
	for range 3 {
		f, mine := c.flights.join(detached{c.ctx, ctx}, c.cfg.FlightTimeout, t, before, since, now)
		switch {
		case f == nil && c.ctx.Err() != nil:
			return nil, &sneck.UnavailableError{Err: errClosed}
		case f == nil:
			return nil, &sneck.UnavailableError{Err: errBusy, RetryAfter: time.Second}
		case mine:
			go c.fly(t, f, token, since, e.known())
		default:
			c.counters.coalesced.Add(1)
		}
		err := f.wait(ctx)
		switch {
		case err != nil:
			return c.unanswered(e, &sneck.UnavailableError{Err: fmt.Errorf("cache: no answer in time: %w", err)}, bound)
		case f.err != nil:
			return c.unanswered(e, f.err, bound)
		case f.verdict.asked.mono >= since && c.marks.pass(f.verdict):
			return f.verdict.answer(c.clock())
		}
		now, before = c.clock(), f
	}
	return nil, &sneck.UnavailableError{Err: errRevoked, RetryAfter: time.Second}
}

// unanswered returns what a request gets for which the verifier could not
// find out: the error, or the old answer if that is allowed.
func (c *Cache) unanswered(e *entry, err error, bound time.Duration) (*sneck.Token, error) {
	if e == nil || errors.Is(err, sneck.ErrUnrecognized) || errors.Is(err, sneck.ErrInvalid) {
		return nil, err
	}
	now := c.clock()
	if v := c.stale(e, now, bound); v != nil {
		e.retryAt.Store(now.mono + int64(retryPause))
		return v.token, nil
	}
	return nil, err
}

// stale returns the entry's verdict if it may be used in an outage.
func (c *Cache) stale(e *entry, now moment, bound time.Duration) *verdict {
	v := e.verdict.Load()
	if c.cfg.StaleIfError == 0 || bound == 0 || !v.endurable(now, bound, c.cfg.StaleIfError) || !c.marks.pass(v) {
		return nil
	}
	c.counters.staleServed.Add(1)
	return v
}

// refresh asks about a token that is in use, in the background, unless there
// is an answer from after since. Where there is no room for it, a later hit
// will try again.
func (c *Cache) refresh(t tag, e *entry, token string, now moment, since int64) {
	if now.mono < e.retryAt.Load() || !e.refreshing.CompareAndSwap(false, true) {
		return
	}
	select {
	case c.slots <- struct{}{}:
	default:
		e.refreshing.Store(false)
		return
	}
	f, mine := c.flights.join(c.ctx, c.cfg.FlightTimeout, t, nil, 0, now)
	if f == nil || !mine {
		<-c.slots
		e.refreshing.Store(false)
		return
	}
	c.counters.refreshes.Add(1)
	go func() {
		defer func() { e.refreshing.Store(false); <-c.slots }()
		c.fly(t, f, token, since, true)
		if f.err != nil {
			e.retryAt.Store(c.clock().mono + int64(retryPause))
			c.cfg.Logger.Warn("could not refresh a token's verdict", "error", withheld(f.err, token))
		}
	}()
}

// fly asks about the token, wakes those who wait, and remembers the answer.
// Between the caller's look into memory and the start of the flight, another
// may have landed, here or in another process: an answer to a question from
// after since will do.
func (c *Cache) fly(t tag, f *flight, token string, since int64, known bool) {
	defer c.flights.done(t, f)
	if v := c.landed(t, since); v != nil {
		f.verdict = v
		c.flights.land(f)
		return
	}
	ctx := f.ctx
	if known {
		ctx = sneck.WithKnown(ctx)
	}
	f.verdict, f.err = c.ask(ctx, t, token, since)
	if room := c.flights.land(f); room && f.err == nil {
		c.keep(t, f.verdict, token)
		// A later answer replaces an earlier one where it finds it. If it came
		// first and there was no room for it, it found nothing.
		if later := c.flights.overtaken(f); later != nil {
			c.keep(t, later, token)
		}
	}
}

func (c *Cache) landed(t tag, since int64) *verdict {
	now := c.clock()
	for _, m := range []*memory{c.active, c.inactive} {
		if e := m.get(t, now.mono); e != nil {
			if v := e.verdict.Load(); v.asked.mono > since && v.fresh(now, forever) && c.marks.pass(v) {
				return v
			}
		}
	}
	return nil
}

// ask gets a verdict from the shared tier or from the verifier. It turns a
// panic into an error: nobody is admitted by it, and the process goes on.
func (c *Cache) ask(ctx context.Context, t tag, token string, since int64) (v *verdict, err error) {
	defer func() {
		if r := recover(); r != nil {
			c.counters.failures.Add(1)
			what := panicked(r)
			c.cfg.Logger.Error("the verifier panicked", "panic", what, "stack", string(debug.Stack()))
			v, err = nil, &sneck.UnavailableError{Err: fmt.Errorf("cache: the verifier panicked: %s", what)}
		}
	}()
	ref := c.ref(t, token)
	if v := c.fromShared(ctx, token, ref, since); v != nil {
		return v, nil
	}
	c.counters.flights.Add(1)
	generation, asked := c.marks.generation.Load(), c.clock()
	answer, err := c.cfg.Verifier.Verify(ctx, token)
	switch {
	case err == nil && answer == nil:
		err = &sneck.UnavailableError{Err: errors.New("cache: the verifier returned neither a token nor an error")}
	case err == nil:
		return c.judge(answer, asked, generation, ref), nil
	case errors.Is(err, sneck.ErrUnrecognized):
		return nil, err
	case errors.Is(err, sneck.ErrInvalid):
		return &verdict{asked: asked, generation: generation, ref: ref, hard: c.cfg.InactiveTTL, life: forever, refusal: err}, nil
	case c.ctx.Err() != nil:
		err = &sneck.UnavailableError{Err: errClosed}
	}
	c.counters.failures.Add(1)
	return nil, err
}

// judge makes a verdict of an active answer.
func (c *Cache) judge(t *sneck.Token, asked moment, generation uint64, ref string) *verdict {
	switch at := t.VerifiedAt; {
	case at.IsZero():
		stamped := *t
		stamped.VerifiedAt = time.Unix(0, asked.wall)
		t = &stamped
	case at.Before(time.Unix(0, asked.wall)):
		// The verifier remembered it itself.
		asked.mono -= asked.wall - at.UnixNano()
		asked.wall = at.UnixNano()
		generation = 0
	}
	v := &verdict{token: t, asked: asked, generation: generation, ref: ref, life: life(t, asked.wall)}
	v.hard = c.limit(v)
	if last := v.life - margin(v.life); v.hard > last {
		v.hard = last
		return v // a token that is about to expire is not refreshed
	}
	switch {
	case c.cfg.RefreshAfter < 0:
		return v
	case c.cfg.RefreshAfter > 0:
		v.soft = min(c.cfg.RefreshAfter, v.hard)
	default:
		v.soft = v.hard / 4 * 3
	}
	if v.soft > 10 {
		v.soft -= rand.N(v.soft / 10)
	}
	return v
}

// limit returns how long the configuration lets an active answer be used.
func (c *Cache) limit(v *verdict) time.Duration {
	most := c.cfg.TTL
	if v.life == forever {
		most = c.cfg.NoExpiryTTL
	}
	if c.cfg.TTLFor != nil {
		most = min(most, c.cfg.TTLFor(v.token))
	}
	return most
}

// margin is how long before its expiry a token is asked about again, since
// the authority's clock may be ahead of ours. It shrinks with what is left:
// the last seconds of a token in heavy use must not be a question each.
func margin(life time.Duration) time.Duration {
	return min(expiryMargin, life/10)
}

// keep remembers a verdict, and shares it.
func (c *Cache) keep(t tag, v *verdict, token string) {
	if v.token == nil {
		c.keepRefusal(t, v)
		return
	}
	if v.hard > 0 {
		c.active.put(t, v)
	}
	if e := c.inactive.get(t, v.asked.mono); e != nil {
		e.replace(v)
	}
	if v.hard <= 0 {
		return
	}
	c.toShared(token, v)
}

// keepRefusal remembers that a token was refused. If it was active before,
// every process should know.
func (c *Cache) keepRefusal(t tag, v *verdict) {
	if e := c.active.get(t, v.asked.mono); e != nil {
		was := e.verdict.Load().token != nil
		e.replace(v)
		if was {
			c.publish(notice{Ref: v.ref})
			c.dropShared(v.ref)
		}
		return
	}
	if v.hard > 0 {
		c.inactive.put(t, v)
	}
}

// ref names the token in watermarks: for this process, or for all that share
// a secret.
func (c *Cache) ref(t tag, token string) string {
	if c.sealer != nil {
		return c.sealer.ref(token)
	}
	return string(t[:])
}

// Close ends what runs in the background and frees the memory. Requests that
// wait get an [*sneck.UnavailableError], and so do later ones.
func (c *Cache) Close() error {
	c.stop()
	c.flights.close()
	if c.active != nil {
		c.active.close()
		c.inactive.close()
	}
	return nil
}
