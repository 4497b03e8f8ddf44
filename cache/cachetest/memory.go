// Package cachetest has what it takes to try out a shared tier: conformance
// kits for a [cache.Store] and a [cache.Bus], and a [Memory] that is both.
package cachetest

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/sneckauth/sneck/cache"
)

// Memory is a [cache.Store] and a [cache.Bus] in this process's memory. Caches
// that are given the same Memory share answers and revocations as if they
// were processes on one Redis. Its fields let a test break it; they must not
// change while a method runs. Make one with [NewMemory].
type Memory struct {
	// Fault is called before every operation, if it is not nil; what it
	// returns, the operation fails with.
	Fault func(ctx context.Context) error

	mu          sync.Mutex
	values      map[string]value
	log         [][]byte
	subscribers map[chan struct{}]struct{}
}

var (
	_ cache.Store = (*Memory)(nil)
	_ cache.Bus   = (*Memory)(nil)
)

type value struct {
	bytes   []byte
	expires time.Time
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{values: make(map[string]value), subscribers: make(map[chan struct{}]struct{})}
}

func (m *Memory) fault(ctx context.Context) error {
	if m.Fault != nil {
		if err := m.Fault(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Get implements [cache.Store].
func (m *Memory) Get(ctx context.Context, key string) ([]byte, error) {
	if err := m.fault(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[key]
	if !ok || !time.Now().Before(v.expires) {
		return nil, nil
	}
	return append([]byte{}, v.bytes...), nil
}

// Set implements [cache.Store].
func (m *Memory) Set(ctx context.Context, key string, b []byte, ttl time.Duration) error {
	if err := m.fault(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[key] = value{append([]byte(nil), b...), time.Now().Add(ttl)}
	return nil
}

// Delete implements [cache.Store].
func (m *Memory) Delete(ctx context.Context, key string) error {
	if err := m.fault(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.values, key)
	return nil
}

// Dump returns a copy of everything stored, expired values included.
func (m *Memory) Dump() map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[string][]byte, len(m.values))
	for key, v := range m.values {
		out[key] = append([]byte(nil), v.bytes...)
	}
	return out
}

// Tamper replaces what is stored by what f makes of it, for an hour.
func (m *Memory) Tamper(f func(map[string][]byte)) {
	all := m.Dump()
	f(all)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values = make(map[string]value, len(all))
	for key, b := range all {
		m.values[key] = value{b, time.Now().Add(time.Hour)}
	}
}

// Publish implements [cache.Bus].
func (m *Memory) Publish(ctx context.Context, message []byte) error {
	if err := m.fault(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log = append(m.log, append([]byte(nil), message...))
	for wake := range m.subscribers {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// Subscribe implements [cache.Bus].
func (m *Memory) Subscribe(ctx context.Context, receive func([]byte), _ func()) error {
	wake := make(chan struct{}, 1)
	wake <- struct{}{}
	next := 0
	m.mu.Lock()
	m.subscribers[wake] = struct{}{}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.subscribers, wake)
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		}
		m.mu.Lock()
		news := m.log[next:]
		next = len(m.log)
		m.mu.Unlock()
		for _, message := range news {
			receive(message)
		}
	}
}

// Retention implements [cache.Bus]: everything is kept.
func (m *Memory) Retention() time.Duration { return math.MaxInt64 }
