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
	"github.com/sneckauth/sneck/cache/cachetest"
)

// A process that starts after a revocation finds an answer from before it in
// the store, and must not use it.
func TestLateProcessObeysEarlierRevocations(t *testing.T) {
	for name, revocation := range map[string]cache.Revocation{
		"token":   {Token: "good"},
		"subject": {Subject: "sub-good"},
		"client":  {ClientID: "client", Issuer: "https://as.example"},
		"jti":     {TokenID: "jti-good"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, m := newAuthority("good"), cachetest.NewMemory()
				one := process(t, a, m)
				require.Equal(t, "sub-good", ask(one, t.Context(), "good"))
				synctest.Wait()
				require.NotEmpty(t, m.Dump())
				a.set(func(a *authority) { a.tokens = nil })
				time.Sleep(5 * time.Second)
				require.NoError(t, one.Revoke(t.Context(), revocation))
				assert.Equal(t, "invalid", ask(process(t, a, m), t.Context(), "good"))
			})
		})
	}
}

// The same without a moment to listen: as fast as a process can start, again
// and again.
func TestFirstRequestOfALateProcess(t *testing.T) {
	a, m := newAuthority("good"), cachetest.NewMemory()
	shared := &cache.Shared{Store: m, Bus: m, Namespace: "test", Secret: make([]byte, 32)}
	cfg := cache.Config{Verifier: a, TTL: time.Minute, MaxBytes: 1 << 20, Shared: shared}
	one := open(t, cfg)
	require.Equal(t, "sub-good", ask(one, t.Context(), "good"))
	require.Eventually(t, func() bool { return len(m.Dump()) == 1 }, 10*time.Second, time.Millisecond)
	a.set(func(a *authority) { a.tokens = nil })
	require.NoError(t, one.Revoke(t.Context(), cache.Revocation{Subject: "sub-good"}))
	for range 200 {
		two, err := cache.New(cfg)
		require.NoError(t, err)
		require.Equal(t, "invalid", ask(two, t.Context(), "good"))
		two.Close()
	}
}

// A latch is a bus that nobody can join before it is lifted.
type latch struct {
	*cachetest.Memory
	lifted chan struct{}
}

func (l latch) Publish(ctx context.Context, message []byte) error {
	select {
	case <-l.lifted:
		return l.Memory.Publish(ctx, message)
	default:
		return errors.New("nobody is there")
	}
}

func (l latch) Subscribe(ctx context.Context, s cache.Subscriber) error {
	select {
	case <-l.lifted:
	case <-ctx.Done():
		return ctx.Err()
	}
	return l.Memory.Subscribe(ctx, s)
}

// Until the bus can be joined the process does without the answers of others,
// and nobody is refused for it.
func TestProcessThatCanNotJoinAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m := newAuthority("good", "better"), cachetest.NewMemory()
		one := process(t, a, m)
		for _, token := range []string{"good", "better"} {
			require.Equal(t, "sub-"+token, ask(one, t.Context(), token))
		}
		synctest.Wait()
		bus := latch{m, make(chan struct{})}
		two := process(t, a, m, func(c *cache.Config) { c.Shared.Bus = bus })
		require.Equal(t, "sub-good", ask(two, t.Context(), "good"))
		assert.EqualValues(t, 3, a.calls.Load(), "it asked")
		assert.Zero(t, two.Stats().SharedHits)

		close(bus.lifted)
		time.Sleep(10 * time.Second)
		require.Equal(t, "sub-better", ask(two, t.Context(), "better"))
		assert.EqualValues(t, 3, a.calls.Load(), "it need not ask any more")
		assert.EqualValues(t, 1, two.Stats().SharedHits)
	})
}

// forgetful is a bus of a shorter memory than answers have.
type forgetful struct{ *cachetest.Memory }

func (forgetful) Retention() time.Duration { return time.Minute }

