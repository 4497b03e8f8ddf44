package introspect

import (
	"sync"
	"time"
)

// A rate lets a number of questions per second pass, and a burst of them (the
// generic cell rate algorithm).
type rate struct {
	every time.Duration // between two questions; no limit if zero
	burst int

	mu  sync.Mutex
	due time.Time // of the next question if there were no burst
}

// newRate returns the rate of perSecond questions; the burst is at least one.
func newRate(perSecond float64, burst int) rate {
	if perSecond == 0 {
		return rate{}
	}
	return rate{every: max(time.Duration(float64(time.Second)/perSecond), 1), burst: max(burst, 1)}
}

// take returns zero if a question may be asked now, or how long to wait.
func (r *rate) take(now time.Time) time.Duration {
	if r.every == 0 {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	due := r.due
	if due.Before(now) {
		due = now
	}
	if wait := due.Sub(now) - time.Duration(r.burst-1)*r.every; wait > 0 {
		return wait
	}
	r.due = due.Add(r.every)
	return 0
}
