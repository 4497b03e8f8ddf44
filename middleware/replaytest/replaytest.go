// Package replaytest checks that a [middleware.ReplayStore] does what guards
// rely on. An implementation calls [Run] from a test of its own.
package replaytest

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sneckauth/sneck/middleware"
)

// Run checks a store that open makes, empty and with room for a thousand
// proofs of one holder. It takes a few seconds of real time, since a store may
// live in another process.
func Run(t *testing.T, open func(t *testing.T) middleware.ReplayStore) {
	spend := func(t *testing.T, s middleware.ReplayStore, holder, id string, until time.Time) bool {
		t.Helper()
		fresh, err := s.Spend(t.Context(), holder, id, until)
		if err != nil {
			t.Fatalf("Spend(%q, %q): %v", holder, id, err)
		}
		return fresh
	}
	soon := func() time.Time { return time.Now().Add(time.Minute) }

	t.Run("once", func(t *testing.T) {
		s := open(t)
		until := soon()
		if !spend(t, s, "ann", "1", until) {
			t.Error("a new proof is not fresh")
		}
		if spend(t, s, "ann", "1", until) {
			t.Error("a used proof is fresh")
		}
		if spend(t, s, "ann", "1", until.Add(time.Second)) || spend(t, s, "ann", "1", until.Add(-20*time.Second)) {
			t.Error("a used proof is fresh with another expiry")
		}
	})

	t.Run("distinct", func(t *testing.T) {
		s := open(t)
		for _, pair := range [][2]string{{"a", "b"}, {"b", "a"}, {"a", "bc"}, {"ab", "c"}, {"A", "b"}, {"a", "B"}, {"a", strings.Repeat("x", 43)}} {
			if !spend(t, s, pair[0], pair[1], soon()) {
				t.Errorf("%v is taken for another proof", pair)
			}
		}
	})

	t.Run("concurrent", func(t *testing.T) {
		s := open(t)
		var fresh atomic.Int64
		var group sync.WaitGroup
		until := soon()
		for range 16 {
			group.Go(func() {
				for i := range 20 {
					ok, err := s.Spend(t.Context(), "ann", fmt.Sprint(i), until)
					if err != nil {
						t.Errorf("Spend: %v", err)
					}
					if ok {
						fresh.Add(1)
					}
				}
			})
		}
		group.Wait()
		if n := fresh.Load(); n != 20 {
			t.Errorf("20 proofs were fresh %d times", n)
		}
	})

	t.Run("remembers until", func(t *testing.T) {
		s := open(t)
		until := time.Now().Add(1500 * time.Millisecond)
		spend(t, s, "ann", "1", until)
		for time.Now().Before(until) {
			if spend(t, s, "ann", "1", until) {
				t.Fatal("a proof was forgotten too early")
			}
			<-time.After(50 * time.Millisecond)
		}
	})

	t.Run("past", func(t *testing.T) {
		// A proof at the edge of its window: the store may remember it or
		// not, but must not fail.
		spend(t, open(t), "ann", "1", time.Now().Add(-time.Second))
	})
}
