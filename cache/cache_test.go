package cache_test

import (
	"context"
	"errors"
	"fmt"
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

// An authority answers as its fields say at the moment, and counts.
type authority struct {
	calls atomic.Int64

	mu     sync.Mutex
	tokens map[string]*sneck.Token
	err    error         // instead of an answer
	delay  time.Duration // before the answer
	hang   bool          // until the context is done
}

func newAuthority(tokens ...string) *authority {
	a := &authority{tokens: make(map[string]*sneck.Token)}
	for _, token := range tokens {
		a.tokens[token] = &sneck.Token{Issuer: "https://as.example", Subject: "sub-" + token, ClientID: "client", ID: "jti-" + token, Scopes: scopes.MustParse("read")}
	}
	return a
}

func (a *authority) set(f func(*authority)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(a)
}

func (a *authority) Verify(ctx context.Context, token string) (*sneck.Token, error) {
	a.calls.Add(1)
	asked := time.Now()
	a.mu.Lock()
	delay, hang := a.delay, a.hang
	known, err := a.tokens[token], a.err
	a.mu.Unlock()
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	if known == nil || known.ExpiredAt(time.Now()) {
		return nil, fmt.Errorf("inactive: %w", sneck.ErrInvalid)
	}
	answer := *known
	answer.VerifiedAt = asked
	return &answer, nil
}

// open makes a small cache, unless cfg says how large: the tables of a large one
// take longer to make than most tests do.
func open(t testing.TB, cfg cache.Config) *cache.Cache {
	t.Helper()
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 1 << 20
	}
	c, err := cache.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// ask verifies and returns the subject, or the kind of the error.
func ask(c sneck.Verifier, ctx context.Context, token string) string {
	t, err := c.Verify(ctx, token)
	switch {
	case err == nil:
		return t.Subject
	case errors.Is(err, sneck.ErrInvalid):
		return "invalid"
	case errors.Is(err, sneck.ErrUnrecognized):
		return "unrecognized"
	}
	return "unavailable"
}

func TestConfigReportsEveryMistake(t *testing.T) {
	_, err := cache.New(cache.Config{
		TTL: -1, NoExpiryTTL: time.Second, StaleIfError: 2 * time.Hour, FlightTimeout: -1, MaxBytes: 1,
		Shared: &cache.Shared{Secret: []byte("short"), Timeout: -1},
	})
	require.Error(t, err)
	for _, part := range []string{
		"Verifier is missing", "TTL is negative", "NoExpiryTTL is longer", "StaleIfError is longer", "FlightTimeout is negative",
		"MaxBytes is less", "Shared.Store is missing", "Shared.Namespace is missing", "Shared.Secret is shorter", "Shared.Timeout is negative",
	} {
		assert.ErrorContains(t, err, part)
	}
}

func TestSettings(t *testing.T) {
	t.Run("resource_server_token_caching_seconds", func(t *testing.T) {
		for _, test := range []struct {
			name    string
			ttl     time.Duration
			expires time.Duration // of the token, from the start; 0 = never
			at      []time.Duration
			calls   []int64 // after each request
		}{
			{"the configured time is shorter", time.Minute, time.Hour, []time.Duration{0, 1, 59 * time.Second, 60 * time.Second}, []int64{1, 1, 1, 2}},
			{"the expiry is shorter", time.Hour, time.Minute, []time.Duration{0, 54 * time.Second, 55 * time.Second}, []int64{1, 1, 2}},
			{"the expiry is a few seconds away", time.Hour, 10 * time.Second, []time.Duration{0, 8 * time.Second, 9 * time.Second}, []int64{1, 1, 2}},
			{"no expiry is stated", time.Minute, 0, []time.Duration{0, 29 * time.Second, 30 * time.Second}, []int64{1, 1, 2}},
			{"zero is no caching", 0, time.Hour, []time.Duration{0, 0, 0}, []int64{1, 2, 3}},
		} {
			t.Run(test.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a := newAuthority("good")
					if test.expires > 0 {
						a.tokens["good"].Expires = time.Now().Add(test.expires)
					}
					c := open(t, cache.Config{Verifier: a, TTL: test.ttl, RefreshAfter: -1})
					start := time.Now()
					var calls []int64
					for _, at := range test.at {
						time.Sleep(time.Until(start.Add(at)))
						require.Equal(t, "sub-good", ask(c, t.Context(), "good"))
						calls = append(calls, a.calls.Load())
					}
					assert.Equal(t, test.calls, calls)
				})
			})
		}
	})
}

func TestExpiredTokenIsAskedAboutAndRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("good")
		a.tokens["good"].Expires = time.Now().Add(10 * time.Second)
		c := open(t, cache.Config{Verifier: a, TTL: time.Hour})
		require.Equal(t, "sub-good", ask(c, t.Context(), "good"))
		time.Sleep(10 * time.Second)
		assert.Equal(t, "invalid", ask(c, t.Context(), "good"))
	})
}

// A token in heavy use in its last seconds costs a handful of questions.
func TestQuestionsBeforeExpiryAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("good")
		a.tokens["good"].Expires = time.Now().Add(time.Minute)
		c := open(t, cache.Config{Verifier: a, TTL: time.Hour})
		for range 5999 {
			require.Equal(t, "sub-good", ask(c, t.Context(), "good"))
			time.Sleep(10 * time.Millisecond)
		}
		assert.LessOrEqual(t, a.calls.Load(), int64(6))
	})
}

func TestRefusalsAreRememberedBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute})
		for range 5 {
			require.Equal(t, "invalid", ask(c, t.Context(), "bad"))
			synctest.Wait()
		}
		require.EqualValues(t, 1, a.calls.Load())
		time.Sleep(10 * time.Second)
		require.Equal(t, "invalid", ask(c, t.Context(), "bad"))
		require.EqualValues(t, 2, a.calls.Load())
		assert.EqualValues(t, 4, c.Stats().InactiveHits)
	})
}

// A token that was refused and is active later is admitted when the refusal
// has run out, even if the memory of it has not been cleared.
func TestRefusedThenActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("late")
		late := a.tokens["late"]
		a.set(func(a *authority) { a.tokens = nil })
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute, InactiveTTL: 20 * time.Second})
		require.Equal(t, "invalid", ask(c, t.Context(), "late"))
		synctest.Wait() // until it is remembered, as this clock tells no order
		a.set(func(a *authority) { a.tokens = map[string]*sneck.Token{"late": late} })
		require.Equal(t, "invalid", ask(c, t.Context(), "late"))
		require.Equal(t, "sub-late", ask(c, sneck.WithMaxStaleness(t.Context(), 0), "late"))
		assert.Equal(t, "sub-late", ask(c, t.Context(), "late"))
	})
}

// The same, where there was no room for the active answer.
func TestRefusedThenActiveThenEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("late")
		late := a.tokens["late"]
		late.RawClaims = make([]byte, 1<<20) // more than the whole cache
		a.tokens = map[string]*sneck.Token{}
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute, MaxBytes: 64 << 10})
		require.Equal(t, "invalid", ask(c, t.Context(), "late"))
		synctest.Wait()
		a.set(func(a *authority) { a.tokens["late"] = late })
		c.Forget("late")
		for range 3 {
			require.Equal(t, "sub-late", ask(c, t.Context(), "late"))
			synctest.Wait()
		}
	})
}

