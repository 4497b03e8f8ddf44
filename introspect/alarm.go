package introspect

import (
	"sync"
	"time"
)

// alarmEvery is how often one fault is logged at most.
const alarmEvery = 10 * time.Second

// An alarm keeps a fault that every request meets from flooding the log.
type alarm struct {
	mu     sync.Mutex
	next   time.Time
	missed int
}

// ring returns how often the alarm was rung since it was last heard, this time
// included, or 0 if it is too soon to be heard again.
func (a *alarm) ring(now time.Time) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.missed++
	if now.Before(a.next) {
		return 0
	}
	n := a.missed
	a.next, a.missed = now.Add(alarmEvery), 0
	return n
}
