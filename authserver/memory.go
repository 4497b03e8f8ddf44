package authserver

import (
	"container/heap"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"
)

// Memory is a [Store] and [Clients] in memory: for tests, and for servers
// whose tokens may die with the process. Revoking by client or subject looks
// at every record; everything else is quick at any size.
//
// Make one with [NewMemory]. It is safe for concurrent use.
type Memory struct {
	mu       sync.RWMutex
	records  map[Key]*Record
	families map[string]map[Key]struct{}
	expiries expiries
	clients  map[string]*Client
}

var (
	_ Store          = (*Memory)(nil)
	_ ExpiredCounter = (*Memory)(nil)
	_ ClientChanger  = (*Memory)(nil)
	_ SecretUpgrader = (*Memory)(nil)
)

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{
		records:  map[Key]*Record{},
		families: map[string]map[Key]struct{}{},
		clients:  map[string]*Client{},
	}
}

// Create implements [Store].
func (m *Memory) Create(ctx context.Context, records ...Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if !m.free(records) {
		return ErrExists
	}
	m.insert(records)
	return nil
}

// Get implements [Store].
func (m *Memory) Get(ctx context.Context, key Key) (Record, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	if r := m.records[key]; r != nil {
		return clone(*r), nil
	}
	return Record{}, ErrNotFound
}

// Spend implements [Store].
func (m *Memory) Spend(ctx context.Context, s Spend) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	r := m.records[s.Key]
	if r == nil {
		return Record{}, ErrNotFound
	}
	if err := s.Refusal(*r); err != nil {
		return clone(*r), err
	}
	if !m.free(s.Yield) {
		return Record{}, ErrExists
	}
	before := clone(*r)
	if r.Spent.IsZero() && !s.Keep {
		r.Spent = s.Now
	}
	m.insert(s.Yield)
	return before, nil
}

// Revoke implements [Store].
func (m *Memory) Revoke(ctx context.Context, which Selector) (int64, error) {
	if which.IsZero() {
		return 0, errZeroSelector
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	var n int64
	for key := range m.candidates(which) {
		if r := m.records[key]; r != nil && which.Match(*r) {
			m.remove(r)
			n++
		}
	}
	return n, nil
}

// candidates returns the keys of all records that the selector can match.
func (m *Memory) candidates(which Selector) iter.Seq[Key] {
	switch {
	case which.Key != Key{}:
		return slices.Values([]Key{which.Key})
	case which.Family != "":
		return maps.Keys(m.families[which.Family])
	}
	return maps.Keys(m.records)
}

var errZeroSelector = errors.New("authserver: the selector is empty (hint: name a key, family, client or subject)")

// DeleteExpired implements [Store].
func (m *Memory) DeleteExpired(ctx context.Context, before time.Time, limit int) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var n int64
	for len(m.expiries) > 0 && n < int64(limit) && !m.expiries[0].at.After(before) {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		next := heap.Pop(&m.expiries).(expiry)
		// What was revoked and made anew in the meantime has another entry.
		if r := m.records[next.key]; r != nil && r.Expires.Equal(next.at) {
			m.remove(r)
			n++
		}
	}
	return n, ctx.Err()
}

// CountExpired implements [ExpiredCounter].
func (m *Memory) CountExpired(ctx context.Context, before time.Time) (int64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	var n int64
	for _, r := range m.records {
		if !r.Expires.IsZero() && !r.Expires.After(before) {
			n++
		}
	}
	return n, nil
}

func (m *Memory) free(records []Record) bool {
	for i, r := range records {
		if m.records[r.Key] != nil {
			return false
		}
		for _, other := range records[:i] {
			if other.Key == r.Key {
				return false
			}
		}
	}
	return true
}

func (m *Memory) insert(records []Record) {
	for _, r := range records {
		r = clone(r)
		r.Random = false
		m.records[r.Key] = &r
		if r.Family != "" {
			if m.families[r.Family] == nil {
				m.families[r.Family] = map[Key]struct{}{}
			}
			m.families[r.Family][r.Key] = struct{}{}
		}
		if !r.Expires.IsZero() {
			heap.Push(&m.expiries, expiry{r.Expires, r.Key})
		}
	}
}

func (m *Memory) remove(r *Record) {
	delete(m.records, r.Key)
	if family := m.families[r.Family]; family != nil {
		delete(family, r.Key)
		if len(family) == 0 {
			delete(m.families, r.Family)
		}
	}
}

// clone returns a copy that shares nothing with r.
func clone(r Record) Record {
	r.Scopes = slices.Clone(r.Scopes)
	r.Audience = slices.Clone(r.Audience)
	r.Extra = slices.Clone(r.Extra)
	return r
}

// expiries is a heap of the moments at which records expire, the next first.
type expiries []expiry

type expiry struct {
	at  time.Time
	key Key
}

func (e expiries) Len() int           { return len(e) }
func (e expiries) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e expiries) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *expiries) Push(x any)        { *e = append(*e, x.(expiry)) }
func (e *expiries) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = (*e)[:last]
	return x
}