// Two questions about one token are under way, and the earlier one is answered
// last. What the later one was told counts, even where there was no room to
// remember it.
func TestLateAnswerToAnEarlierQuestion(t *testing.T) {
	for name, test := range map[string]struct {
		first, second bool // whether the token is active
		room          int  // bytes of its claims
		notKept       bool // as TTLFor says so
		want          string
	}{
		"refused late, no room":  {false, true, 1 << 20, false, "sub-late"},
		"refused late, not kept": {false, true, 0, true, "sub-late"},
		"refused late":           {false, true, 0, false, "sub-late"},
		"active late":            {true, false, 0, false, "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority("late")
				late := a.tokens["late"]
				late.RawClaims = make([]byte, test.room)
				is := func(active bool, delay time.Duration) {
					a.set(func(a *authority) {
						a.delay, a.tokens = delay, nil
						if active {
							a.tokens = map[string]*sneck.Token{"late": late}
						}
					})
				}
				cfg := cache.Config{Verifier: a, TTL: time.Minute, InactiveTTL: 20 * time.Second, MaxBytes: 64 << 10}
				if test.notKept {
					cfg.TTLFor = func(*sneck.Token) time.Duration { return 0 }
				}
				c := open(t, cfg)
				is(test.first, 2*time.Second)
				go ask(c, t.Context(), "late")
				time.Sleep(time.Second)
				is(test.second, 0)
				ask(c, sneck.WithMaxStaleness(t.Context(), 0), "late")
				time.Sleep(2 * time.Second) // the first is answered, too
				assert.Equal(t, test.want, ask(c, t.Context(), "late"))
			})
		})
	}
}

// A refusal that was remembered before is void when the token is active, though
// that is not to be remembered.
func TestRefusedThenActiveAndNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("late")
		tokens := a.tokens
		a.set(func(a *authority) { a.tokens = nil })
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute, TTLFor: func(*sneck.Token) time.Duration { return 0 }})
		require.Equal(t, "invalid", ask(c, t.Context(), "late"))
		time.Sleep(time.Second)
		a.set(func(a *authority) { a.tokens = tokens })
		require.Equal(t, "sub-late", ask(c, sneck.WithMaxStaleness(t.Context(), 0), "late"))
		synctest.Wait()
		assert.Equal(t, "sub-late", ask(c, t.Context(), "late"))
	})
}

func TestErrorsAreNeverRemembered(t *testing.T) {
	for _, err := range []error{errors.New("timeout"), &sneck.UnavailableError{Err: errors.New("503")}, sneck.ErrUnrecognized} {
		a := newAuthority("good")
		a.err = err
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute})
		_, got := c.Verify(t.Context(), "good")
		require.ErrorIs(t, got, err)
		a.set(func(a *authority) { a.err = nil })
		assert.Equal(t, "sub-good", ask(c, t.Context(), "good"))
		assert.EqualValues(t, 2, a.calls.Load())
	}
}

// Whoever asks after a failure has been answered gets a question of their own,
// even if the failed one has not been cleared away yet.
func TestErrorsAreNeverSharedAfterwards(t *testing.T) {
	a := newAuthority()
	c := open(t, cache.Config{Verifier: a, TTL: time.Minute})
	for i := range 5000 {
		token := fmt.Sprint("token-", i)
		a.set(func(a *authority) { a.err = errors.New("down") })
		_, err := c.Verify(t.Context(), token)
		require.Error(t, err)
		a.set(func(a *authority) { a.err = nil })
		_, err = c.Verify(t.Context(), token)
		require.ErrorIs(t, err, sneck.ErrInvalid, "%d", i)
	}
}

func TestMalformedTokensAreNeverAskedAbout(t *testing.T) {
	a := newAuthority()
	c := open(t, cache.Config{Verifier: a, TTL: time.Minute})
	for _, token := range []string{"", "a b", "a,b", "a\x00b", "a\r\nb", "é", "=", "a=b", string(make([]byte, sneck.MaxTokenBytes+1))} {
		assert.Equal(t, "invalid", ask(c, t.Context(), token), "%q", token)
	}
	assert.Zero(t, a.calls.Load())
}

func TestOneFlightPerToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("cold")
		a.delay = time.Second
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute})
		var wrong atomic.Int64
		var group sync.WaitGroup
		for range 10_000 {
			group.Go(func() {
				if ask(c, t.Context(), "cold") != "sub-cold" {
					wrong.Add(1)
				}
			})
		}
		group.Wait()
		assert.Zero(t, wrong.Load())
		assert.EqualValues(t, 1, a.calls.Load())
		assert.EqualValues(t, 9_999, c.Stats().Coalesced)
	})
}

