package cache

import (
	"sync"
	"time"
)

// A breaker keeps a failing shared tier out of the way: after a few failures
// in a row it allows one attempt in a while, until one succeeds.
type breaker struct {
	mu       sync.Mutex
	failures int
	nextTry  int64 // monotonic
}

const (
	breakAfter = 3
	firstPause = 250 * time.Millisecond
	maxPause   = 10 * time.Second
)

// allow reports whether an attempt may be made now.
func (b *breaker) allow(now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < breakAfter {
		return true
	}
	if now < b.nextTry {
		return false
	}
	b.nextTry = now + int64(b.pause()) // one probe at a time
	return true
}

// report tells the outcome of an attempt.
func (b *breaker) report(now int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.failures = 0
		return
	}
	b.failures++
	b.nextTry = now + int64(b.pause())
}

func (b *breaker) pause() time.Duration {
	pause := firstPause
	for range min(b.failures-breakAfter, 6) {
		pause *= 2
	}
	return min(pause, maxPause)
}
