package introspect

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	defaultBreakAfter = 10
	minOpen           = time.Second
	maxOpen           = 30 * time.Second
)

// A breaker stops calls to an endpoint that has failed many times in a row.
// It is closed (calls pass), open (none does), or, after a while, half open:
// one probe passes, and its outcome decides. The while doubles with every
// probe that fails.
type breaker struct {
	after int // failures in a row that open it; never if negative

	mu       sync.Mutex
	failures int
	round    uint64 // grows whenever the state changes
	until    time.Time
	open     time.Duration // zero if closed
	probing  bool
}

// A verdict is what a call says about the health of an endpoint.
type verdict int

const (
	unknown verdict = iota // the call ended for another reason
	healthy
	sick
)

// allow reports whether a call may be made now. If so, its round must be
// reported afterwards; if not, it says how long there is no use in asking.
func (b *breaker) allow(now time.Time) (round uint64, wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.open == 0:
		return b.round, 0, true
	case now.Before(b.until):
		return 0, b.until.Sub(now), false
	case b.probing:
		return 0, minOpen, false
	}
	b.probing = true
	return b.round, 0, true
}

// report tells how a call of the round went. It reports whether that opened
// or closed the breaker. What began before the last change says nothing about
// the time after it.
func (b *breaker) report(now time.Time, round uint64, v verdict) (opened, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if round != b.round {
		return false, false
	}
	probe := b.open > 0
	switch {
	case v == unknown:
		b.probing = false
	case v == healthy && probe:
		b.round++
		b.open, b.failures, b.probing = 0, 0, false
		return false, true
	case v == healthy:
		b.failures = 0
	case b.after < 0:
	default:
		if b.failures++; !probe && b.failures < b.after {
			return false, false
		}
		b.round++
		b.probing = false
		b.open = min(max(2*b.open, minOpen), maxOpen)
		// Clients that broke together must not probe together.
		b.until = now.Add(b.open*9/10 + rand.N(b.open/5))
		return !probe, false
	}
	return false, false
}
