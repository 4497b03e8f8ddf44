package jwt_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// 100,000 requests with made-up key IDs over ten minutes cause no more than
// one fetch in 30 seconds, and harm nobody.
func TestRemoteFloodOfUnknownKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, r := remote(t, nil, "a")
		var fetchedAt []time.Time
		seen := 0
		for i := range 100_000 {
			require.Equal(t, "no key", has(t.Context(), r, fmt.Sprint("made-up-", i)))
			if n := a.fetches(); n > seen {
				seen = n
				fetchedAt = append(fetchedAt, time.Now())
			}
			if i%100 == 0 {
				require.Equal(t, "key", has(t.Context(), r, "a"))
			}
			time.Sleep(6 * time.Millisecond)
		}
		assert.Len(t, fetchedAt, 20)
		for i := 1; i < len(fetchedAt); i++ {
			assert.GreaterOrEqual(t, fetchedAt[i].Sub(fetchedAt[i-1]), 30*time.Second)
		}
		a.change(func(a *authority) { a.set = keysOf("a", "b") })
		time.Sleep(30 * time.Second)
		assert.Equal(t, "key", has(t.Context(), r, "b"), "a real new key is found in the midst of it")
	})
}

// One client with one bad key ID is not worth a fetch each time.
func TestRemoteBelievesThatAKeyIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, r := remote(t, nil, "a")
		require.Equal(t, "key", has(t.Context(), r, "a"))
		time.Sleep(time.Minute)
		for range 4 {
			require.Equal(t, "no key", has(t.Context(), r, "bad"))
			time.Sleep(29 * time.Second)
		}
		assert.Equal(t, 2, a.fetches())
		time.Sleep(5 * time.Second)
		require.Equal(t, "no key", has(t.Context(), r, "bad"))
		assert.Equal(t, 3, a.fetches(), "after 2 minutes it is looked for again")
	})
}
