package redis_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/redis"
	"github.com/sneckauth/sneck/adapter/redis/internal/redistest"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/limittest"
)

// patience is for a loaded machine: the tests are not about the deadline.
const patience = 10 * time.Second

func TestLimiter(t *testing.T) {
	limittest.Test(t, func(t *testing.T) authserver.Limiter {
		return connect(t, at(redistest.Address(t))).Limiter(patience)
	})
}

func TestLimiterWithLogin(t *testing.T) {
	server := redistest.Start(t)
	// The commands that the doc of Limiter names, and no more but PING.
	server.CLI("ACL", "SETUSER", "app", "on", ">password", "~sneck-test-*", "resetchannels", "-@all",
		"+eval", "+evalsha", "+time", "+get", "+set", "+ping", "+getrange")
	server.CLI("ACL", "SETUSER", "default", "off")
	cfg := at(server.Address)
	cfg.Username, cfg.Password = "app", "password"
	l := connect(t, cfg).Limiter(patience)
	for _, want := range []bool{true, true, false} {
		wait, err := l.Take(t.Context(), authserver.LimitKey{What: "x"}, 1, slowRate(2))
		require.NoError(t, err)
		assert.Equal(t, want, wait == 0)
	}
}

func slowRate(burst int) authserver.Rate {
	return authserver.Rate{Count: 1, Per: time.Hour, Burst: burst}
}

// Servers that share a Redis let through together what one would.
func TestLimiterIsShared(t *testing.T) {
	cfg := at(redistest.Address(t))
	limiters := []*redis.Limiter{connect(t, cfg).Limiter(patience), connect(t, cfg).Limiter(patience), connect(t, cfg).Limiter(patience)}
	key := authserver.LimitKey{What: "failure", Client: "c", Address: netip.MustParsePrefix("2001:db8::/64")}
	var granted atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for range 5 {
				wait, err := limiters[i%3].Take(context.Background(), key, 1, slowRate(50))
				assert.NoError(t, err)
				if wait == 0 {
					granted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 50, granted.Load())
}

// Redis learns neither clients nor addresses, and keeps nothing for longer
// than it counts.
func TestLimiterStoresLittle(t *testing.T) {
	address := redistest.Address(t)
	cfg := at(address)
	l := connect(t, cfg).Limiter(patience)
	client := raw(t, address)
	for i := range 3 {
		_, err := l.Take(t.Context(), authserver.LimitKey{What: "w", Client: "someone" + strings.Repeat("x", 200)}, 1, authserver.Rate{Count: 1, Per: time.Minute, Burst: 5})
		require.NoError(t, err)
		keys, err := client.Do(t.Context(), client.B().Keys().Pattern(cfg.Prefix+"*").Build()).AsStrSlice()
		require.NoError(t, err)
		require.Len(t, keys, 1)
		assert.Regexp(t, "^"+cfg.Prefix+"l:[A-Za-z0-9_-]{22}$", keys[0])
		left, err := client.Do(t.Context(), client.B().Pttl().Key(keys[0]).Build()).AsInt64()
		require.NoError(t, err)
		assert.InDelta(t, (time.Duration(i+1) * time.Minute).Milliseconds(), left, 30000)
	}
}

// A server whose Redis hangs or has gone counts for itself, and does not wait
// for it with every request.
func TestLimiterWithoutRedis(t *testing.T) {
	server := redistest.Start(t)
	l := connect(t, at(server.Address)).Limiter(time.Second)
	key := authserver.LimitKey{What: "x", Client: "c"}
	_, err := l.Take(t.Context(), key, 1, slowRate(1000))
	require.NoError(t, err)
	server.CLI("CLIENT", "PAUSE", "600000", "ALL")

	start := time.Now()
	_, err = l.Take(t.Context(), key, 1, slowRate(1000))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(start), slack)
	_, err = l.Take(t.Context(), key, 1, slowRate(1000))
	require.EqualError(t, err, "redis: limiter: there was no answer a moment ago")

	m := authserver.NewMemory()
	srv, err := authserver.New(authserver.Config{
		Issuer: "https://auth.example.com", Store: m, Clients: m,
		Limits: authserver.Limits{Limiter: l, Token: authserver.EndpointLimit{Client: slowRate(3)}},
	})
	require.NoError(t, err)
	c, secret, err := srv.NewClient(t.Context(), authserver.Client{
		Grants: []string{authserver.GrantClientCredentials}, Scopes: []string{"read"}, Audience: []string{"a"},
	}, true)
	require.NoError(t, err)
	require.NoError(t, m.PutClient(t.Context(), c))
	var statuses []int
	for range 4 {
		r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader("grant_type=client_credentials&scope=read"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(c.ID, secret)
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		statuses = append(statuses, w.Code)
	}
	assert.Equal(t, []int{200, 200, 200, 429}, statuses)

	server.Kill()
	server.Restart()
	redistest.Wait(t, "the limiter to come back", func() bool {
		_, err := l.Take(t.Context(), key, 1, slowRate(1000))
		return err == nil
	})
}

// What stands at a key and is not the limiter's is an error, not a verdict.
func TestLimiterWithGarbage(t *testing.T) {
	address := redistest.Address(t)
	client := raw(t, address)
	for _, value := range [][]string{{"SET", "garbage"}, {"LPUSH", "1"}, {"SET", "1e300"}} {
		cfg := at(address)
		l := connect(t, cfg).Limiter(patience)
		key := authserver.LimitKey{What: "x"}
		_, err := l.Take(t.Context(), key, 1, slowRate(2))
		require.NoError(t, err)
		keys, err := client.Do(t.Context(), client.B().Keys().Pattern(cfg.Prefix+"*").Build()).AsStrSlice()
		require.NoError(t, err)
		require.NoError(t, client.Do(t.Context(), client.B().Del().Key(keys...).Build()).Error())
		require.NoError(t, client.Do(t.Context(), client.B().Arbitrary(value[0]).Keys(keys[0]).Args(value[1]).Build()).Error())
		wait, err := l.Take(t.Context(), key, 1, slowRate(2))
		if value[1] == "1e300" { // a clock that was set back is like this
			require.NoError(t, err)
			assert.Equal(t, time.Hour, wait)
		} else {
			require.Error(t, err, fmt.Sprint(value))
		}
	}
}

func BenchmarkLimiter(b *testing.B) {
	l := connect(b, at(redistest.Address(b))).Limiter(patience)
	rate := authserver.Rate{Count: 1000000, Per: time.Second}
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := l.Take(b.Context(), authserver.LimitKey{What: "x", Client: "c"}, 1, rate); err != nil {
				b.Error(err)
			}
		}
	})
}
