package redis_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/redis"
	"github.com/sneckauth/sneck/adapter/redis/internal/redistest"
	"github.com/sneckauth/sneck/cache"
)

// A listener notes what a subscription delivers.
type listener struct {
	mu    sync.Mutex
	got   map[string]int
	times int         // that since rose
	since []time.Time // at every call of Current since it was behind last
}

// listen subscribes until the test ends, and waits until it has all of before.
func listen(t *testing.T, bus cache.Bus) *listener {
	t.Helper()
	l := &listener{got: make(map[string]int)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		var last time.Time
		done <- bus.Subscribe(ctx, cache.Subscriber{
			Receive: func(message []byte) {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.got[string(message)]++
			},
			Current: func(since time.Time) {
				l.mu.Lock()
				defer l.mu.Unlock()
				if !last.IsZero() && since.After(last) {
					l.times++
				}
				last = since
				l.since = append(l.since, since)
			},
			Behind: func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.since = nil
			},
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	redistest.Wait(t, "the subscriber to be current", func() bool { _, current := l.current(); return current })
	return l
}

func (l *listener) has(message string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.got[message] > 0
}

// current returns since as of the last call of Current, if the last word was
// not that it is behind.
func (l *listener) current() (since time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.since) == 0 {
		return time.Time{}, false
	}
	return l.since[len(l.since)-1], true
}

func (l *listener) lost() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.times
}

func (l *listener) wait(t *testing.T, messages ...string) {
	t.Helper()
	for _, message := range messages {
		redistest.Wait(t, "message "+message, func() bool { return l.has(message) })
	}
}

// tell publishes, again and again where a server is just coming back.
func tell(t *testing.T, bus cache.Bus, message string) {
	t.Helper()
	redistest.Wait(t, "Publish to succeed", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return bus.Publish(ctx, []byte(message)) == nil
	})
}

func TestBusDeliversWhatWasMissed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := at(server.Address)
	publisher := connect(t, cfg)
	link := newLink(t, server.Address)
	cutOff := cfg
	cutOff.Addresses = []string{link.address}
	l := listen(t, connect(t, cutOff))
	tell(t, publisher, "before")
	l.wait(t, "before")

	link.cut()
	redistest.Wait(t, "the subscriber to be behind", func() bool { _, current := l.current(); return !current })
	var missed []string
	for i := range 200 {
		missed = append(missed, fmt.Sprint("missed-", i))
		tell(t, publisher, missed[i])
	}
	assert.False(t, l.has(missed[0]))
	link.mend()
	redistest.Wait(t, "the subscriber to be current", func() bool { _, current := l.current(); return current })
	for _, message := range missed {
		assert.True(t, l.has(message), "current without %s", message)
	}
	tell(t, publisher, "after")
	l.wait(t, "after")
	assert.Zero(t, l.lost(), "nothing was lost")
	for message, times := range l.got {
		// Twice is allowed: a Publish may succeed and say that it did not.
		assert.LessOrEqual(t, times, 2, message)
	}
}

