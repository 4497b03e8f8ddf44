package cachetest

import (
	"context"
	"math"
	"time"

	"github.com/sneckauth/sneck/cache"
)

const (
	// maxMessages bounds what a Memory remembers of its bus.
	maxMessages = 1 << 16
	// beat is how often a subscriber is told that nothing is missing.
	beat = time.Second
)

// messages are what was published on a [Memory].
type messages struct {
	log   []message
	first int       // the number of log[0]
	since time.Time // what was published after it is in log; zero if all is
	cut   bool
	news  chan struct{} // closed, and replaced, by every change
}

type message struct {
	bytes []byte
	at    time.Time
}

// changed wakes the subscribers.
func (b *messages) changed() {
	close(b.news)
	b.news = make(chan struct{})
}

// Publish implements [cache.Bus]. The message is remembered, as are the last
// 65,536.
func (m *Memory) Publish(ctx context.Context, b []byte) error {
	if err := m.fault(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bus.log = append(m.bus.log, message{append([]byte(nil), b...), time.Now()})
	if len(m.bus.log) > maxMessages {
		m.bus.since = m.bus.log[0].at
		m.bus.log = m.bus.log[1:]
		m.bus.first++
	}
	m.bus.changed()
	return nil
}

// Cut cuts the subscribers off, as a lost connection does, until [Memory.Mend]
// is called. They notice at once. Publish and the stored values go on.
func (m *Memory) Cut() { m.setCut(true) }

// Mend ends what [Memory.Cut] began: what was missed is delivered.
func (m *Memory) Mend() { m.setCut(false) }

func (m *Memory) setCut(cut bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bus.cut = cut
	m.bus.changed()
}

// Lose makes the Memory forget every message, as a server that was restarted
// does.
func (m *Memory) Lose() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bus.first += len(m.bus.log)
	m.bus.log, m.bus.since = nil, time.Now()
	m.bus.changed()
}

// Subscribe implements [cache.Bus].
func (m *Memory) Subscribe(ctx context.Context, s cache.Subscriber) error {
	var since time.Time
	next := -1 // the number of the message to be delivered next
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for ctx.Err() == nil {
		m.mu.Lock()
		changed, cut := m.bus.news, m.bus.cut
		var fresh []message
		if !cut {
			if next < m.bus.first {
				since, next = m.bus.since, m.bus.first
			}
			fresh = m.bus.log[next-m.bus.first:]
			next += len(fresh)
		}
		m.mu.Unlock()
		for _, message := range fresh {
			s.Receive(message.bytes)
		}
		if cut {
			s.Behind()
		} else {
			s.Current(since)
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-tick.C:
		}
	}
	return ctx.Err()
}

// Retention implements [cache.Bus]. What is dropped sooner, or lost, shows in
// what a [cache.Subscriber] is told.
func (m *Memory) Retention() time.Duration { return math.MaxInt64 }
