package cache

import "time"

// A moment is read from both clocks, since each can mislead: the wall clock
// is stepped, and the monotonic clock stands still while a machine sleeps.
// What is too old by either is too old.
type moment struct {
	wall int64 // nanoseconds of Unix time
	mono int64 // nanoseconds since the cache was made
}

// A clock reads the present moment.
type clock func() moment

func newClock(now func() time.Time, start time.Time) clock {
	return func() moment {
		t := now()
		return moment{t.UnixNano(), int64(t.Sub(start))}
	}
}

// since returns the larger of the two distances from the earlier moment.
func (m moment) since(earlier moment) time.Duration {
	return time.Duration(max(m.wall-earlier.wall, m.mono-earlier.mono))
}
