//go:build !race

package sneck_test

import "testing"

// The promise on allocations holds in every test run, not only when somebody
// looks at a benchmark. The race detector is left out: under it sync.Pool loses
// things on purpose, which are then made again.
func TestHitAllocatesTwice(t *testing.T) {
	for _, kind := range benchTokens {
		if n := testing.AllocsPerRun(1000, hit(t, kind.token)); n > 2 {
			t.Errorf("%s: %v allocations for a remembered token", kind.name, n)
		}
	}
}
