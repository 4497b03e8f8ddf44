package sqlite

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// Nobody is waited for where few write, nor for long, nor again and again in
// vain.
func TestPace(t *testing.T) {
	p := pace{}
	wants := func(callers int, patience time.Duration) {
		t.Helper()
		gotCallers, gotPatience := p.wanted()
		assert.Equal(t, callers, gotCallers)
		assert.Equal(t, patience, gotPatience)
	}
	wants(0, 0)
	p.committed(1, 2, 4*time.Millisecond)
	wants(0, 0)
	p.committed(2, 2, 5*time.Millisecond)
	wants(4, 6*time.Millisecond) // a quarter of the last and of the one before
	p.committed(16, 16, 2*time.Millisecond)
	wants(28, 6*time.Millisecond)
	p.committed(maxBatch, maxBatch, time.Hour)
	wants(maxBatch-maxBatch/8, maxPatience)
	for _, pass := range []int{8, 24, 56, 120, 248, 504, 512, 512} {
		p.waited(false)
		for range pass {
			wants(0, 0)
		}
		wants(maxBatch-maxBatch/8, maxPatience)
	}
	p.waited(true)
	wants(maxBatch-maxBatch/8, maxPatience)
	p.waited(false)
	for range 8 {
		wants(0, 0)
	}
	wants(maxBatch-maxBatch/8, maxPatience)
}
