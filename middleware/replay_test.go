package middleware_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/middleware/replaytest"
)

func TestReplayMemory(t *testing.T) {
	replaytest.Run(t, func(*testing.T) middleware.ReplayStore { return middleware.NewReplayMemory(0, nil) })
}

func TestReplayMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := middleware.NewReplayMemory(80, nil)
		until := time.Now().Add(time.Minute)
		spend := func(holder string, i int) error {
			_, err := m.Spend(t.Context(), holder, fmt.Sprint(i), until)
			return err
		}
		for i := range 10 {
			require.NoError(t, spend("greedy", i))
		}
		assert.ErrorIs(t, spend("greedy", 10), middleware.ErrReplaysFull)
		fresh, err := m.Spend(t.Context(), "greedy", "3", until)
		assert.NoError(t, err, "what is known needs no room")
		assert.False(t, fresh)
		for i := range 70 {
			require.NoError(t, spend(fmt.Sprint("other", i), i))
		}
		assert.ErrorIs(t, spend("late", 0), middleware.ErrReplaysFull)

		time.Sleep(59 * time.Second)
		assert.ErrorIs(t, spend("late", 0), middleware.ErrReplaysFull)
		time.Sleep(31 * time.Second)
		until = time.Now().Add(time.Minute)
		assert.NoError(t, spend("late", 0))
		assert.NoError(t, spend("greedy", 0))
	})
}

// Proofs arrive in any order of their times; none is forgotten early.
func TestReplayMemoryOutOfOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := middleware.NewReplayMemory(0, nil)
		start := time.Now()
		order := []int{60, 0, 120, 30, 90, 15, 119, 1}
		for _, s := range order {
			fresh, err := m.Spend(t.Context(), "ann", fmt.Sprint(s), start.Add(time.Duration(s)*time.Second))
			require.NoError(t, err)
			require.True(t, fresh)
		}
		for now := range 121 {
			for _, s := range order {
				if s < now {
					continue
				}
				fresh, err := m.Spend(t.Context(), "ann", fmt.Sprint(s), start.Add(time.Duration(s)*time.Second))
				require.NoError(t, err)
				require.False(t, fresh, "%d at %d", s, now)
			}
			time.Sleep(time.Second)
		}
	})
}

func BenchmarkReplayMemory(b *testing.B) {
	m := middleware.NewReplayMemory(1<<30, nil)
	ids := make([]string, 1<<16)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		m.Spend(b.Context(), "holder", ids[i%len(ids)], time.Now().Add(time.Minute))
		i++
	}
}