// Whatever happens to the stream, the subscriber is told, and goes on.
func TestBusNoticesLoss(t *testing.T) {
	t.Parallel()
	for name, disaster := range map[string]func(t *testing.T, server *redistest.Server, cfg redis.Config){
		"restarted empty": func(_ *testing.T, server *redistest.Server, _ redis.Config) { server.Restart() },
		"FLUSHALL":        func(_ *testing.T, server *redistest.Server, _ redis.Config) { server.CLI("FLUSHALL") },
		"deleted":         func(_ *testing.T, server *redistest.Server, cfg redis.Config) { server.CLI("DEL", cfg.Prefix+"bus") },
		"trimmed": func(_ *testing.T, server *redistest.Server, cfg redis.Config) {
			server.CLI("XTRIM", cfg.Prefix+"bus", "MAXLEN", "0")
		},
		"of another type": func(_ *testing.T, server *redistest.Server, cfg redis.Config) {
			server.CLI("SET", cfg.Prefix+"bus", "x")
		},
		"a new history": func(_ *testing.T, server *redistest.Server, _ redis.Config) { server.CLI("DEBUG", "CHANGE-REPL-ID") },
		"smaller identifiers": func(_ *testing.T, server *redistest.Server, cfg redis.Config) {
			server.CLI("DEL", cfg.Prefix+"bus")
			server.CLI("XADD", cfg.Prefix+"bus", "5-1", "m", "old")
		},
		"a huge message": func(t *testing.T, server *redistest.Server, cfg redis.Config) {
			client := raw(t, server.Address)
			require.NoError(t, client.Do(t.Context(), client.B().Xadd().Key(cfg.Prefix+"bus").Id("*").FieldValue().FieldValue("m", strings.Repeat("x", 32<<20)).Build()).Error())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, "--enable-debug-command", "yes")
			cfg := at(server.Address)
			publisher := connect(t, cfg)
			l := listen(t, connect(t, cfg))
			tell(t, publisher, "before")
			l.wait(t, "before")
			require.Zero(t, l.lost())
			disaster(t, server, cfg)
			redistest.Wait(t, "the loss to be told", func() bool { return l.lost() > 0 })
			tell(t, publisher, "after")
			l.wait(t, "after")
			calls := l.lost()
			tell(t, publisher, "later")
			l.wait(t, "later")
			// Each read is followed by a check, which is over when the next
			// message arrives.
			for _, message := range []string{"one", "two", "three"} {
				tell(t, publisher, message)
				l.wait(t, message)
			}
			assert.Equal(t, calls, l.lost(), "one loss is one call")
		})
	}
}

// A server that does not tell which one it is is trusted for as long as the
// connection lasts.
func TestBusWithoutReplicationID(t *testing.T) {
	server := redistest.Start(t)
	server.CLI("ACL", "SETUSER", "app", "on", ">password", "~*", "+@all", "-info")
	cfg := at(server.Address)
	cfg.Username, cfg.Password = "app", "password"
	publisher := connect(t, cfg)
	link := newLink(t, server.Address)
	cfg.Addresses = []string{link.address}
	l := listen(t, connect(t, cfg))
	tell(t, publisher, "before")
	l.wait(t, "before")
	require.Zero(t, l.lost())
	link.cut()
	tell(t, publisher, "missed")
	link.mend()
	l.wait(t, "missed")
	redistest.Wait(t, "the loss to be told", func() bool { return l.lost() > 0 })
	tell(t, publisher, "after")
	l.wait(t, "after")
	assert.Equal(t, 1, l.lost())
}

// Old messages leave, anchors stay, and nobody takes that for a loss.
func TestBusForgets(t *testing.T) {
	t.Parallel()
	address := redistest.Address(t)
	cfg := at(address)
	cfg.Retention = time.Second
	publisher, client := connect(t, cfg), raw(t, address)
	l := listen(t, connect(t, cfg))
	for i := range 300 { // trimming is by the hundred
		tell(t, publisher, fmt.Sprint(i))
	}
	l.wait(t, "299")
	redistest.Wait(t, "old messages to leave", func() bool {
		n, err := client.Do(t.Context(), client.B().Xlen().Key(cfg.Prefix+"bus").Build()).AsInt64()
		return err == nil && n < 200
	})
	tell(t, publisher, "after")
	l.wait(t, "after")
	assert.Zero(t, l.lost())
}

func TestFailoverBySentinel(t *testing.T) {
	t.Parallel()
	primary, _, sentinel := redistest.StartSentinel(t)
	cfg := at("")
	cfg.Addresses, cfg.MasterSet = []string{sentinel.Address}, "main"
	a, b := connect(t, cfg), connect(t, cfg)
	l := listen(t, b)
	tell(t, a, "before")
	l.wait(t, "before")
	require.NoError(t, a.Set(t.Context(), "key", []byte("value"), time.Minute))
	primary.Kill()
	redistest.Wait(t, "the replica to take over", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return a.Set(ctx, "key", []byte("new"), time.Minute) == nil
	})
	redistest.Wait(t, "the loss to be told", func() bool { return l.lost() > 0 })
	tell(t, a, "after")
	l.wait(t, "after")
	got, err := b.Get(t.Context(), "key")
	require.NoError(t, err)
	assert.Equal(t, "new", string(got))
}
