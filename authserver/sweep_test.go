package authserver_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
)

func fill(t *testing.T, m *authserver.Memory, n int, expires time.Time) {
	t.Helper()
	for i := range n {
		require.NoError(t, m.Create(t.Context(), authserver.Record{
			Key: authserver.KeyOf(fmt.Sprint(expires, i)), Kind: authserver.KindAccess, Expires: expires,
		}))
	}
}

func settingSweepBatch(t *testing.T) {
	w := newWorld(t, func(c *authserver.Config) { c.Sweep = authserver.Sweep{BatchSize: 10, Pause: 1} })
	fill(t, w.memory, 25, epoch.Add(-time.Hour))
	fill(t, w.memory, 5, epoch.Add(-time.Hour+1))
	var steps []int64
	n, err := w.DeleteExpired(t.Context(), func(n int64) { steps = append(steps, n) })
	require.NoError(t, err)
	assert.EqualValues(t, 25, n)
	assert.Equal(t, []int64{10, 20, 25}, steps)
	w.now = epoch.Add(1)
	n, err = w.DeleteExpired(t.Context(), nil)
	require.NoError(t, err)
	assert.EqualValues(t, 5, n)

	ctx, cancel := context.WithCancel(t.Context())
	fill(t, w.memory, 25, epoch.Add(-2*time.Hour))
	n, err = w.DeleteExpired(ctx, func(int64) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
	assert.EqualValues(t, 10, n)

	// The default is 10,000.
	w = newWorld(t, func(c *authserver.Config) { c.Sweep.Pause = 1 })
	fill(t, w.memory, 10001, epoch.Add(-time.Hour))
	steps = nil
	_, err = w.DeleteExpired(t.Context(), func(n int64) { steps = append(steps, n) })
	require.NoError(t, err)
	assert.Equal(t, []int64{10000, 10001}, steps)

	m := authserver.NewMemory()
	for _, sweep := range []authserver.Sweep{{Interval: -1}, {BatchSize: -1}, {Pause: -1}, {Retain: -1}, {BatchSize: 1000001}} {
		_, err := authserver.New(authserver.Config{Issuer: issuer, Store: m, Clients: m, Sweep: sweep})
		require.ErrorContains(t, err, "Sweep")
	}
}

func settingSweepInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := newWorld(t, withLog(&log), func(c *authserver.Config) {
			c.Now, c.Sweep = time.Now, authserver.Sweep{Interval: time.Minute, Retain: time.Second}
		})
		expires := time.Now().Add(time.Minute)
		fill(t, w.memory, 3, expires)
		there := func() error {
			_, err := w.memory.Get(t.Context(), authserver.KeyOf(fmt.Sprint(expires, 0)))
			return err
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		time.Sleep(time.Minute) // of the bubble's own time
		synctest.Wait()
		require.NoError(t, there(), "it has just expired")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.ErrorIs(t, there(), authserver.ErrNotFound)
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		assert.Equal(t, "level=INFO msg=swept deleted=3\n", log.String())
	})
	synctest.Test(t, func(t *testing.T) { // off
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

// A partition is a store of which all goes at once, which takes a while.
type partitions struct {
	authserver.Store
	left  int
	began *[]time.Time
}

func (p *partitions) DeleteExpired(context.Context, time.Time, int) (int64, error) {
	*p.began = append(*p.began, time.Now())
	if p.left == 0 {
		return 0, nil
	}
	p.left--
	time.Sleep(2 * time.Second) // of the test's clock
	return 1_000_000, nil
}

// The sweeper rests after a store was busy with more than it was asked for. Who
// is in a hurry does not.
func TestSweepRests(t *testing.T) {
	for gently, want := range map[bool][]time.Duration{
		true:  {0, 22 * time.Second, 44 * time.Second},
		false: {0, 2010 * time.Millisecond, 4020 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			var began []time.Time
			w := newWorld(t, func(c *authserver.Config) {
				c.Now, c.Sweep.Interval = time.Now, time.Minute
				c.Store = &partitions{c.Store, 2, &began}
			})
			if gently {
				ctx, cancel := context.WithTimeout(t.Context(), 110*time.Second)
				defer cancel()
				require.ErrorIs(t, w.Run(ctx), context.DeadlineExceeded)
			} else {
				n, err := w.DeleteExpired(t.Context(), nil)
				require.NoError(t, err)
				assert.EqualValues(t, 2_000_000, n)
			}
			var after []time.Duration
			for _, at := range began {
				after = append(after, at.Sub(began[0]))
			}
			assert.Equal(t, want, after)
		})
	}
}
