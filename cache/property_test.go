package cache_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/cache/cachetest"
	"github.com/sneckauth/sneck/scopes"
)

// A world is two processes on one shared tier before one authority, in which
// everything goes wrong at random. Time is true time; the processes may see
// other wall clocks.
type world struct {
	random *rand.Rand
	shared *cachetest.Memory
	cut    bool // off the bus, both
	caches [2]*cache.Cache
	steps  [2]time.Duration // of the wall clocks
	ttl    time.Duration
	stale  time.Duration

	mu       sync.Mutex
	asked    []question // by answer number
	outage   bool
	mended   time.Time // when the last outage ended
	slow     time.Duration
	tokens   map[string]*sneck.Token // active ones
	revoked  [2]map[string]time.Time // by process: when it was told of token, subject, client or jti
	spread   map[string]time.Time    // what every process is told that is connected
	storeBad bool
}

// A question is when an answer was asked for, and what the wall clock of the
// process that asked was off by.
type question struct {
	at   time.Time
	step time.Duration
}

// An asker is the authority as one process sees it. It numbers its answers,
// so that each admission can be traced back to the question.
type asker struct {
	*world
	process int
}

func (w asker) Verify(ctx context.Context, token string) (*sneck.Token, error) {
	w.mu.Lock()
	asked, step, slow, outage, known := time.Now(), w.steps[w.process], w.slow, w.outage, w.tokens[token]
	w.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if outage {
		return nil, errors.New("down")
	}
	if known == nil || known.ExpiredAt(asked) {
		return nil, sneck.ErrInvalid
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	answer := *known
	answer.Username = strconv.Itoa(len(w.asked))
	w.asked = append(w.asked, question{asked, step})
	return &answer, nil
}

func (w *world) verify(t *testing.T, token string) {
	i := w.random.IntN(2)
	ctx, bound := t.Context(), time.Duration(-1)
	if w.random.IntN(3) == 0 {
		bound = time.Duration(w.random.IntN(20)) * time.Second
		ctx = sneck.WithMaxStaleness(ctx, bound)
	}
	start := time.Now()
	told := w.revoked[i]
	got, err := w.caches[i].Verify(ctx, token)
	if err != nil {
		return
	}
	n, _ := strconv.Atoi(got.Username)
	w.mu.Lock()
	asked, step := w.asked[n].at, w.asked[n].step
	wall := start.Add(w.steps[i])
	w.mu.Unlock()
	age := start.Sub(asked)
	require.Less(t, age, w.ttl+w.stale, "older than any bound")
	require.True(t, age < w.ttl || w.outage || start.Sub(w.mended) <= time.Second, "stale without an outage")
	if bound >= 0 {
		require.LessOrEqual(t, age, bound, "older than the route allows")
	}
	if asked.Before(start) { // of what is remembered
		require.True(t, wall.Before(got.Expires), "after its expiry by the wall clock")
		require.Less(t, age, got.Expires.Sub(asked.Add(step)), "after what it had left when it was asked about")
	}
	for _, name := range []string{"token " + token, "subject " + got.Subject, "client " + got.ClientID, "jti " + got.ID} {
		if at, ok := told[name]; ok {
			require.True(t, asked.After(at) || asked.Equal(at), "%s was revoked at %v, asked about at %v", name, at, asked)
		}
	}
}

func (w *world) revoke(t *testing.T, token string) {
	i := w.random.IntN(2)
	known := w.tokens[token]
	w.mu.Lock()
	if w.random.IntN(2) == 0 {
		delete(w.tokens, token)
	}
	w.mu.Unlock()
	r, name := cache.Revocation{Token: token}, "token "+token
	if known != nil {
		switch w.random.IntN(4) {
		case 0:
			r, name = cache.Revocation{Subject: known.Subject}, "subject "+known.Subject
		case 1:
			r, name = cache.Revocation{Issuer: known.Issuer, ClientID: known.ClientID}, "client "+known.ClientID
		case 2:
			r, name = cache.Revocation{TokenID: known.ID}, "jti "+known.ID
		}
	}
	err := w.caches[i].Revoke(t.Context(), r)
	w.revoked[i][name] = time.Now()
	if err == nil {
		synctest.Wait()
		w.spread[name] = time.Now()
		if !w.cut {
			w.revoked[1-i][name] = time.Now()
		}
	}
	time.Sleep(time.Nanosecond)
}

// open starts the process anew, with all the past to be learnt.
func (w *world) open(t *testing.T, i int) {
	if w.caches[i] != nil {
		require.NoError(t, w.caches[i].Close())
	}
	c, err := cache.NewStepped(cache.Config{Verifier: asker{w, i}, TTL: w.ttl, StaleIfError: w.stale, MaxBytes: 1 << 20, Shared: &cache.Shared{
		Store: w.shared, Bus: w.shared, Namespace: "n", Secret: make([]byte, 32),
	}}, func() time.Duration {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.steps[i]
	})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	w.caches[i] = c
	// It remembers nothing, and may learn from others only what it may use.
	w.revoked[i] = maps.Clone(w.spread)
}

// connect cuts both processes off the bus, or mends it.
func (w *world) connect() {
	w.cut = !w.cut
	if w.cut {
		w.shared.Cut()
	} else {
		w.shared.Mend()
	}
	synctest.Wait()
	if !w.cut {
		for name, at := range w.spread {
			for _, told := range w.revoked {
				if at.After(told[name]) {
					told[name] = at
				}
			}
		}
	}
}

func (w *world) issue(token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tokens[token] = &sneck.Token{
		Issuer: "https://as.example", Subject: "s" + token, ClientID: "c", ID: "j" + token, Scopes: scopes.MustParse("read"),
		Expires: time.Now().Add(time.Duration(1+w.random.IntN(120)) * time.Second),
	}
}

// Whatever happens, no request is admitted on an answer that is older than
// the bound, after the token's expiry, or on one from before a revocation.
func TestNothingIsAdmittedBeyondItsBounds(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 30
	}
	for range rounds {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { live(t, seed) })
		})
	}
}

