package middleware

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A ReplayStore remembers which DPoP proofs were used, so that none is used
// twice (RFC 9449, section 11.1). Guards that serve the same URLs must share
// one: a proof that one instance has seen is otherwise good at the next.
//
// It must be safe for concurrent use. The package replaytest checks one.
type ReplayStore interface {
	// Spend remembers the id of a proof by the holder of a key until the
	// moment and a little longer, and reports whether it was new, all in one
	// atomic step. Both strings are short, printable and without meaning. An
	// error means that the store could not find out; the request is then
	// refused.
	Spend(ctx context.Context, holder, id string, until time.Time) (fresh bool, err error)
}

// ErrReplaysFull means that a store has no room to remember another proof.
var ErrReplaysFull = errors.New("middleware: too many DPoP proofs to remember")

// ReplayMemory is a [ReplayStore] in the memory of one process. Make one with
// [NewReplayMemory].
type ReplayMemory struct {
	now          func() time.Time
	max, maxEach int

	mu      sync.Mutex
	size    int
	periods []*period // by increasing number
}

// A period has the proofs that can be forgotten together.
type period struct {
	number  int64 // of its end, counted in units of periodLength
	ids     map[string]struct{}
	holders map[string]int // how many of ids each has
}

const periodLength = 15 * time.Second

// NewReplayMemory returns a store that remembers at most limit proofs at a
// time, and of one holder at most an eighth of them, so that nobody can fill
// it alone; then it fails with [ErrReplaysFull]. A proof takes some hundred
// bytes. Zero means 200,000. A nil now is [time.Now].
func NewReplayMemory(limit int, now func() time.Time) *ReplayMemory {
	if limit <= 0 {
		limit = 200_000
	}
	if now == nil {
		now = time.Now
	}
	return &ReplayMemory{now: now, max: limit, maxEach: max(limit/8, 1)}
}

// Spend implements [ReplayStore].
func (m *ReplayMemory) Spend(_ context.Context, holder, id string, until time.Time) (bool, error) {
	number := until.UnixNano()/int64(periodLength) + 1
	key := holder + " " + id
	m.mu.Lock()
	defer m.mu.Unlock()

	m.forget()
	held := 0
	var mine *period
	at := 0
	for i, p := range m.periods {
		if _, used := p.ids[key]; used {
			return false, nil
		}
		held += p.holders[holder]
		if p.number == number {
			mine = p
		}
		if p.number < number {
			at = i + 1
		}
	}
	if m.size >= m.max || held >= m.maxEach {
		return false, ErrReplaysFull
	}
	if mine == nil {
		mine = &period{number, make(map[string]struct{}), make(map[string]int)}
		m.periods = append(m.periods, nil)
		copy(m.periods[at+1:], m.periods[at:])
		m.periods[at] = mine
	}
	mine.ids[key] = struct{}{}
	mine.holders[holder]++
	m.size++
	return true, nil
}

// forget drops the periods that are over.
func (m *ReplayMemory) forget() {
	current := m.now().UnixNano() / int64(periodLength)
	for len(m.periods) > 0 && m.periods[0].number < current {
		m.size -= len(m.periods[0].ids)
		m.periods = m.periods[1:]
	}
}