func TestBusMustRememberAsLongAsAnswersAreUsed(t *testing.T) {
	m := cachetest.NewMemory()
	for stale, good := range map[time.Duration]bool{0: true, time.Second: false} {
		c, err := cache.New(cache.Config{
			Verifier: newAuthority(), TTL: time.Minute, StaleIfError: stale,
			Shared: &cache.Shared{Store: m, Bus: forgetful{m}, Namespace: "test", Secret: make([]byte, 32)},
		})
		if good {
			require.NoError(t, err)
			require.NoError(t, c.Close())
			continue
		}
		require.ErrorContains(t, err, "forgets revocations after 1m0s, but an answer may be in use for 1m1s")
	}
}

// What this process lets a token live holds for the answers of others, too.
func TestOwnLimitsHoldForSharedAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*cache.Config)
		expiry time.Duration // of the token; zero for none
		limit  time.Duration
	}{
		"TTL":                     {func(c *cache.Config) { c.TTL = 20 * time.Second }, time.Hour, 20 * time.Second},
		"TTLFor":                  {func(c *cache.Config) { c.TTLFor = func(*sneck.Token) time.Duration { return 20 * time.Second } }, time.Hour, 20 * time.Second},
		"TTLFor, nothing":         {func(c *cache.Config) { c.TTLFor = func(*sneck.Token) time.Duration { return 0 } }, time.Hour, 0},
		"NoExpiryTTL":             {func(c *cache.Config) { c.NoExpiryTTL = 20 * time.Second }, 0, 20 * time.Second},
		"NoExpiryTTL, by default": {func(*cache.Config) {}, 0, 30 * time.Second},
	} {
		// The clocks of two processes may differ by a second.
		for _, age := range []time.Duration{test.limit - 1001*time.Millisecond, test.limit} {
			if age < 0 {
				continue
			}
			t.Run(fmt.Sprint(name, " after ", age), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, m := newAuthority("good"), cachetest.NewMemory()
					if test.expiry > 0 {
						a.tokens["good"].Expires = time.Now().Add(test.expiry)
					}
					one := process(t, a, m, func(c *cache.Config) { c.NoExpiryTTL = time.Minute })
					two := process(t, a, m, test.change)
					time.Sleep(time.Second)
					require.Equal(t, "sub-good", ask(one, t.Context(), "good"))
					synctest.Wait()
					time.Sleep(age)
					require.Equal(t, "sub-good", ask(two, t.Context(), "good"))
					want := 1
					if age == test.limit {
						want = 2
					}
					assert.EqualValues(t, want, a.calls.Load(), "questions")
				})
			})
		}
	}
}

// known counts the questions by whether they were about a known token.
type known struct {
	*authority
	yes, no []string
}

func (k *known) Verify(ctx context.Context, token string) (*sneck.Token, error) {
	k.set(func(*authority) {
		if sneck.Known(ctx) {
			k.yes = append(k.yes, token)
		} else {
			k.no = append(k.no, token)
		}
	})
	return k.authority.Verify(ctx, token)
}

// A token is known once it has been called active, until it is not any more.
func TestKnownTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &known{authority: newAuthority("good", "busy")}
		c := open(t, cache.Config{Verifier: k, TTL: time.Minute, InactiveTTL: -1, RefreshAfter: 30 * time.Second})
		ctx := t.Context()
		must := func(token, want string) { t.Helper(); require.Equal(t, want, ask(c, ctx, token)); synctest.Wait() }
		must("good", "sub-good") // unknown
		must("busy", "sub-busy") // unknown
		must("made-up", "invalid")
		must("made-up", "invalid")
		time.Sleep(40 * time.Second)
		must("busy", "sub-busy") // refreshed behind its back
		require.Equal(t, "sub-good", ask(c, sneck.WithMaxStaleness(ctx, 0), "good"))
		time.Sleep(2 * time.Minute)
		must("good", "sub-good") // expired, and remembered
		k.set(func(a *authority) { delete(a.tokens, "good") })
		time.Sleep(2 * time.Minute)
		must("good", "invalid") // the last one that is free
		must("good", "invalid")
		assert.Equal(t, []string{"busy", "good", "good", "good"}, k.yes)
		assert.Equal(t, []string{"good", "busy", "made-up", "made-up", "good"}, k.no)
	})
}