func live(t *testing.T, seed uint64) {
	w := &world{
		random: rand.New(rand.NewPCG(seed, 1)), shared: cachetest.NewMemory(), ttl: 30 * time.Second,
		tokens: make(map[string]*sneck.Token),
		spread: make(map[string]time.Time),
	}
	if w.random.IntN(2) == 0 {
		w.stale = 20 * time.Second
	}
	w.shared.Fault = func(context.Context) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.storeBad {
			return errors.New("lost")
		}
		return nil
	}
	for i := range w.caches {
		w.open(t, i)
	}
	synctest.Wait()
	// Answers are shared only by processes whose clocks agree.
	stepping := w.random.IntN(3) == 0
	w.storeBad = stepping
	for range 300 {
		token := fmt.Sprint("t", w.random.IntN(6))
		switch n := w.random.IntN(100); {
		case n < 60:
			w.verify(t, token)
		case n < 68:
			w.issue(token)
		case n < 74:
			w.revoke(t, token)
		case n < 80:
			w.mu.Lock()
			w.outage, w.mended = !w.outage, time.Now()
			w.mu.Unlock()
		case n < 84:
			w.mu.Lock()
			w.slow = time.Duration(w.random.IntN(3)) * time.Second
			w.mu.Unlock()
		case n < 88:
			w.mu.Lock()
			w.storeBad = stepping || !w.storeBad
			w.mu.Unlock()
		case n < 89:
			w.open(t, w.random.IntN(2))
		case n < 91:
			w.connect()
		case n < 94 && stepping:
			w.mu.Lock()
			w.steps[w.random.IntN(2)] += time.Duration(w.random.IntN(7200)-3600) * time.Second
			w.mu.Unlock()
		default:
			time.Sleep(time.Duration(w.random.IntN(8000)) * time.Millisecond)
		}
	}
	synctest.Wait()
}
