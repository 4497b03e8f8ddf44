package cache

import "sync/atomic"

// Stats counts what a [Cache] did since it was made.
type Stats struct {
	Hits          uint64 // active answers from this process's memory
	InactiveHits  uint64 // refusals from this process's memory
	SharedHits    uint64 // answers from the shared tier
	StaleServed   uint64 // answers beyond their time, in an outage
	Misses        uint64 // requests that found no usable answer
	Coalesced     uint64 // misses that waited for the question of another
	Flights       uint64 // questions to the verifier
	Failures      uint64 // questions that it could not answer
	Refreshes     uint64 // questions asked ahead of need, among Flights
	Revocations   uint64 // calls of Revoke and Forget, and those received
	Evictions     uint64 // entries given up for want of room
	SharedErrors  uint64 // operations that the shared tier failed
	SharedSkipped uint64 // operations not tried while it was failing, or before it was joined
	SharedForged  uint64 // values that were not sealed by us, or for elsewhere
	SharedJoined  bool   // the shared tier is read: what was revoked before has been received
	Bytes         int64  // estimated size of the entries now
}

// counters are the live form of Stats. Hits are spread over cache lines,
// since every request on every processor adds to them.
type counters struct {
	hits [8]struct {
		n atomic.Uint64
		_ [56]byte
	}
	inactiveHits, sharedHits, staleServed, misses, coalesced, flights, failures atomic.Uint64
	refreshes, revocations, sharedErrors, sharedSkipped, sharedForged           atomic.Uint64
}

// Stats returns the counters. It is safe for concurrent use.
func (c *Cache) Stats() Stats {
	n := &c.counters
	s := Stats{
		InactiveHits:  n.inactiveHits.Load(),
		SharedHits:    n.sharedHits.Load(),
		StaleServed:   n.staleServed.Load(),
		Misses:        n.misses.Load(),
		Coalesced:     n.coalesced.Load(),
		Flights:       n.flights.Load(),
		Failures:      n.failures.Load(),
		Refreshes:     n.refreshes.Load(),
		Revocations:   n.revocations.Load(),
		SharedErrors:  n.sharedErrors.Load(),
		SharedSkipped: n.sharedSkipped.Load(),
		SharedForged:  n.sharedForged.Load(),
		SharedJoined:  c.joined(),
	}
	for i := range n.hits {
		s.Hits += n.hits[i].n.Load()
	}
	if c.active != nil {
		s.Evictions = c.active.evictions.Load() + c.inactive.evictions.Load()
		s.Bytes = c.active.bytes() + c.inactive.bytes()
	}
	return s
}
