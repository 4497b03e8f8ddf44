//go:build !race

// What is measured here is another thing under the race detector: it makes
// sync.Pool lose things, by which ristretto forgets all that it was told. The
// flood has the same races.

package cache_test

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/cache"
)

func TestMemoryOfLiveTokens(t *testing.T) {
	n := flood(t) / 2
	t.Run("within a bound", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const maxBytes = 32 << 20
			before := heap()
			c := open(t, cache.Config{Verifier: sneck.VerifierFunc(goodOnly), TTL: time.Hour, MaxBytes: maxBytes})
			verifyAll(t.Context(), c, "good-", n)
			grown := heap() - before
			t.Logf("%d tokens under a bound of %d MiB: heap grown by %.1f MiB", n, maxBytes>>20, float64(grown)/(1<<20))
			require.NotZero(t, c.Stats().Evictions)
			assert.LessOrEqual(t, grown, int64(maxBytes))
			runtime.KeepAlive(c)
		})
	})
	t.Run("all of them", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			before := heap()
			c := open(t, cache.Config{Verifier: sneck.VerifierFunc(goodOnly), TTL: time.Hour, MaxBytes: int64(n) * 2048})
			verifyAll(t.Context(), c, "good-", n)
			grown := heap() - before
			stats := c.Stats()
			require.Zero(t, stats.Evictions)
			verifyAll(t.Context(), c, "good-", n)
			hits := c.Stats().Hits
			t.Logf("%d live tokens: %d bytes each in the heap, %d by estimate; %d of %d answered from memory", n, grown/int64(n), stats.Bytes/int64(n), hits, n)
			assert.LessOrEqual(t, grown, stats.Bytes, "the estimate must not be below the truth")
			assert.EqualValues(t, n, hits)
			runtime.KeepAlive(c)
		})
	})
}

// Entries that expired make room like any other: what is in use stays, while
// tokens come and go.
func TestTokensInUseStayWhileOthersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, cache.Config{Verifier: sneck.VerifierFunc(goodOnly), TTL: time.Hour, MaxBytes: 8 << 20})
		use := func() (misses uint64) {
			before := c.Stats().Misses
			time.Sleep(100 * time.Millisecond) // reads are told to ristretto again
			for i := range 1000 {
				_, err := c.Verify(t.Context(), fmt.Sprint("good-hot-", i))
				require.NoError(t, err)
				if i%64 == 0 {
					synctest.Wait() // it listens to no more than this at a time
				}
			}
			return c.Stats().Misses - before
		}
		require.EqualValues(t, 1000, use())
		var misses uint64
		for round := range 20 {
			misses += use()
			verifyAll(t.Context(), c, fmt.Sprint("good-", round, "-"), 2000)
		}
		misses += use()
		t.Logf("%d tokens evicted, %d of those in use missed", c.Stats().Evictions, misses)
		require.NotZero(t, c.Stats().Evictions)
		assert.LessOrEqual(t, misses, uint64(10))
	})
}
