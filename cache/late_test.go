package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/cache/cachetest"
)

// share lets a process ask about the token, and waits until the answer is in
// the shared tier.
func share(t *testing.T, c *cache.Cache, token string) {
	t.Helper()
	require.Equal(t, "sub-"+token, ask(c, t.Context(), token))
	synctest.Wait()
}

// revoke revokes the token at its authority, and tells one process.
func (a *authority) revoke(t *testing.T, c *cache.Cache, token string) {
	t.Helper()
	time.Sleep(2 * time.Second)
	a.set(func(a *authority) { delete(a.tokens, token) })
	require.NoError(t, c.Revoke(t.Context(), cache.Revocation{Token: token}))
}

// A process that starts after a revocation finds an answer of before it in
// the shared tier, and must not use it, however early it is asked.
func TestLateProcessKnowsWhatWasRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m := newAuthority(), cachetest.NewMemory()
		one := process(t, a, m)
		for i := range 100 {
			token := fmt.Sprint(i)
			a.set(func(a *authority) { a.tokens[token] = &sneck.Token{Subject: "sub-" + token} })
			share(t, one, token)
			a.revoke(t, one, token)
			late := newProcess(t, a, m)
			assert.Equal(t, "invalid", ask(late, t.Context(), token))
			require.NoError(t, late.Close())
		}
	})
}

// While revocations do not arrive, each process asks for itself.
func TestCutOffProcessAsksForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m := newAuthority("good", "bad"), cachetest.NewMemory()
		one, two := process(t, a, m), process(t, a, m)
		share(t, one, "good")
		share(t, one, "bad")
		m.Cut()
		synctest.Wait()
		a.revoke(t, one, "bad")
		for range 3 {
			assert.Equal(t, "sub-good", ask(two, t.Context(), "good"), "no error")
			assert.Equal(t, "invalid", ask(two, t.Context(), "bad"))
		}
		assert.Equal(t, int64(4), a.calls.Load())
		stats := two.Stats()
		assert.Equal(t, []uint64{0, 2}, []uint64{stats.SharedHits, stats.SharedBehind})

		// Caught up with, the answers of others are good again.
		m.Mend()
		synctest.Wait()
		a.set(func(a *authority) { a.tokens["more"] = &sneck.Token{Subject: "sub-more"} })
		share(t, one, "more")
		time.Sleep(2 * time.Second)
		share(t, two, "more")
		assert.Equal(t, int64(5), a.calls.Load())
	})
}

// What was revoked while the bus forgot it, is told by nobody: all that was
// asked about before then is void, whoever asked, and wherever it is kept.
func TestLostMessagesVoidWhatWasAskedBefore(t *testing.T) {
	for name, late := range map[string]bool{"a process that was cut off": false, "a process that starts later": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, m := newAuthority("good", "bad"), cachetest.NewMemory()
				one, two := process(t, a, m), process(t, a, m)
				share(t, one, "good")
				share(t, one, "bad")
				share(t, two, "bad")
				if late {
					require.NoError(t, two.Close())
				}
				m.Cut()
				synctest.Wait()
				a.revoke(t, one, "bad")
				m.Lose()
				time.Sleep(2 * time.Second)
				if late {
					two = process(t, a, m)
				}
				before := two.Stats().SharedHits
				m.Mend()
				synctest.Wait()
				assert.Equal(t, "invalid", ask(two, t.Context(), "bad"))
				assert.Equal(t, "sub-good", ask(two, t.Context(), "good"))
				assert.Zero(t, two.Stats().SharedHits-before, "of what was asked about before")
				// What is asked about from now on is shared.
				a.set(func(a *authority) { a.tokens["more"] = &sneck.Token{Subject: "sub-more"} })
				share(t, one, "more")
				calls := a.calls.Load()
				time.Sleep(2 * time.Second)
				share(t, two, "more")
				assert.Equal(t, calls, a.calls.Load())
			})
		})
	}
}

// A silent is a bus that says it is current and then hangs.
type silent struct {
	*cachetest.Memory
	hangs atomic.Bool
}

func (s *silent) Subscribe(ctx context.Context, to cache.Subscriber) error {
	receive, current := to.Receive, to.Current
	to.Receive = func(message []byte) {
		if !s.hangs.Load() {
			receive(message)
		}
	}
	to.Current = func(since time.Time) {
		if !s.hangs.Load() {
			current(since)
		}
	}
	return s.Memory.Subscribe(ctx, to)
}

// A bus that hangs without a word is believed for five seconds.
func TestSilentBusIsBelievedForFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m := newAuthority("1", "2"), cachetest.NewMemory()
		bus := &silent{Memory: m}
		one := process(t, a, m)
		two := process(t, a, m, func(cfg *cache.Config) { cfg.Shared.Bus = bus })
		share(t, one, "1")
		share(t, one, "2")
		bus.hangs.Store(true)
		heard := time.Now()
		time.Sleep(time.Until(heard.Add(5*time.Second - time.Nanosecond)))
		share(t, two, "1")
		assert.Equal(t, int64(2), a.calls.Load())
		time.Sleep(time.Nanosecond)
		share(t, two, "2")
		assert.Equal(t, int64(3), a.calls.Load(), "asked for itself")
	})
}

// A broken is a bus that can never work.
type broken struct{ *cachetest.Memory }

func (broken) Subscribe(context.Context, cache.Subscriber) error { return errors.New("no such thing") }

func TestWithoutWorkingBusNothingIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, m := newAuthority("good"), cachetest.NewMemory()
		share(t, process(t, a, m), "good")
		time.Sleep(2 * time.Second)
		share(t, process(t, a, m, func(cfg *cache.Config) { cfg.Shared.Bus = broken{m} }), "good")
		assert.Equal(t, int64(2), a.calls.Load())
		// Without any, the user has said that revocations come otherwise.
		share(t, process(t, a, m, func(cfg *cache.Config) { cfg.Shared.Bus = nil }), "good")
		assert.Equal(t, int64(2), a.calls.Load())
	})
}