func TestOneFlightPerTokenWhileTheStoreIsWriting(t *testing.T) {
	a := newAuthority()
	c := open(t, cache.Config{Verifier: a, TTL: time.Minute, MaxBytes: 8 << 20}) // room for all
	for i := range 2000 {
		token := fmt.Sprint("token-", i)
		a.set(func(a *authority) { a.tokens[token] = &sneck.Token{Subject: token} })
		for range 3 {
			require.Equal(t, token, ask(c, t.Context(), token))
		}
		require.EqualValues(t, i+1, a.calls.Load(), "an answer must be readable at once")
	}
}

func TestLeaderCancelledNobodyElseFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("cold")
		a.delay = time.Second
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute})
		leader, cancel := context.WithCancel(t.Context())
		results := make(chan string, 101)
		go func() { results <- ask(c, leader, "cold") }()
		synctest.Wait()
		for range 100 {
			go func() { results <- ask(c, t.Context(), "cold") }()
		}
		synctest.Wait()
		cancel()
		assert.Equal(t, "unavailable", <-results)
		for range 100 {
			assert.Equal(t, "sub-cold", <-results)
		}
		assert.EqualValues(t, 1, a.calls.Load())
	})
}

// A question has what the first request that asks brings along, such as its
// trace, and neither its deadline nor its end.
func TestQuestionHasTheValuesOfItsAsker(t *testing.T) {
	type key struct{}
	var seen any
	c := open(t, cache.Config{TTL: time.Minute, Verifier: sneck.VerifierFunc(func(ctx context.Context, _ string) (*sneck.Token, error) {
		seen = ctx.Value(key{})
		deadline, ok := ctx.Deadline()
		assert.True(t, ok && time.Until(deadline) < time.Minute, "the deadline is the flight's")
		return &sneck.Token{Subject: "sub"}, ctx.Err()
	})})
	ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "trace"), time.Hour)
	defer cancel()
	assert.Equal(t, "sub", ask(c, ctx, "good"))
	assert.Equal(t, "trace", seen)
}

func TestWaitersKeepTheirOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("cold")
		a.hang = true
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute})
		go ask(c, t.Context(), "cold")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		require.Equal(t, "unavailable", ask(c, ctx, "cold"))
		assert.Equal(t, 100*time.Millisecond, time.Since(start))
	})
}

// stubborn ignores its context, against the contract.
type stubborn chan struct{}

func (s stubborn) Verify(context.Context, string) (*sneck.Token, error) {
	<-s
	return nil, errors.New("at last")
}

func TestVerifierThatIgnoresItsContextKeepsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := make(stubborn)
		c := open(t, cache.Config{Verifier: s, TTL: time.Minute})
		start := time.Now()
		require.Equal(t, "unavailable", ask(c, t.Context(), "cold"))
		assert.Equal(t, 5*time.Second, time.Since(start))
		close(s)
	})
}

func TestHangingLookupsDoNotSlowWarmTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("warm")
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute})
		require.Equal(t, "sub-warm", ask(c, t.Context(), "warm"))
		a.set(func(a *authority) { a.hang = true })
		for i := range 32 {
			go ask(c, t.Context(), fmt.Sprint("cold-", i))
		}
		synctest.Wait()
		start := time.Now()
		for range 1000 {
			require.Equal(t, "sub-warm", ask(c, t.Context(), "warm"))
		}
		assert.Zero(t, time.Since(start), "no warm request may wait")
	})
}

func TestPanicIsNoAnswer(t *testing.T) {
	c := open(t, cache.Config{TTL: time.Minute, Verifier: sneck.VerifierFunc(func(context.Context, string) (*sneck.Token, error) { panic("boom") })})
	assert.Equal(t, "unavailable", ask(c, t.Context(), "token"))
}

func TestNothingIsNoAnswer(t *testing.T) {
	c := open(t, cache.Config{TTL: time.Minute, Verifier: sneck.VerifierFunc(func(context.Context, string) (*sneck.Token, error) { return nil, nil })})
	assert.Equal(t, "unavailable", ask(c, t.Context(), "token"))
}

func TestRefreshAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("hot")
		a.tokens["hot"].Expires = time.Now().Add(time.Hour)
		a.delay = time.Second
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute})
		require.Equal(t, "sub-hot", ask(c, t.Context(), "hot"))
		start := time.Now()
		for time.Since(start) < 10*time.Minute {
			before := time.Now()
			require.Equal(t, "sub-hot", ask(c, t.Context(), "hot"))
			require.Equal(t, before, time.Now(), "a token in use must never wait for its authority")
			time.Sleep(2 * time.Second)
		}
		refreshes := c.Stats().Refreshes
		assert.InDelta(t, 13, refreshes, 3, "about one for every 45 s")
		assert.EqualValues(t, refreshes+1, a.calls.Load())
	})
}

func TestRefreshFindsTheTokenRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("hot")
		a.tokens["hot"].Expires = time.Now().Add(time.Hour)
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute, StaleIfError: time.Minute})
		require.Equal(t, "sub-hot", ask(c, t.Context(), "hot"))
		a.set(func(a *authority) { a.tokens = nil })
		time.Sleep(46 * time.Second)
		require.Equal(t, "sub-hot", ask(c, t.Context(), "hot")) // starts the refresh
		synctest.Wait()
		require.Equal(t, "invalid", ask(c, t.Context(), "hot"))
		// A definite no outlives an outage.
		a.set(func(a *authority) { a.err = errors.New("down") })
		time.Sleep(time.Minute)
		assert.Equal(t, "unavailable", ask(c, t.Context(), "hot"))
	})
}

func TestFailingRefreshLeavesTheAnswerAndPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("hot")
		a.tokens["hot"].Expires = time.Now().Add(time.Hour)
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute})
		require.Equal(t, "sub-hot", ask(c, t.Context(), "hot"))
		a.set(func(a *authority) { a.err = errors.New("down") })
		time.Sleep(46 * time.Second)
		for range 100 {
			require.Equal(t, "sub-hot", ask(c, t.Context(), "hot"))
			synctest.Wait()
		}
		assert.EqualValues(t, 2, a.calls.Load(), "one attempt a second")
		time.Sleep(14 * time.Second)
		assert.Equal(t, "unavailable", ask(c, t.Context(), "hot"), "the hard bound holds")
	})
}

func TestStaleIfError(t *testing.T) {
	for _, test := range []struct {
		name   string
		stale  time.Duration
		after  time.Duration
		expiry time.Duration
		bound  time.Duration // of the route; 0 = none
		want   string
	}{
		{"off by default", 0, 61 * time.Second, time.Hour, 0, "unavailable"},
		{"within its time", time.Minute, 119 * time.Second, time.Hour, 0, "sub-good"},
		{"at the hard bound", time.Minute, 120 * time.Second, time.Hour, 0, "unavailable"},
		{"never past the token's expiry", time.Hour, 90 * time.Second, 90 * time.Second, 0, "unavailable"},
		{"just before the token's expiry", time.Hour, 89 * time.Second, 90 * time.Second, 0, "sub-good"},
		{"never past the bound of the route", time.Minute, 90 * time.Second, time.Hour, 80 * time.Second, "unavailable"},
		{"within the bound of the route", time.Minute, 70 * time.Second, time.Hour, 80 * time.Second, "sub-good"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority("good")
				a.tokens["good"].Expires = time.Now().Add(test.expiry)
				c := open(t, cache.Config{Verifier: a, TTL: time.Minute, StaleIfError: test.stale})
				require.Equal(t, "sub-good", ask(c, t.Context(), "good"))
				a.set(func(a *authority) { a.err = errors.New("down") })
				time.Sleep(test.after)
				ctx := t.Context()
				if test.bound > 0 {
					ctx = sneck.WithMaxStaleness(ctx, test.bound)
				}
				assert.Equal(t, test.want, ask(c, ctx, "good"))
			})
		})
	}
}

func TestStaleAnswersDoNotWaitForADeadAuthority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("good")
		a.tokens["good"].Expires = time.Now().Add(time.Hour)
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute, StaleIfError: time.Hour})
		require.Equal(t, "sub-good", ask(c, t.Context(), "good"))
		a.set(func(a *authority) { a.hang = true })
		time.Sleep(2 * time.Minute)
		start := time.Now()
		require.Equal(t, "sub-good", ask(c, t.Context(), "good")) // finds out
		require.Equal(t, 5*time.Second, time.Since(start))
		start = time.Now()
		for range 100 {
			require.Equal(t, "sub-good", ask(c, t.Context(), "good"))
		}
		assert.Zero(t, time.Since(start))
	})
}

