package cache

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/sneckauth/sneck"
)

// A verdict is one definite answer of the authority. Only its watermark
// bookkeeping changes after it was made.
type verdict struct {
	token   *sneck.Token // nil: the token was refused
	refusal error        // for those who asked; what is remembered needs none
	asked   moment
	ref     string // names the token in watermarks, see [Cache.ref]
	// imported is set for an answer to the question of another process.
	imported bool

	soft time.Duration // age from which it is refreshed if used; 0 = never
	hard time.Duration // age from which it is not used
	life time.Duration // age at which the token itself expires

	// generation is that of the watermarks when the question was asked; 0 if
	// another process asked it.
	generation uint64
	// passed is the generation that the verdict was last checked against, so
	// that a hit compares one number while nothing is revoked.
	passed atomic.Uint64
}

const forever = time.Duration(math.MaxInt64)

// fresh reports whether the verdict may be used without asking.
func (v *verdict) fresh(now moment, bound time.Duration) bool {
	return v.freshAt(now.since(v.asked), bound)
}

func (v *verdict) freshAt(age, bound time.Duration) bool {
	return age >= 0 && age < v.hard && age <= bound
}

// endurable reports whether an outage is reason enough to use the verdict
// beyond its time, by at most stale.
func (v *verdict) endurable(now moment, bound, stale time.Duration) bool {
	age := now.since(v.asked)
	return v.token != nil && age >= 0 && age < v.life && age <= bound && age-v.hard < stale
}

// An entry is the place of a token in memory. A new answer replaces the
// verdict in it and never waits for ristretto.
type entry struct {
	tag        tag
	verdict    atomic.Pointer[verdict]
	refreshing atomic.Bool
	reported   atomic.Int64 // when ristretto was told last that it is in use
	evicted    atomic.Bool  // left the store, so must leave the front
	// retryAt is the monotonic time before which an authority that could not
	// be asked is not asked again for this token's sake.
	retryAt atomic.Int64
}

// known reports whether the token was active when it was asked about last, and
// so is no invention. There may be no entry.
func (e *entry) known() bool { return e != nil && e.verdict.Load().token != nil }

// answer returns what Verify returns to those who asked. The token may have
// expired on the way.
func (v *verdict) answer(now moment) (*sneck.Token, error) {
	switch {
	case v.token == nil:
		return nil, v.refusal
	case now.since(v.asked) >= v.life:
		return nil, errExpired
	}
	return v.token, nil
}

// cost estimates the bytes that the verdict keeps alive, with its entry and
// the bookkeeping of ristretto.
func (v *verdict) cost() int64 {
	const (
		fixed  = 800 // entry, verdict, sneck.Token, store and policy maps
		refuse = 480
		header = 16 // of a string
	)
	t := v.token
	if t == nil {
		return refuse + int64(len(v.ref))
	}
	n := fixed + len(v.ref) + len(t.Issuer) + len(t.Subject) + len(t.ClientID) + len(t.Username) + len(t.ID) + len(t.Type) + len(t.ACR) + cap(t.RawClaims)
	for _, s := range t.Audience {
		n += header + len(s)
	}
	for _, s := range t.Scopes {
		n += header + len(s)
	}
	if t.Confirmation != nil {
		n += 48 + len(t.Confirmation.JKT) + len(t.Confirmation.X5TS256)
	}
	return int64(n)
}
