package pages_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
)

// Of many passwords that are tried at once no more are looked at than of those
// tried one after the other.
func TestLimitHoldsAtOnce(t *testing.T) {
	w := newWorld(t)
	first := w.browser()
	first.get("/account")
	var mu sync.Mutex
	statuses := map[int]int{}
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			b := w.browser()
			b.at = first.at
			got := b.signIn("alice", "wrong password")
			mu.Lock()
			defer mu.Unlock()
			statuses[got.status]++
		})
	}
	wg.Wait()
	assert.Equal(t, map[int]int{422: 10, 429: 30}, statuses)
}

// Who knows the password can use it as often as they like, and begins anew
// after some typing errors.
func TestRightPasswordsAreNotCounted(t *testing.T) {
	w := newWorld(t)
	for range 20 {
		b := w.browser()
		b.get("/account")
		require.Equal(t, "Your applications", title(b.signIn("alice", password)))
	}
	b := w.browser()
	for range 3 {
		b.cookies = map[string]string{}
		b.get("/account")
		for range 9 {
			require.Equal(t, 422, b.signIn("alice", "wrong password").status)
		}
		require.Equal(t, "Your applications", title(b.signIn("alice", password)))
	}
}

// One limiter of several servers counts for all of them; who was refused there
// is not counted for the address.
func TestLimiterIsShared(t *testing.T) {
	limiter := authserver.NewMemoryLimiter(0, func() time.Time { return epoch })
	share := func(s *settings) {
		s.pages.Limits.Limiter = limiter
		s.pages.Limits.Account = authserver.Rate{Count: 3, Per: time.Minute}
		s.pages.Limits.Address = authserver.Rate{Count: 5, Per: time.Minute}
	}
	servers := []*world{newWorld(t, share), newWorld(t, share)}
	var statuses []int
	try := func(i int, name string) {
		b := servers[i%2].browser()
		b.get("/account")
		statuses = append(statuses, b.signIn(name, "wrong password").status)
	}
	for i := range 6 {
		try(i, "alice")
	}
	for i := range 3 {
		try(i, "bob")
	}
	assert.Equal(t, []int{422, 422, 422, 429, 429, 429, 422, 422, 429}, statuses)
}

type brokenLimiter struct{}

func (brokenLimiter) Take(context.Context, authserver.LimitKey, int, authserver.Rate) (time.Duration, error) {
	return 0, errors.New("nobody answers")
}

func TestLimiterFails(t *testing.T) {
	var log strings.Builder
	w := newWorld(t, func(s *settings) {
		s.pages.Limits.Limiter = brokenLimiter{}
		s.pages.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))
	})
	b := w.browser()
	b.get("/account")
	for range 10 {
		require.Equal(t, 422, b.signIn("alice", "wrong password").status)
	}
	assert.Equal(t, 429, b.signIn("alice", password).status)
	assert.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	assert.Contains(t, log.String(), `msg="limiter failed, each server counts for itself" cause="nobody answers"`)
}

func TestNoLimit(t *testing.T) {
	none := authserver.Rate{InsecureUnlimited: true}
	w := newWorld(t, func(s *settings) { s.pages.Limits.Account, s.pages.Limits.Address = none, none })
	b := w.browser()
	b.get("/account")
	for range 60 {
		require.Equal(t, 422, b.signIn("alice", "wrong password").status)
	}
}
