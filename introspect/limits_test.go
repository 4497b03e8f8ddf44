package introspect_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/lyingserver"
	"github.com/sneckauth/sneck/introspect"
)

// scriptedClient asks a transport without a network.
func scriptedClient(t *testing.T, transport scripted, change ...func(*introspect.Config)) *introspect.Client {
	t.Helper()
	cfg := introspect.Config{Endpoint: "https://as.example.com/introspect", Credential: introspect.Bearer("x"), Transport: transport}
	for _, f := range change {
		f(&cfg)
	}
	c, err := introspect.New(cfg)
	require.NoError(t, err)
	return c
}

func TestIC13_BreakerOpensAndRecoversByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down, calls := true, 0
		c := scriptedClient(t, func(*http.Request) (*http.Response, error) {
			calls++
			if down {
				return reply(lyingserver.Status(500, "")), nil
			}
			return reply(lyingserver.Answer(good)), nil
		})
		ask := func() *sneck.UnavailableError {
			got, err := c.Verify(t.Context(), "abc")
			if err == nil {
				return nil
			}
			return requireUnavailable(t, got, err)
		}
		for range 10 {
			require.NotNil(t, ask())
		}
		require.Equal(t, 10, calls)
		for range 100 {
			refusal := ask()
			require.NotNil(t, refusal)
			require.InDelta(t, time.Second, refusal.RetryAfter, float64(100*time.Millisecond))
		}
		require.Equal(t, 10, calls, "no call while open")

		// Each probe that fails doubles the time, up to half a minute.
		for _, open := range []time.Duration{2, 4, 8, 16, 30, 30} {
			time.Sleep(ask().RetryAfter)
			before := calls
			require.NotNil(t, ask())
			require.Equal(t, before+1, calls)
			refusal := ask()
			require.InDelta(t, open*time.Second, refusal.RetryAfter, float64(open*time.Second/10))
			require.Equal(t, before+1, calls)
		}

		down = false
		time.Sleep(ask().RetryAfter)
		for range 20 {
			require.Nil(t, ask())
		}
		assert.EqualValues(t, 1, c.Stats().Opened)

		down = true
		for range 9 {
			require.NotNil(t, ask())
		}
		down = false
		require.Nil(t, ask())
		down = true
		for range 9 {
			require.NotNil(t, ask())
		}
		assert.EqualValues(t, 1, c.Stats().Opened, "only failures in a row count")
	})
}

func TestOneProbeAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := make(chan chan bool)
		c := scriptedClient(t, func(*http.Request) (*http.Response, error) {
			well := make(chan bool)
			calls <- well
			if <-well {
				return reply(lyingserver.Answer(good)), nil
			}
			return reply(lyingserver.Status(500, "")), nil
		}, func(cfg *introspect.Config) { cfg.BreakAfter = 1 })
		errs := make(chan error, 100)
		ask := func() {
			_, err := c.Verify(t.Context(), "abc")
			errs <- err
		}
		go ask()
		(<-calls) <- false
		require.Error(t, <-errs)

		time.Sleep(2 * time.Second)
		for range 20 {
			go ask()
		}
		probe := <-calls
		synctest.Wait()
		assert.Len(t, errs, 19, "all others are refused at once")
		probe <- true
		for range 19 {
			require.Error(t, <-errs)
		}
		require.NoError(t, <-errs)
		assert.EqualValues(t, 19, c.Stats().Broken)
	})
}

func TestWhatBeganBeforeTheBreakerOpenedDoesNotCloseIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := scriptedClient(t, func(r *http.Request) (*http.Response, error) {
			if tokenOf(r) == "late" {
				time.Sleep(500 * time.Millisecond)
				return reply(lyingserver.Answer(good)), nil
			}
			return reply(lyingserver.Status(500, "")), nil
		}, func(cfg *introspect.Config) { cfg.BreakAfter = 1 })
		var late sync.WaitGroup
		late.Go(func() {
			_, err := c.Verify(t.Context(), "late")
			assert.NoError(t, err)
		})
		synctest.Wait()
		for range 2 {
			got, err := c.Verify(t.Context(), "abc")
			requireUnavailable(t, got, err)
			late.Wait()
		}
		assert.Equal(t, introspect.Stats{Active: 1, Unavailable: 2, Tries: 2, Opened: 1, Broken: 1}, c.Stats())
	})
}

