package cache_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/cache/cachetest"
)

// The table of docs/caching.md is lived through, row by row.
func TestCachingTable(t *testing.T) {
	text, err := os.ReadFile("../docs/caching.md")
	require.NoError(t, err)
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 8 || strings.Contains(line, "---") || strings.Contains(line, "TTL ") && strings.Contains(line, "lives") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows++
		t.Run(strings.Join(cells, ","), func(t *testing.T) {
			want := duration(t, cells[7])
			if cells[4] == "idle" {
				_, ok := lives(t, cells, want-time.Millisecond)
				assert.True(t, ok, "admitted just before")
				_, ok = lives(t, cells, want)
				assert.False(t, ok, "and not any more then")
				return
			}
			var longest time.Duration
			ever := false
			for range 20 { // the moment of a refresh is random
				last, ok := lives(t, cells, 0)
				longest, ever = max(longest, last), ever || ok
			}
			assert.Equal(t, want > 0, ever)
			assert.LessOrEqual(t, longest, want)
			assert.GreaterOrEqual(t, longest, want*95/100, "the table says more than is true")
		})
	}
	assert.Equal(t, 21, rows)
}

// lives returns when the token is admitted for the last time after its
// revocation, if ever, with a request every quarter second from when it has
// been idle.
func lives(t *testing.T, cells []string, idle time.Duration) (last time.Duration, ok bool) {
	const step = 250 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		a, m := newAuthority("token"), cachetest.NewMemory()
		a.tokens["token"].Expires = time.Now().Add(time.Hour)
		cfg := cache.Config{
			Verifier: a, TTL: duration(t, cells[0]), StaleIfError: duration(t, cells[2]), MaxBytes: 1 << 20,
			Shared: &cache.Shared{Store: m, Bus: m, Namespace: "n", Secret: make([]byte, 32)},
		}
		switch cells[1] {
		case "default":
		case "never":
			cfg.RefreshAfter = -1
		default:
			cfg.RefreshAfter = duration(t, cells[1])
		}
		here, elsewhere := open(t, cfg), open(t, cfg)
		ctx := t.Context()
		if cells[3] != "" {
			ctx = sneck.WithMaxStaleness(ctx, duration(t, cells[3]))
		}
		synctest.Wait()
		require.Equal(t, "sub-token", ask(here, t.Context(), "token"))
		synctest.Wait()
		asked := time.Now()
		time.Sleep(time.Nanosecond)
		a.set(func(a *authority) {
			a.tokens = nil
			if cells[5] == "down" {
				a.err = errors.New("down")
			}
		})
		if cells[6] == "not heard" {
			m.Cut()
			synctest.Wait()
		}
		told := map[string]*cache.Cache{"told": here, "told elsewhere": elsewhere, "told before": elsewhere, "not heard": elsewhere}[cells[6]]
		if told != nil {
			require.NoError(t, told.Revoke(context.Background(), cache.Revocation{Token: "token"}))
			synctest.Wait()
		}
		if cells[6] == "told before" {
			require.NotEmpty(t, m.Dump())
			here = open(t, cfg)
		}
		time.Sleep(idle)
		for ask(here, ctx, "token") == "sub-token" {
			synctest.Wait()
			last, ok = time.Since(asked).Truncate(step), true
			if cells[4] == "idle" {
				return
			}
			time.Sleep(step)
		}
	})
	return last, ok
}

func duration(t *testing.T, cell string) time.Duration {
	d, err := time.ParseDuration(strings.ReplaceAll(cell, " ", ""))
	require.NoError(t, err)
	return d
}
