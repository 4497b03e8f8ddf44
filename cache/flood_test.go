package cache_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/scopes"
)

// flood is how many tokens a flood has: SNECK_TEST_FLOOD, or as many as show
// what there is to see.
func flood(t *testing.T) int {
	n := 100_000
	if testing.Short() {
		n = 50_000
	}
	if text := os.Getenv("SNECK_TEST_FLOOD"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	return n
}

// heap returns the bytes in use after a collection.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// verifyAll verifies prefix0, prefix1, … from several goroutines.
func verifyAll(ctx context.Context, c *cache.Cache, prefix string, n int) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				c.Verify(ctx, prefix+strconv.FormatInt(i, 10))
			}
		})
	}
	group.Wait()
}

func goodOnly(_ context.Context, token string) (*sneck.Token, error) {
	if !strings.HasPrefix(token, "good-") {
		return nil, sneck.ErrInvalid
	}
	return &sneck.Token{
		Issuer: "https://as.example", Subject: "user-" + token, ClientID: "some-client", Audience: []string{"https://api.example"},
		Scopes: scopes.MustParse("notes:read notes:write"), ID: "jti-" + token, Expires: time.Now().Add(time.Hour),
		RawClaims: []byte(`{"active":true,"sub":"user-` + token + `","client_id":"some-client","scope":"notes:read notes:write","exp":1800000000}`),
	}, nil
}

func TestGarbageFloodEvictsNoGoodToken(t *testing.T) {
	const warm, maxBytes = 10_000, 16 << 20 // garbage alone is more
	n := flood(t)
	c := open(t, cache.Config{Verifier: sneck.VerifierFunc(goodOnly), TTL: time.Hour, MaxBytes: maxBytes})
	before := heap()
	verifyAll(t.Context(), c, "good-", warm)
	verifyAll(t.Context(), c, "garbage-", n)
	grown := heap() - before
	hits := c.Stats().Hits
	verifyAll(t.Context(), c, "good-", warm)
	kept := c.Stats().Hits - hits
	t.Logf("%d garbage tokens: %d of %d good ones still answered from memory, heap grown by %.1f MiB, entries by estimate %.1f MiB",
		n, kept, warm, float64(grown)/(1<<20), float64(c.Stats().Bytes)/(1<<20))
	assert.GreaterOrEqual(t, kept, uint64(warm*99/100))
	assert.LessOrEqual(t, c.Stats().Bytes, int64(maxBytes))
	assert.LessOrEqual(t, grown, int64(maxBytes))
}

// Tokens that come faster than the store can write are all answered.
func TestSlowStoreRefusesNobody(t *testing.T) {
	c := open(t, cache.Config{Verifier: sneck.VerifierFunc(goodOnly), TTL: time.Hour})
	var refused atomic.Int64
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			for j := range 1000 {
				if _, err := c.Verify(t.Context(), fmt.Sprint("good-", i, "-", j)); err != nil {
					refused.Add(1)
				}
			}
		})
	}
	group.Wait()
	assert.Zero(t, refused.Load())
}

func TestMemoryOfLiveTokens(t *testing.T) {
	n := flood(t)
	t.Run("within a bound", func(t *testing.T) {
		const maxBytes = 32 << 20
		before := heap()
		c := open(t, cache.Config{Verifier: sneck.VerifierFunc(goodOnly), TTL: time.Hour, MaxBytes: maxBytes})
		verifyAll(t.Context(), c, "good-", n)
		var grown int64
		assert.Eventually(t, func() bool {
			grown = heap() - before
			return grown <= maxBytes
		}, 10*time.Second, 100*time.Millisecond, "when all has been written")
		t.Logf("%d tokens under a bound of %d MiB: heap grown by %.1f MiB", n, maxBytes>>20, float64(grown)/(1<<20))
		runtime.KeepAlive(c)
	})
	t.Run("all of them", func(t *testing.T) {
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
		assert.GreaterOrEqual(t, hits, uint64(n*9/10), "but for those that came faster than the store can write")
		runtime.KeepAlive(c)
	})
}

// Entries that expired make room like any other: what is in use stays, while
// tokens come and go.
func TestTokensInUseStayWhileOthersComeAndGo(t *testing.T) {
	c := open(t, cache.Config{Verifier: sneck.VerifierFunc(goodOnly), TTL: time.Hour, MaxBytes: 8 << 20})
	for round := range 20 {
		verifyAll(t.Context(), c, "good-hot-", 1000)
		verifyAll(t.Context(), c, fmt.Sprint("good-", round, "-"), 2000)
	}
	misses := c.Stats().Misses
	verifyAll(t.Context(), c, "good-hot-", 1000)
	most := uint64(100)
	if raceDetector {
		most = 600 // it makes sync.Pool lose things, and ristretto forget what it was told
	}
	assert.LessOrEqual(t, c.Stats().Misses-misses, most)
}

// raceDetector reports whether the tests run under it.
var raceDetector bool
