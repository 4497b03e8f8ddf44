package cache

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sneckauth/sneck"
)

// watermarks hold what was revoked: answers about the named tokens count only
// if the question was asked after the mark. Unlike the entries they are exact:
// a mark leaves when no answer from before it can be in use any more, and if
// there are too many of them, everything remembered so far is given up
// instead.
type watermarks struct {
	// generation changes with every mark. A verdict that passed under the
	// present one needs no second look.
	generation atomic.Uint64

	mu    sync.RWMutex
	marks map[mark]limit
	queue []queuedMark  // in order of arrival
	floor limit         // for every answer, whatever it says
	keep  time.Duration // how long an answer can stay in use
	max   int
}

// A limit voids what was asked at or before a monotonic time, unless it was
// asked under the limit's generation or a later one: two readings of a clock
// can be equal, two generations are not. It arrived at a further time, from
// which on it is kept.
type limit struct {
	before, at int64
	generation uint64
}

func (l limit) voids(v *verdict) bool {
	return l.generation > v.generation && v.asked.mono <= l.before
}

type mark struct {
	kind   markKind
	issuer string
	value  string
}

type markKind uint8

const (
	markSubject markKind = iota
	markClient
	markID
	markToken
	// anyIssuer is added for answers that do not state their issuer: they
	// may come from the issuer of the mark.
	anyIssuer markKind = 0x80
)

type queuedMark struct {
	mark mark
	at   int64
}

func newWatermarks(keep time.Duration, most int) *watermarks {
	return &watermarks{marks: make(map[mark]limit), keep: keep, max: most}
}

// add voids the answers that match m and were asked about before the given
// monotonic time.
func (w *watermarks) add(m mark, before, now int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := limit{before, now, w.generation.Load() + 1}
	w.prune(now)
	if len(w.queue) >= w.max {
		clear(w.marks)
		w.queue = nil
		w.floor = limit{now, now, l.generation}
	} else {
		w.set(m, l)
		if m.issuer != "" {
			w.set(mark{m.kind | anyIssuer, "", m.value}, l)
		}
	}
	w.generation.Store(l.generation)
}

// addAll voids every answer to a question from before the given monotonic
// time.
func (w *watermarks) addAll(before, now int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.floor.generation > 0 && before <= w.floor.before {
		return
	}
	w.floor = limit{before, now, w.generation.Load() + 1}
	w.generation.Add(1)
}

func (w *watermarks) set(m mark, l limit) {
	if w.marks[m].before > l.before {
		return
	}
	w.marks[m] = l
	w.queue = append(w.queue, queuedMark{m, l.at})
}

// prune drops marks that every answer from before them has outlived.
func (w *watermarks) prune(now int64) {
	n := 0
	for n < len(w.queue) && now-w.queue[n].at > int64(w.keep) {
		q := w.queue[n]
		if w.marks[q.mark].at == q.at {
			delete(w.marks, q.mark)
		}
		n++
	}
	w.queue = w.queue[n:]
}

// pass reports whether no mark voids the verdict.
func (w *watermarks) pass(v *verdict) bool {
	generation := w.generation.Load()
	if v.passed.Load() == generation {
		return true
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.floor.voids(v) || w.voids(v) {
		return false
	}
	v.passed.Store(generation)
	return true
}

func (w *watermarks) voids(v *verdict) bool {
	t := v.token
	if len(w.marks) == 0 {
		return false
	}
	if w.marks[mark{markToken, "", v.ref}].voids(v) {
		return true
	}
	return t != nil && (w.hits(markSubject, t, t.Subject, v) || w.hits(markClient, t, t.ClientID, v) || w.hits(markID, t, t.ID, v))
}

func (w *watermarks) hits(kind markKind, t *sneck.Token, value string, v *verdict) bool {
	if value == "" {
		return false
	}
	other := mark{kind, t.Issuer, value}
	if t.Issuer == "" {
		other.kind |= anyIssuer
	}
	return w.marks[mark{kind, "", value}].voids(v) || w.marks[other].voids(v)
}
