package middleware

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// What the clock says is what both clocks say, at any distance from its last
// look at the wall.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		for _, pause := range []time.Duration{0, 1, wallPause / 2, wallPause - 1, wallPause, wallPause + 1, time.Hour, 3} {
			time.Sleep(pause)
			assert.Equal(t, time.Now(), c.now(), "both readings, after %v", pause)
		}
	})
}
