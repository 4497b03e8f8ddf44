package authserver

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// A Limiter says whether something happens too often. It allows, of each key,
// Burst units at once and from then on Count in every Per, evenly spread: in
// any time t, never more than Burst + t * Count/Per. Package limittest says
// whether an implementation is right.
//
// It must be safe for concurrent use, and quick: it is asked several times
// in a request. After an error the server asks a [MemoryLimiter] of its own.
type Limiter interface {
	// Take uses n units of the key, all or none. It returns zero if they were
	// there, or else how long it takes until they are, if nobody else comes.
	// With n = 0 nothing is used, and the answer is the one for n = 1. With
	// n < 0 so many units are given back, as far as any are missing.
	Take(ctx context.Context, key LimitKey, n int, rate Rate) (wait time.Duration, err error)
}

// A LimitKey says what is counted. Keys with different Rates are different in
// What.
type LimitKey struct {
	// What names the limit: a few ASCII letters, the same in every release.
	What string
	// Client is a client identifier of at most 255 bytes, or empty.
	Client string
	// Address is an IPv4 address or the first 64 bits of an IPv6 address; or
	// zero. See [Network].
	Address netip.Prefix
}

// A Rate says how often something may happen.
type Rate struct {
	// Count in every Per is what may happen in the long run.
	Count int
	Per   time.Duration
	// Burst is what may happen at once; zero means Count.
	Burst int
	// InsecureUnlimited sets no limit; the other fields are zero then.
	InsecureUnlimited bool
}

// Interval returns the time in which one unit comes back: Per/Count, rounded
// up, so that it is never more than was asked for.
func (r Rate) Interval() time.Duration {
	return (r.Per + time.Duration(r.Count) - 1) / time.Duration(r.Count)
}

// Depth returns how many units there are at once.
func (r Rate) Depth() int {
	if r.Burst == 0 {
		return r.Count
	}
	return r.Burst
}

// maxRefill bounds the time in which all units of a rate come back, and with
// it how long limiters remember a key.
const maxRefill = 24 * time.Hour

// Check returns what is wrong with a rate.
func (r Rate) Check() error {
	switch {
	case r.InsecureUnlimited:
		if r != (Rate{InsecureUnlimited: true}) {
			return errors.New("is unlimited and has numbers")
		}
		return nil
	case r.Count < 1 || r.Per < 1 || r.Burst < 0:
		return errors.New("lacks Count or Per, or is negative (hint: Rate{Count: 10, Per: time.Minute})")
	case r.Interval() > maxRefill/time.Duration(r.Depth()):
		return fmt.Errorf("takes more than %v until all units are back", maxRefill)
	}
	return nil
}

// A MemoryLimiter is a [Limiter] for one process. Its memory is fixed: 17 bytes
// for each of its places, whatever comes. When the places for a key are all
// taken, it takes over the one that would be free again soonest, so that a
// flood of new keys pushes out other new ones before those that are over
// their limit.
//
// Make one with [NewMemoryLimiter]. It is safe for concurrent use and
// allocates nothing.
type MemoryLimiter struct {
	now     func() time.Time
	start   time.Time
	seed    maphash.Seed
	buckets []bucket
	shift   uint // of a hash, to the number of its bucket
}

var _ Limiter = (*MemoryLimiter)(nil)

// A bucket holds the keys whose hashes begin alike. As each has a lock of its
// own, hardly anybody waits.
type bucket struct {
	mu     sync.Mutex
	places [8]place
}

// A place is the state of one key: when all of its units are back, in
// nanoseconds since the start ("theoretical arrival time" in ITU-T I.371,
// annex A). At zero nobody is there.
type place struct {
	hash uint64
	full int64
}

// DefaultLimitKeys is the number of keys that a MemoryLimiter remembers if
// nobody says otherwise. It takes 2.2 MB.
const DefaultLimitKeys = 1 << 17

// NewMemoryLimiter returns a limiter that remembers at least the number of
// keys, DefaultLimitKeys if it is not positive. A nil now is time.Now.
func NewMemoryLimiter(keys int, now func() time.Time) *MemoryLimiter {
	if keys <= 0 {
		keys = DefaultLimitKeys
	}
	if now == nil {
		now = time.Now
	}
	bits := uint(0)
	for len(bucket{}.places)<<bits < keys {
		bits++
	}
	return &MemoryLimiter{
		now: now, start: now(), seed: maphash.MakeSeed(),
		buckets: make([]bucket, 1<<bits), shift: 64 - bits,
	}
}

// Take implements [Limiter]. It never fails.
func (m *MemoryLimiter) Take(_ context.Context, key LimitKey, n int, rate Rate) (time.Duration, error) {
	now := int64(m.now().Sub(m.start))
	hash := m.hash(key)
	interval := int64(rate.Interval())
	depth := interval * int64(rate.Depth())
	b := &m.buckets[hash>>m.shift]
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.find(hash)
	full := now
	if p.hash == hash {
		// If the clock was set back, nobody waits longer than for a full depth.
		full = min(max(p.full, now), now+depth)
	}
	if n < 0 {
		if p.hash == hash {
			p.full = max(full-min(int64(-n)*interval, depth), now)
		}
		return 0, nil
	}
	next := full + int64(max(n, 1))*interval
	if wait := next - depth - now; wait > 0 {
		return time.Duration(wait), nil
	}
	if n > 0 {
		*p = place{hash, next}
	}
	return 0, nil
}

// find returns the place of the hash, or else the one to take over.
func (b *bucket) find(hash uint64) *place {
	soonest := &b.places[0]
	for i := range b.places {
		p := &b.places[i]
		if p.hash == hash {
			return p
		}
		if p.full < soonest.full {
			soonest = p
		}
	}
	return soonest
}

// hash keeps nothing of the key, whose strings may be parts of longer ones.
// Nobody outside can make two keys collide, as the seed is random.
func (m *MemoryLimiter) hash(key LimitKey) uint64 {
	var h maphash.Hash
	h.SetSeed(m.seed)
	_, _ = h.WriteString(key.What)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(key.Client)
	_ = h.WriteByte(0)
	if key.Address.IsValid() {
		address := key.Address.Addr().As16()
		_, _ = h.Write(address[:])
		_ = h.WriteByte(byte(key.Address.Bits()))
	}
	return h.Sum64()
}
