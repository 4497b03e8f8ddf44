package cache_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/cache"
)

func TestRevoke(t *testing.T) {
	const other = "https://other.example"
	for _, test := range []struct {
		name   string
		token  sneck.Token
		revoke cache.Revocation
		void   bool
	}{
		{"by token", sneck.Token{}, cache.Revocation{Token: "good"}, true},
		{"by another token", sneck.Token{}, cache.Revocation{Token: "good2"}, false},
		{"by subject", sneck.Token{}, cache.Revocation{Subject: "alice"}, true},
		{"by another subject", sneck.Token{}, cache.Revocation{Subject: "alic"}, false},
		{"by client", sneck.Token{}, cache.Revocation{ClientID: "app"}, true},
		{"by identifier", sneck.Token{}, cache.Revocation{TokenID: "1"}, true},
		{"a subject is not a client", sneck.Token{}, cache.Revocation{ClientID: "alice"}, false},
		{"by subject of the issuer", sneck.Token{Issuer: "https://as.example"}, cache.Revocation{Issuer: "https://as.example", Subject: "alice"}, true},
		{"by subject of another issuer", sneck.Token{Issuer: "https://as.example"}, cache.Revocation{Issuer: other, Subject: "alice"}, false},
		{"by subject of any issuer", sneck.Token{Issuer: "https://as.example"}, cache.Revocation{Subject: "alice"}, true},
		{"a token of unknown issuer is of any", sneck.Token{}, cache.Revocation{Issuer: other, Subject: "alice"}, true},
		{"asked after the moment", sneck.Token{}, cache.Revocation{Subject: "alice", Before: time.Unix(1, 0)}, false},
		{"a moment in the future is now", sneck.Token{}, cache.Revocation{Subject: "alice", Before: time.Unix(1<<40, 0)}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority()
				token := test.token
				token.Subject, token.ClientID, token.ID = "alice", "app", "1"
				a.tokens["good"] = &token
				c := open(t, cache.Config{Verifier: a, TTL: time.Minute})
				require.Equal(t, "alice", ask(c, t.Context(), "good"))
				time.Sleep(time.Second)
				require.NoError(t, c.Revoke(t.Context(), test.revoke))
				for range 3 { // asks once at most
					require.Equal(t, "alice", ask(c, t.Context(), "good"))
				}
				want := int64(1)
				if test.void {
					want = 2
				}
				assert.Equal(t, want, a.calls.Load())
			})
		})
	}
}

func TestRevokeNamesExactlyOne(t *testing.T) {
	c := open(t, cache.Config{Verifier: newAuthority(), TTL: time.Minute})
	assert.ErrorContains(t, c.Revoke(t.Context(), cache.Revocation{}), "exactly one")
	assert.ErrorContains(t, c.Revoke(t.Context(), cache.Revocation{Subject: "a", Token: "b"}), "exactly one")
}

func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("good")
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute})
		require.Equal(t, "sub-good", ask(c, t.Context(), "good"))
		c.Forget("good")
		a.set(func(a *authority) { a.tokens = nil })
		assert.Equal(t, "invalid", ask(c, t.Context(), "good"))
	})
}

func TestForgetRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("good")
		good := a.tokens
		a.tokens = nil
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute})
		require.Equal(t, "invalid", ask(c, t.Context(), "good"))
		c.Forget("good")
		a.set(func(a *authority) { a.tokens = good })
		assert.Equal(t, "sub-good", ask(c, t.Context(), "good"))
	})
}

// The answer to a question asked before the revocation counts for nothing,
// for none of those who wait, and is not remembered.
func TestRevokeWhileAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("good")
		a.delay = time.Second
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute})
		results := make(chan string, 50)
		for range cap(results) {
			go func() { results <- ask(c, t.Context(), "good") }()
		}
		synctest.Wait()
		a.set(func(a *authority) { a.tokens = nil })
		require.NoError(t, c.Revoke(t.Context(), cache.Revocation{Subject: "sub-good"}))
		for range cap(results) {
			assert.Equal(t, "invalid", <-results)
		}
		assert.EqualValues(t, 2, a.calls.Load())
	})
}

func TestRevocationHoldsInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("good")
		a.tokens["good"].Expires = time.Now().Add(time.Hour)
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute, StaleIfError: time.Hour})
		require.Equal(t, "sub-good", ask(c, t.Context(), "good"))
		require.NoError(t, c.Revoke(t.Context(), cache.Revocation{Token: "good"}))
		a.set(func(a *authority) { a.err = errors.New("down") })
		for range 100 {
			require.Equal(t, "unavailable", ask(c, t.Context(), "good"))
			time.Sleep(time.Second)
		}
	})
}

// More revocations than are kept one by one still hold, each of them.
func TestManyRevocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("victim")
		a.tokens["victim"].Expires = time.Now().Add(time.Hour)
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute, RefreshAfter: -1})
		require.Equal(t, "sub-victim", ask(c, t.Context(), "victim"))
		time.Sleep(time.Millisecond)
		require.NoError(t, c.Revoke(t.Context(), cache.Revocation{Token: "victim"}))
		for i := range 150_000 {
			require.NoError(t, c.Revoke(t.Context(), cache.Revocation{Subject: fmt.Sprint(i)}))
		}
		require.Equal(t, "sub-victim", ask(c, t.Context(), "victim"))
		require.EqualValues(t, 2, a.calls.Load())
		time.Sleep(30 * time.Second)
		require.Equal(t, "sub-victim", ask(c, t.Context(), "victim"))
		assert.EqualValues(t, 2, a.calls.Load(), "what was asked since is good")
	})
}

func TestConcurrentRevocations(t *testing.T) {
	a := newAuthority("good")
	c := open(t, cache.Config{Verifier: a, TTL: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	for range 4 {
		go func() {
			for ctx.Err() == nil {
				ask(c, ctx, "good")
			}
		}()
	}
	for ctx.Err() == nil {
		c.Forget("good")
		require.NoError(t, c.Revoke(t.Context(), cache.Revocation{Subject: "sub-good"}))
	}
	// The storm over, the token works again and is remembered.
	require.Equal(t, "sub-good", ask(c, t.Context(), "good"))
	calls := a.calls.Load()
	require.Equal(t, "sub-good", ask(c, t.Context(), "good"))
	assert.Equal(t, calls, a.calls.Load())
}
