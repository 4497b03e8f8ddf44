package cachetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sneckauth/sneck/cache"
)

// TestBus checks that what open returns keeps the contract of [cache.Bus]. It
// calls open once for each part. The two values stand for two processes on
// the same bus: what is published on either reaches the subscribers of both.
// Other traffic on the bus does no harm. That missed messages are delivered
// after a lost connection, and since rises where they can't be, is for a test
// that can cut connections.
func TestBus(t *testing.T, open func(t *testing.T) (a, b cache.Bus)) {
	for _, part := range []struct {
		name string
		test func(t *testing.T, a, b cache.Bus)
	}{
		{"every subscriber gets every message", busEveryone},
		{"messages arrive as they were sent", busRoundTrip},
		{"a subscriber may join later", busJoin},
		{"who joins knows all before Current", busReplay},
		{"Current is called again and again", busBeats},
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
	stop context.CancelFunc
	done chan struct{}

	mu    sync.Mutex
	got   map[string]int
	after int // messages that came after Subscribe had returned
	over  bool
	known []known // one for each call of Current
}

// known is what a subscriber had when Current was called.
type known struct {
	since, at time.Time
	messages  int
}

// subscribe returns a subscriber that has joined.
func subscribe(t *testing.T, bus cache.Bus) *subscriber {
	t.Helper()
	s := begin(t, bus)
	deadline := time.Now().Add(patience)
	for probe := "probe-" + rand.Text(); !s.has(probe); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the subscriber does not get any message")
		}
		publish(t, bus, probe)
	}
	return s
}

// begin returns a subscriber that is joining.
func begin(t *testing.T, bus cache.Bus) *subscriber {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s := &subscriber{stop: stop, done: make(chan struct{}), got: make(map[string]int)}
	go func() {
		defer close(s.done)
		if err := bus.Subscribe(ctx, cache.Subscriber{Receive: s.receive, Current: s.current, Behind: func() {}}); err != nil && ctx.Err() == nil {
			t.Errorf("Subscribe: %v", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.over = true
	}()
	t.Cleanup(func() { stop(); <-s.done })
	return s
}

func (s *subscriber) current(since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = append(s.known, known{since, time.Now(), len(s.got)})
}

// calls waits for the first n calls of Current.
func (s *subscriber) calls(t *testing.T, n int) []known {
	t.Helper()
	deadline := time.Now().Add(patience)
	for ; ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		calls := s.known
		s.mu.Unlock()
		switch {
		case len(calls) >= n:
			return calls[:n]
		case time.Now().After(deadline):
			t.Fatalf("Current was called %d times, and not %d", len(calls), n)
		}
	}
}

func (s *subscriber) receive(message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		s.after++
	}
	s.got[string(message)]++
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

// busReplay checks what processes rely on that start after a revocation.
func busReplay(t *testing.T, a, b cache.Bus) {
	calls := subscribe(t, a).calls(t, 1) // from now on the bus has a past
	started := time.Now()
	if started.Before(calls[0].since) {
		t.Fatal("Current was called with a moment in the future")
	}
	const messages = 200
	run := rand.Text()
	for i := range messages {
		publish(t, []cache.Bus{a, b}[i%2], fmt.Sprint(run, i))
	}
	for _, bus := range []cache.Bus{a, b} {
		late := begin(t, bus)
		first := late.calls(t, 1)[0]
		if !first.since.Before(started) {
			t.Errorf("the bus remembers nothing of the last %v", time.Since(started))
		}
		late.mu.Lock()
		had := 0
		for i := range messages {
			if late.got[fmt.Sprint(run, i)] > 0 {
				had++
			}
		}
		late.mu.Unlock()
		if first.messages < messages || had < messages {
			t.Errorf("Current was called after %d messages, and %d had been published", first.messages, messages)
		}
	}
}

func busBeats(t *testing.T, a, _ cache.Bus) {
	s := subscribe(t, a)
	s.mu.Lock()
	noisy := len(s.known)
	s.mu.Unlock()
	calls := s.calls(t, noisy+2) // nothing is published any more
	for i := 1; i < len(calls); i++ {
		if quiet := calls[i].at.Sub(calls[i-1].at); quiet > 3*time.Second { // one more than allowed, for a slow machine
			t.Errorf("Current was not called for %v", quiet)
		}
		if calls[i].since.Before(calls[i-1].since) {
			t.Error("since fell")
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
	prompt(t, "Subscribe", func() error {
		return b.Subscribe(ctx, cache.Subscriber{Receive: func([]byte) {}, Current: func(time.Time) {}, Behind: func() {}})
	})
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
