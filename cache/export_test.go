package cache

import "time"

// StepWallClock makes the wall clock of c differ by what step returns, while
// its monotonic clock goes on.
func StepWallClock(c *Cache, step func() time.Duration) {
	read := c.clock
	c.clock = func() moment {
		m := read()
		m.wall += int64(step())
		return m
	}
}
