package redis_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/redis"
	"github.com/sneckauth/sneck/adapter/redis/internal/redistest"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/middleware/replaytest"
)

// replays returns a store in r, for guards of one kind.
func replays(t testing.TB, r *redis.Redis, change ...func(*redis.ReplayConfig)) *redis.Replays {
	t.Helper()
	cfg := redis.ReplayConfig{Redis: r, Namespace: "api", Secret: secret, Timeout: 5 * time.Second}
	for _, f := range change {
		f(&cfg)
	}
	s, err := redis.NewReplays(cfg)
	require.NoError(t, err)
	return s
}

func TestReplaysConformance(t *testing.T) {
	t.Parallel()
	t.Run("one server", func(t *testing.T) {
		address := redistest.Address(t)
		replaytest.Run(t, func(t *testing.T) middleware.ReplayStore { return replays(t, connect(t, at(address))) })
	})
	t.Run("cluster", func(t *testing.T) {
		cfg := at(redistest.StartCluster(t)[0].Address)
		cfg.Cluster = true
		replaytest.Run(t, func(t *testing.T) middleware.ReplayStore {
			cfg.Prefix = "sneck-test-" + rand.Text() + ":"
			return replays(t, connect(t, cfg))
		})
	})
	t.Run("no more than SET may be done", func(t *testing.T) {
		server := redistest.Start(t)
		server.CLI("ACL", "SETUSER", "app", "on", ">password", "~sneck-test-*", "resetchannels", "-@all", "+set", "+getrange", "+ping")
		cfg := at(server.Address)
		cfg.Username, cfg.Password = "app", "password"
		replaytest.Run(t, func(t *testing.T) middleware.ReplayStore {
			cfg.Prefix = "sneck-test-" + rand.Text() + ":"
			return replays(t, connect(t, cfg))
		})
	})
}

func TestReplayConfigReportsEveryMistake(t *testing.T) {
	_, err := redis.NewReplays(redis.ReplayConfig{Secret: make([]byte, 31), Timeout: -1})
	for _, part := range []string{"Redis is missing", "Namespace is missing", "shorter than 32 bytes", "Timeout is negative"} {
		assert.ErrorContains(t, err, part)
	}
}

// Of all who spend a proof at the same time, in any process, one succeeds.
func TestReplaysSpendOnceBetweenProcesses(t *testing.T) {
	const addressEnv, prefixEnv = "SNECK_TEST_REPLAY_ADDRESS", "SNECK_TEST_REPLAY_PREFIX"
	const proofs = 200
	spendAll := func(t *testing.T, address, prefix string) (fresh int) {
		cfg := at(address)
		cfg.Prefix = prefix
		s := replays(t, connect(t, cfg))
		var n atomic.Int64
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for i := range proofs {
					ok, err := s.Spend(context.Background(), "holder", fmt.Sprint(i), time.Now().Add(time.Minute))
					assert.NoError(t, err)
					if ok {
						n.Add(1)
					}
				}
			})
		}
		group.Wait()
		return int(n.Load())
	}
	if address := os.Getenv(addressEnv); address != "" {
		fmt.Println("fresh:", spendAll(t, address, os.Getenv(prefixEnv)))
		return
	}
	address := redistest.Address(t)
	prefix := at(address).Prefix
	counts := make(chan int, 3)
	for range 2 {
		go func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestReplaysSpendOnceBetweenProcesses$", "-test.v")
			cmd.Env = append(os.Environ(), addressEnv+"="+address, prefixEnv+"="+prefix)
			out, err := cmd.CombinedOutput()
			n := -1
			if assert.NoError(t, err, "%s", out) {
				_, text, _ := strings.Cut(string(out), "fresh: ")
				_, err = fmt.Sscan(text, &n)
				assert.NoError(t, err, "%s", out)
			}
			counts <- n
		}()
	}
	counts <- spendAll(t, address, prefix)
	assert.Equal(t, proofs, <-counts+<-counts+<-counts)
}

// Other guards are not concerned.
func TestReplaysStayInTheirNamespace(t *testing.T) {
	r := connect(t, at(redistest.Address(t)))
	for name, s := range map[string]*redis.Replays{
		"this":     replays(t, r),
		"other":    replays(t, r, func(cfg *redis.ReplayConfig) { cfg.Namespace = "other" }),
		"secret":   replays(t, r, func(cfg *redis.ReplayConfig) { cfg.Secret = append([]byte("x"), secret...) }),
		"namesake": replays(t, connect(t, at(redistest.Address(t)))),
	} {
		for i, want := range []bool{true, false} {
			fresh, err := s.Spend(t.Context(), "holder", "id", time.Now().Add(time.Minute))
			require.NoError(t, err)
			assert.Equal(t, want, fresh, "%s %d", name, i)
		}
	}
}

