package cachetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sneckauth/sneck/cache"
)

// TestBus checks that what open returns keeps the contract of [cache.Bus]. It
// calls open once for each part. The two values stand for two processes on
// the same bus: what is published on either reaches the subscribers of both.
// Other traffic on the bus does no harm. That missed messages are delivered,
// or given up with a call of lost, is for a test that can cut connections.
func TestBus(t *testing.T, open func(t *testing.T) (a, b cache.Bus)) {
	for _, part := range []struct {
		name string
		test func(t *testing.T, a, b cache.Bus)
	}{
		{"every subscriber gets every message", busEveryone},
		{"messages arrive as they were sent", busRoundTrip},
		{"a subscriber may join later", busJoin},
		{"who joins gets what was sent before, in order", busReplay},
		{"a subscriber may leave", busLeave},
		{"a done context ends every method", busContext},
		{"many at once", busConcurrent},
	} {
		t.Run(part.name, func(t *testing.T) {
			a, b := open(t)
			part.test(t, a, b)
		})
	}
}

// A subscriber collects messages.
type subscriber struct {
	stop  context.CancelFunc
	done  chan struct{}
	probe string // is sent again and again until it is received

	mu    sync.Mutex
	got   map[string]int
	order []string
	after int // messages that came after Subscribe had returned
	over  bool
}

// subscribe returns a subscriber that has joined.
func subscribe(t *testing.T, bus cache.Bus) *subscriber {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s := &subscriber{stop: stop, done: make(chan struct{}), probe: "probe-" + rand.Text(), got: make(map[string]int)}
	go func() {
		defer close(s.done)
		if err := bus.Subscribe(ctx, s.receive, func() {}); err != nil && ctx.Err() == nil {
			t.Errorf("Subscribe: %v", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.over = true
	}()
	t.Cleanup(func() { stop(); <-s.done })
	deadline := time.Now().Add(patience)
	for !s.has(s.probe) {
		if time.Now().After(deadline) {
			t.Fatal("the subscriber does not get any message")
		}
		publish(t, bus, s.probe)
		time.Sleep(time.Millisecond)
	}
	return s
}

func (s *subscriber) receive(message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		s.after++
	}
	s.got[string(message)]++
	s.order = append(s.order, string(message))
}

func (s *subscriber) has(message string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got[message] > 0
}

// expect waits for the messages.
func (s *subscriber) expect(t *testing.T, messages ...string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for _, message := range messages {
		for ; !s.has(message); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("a message of %d bytes did not arrive: %.40q", len(message), message)
			}
		}
	}
}

func publish(t *testing.T, bus cache.Bus, message string) {
	t.Helper()
	if err := bus.Publish(t.Context(), []byte(message)); err != nil {
		t.Fatalf("Publish: %v", err)
	}
}

func busEveryone(t *testing.T, a, b cache.Bus) {
	subscribers := []*subscriber{subscribe(t, a), subscribe(t, b), subscribe(t, b)}
	fromA, fromB := "a-"+rand.Text(), "b-"+rand.Text()
	publish(t, a, fromA)
	publish(t, b, fromB)
	for _, s := range subscribers {
		s.expect(t, fromA, fromB)
	}
}

func busRoundTrip(t *testing.T, a, b cache.Bus) {
	s := subscribe(t, b)
	for _, message := range oddBytes() {
		// Who publishes may use the slice again.
		buffer := append([]byte{}, message...)
		if err := a.Publish(t.Context(), buffer); err != nil {
			t.Fatalf("Publish: %v", err)
		}
		for i := range buffer {
			buffer[i]++
		}
		s.expect(t, string(message))
	}
}

func busJoin(t *testing.T, a, b cache.Bus) {
	publish(t, a, "before-"+rand.Text())
	first := subscribe(t, a)
	one := "one-" + rand.Text()
	publish(t, b, one)
	first.expect(t, one)
	second := subscribe(t, b)
	two := "two-" + rand.Text()
	publish(t, a, two)
	first.expect(t, two)
	second.expect(t, two)
}

// Whoever receives a message of its own has received all from before it.
func busReplay(t *testing.T, a, b cache.Bus) {
	run := rand.Text()
	const before, after = 200, 50
	var want []string
	send := func(n int) {
		for range n {
			message := fmt.Sprintf("%s-%d", run, len(want))
			want = append(want, message)
			publish(t, a, message)
		}
	}
	send(before)
	s := subscribe(t, b)
	send(after)
	s.expect(t, want...)
	s.mu.Lock()
	defer s.mu.Unlock()
	next := 0
	for _, message := range s.order {
		switch {
		case next < len(want) && message == want[next]:
			next++
		case strings.HasPrefix(message, run) && s.got[message] == 1:
			t.Fatalf("message %s arrived before message %d", message, next)
		case message == s.probe && next < before:
			t.Fatalf("a message that was sent later arrived before message %d", next)
		}
	}
}

func busLeave(t *testing.T, a, b cache.Bus) {
	stays, leaves := subscribe(t, a), subscribe(t, b)
	leaves.stop()
	select {
	case <-leaves.done:
	case <-time.After(2 * time.Second):
		t.Fatal("Subscribe did not return within two seconds of its context")
	}
	message := "message-" + rand.Text()
	publish(t, b, message)
	stays.expect(t, message)
	leaves.mu.Lock()
	defer leaves.mu.Unlock()
	if leaves.after > 0 {
		t.Fatal("Subscribe called receive after it had returned")
	}
}

func busContext(t *testing.T, a, b cache.Bus) {
	publish(t, a, "message-"+rand.Text()) // it is connected now
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	prompt(t, "Publish", func() error { return a.Publish(ctx, []byte("late")) })
	prompt(t, "Subscribe", func() error { return b.Subscribe(ctx, func([]byte) {}, func() {}) })
}

func busConcurrent(t *testing.T, a, b cache.Bus) {
	const publishers, rounds = 4, 50
	subscribers := []*subscriber{subscribe(t, a), subscribe(t, b)}
	run := rand.Text()
	var group sync.WaitGroup
	for i := range publishers {
		group.Go(func() {
			bus := []cache.Bus{a, b}[i%2]
			for round := range rounds {
				if err := bus.Publish(t.Context(), fmt.Appendf(nil, "%s-%d-%d", run, i, round)); err != nil {
					t.Errorf("Publish: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
	for _, s := range subscribers {
		for i := range publishers {
			for round := range rounds {
				s.expect(t, fmt.Sprintf("%s-%d-%d", run, i, round))
			}
		}
	}
}