func TestMaxStaleness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("good")
		c := open(t, cache.Config{Verifier: a, TTL: time.Hour, RefreshAfter: -1})
		at := func(bound time.Duration) int64 {
			require.Equal(t, "sub-good", ask(c, sneck.WithMaxStaleness(t.Context(), bound), "good"))
			return a.calls.Load()
		}
		require.EqualValues(t, 1, at(time.Second))
		time.Sleep(5 * time.Second)
		require.EqualValues(t, 1, at(5*time.Second))
		require.EqualValues(t, 2, at(4*time.Second), "an older answer must be asked for again")
		require.EqualValues(t, 2, at(time.Nanosecond), "by which the memory is young again")
		time.Sleep(time.Second)
		require.EqualValues(t, 3, at(0), "zero always asks")
		time.Sleep(time.Second)
		require.EqualValues(t, 3, at(time.Minute))
	})
}

func TestTTLFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("long", "short", "never")
		for _, token := range a.tokens {
			token.Expires = time.Now().Add(time.Hour)
		}
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute, RefreshAfter: -1, TTLFor: func(t *sneck.Token) time.Duration {
			return map[string]time.Duration{"sub-long": time.Hour, "sub-short": 10 * time.Second, "sub-never": 0}[t.Subject]
		}})
		calls := func(token string) int64 {
			before := a.calls.Load()
			require.Equal(t, "sub-"+token, ask(c, t.Context(), token))
			return a.calls.Load() - before
		}
		assert.Equal(t, []int64{1, 1}, []int64{calls("long"), calls("short")})
		for range 1000 {
			require.EqualValues(t, 1, calls("never"), "nor may a question that is just over be the answer")
		}
		time.Sleep(10 * time.Second)
		assert.Equal(t, []int64{0, 1, 1}, []int64{calls("long"), calls("short"), calls("never")})
		time.Sleep(50 * time.Second)
		assert.EqualValues(t, 1, calls("long"), "a longer time is cut to TTL")
	})
}

func TestVerifiedAtIsWhenTheQuestionWasAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("good")
		a.delay = time.Second
		c := open(t, cache.Config{Verifier: a, TTL: time.Minute})
		asked := time.Now()
		for range 3 {
			token, err := c.Verify(t.Context(), "good")
			require.NoError(t, err)
			require.True(t, token.VerifiedAt.Equal(asked))
			time.Sleep(time.Second)
		}
	})
}

// An answer that a verifier remembered itself is as old here as it says.
func TestAgeCountsFromTheInnermostQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("good")
		a.tokens["good"].Expires = time.Now().Add(time.Hour)
		inner := open(t, cache.Config{Verifier: a, TTL: time.Minute, RefreshAfter: -1})
		outer := open(t, cache.Config{Verifier: inner, TTL: time.Minute, RefreshAfter: -1})
		require.Equal(t, "sub-good", ask(inner, t.Context(), "good"))
		time.Sleep(59 * time.Second)
		require.Equal(t, "sub-good", ask(outer, t.Context(), "good"))
		require.EqualValues(t, 1, a.calls.Load())
		time.Sleep(time.Second)
		require.Equal(t, "sub-good", ask(outer, t.Context(), "good"))
		assert.EqualValues(t, 2, a.calls.Load())
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority("good")
		a.hang = true
		c, err := cache.New(cache.Config{Verifier: a, TTL: time.Minute})
		require.NoError(t, err)
		result := make(chan string)
		go func() { result <- ask(c, t.Context(), "good") }()
		synctest.Wait()
		require.NoError(t, c.Close())
		require.NoError(t, c.Close())
		assert.Equal(t, "unavailable", <-result)
		assert.Equal(t, "unavailable", ask(c, t.Context(), "good"))
	})
}
