package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/adapter/redis"
	"github.com/sneckauth/sneck/adapter/redis/internal/redistest"
	"github.com/sneckauth/sneck/cache"
)

// slack is what a loaded machine may add to a latency.
const slack = 2 * time.Second

// A load verifies tokens until it is stopped, and notes what went wrong.
type load struct {
	stop  chan struct{}
	group sync.WaitGroup

	requests, cold, errs, admitted atomic.Int64
	mu                             sync.Mutex
	took                           []time.Duration
}

// run keeps eight clients busy: warm tokens, cold ones, and tokens that the
// authority refuses.
func run(c sneck.Verifier) *load {
	l := &load{stop: make(chan struct{})}
	for worker := range 8 {
		l.group.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-l.stop:
					return
				default:
				}
				token, refused := fmt.Sprint("good-warm-", i%50), false
				switch i % 4 {
				case 1:
					l.cold.Add(1)
					token = fmt.Sprintf("good-cold-%d-%d", worker, i)
				case 2:
					token, refused = fmt.Sprintf("bad-%d-%d", worker, i), true
				}
				start := time.Now()
				got, err := c.Verify(context.Background(), token)
				took := time.Since(start)
				l.requests.Add(1)
				switch {
				case refused && err == nil:
					l.admitted.Add(1)
				case refused && !errors.Is(err, sneck.ErrInvalid), !refused && (err != nil || got.Subject != "sub-"+token):
					l.errs.Add(1)
				}
				if i%4 != 0 {
					l.mu.Lock()
					l.took = append(l.took, took)
					l.mu.Unlock()
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	return l
}

// end stops the load and checks that nobody noticed anything.
func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.group.Wait()
	slices.Sort(l.took)
	n := len(l.took)
	require.Positive(t, n)
	t.Logf("%d requests, %d of them cold: median %v, 99%% %v, longest %v", l.requests.Load(), l.cold.Load(), l.took[n/2], l.took[n*99/100], l.took[n-1])
	assert.Zero(t, l.errs.Load(), "errors")
	assert.Zero(t, l.admitted.Load(), "refused tokens that were admitted")
	assert.Less(t, l.took[n-1], 2*hurry+slack, "a lookup and a write at most")
}

func TestRedisIsKilledUnderLoad(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := at(server.Address)
	var first, second authority
	one := joined(t, starting(t, hurry, &first, connect(t, cfg)))
	two := joined(t, starting(t, hurry, &second, connect(t, cfg)))
	require.Equal(t, "sub-good-lost", ask(one, "good-lost"))
	require.Equal(t, "sub-good-lost", ask(two, "good-lost"))

	l := run(one)
	more := func(what string) {
		from := l.requests.Load()
		redistest.Wait(t, what, func() bool { return l.requests.Load() > from+1000 })
	}
	more("load with Redis")
	server.Kill()
	more("load without Redis")
	assert.Positive(t, one.Stats().SharedErrors)

	// A revocation that can't be spread is an error for who revokes. The
	// others ask anew when they are connected again.
	for _, a := range []*authority{&first, &second} {
		a.revoked.Store("good-lost", true)
	}
	require.Error(t, one.Revoke(t.Context(), cache.Revocation{Token: "good-lost"}))
	assert.Equal(t, "invalid", ask(one, "good-lost"))
	assert.Equal(t, "sub-good-lost", ask(two, "good-lost"), "it can't know yet")

	server.Restart()
	more("load with Redis again")
	l.end(t)
	redistest.Wait(t, "the other to ask anew", func() bool { return ask(two, "good-lost") == "invalid" })

	// Answers are shared again, once the breaker has tried.
	i := 0
	redistest.Wait(t, "sharing to work again", func() bool {
		i++
		token := fmt.Sprint("good-again-", i)
		before := second.calls.Load()
		if ask(one, token) != "sub-"+token {
			return false
		}
		time.Sleep(20 * time.Millisecond)
		return ask(two, token) == "sub-"+token && second.calls.Load() == before
	})
}

func TestHangingRedisUnderLoad(t *testing.T) {
	t.Parallel()
	r, err := redis.New(at(hang(t)))
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	var a authority
	c := starting(t, hurry, &a, r)
	l := run(c)
	redistest.Wait(t, "requests", func() bool { return l.requests.Load() > 3000 })
	l.end(t)
	stats := c.Stats()
	t.Logf("%d operations failed, %d were not tried", stats.SharedErrors, stats.SharedSkipped)
	assert.Less(t, stats.SharedErrors, stats.SharedSkipped, "the breaker keeps it out of the way")
}

func TestRedisHangsUnderLoad(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := at(server.Address)
	var a authority
	c := joined(t, starting(t, hurry, &a, connect(t, cfg)))
	l := run(c)
	wait := func() {
		from := l.requests.Load()
		redistest.Wait(t, "requests", func() bool { return l.requests.Load() > from+1500 })
	}
	wait()
	server.CLI("CLIENT", "PAUSE", "3000", "ALL") // accepts and answers nothing
	wait()
	l.end(t)
	assert.Positive(t, c.Stats().SharedErrors)
}
