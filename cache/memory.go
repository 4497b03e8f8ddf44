package cache

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"
)

// memory is a bounded table of entries on ristretto, which may drop, delay
// and confuse what it is given. Here it only decides what is worth keeping:
// each entry carries the whole tag of its token, a write is readable at once
// through pending, and at most one write of a tag is under way.
type memory struct {
	store     *ristretto.Cache[uint64, *entry]
	maxBytes  int64
	evictions atomic.Uint64

	mu       sync.Mutex
	pending  map[tag]*entry
	npending atomic.Int64 // len(pending), read without the lock

	// front holds the entries that were read last, so that a token in heavy
	// use is found by one load. What ristretto evicts leaves it too.
	front [frontSlots]atomic.Pointer[entry]

	// closing guards the store's writes: ristretto panics on a Set beside a
	// Close.
	closing sync.RWMutex
	closed  bool
}

// typicalBytes is the cost of an entry that the number of frequency counters
// is sized by. More and smaller entries only make the counting coarser.
const typicalBytes = 1024

const (
	frontSlots = 1024
	// reportPause is how long reads of an entry from the front are not told to
	// ristretto, which must know what is in use, but not how much.
	reportPause = 100 * time.Millisecond
)

func newMemory(maxBytes int64) (*memory, error) {
	m := &memory{maxBytes: maxBytes, pending: make(map[tag]*entry)}
	store, err := ristretto.NewCache(&ristretto.Config[uint64, *entry]{
		NumCounters:        max(10*maxBytes/typicalBytes, 1000),
		MaxCost:            maxBytes,
		BufferItems:        64,
		IgnoreInternalCost: true, // verdict.cost counts it
		KeyToHash:          func(word uint64) (uint64, uint64) { return word, 0 },
		OnEvict: func(item *ristretto.Item[*entry]) {
			m.evictions.Add(1)
			if e := item.Value; e != nil {
				e.evicted.Store(true)
				m.front[e.tag.slot()].CompareAndSwap(e, nil)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	m.store = store
	return m, nil
}

// get returns the entry of the tag, or nil. The time is monotonic.
func (m *memory) get(t tag, now int64) *entry {
	front := &m.front[t.slot()]
	if e := front.Load(); e != nil && e.tag == t && now-e.reported.Load() < int64(reportPause) {
		return e
	}
	if e, ok := m.store.Get(t.word()); ok && e.tag == t {
		e.reported.Store(now)
		front.Store(e)
		if e.evicted.Load() { // meanwhile
			front.CompareAndSwap(e, nil)
		}
		return e
	}
	if m.npending.Load() == 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pending[t]
}

// put makes v the verdict of the tag unless a later question was already
// answered, and returns once ristretto has decided whether to keep it.
func (m *memory) put(t tag, v *verdict) {
	m.mu.Lock()
	// A write leaves pending only when it is readable in the store, so what
	// is in neither was never written, or was not worth keeping.
	e := m.pending[t]
	if e == nil {
		if have, ok := m.store.Get(t.word()); ok && have.tag == t {
			e = have
		}
	}
	if e != nil {
		m.mu.Unlock()
		e.replace(v)
		return
	}
	e = &entry{tag: t}
	e.verdict.Store(v)
	m.pending[t] = e
	m.npending.Add(1)
	m.mu.Unlock()

	m.closing.RLock()
	if !m.closed && m.store.Set(t.word(), e, v.cost()) {
		m.store.Wait()
	}
	m.closing.RUnlock()

	m.mu.Lock()
	delete(m.pending, t)
	m.npending.Add(-1)
	m.mu.Unlock()
}

// replace makes v the entry's verdict unless the present one answers a later
// question.
func (e *entry) replace(v *verdict) {
	for {
		have := e.verdict.Load()
		if have != nil && have.asked.mono > v.asked.mono {
			return
		}
		if e.verdict.CompareAndSwap(have, v) {
			return
		}
	}
}

// bytes returns the summed cost of the entries.
func (m *memory) bytes() int64 {
	m.closing.RLock()
	defer m.closing.RUnlock()
	if m.closed {
		return 0
	}
	return m.maxBytes - m.store.RemainingCost()
}

func (m *memory) close() {
	m.closing.Lock()
	defer m.closing.Unlock()
	if !m.closed {
		m.closed = true
		m.store.Close()
		for i := range m.front {
			m.front[i].Store(nil)
		}
	}
}
