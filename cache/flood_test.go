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
	"testing/synctest"
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
		n = 20_000
	}
	if text := os.Getenv("SNECK_TEST_FLOOD"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	return n
}

// heap returns the bytes in use after a collection, and a second one for what
// the first left in pools.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// verifyAll verifies prefix1, prefix2, … from several goroutines, and waits now
// and then until what was answered has been remembered: answers that come faster
// than the store can write are given and forgotten. It must run in a bubble.
func verifyAll(ctx context.Context, c *cache.Cache, prefix string, n int) {
	const batch = 5000
	for from := 0; from < n; from += batch {
		var next atomic.Int64
		next.Store(int64(from))
		last := int64(min(from+batch, n))
		var group sync.WaitGroup
		for range 16 {
			group.Go(func() {
				for i := next.Add(1); i <= last; i = next.Add(1) {
					c.Verify(ctx, prefix+strconv.FormatInt(i, 10))
				}
			})
		}
		group.Wait()
		synctest.Wait()
	}
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
	const warm, maxBytes = 10_000, 16 << 20 // with the garbage it would be more
	n := flood(t)
	synctest.Test(t, func(t *testing.T) {
		before := heap()
		c := open(t, cache.Config{Verifier: sneck.VerifierFunc(goodOnly), TTL: time.Hour, MaxBytes: maxBytes})
		verifyAll(t.Context(), c, "good-", warm)
		verifyAll(t.Context(), c, "garbage-", n)
		grown := heap() - before
		hits := c.Stats().Hits
		verifyAll(t.Context(), c, "good-", warm)
		kept := c.Stats().Hits - hits
		t.Logf("%d garbage tokens: %d of %d good ones still answered from memory, heap grown by %.1f MiB, entries by estimate %.1f MiB",
			n, kept, warm, float64(grown)/(1<<20), float64(c.Stats().Bytes)/(1<<20))
		assert.EqualValues(t, warm, kept)
		assert.LessOrEqual(t, c.Stats().Bytes, int64(maxBytes))
		assert.LessOrEqual(t, grown, int64(maxBytes))
	})
}

// Tokens that come faster than the store can write are all answered.
func TestSlowStoreRefusesNobody(t *testing.T) {
	each := flood(t) / 100
	synctest.Test(t, func(t *testing.T) { // where no question is out of time
		c := open(t, cache.Config{Verifier: sneck.VerifierFunc(goodOnly), TTL: time.Hour})
		var refused atomic.Int64
		var group sync.WaitGroup
		for i := range 64 {
			group.Go(func() {
				for j := range each {
					if _, err := c.Verify(t.Context(), fmt.Sprint("good-", i, "-", j)); err != nil {
						refused.Add(1)
					}
				}
			})
		}
		group.Wait()
		assert.Zero(t, refused.Load())
	})
}