func TestWhatTheBreakerDoesNotCount(t *testing.T) {
	for name, lie := range map[string]http.Handler{
		"inactive": lyingserver.Answer(`{"active":false}`),
		"401":      lyingserver.Status(401, ""),
		"400":      lyingserver.Status(400, ""),
		"429":      lyingserver.Status(429, ""),
		"302":      lyingserver.Status(302, ""),
		"garbage":  lyingserver.Answer(`garbage`),
		"HTML":     lyingserver.Typed("text/html", ``),
	} {
		t.Run(name, func(t *testing.T) {
			c := scriptedClient(t, func(*http.Request) (*http.Response, error) { return reply(lie), nil },
				func(cfg *introspect.Config) { cfg.BreakAfter = 1 })
			for range 20 {
				_, err := c.Verify(t.Context(), "abc")
				require.Error(t, err)
			}
			assert.EqualValues(t, 20, c.Stats().Tries)
		})
	}
	t.Run("asker goes away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := scriptedClient(t, hang, func(cfg *introspect.Config) { cfg.BreakAfter = 1 })
			for range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				_, err := c.Verify(ctx, "abc")
				require.ErrorIs(t, err, context.DeadlineExceeded)
				cancel()
			}
			assert.Equal(t, introspect.Stats{Withdrawn: 20, Tries: 20}, c.Stats())
		})
	})
	t.Run("but a timeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := scriptedClient(t, hang, func(cfg *introspect.Config) { cfg.BreakAfter = 1 })
			for range 3 {
				got, err := c.Verify(t.Context(), "abc")
				requireUnavailable(t, got, err)
			}
			assert.Equal(t, introspect.Stats{Unavailable: 3, Tries: 1, Timeouts: 1, Opened: 1, Broken: 2}, c.Stats())
		})
	})
}

func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestTotalDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := scriptedClient(t, hang)
		began := time.Now()
		got, err := c.Verify(t.Context(), "abc")
		requireUnavailable(t, got, err)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 2*time.Second, time.Since(began))
	})
}

func TestTooManyRequestsIsRepeatedIfTheTimeFits(t *testing.T) {
	for _, test := range []struct {
		after string
		waits time.Duration
		tries int
	}{{"1", time.Second, 2}, {"2", 0, 1}, {"", 0, 1}} {
		synctest.Test(t, func(t *testing.T) {
			tries := 0
			c := scriptedClient(t, func(*http.Request) (*http.Response, error) {
				if tries++; tries == 1 {
					return reply(lyingserver.Status(429, "", "Retry-After", test.after)), nil
				}
				return reply(lyingserver.Answer(good)), nil
			})
			began := time.Now()
			_, err := c.Verify(t.Context(), "abc")
			assert.Equal(t, test.tries == 2, err == nil)
			assert.Equal(t, test.tries, tries)
			assert.Equal(t, test.waits, time.Since(began))
		})
	}
}

func TestConcurrencyIsBoundedAndFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked record
		next := make(chan bool)
		c := scriptedClient(t, func(r *http.Request) (*http.Response, error) {
			asked.add(tokenOf(r))
			<-next
			return reply(lyingserver.Answer(good)), nil
		}, func(cfg *introspect.Config) { cfg.Concurrency, cfg.Timeout = 2, time.Hour })
		var want []string
		var all sync.WaitGroup
		for i := range 20 {
			token := fmt.Sprintf("t%02d", i)
			want = append(want, token)
			all.Go(func() {
				_, err := c.Verify(t.Context(), token)
				assert.NoError(t, err)
			})
			synctest.Wait()
		}
		for i := range 20 {
			synctest.Wait()
			assert.Len(t, asked.all(), min(i+2, 20))
			next <- true
		}
		all.Wait()
		assert.Equal(t, want[2:], asked.all()[2:])
	})
}

func TestTheWaitForATurnIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := scriptedClient(t, hang, func(cfg *introspect.Config) { cfg.Concurrency, cfg.Timeout = 1, time.Minute })
		go func() { _, _ = c.Verify(t.Context(), "abc") }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got, err := c.Verify(ctx, "abc")
		requireUnavailable(t, got, err)
		assert.EqualValues(t, 1, c.Stats().Tries)
		time.Sleep(time.Minute)
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := scriptedClient(t, func(*http.Request) (*http.Response, error) { return reply(lyingserver.Answer(`{"active":false}`)), nil },
			func(cfg *introspect.Config) { cfg.Rate, cfg.Burst = 10, 5 })
		burst := func() (n int) {
			for {
				got, err := c.Verify(t.Context(), "abc")
				if errors.Is(err, sneck.ErrInvalid) {
					n++
					continue
				}
				wait := requireUnavailable(t, got, err).RetryAfter
				require.Positive(t, wait)
				require.LessOrEqual(t, wait, 100*time.Millisecond)
				return n
			}
		}
		assert.Equal(t, 5, burst())
		time.Sleep(100 * time.Millisecond)
		assert.Equal(t, 1, burst())
		time.Sleep(250 * time.Millisecond)
		assert.Equal(t, 2, burst())
		time.Sleep(time.Hour)
		assert.Equal(t, 5, burst())
		assert.EqualValues(t, 13, c.Stats().Tries)
		assert.EqualValues(t, 4, c.Stats().Limited)
	})
}
