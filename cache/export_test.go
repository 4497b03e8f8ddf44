package cache

import "time"

// NewStepped returns a Cache whose wall clock differs by what step returns,
// while its monotonic clock goes on.
func NewStepped(cfg Config, step func() time.Duration) (*Cache, error) {
	c, err := prepare(cfg)
	if err != nil {
		return nil, err
	}
	read := c.clock
	c.clock = func() moment {
		m := read()
		m.wall += int64(step())
		return m
	}
	c.begin()
	return c, nil
}
