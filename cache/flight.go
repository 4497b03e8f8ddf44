package cache

import (
	"context"
	"sync"
	"time"
)

// A flight is one question under way. It belongs to nobody: those who wait
// for it may leave, and it goes on under its own deadline.
type flight struct {
	ctx     context.Context
	cancel  context.CancelFunc
	asked   int64         // monotonic
	landed  chan struct{} // closed when the fields below are set
	verdict *verdict
	err     error

	overlap *overlap // with other questions about the same token, or nil
}

// An overlap is what questions about one token share that are under way at the
// same time: those about older answers were not recent enough for somebody.
// They may be answered in any order.
type overlap struct {
	latest *verdict // the answer to the last of those that are answered
}

// flights holds the questions under way. A landed flight stays until its
// answer can be read in memory, so that one token means one question even
// while the store is still writing.
type flights struct {
	mu     sync.Mutex
	byTag  map[tag]*flight
	flying int // those that have not landed
	closed bool
	group  sync.WaitGroup
}

const (
	// maxFlights bounds the memory that a flood of unknown tokens can take up
	// while the authority is slow.
	maxFlights = 10_000
	// maxLanded bounds the answers that wait to be written. Beyond it they are
	// given and not remembered: a slow store is no reason to refuse anybody.
	maxLanded = 10_000
)

// A detached context is that of a question: it lives as long as the cache, since
// others may wait for the answer, and has the values of the request that asks,
// such as its trace.
type detached struct {
	context.Context
	asker context.Context
}

func (d detached) Value(key any) any {
	if v := d.Context.Value(key); v != nil {
		return v
	}
	return d.asker.Value(key)
}

// join returns the flight for the tag. If there is none but the one given,
// none that was asked at the monotonic time since or later, or none whose
// answer is still to come or still good, it makes one and reports that the caller must fly it. It returns
// nil if no further flight is allowed.
func (fs *flights) join(ctx context.Context, timeout time.Duration, t tag, but *flight, since int64, now moment) (f *flight, mine bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.byTag[t]; f != nil && f != but && f.asked >= since {
		// A landed flight gives no more than memory would: nothing where
		// nothing remembered will do, or not any longer, and no failure.
		if landed := f.hasLanded(); landed && f.err == nil && since < now.mono && f.verdict.fresh(now, forever) || !landed && f.ctx.Err() == nil {
			return f, false
		}
	}
	if fs.closed || fs.flying >= maxFlights {
		return nil, false
	}
	f = &flight{asked: now.mono, landed: make(chan struct{})}
	if before := fs.byTag[t]; before != nil {
		if before.overlap == nil {
			before.overlap = &overlap{}
		}
		f.overlap = before.overlap
	}
	f.ctx, f.cancel = context.WithTimeout(ctx, timeout)
	fs.byTag[t] = f
	fs.flying++
	fs.group.Add(1)
	return f, true
}

// land wakes those who wait, and reports whether there is room to remember
// the answer.
func (fs *flights) land(f *flight) bool {
	close(f.landed)
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.flying--
	if o := f.overlap; o != nil && f.err == nil && (o.latest == nil || o.latest.asked.mono < f.verdict.asked.mono) {
		o.latest = f.verdict
	}
	return len(fs.byTag)-fs.flying <= maxLanded
}

// overtaken returns the answer to a question that was asked after that of a
// flight that has landed, and answered by now; nil if there is none.
func (fs *flights) overtaken(f *flight) *verdict {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.overlap == nil || f.overlap.latest == nil || f.overlap.latest.asked.mono <= f.verdict.asked.mono {
		return nil
	}
	return f.overlap.latest
}

func (f *flight) hasLanded() bool {
	select {
	case <-f.landed:
		return true
	default:
		return false
	}
}

// wait returns nil when the flight has landed, and an error if it is out of
// time or the caller is.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.landed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-f.ctx.Done():
		// A verifier that obeys its context lands a moment later, and one
		// that does not must not keep anybody.
		if f.hasLanded() {
			return nil
		}
		return context.Cause(f.ctx)
	}
}

// done forgets a flight.
func (fs *flights) done(t tag, f *flight) {
	f.cancel()
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.byTag[t] == f {
		delete(fs.byTag, t)
	}
	fs.group.Done()
}

// close lets no new flight start and waits for the last to end.
func (fs *flights) close() {
	fs.mu.Lock()
	fs.closed = true
	fs.mu.Unlock()
	fs.group.Wait()
}