// What is in Redis names neither key nor proof, is short, and runs out.
func TestReplaysLeaveNothingToRead(t *testing.T) {
	address := redistest.Address(t)
	cfg := at(address)
	s, client := replays(t, connect(t, cfg)), raw(t, address)
	const holder, id = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", "e1j3V_bKic8-LAEB_lccD0G"
	before := time.Now()
	for i, holder := range []string{holder, strings.Repeat(holder, 1000)} {
		fresh, err := s.Spend(t.Context(), holder, id+fmt.Sprint(i), before.Add(time.Minute))
		require.NoError(t, err)
		require.True(t, fresh)
	}
	keys, err := client.Do(t.Context(), client.B().Keys().Pattern(cfg.Prefix+"*").Build()).AsStrSlice()
	require.NoError(t, err)
	require.Len(t, keys, 2)
	for _, key := range keys {
		assert.Regexp(t, "^"+regexp.QuoteMeta(cfg.Prefix+"r:api:")+"[A-Za-z0-9_-]{43}$", key)
		assert.NotContains(t, key, id[:8])
		value, err := client.Do(t.Context(), client.B().Get().Key(key).Build()).ToString()
		require.NoError(t, err)
		assert.Equal(t, "s", value)
		left, err := client.Do(t.Context(), client.B().Pttl().Key(key).Build()).AsInt64()
		require.NoError(t, err)
		assert.Greater(t, left, int64(time.Until(before.Add(time.Minute))/time.Millisecond))
		assert.LessOrEqual(t, left, int64(62_000))
	}

	_, err = s.Spend(t.Context(), holder, "later", time.Now().Add(2*time.Hour))
	assert.ErrorContains(t, err, "for 2h0m0s, and not for 1h0m0s at most")
}

// Without Redis nobody can tell, so nobody is admitted, and nobody waits long.
func TestReplaysFailClosed(t *testing.T) {
	t.Parallel()
	const patience = 100 * time.Millisecond
	short := func(cfg *redis.ReplayConfig) { cfg.Timeout = patience }
	spend := func(t *testing.T, s *redis.Replays, id string) (bool, error) {
		t.Helper()
		began := time.Now()
		fresh, err := s.Spend(t.Context(), "holder", id, time.Now().Add(time.Minute))
		assert.Less(t, time.Since(began), patience+slack)
		return fresh, err
	}
	t.Run("killed", func(t *testing.T) {
		server := redistest.Start(t)
		s := replays(t, connect(t, at(server.Address)), short)
		fresh, err := spend(t, s, "0")
		require.NoError(t, err)
		require.True(t, fresh)
		server.Kill()
		for i := range 20 {
			fresh, err := spend(t, s, fmt.Sprint(i))
			require.Error(t, err)
			require.False(t, fresh)
		}
		server.Restart()
		redistest.Wait(t, "proofs to be taken again", func() bool {
			fresh, err := spend(t, s, rand.Text())
			return err == nil && fresh
		})
	})
	t.Run("hanging", func(t *testing.T) {
		r, err := redis.New(at(hang(t)))
		require.NoError(t, err)
		t.Cleanup(func() { r.Close() })
		for i := range 3 {
			fresh, err := spend(t, replays(t, r, short), fmt.Sprint(i))
			require.Error(t, err)
			require.False(t, fresh)
		}
	})
	t.Run("full", func(t *testing.T) {
		server := redistest.Start(t, "--maxmemory-policy", "noeviction")
		s := replays(t, connect(t, at(server.Address)))
		server.CLI("CONFIG", "SET", "maxmemory", "1")
		fresh, err := spend(t, s, "0")
		require.ErrorContains(t, err, "OOM")
		require.False(t, fresh)
	})
	t.Run("closed", func(t *testing.T) {
		r := connect(t, at(redistest.Address(t)))
		s := replays(t, r)
		require.NoError(t, r.Close())
		_, err := spend(t, s, "0")
		require.ErrorIs(t, err, redis.ErrClosed)
	})
}

func ExampleNewReplays() {
	shared, err := redis.New(redis.Config{URL: "rediss://app:password@redis.example:6379"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	replays, err := redis.NewReplays(redis.ReplayConfig{
		Redis:     shared,
		Namespace: "https://api.example.com",
		Secret:    []byte("32 random bytes of a secret store"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = middleware.DPoP{Mode: middleware.Strict, External: "https://api.example.com", Replays: replays}
	fmt.Println("a proof is good at one of the processes, once")
	// Output: a proof is good at one of the processes, once
}
