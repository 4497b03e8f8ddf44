package pages

import (
	"crypto/rand"
	"crypto/sha256"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// A limiter bounds how many passwords can be tried, as far as this process has
// seen. Whoever tries too many is locked out, and nobody else:
//
//   - a browser that has signed in to the account before has a count of its
//     own, so that others can not lock out its owner;
//   - anybody else counts by account and address, and by address alone.
//
// The name of an account counts whether it exists or not, so that the limit
// tells nothing about that.
type limiter struct {
	mu     sync.Mutex
	counts map[[sha256.Size]byte]count
	secret string // so that nobody can choose what is forgotten first
}

type count struct {
	tries int
	until time.Time
}

const (
	// limitWindow is how long tries count.
	limitWindow = 15 * time.Minute
	// The tries within a window.
	maxPerBrowser = 10
	maxPerAccount = 10
	maxPerAddress = 50
	// maxCeremonies is how many passkeys can be asked for from an address.
	maxCeremonies = 300
	// maxCounts bounds the memory, at about 100 bytes each.
	maxCounts = 100_000
)

func newLimiter() *limiter {
	return &limiter{counts: map[[sha256.Size]byte]count{}, secret: rand.Text()}
}

// A ticket is a try that was counted.
type ticket struct {
	limiter *limiter
	keys    [][sha256.Size]byte
	// wait is how long to wait before the next; zero if this one may go on.
	wait time.Duration
}

// try counts a try. browser is the cookie of a browser that is known to the
// account, else empty.
func (l *limiter) try(now time.Time, username, browser string, from netip.Addr) ticket {
	username = strings.ToLower(username)
	if browser != "" {
		return l.take(now, []string{"browser " + username + " " + browser}, []int{maxPerBrowser})
	}
	address := network(from)
	return l.take(now, []string{"account " + address + " " + username, "address " + address}, []int{maxPerAccount, maxPerAddress})
}

// ceremony counts the beginning of signing in with a passkey.
func (l *limiter) ceremony(now time.Time, from netip.Addr) ticket {
	return l.take(now, []string{"passkey " + network(from)}, []int{maxCeremonies})
}

// network is what one person may have of an address: all of IPv4's, and the
// first half of IPv6's.
func network(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64)
		return p.String()
	}
	return a.String()
}

func (l *limiter) take(now time.Time, names []string, most []int) ticket {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := ticket{limiter: l}
	for i, name := range names {
		key := sha256.Sum256([]byte(l.secret + name))
		t.keys = append(t.keys, key)
		if c := l.counts[key]; now.Before(c.until) && c.tries >= most[i] {
			t.wait = max(t.wait, c.until.Sub(now))
		}
	}
	if t.wait > 0 {
		return t
	}
	for _, key := range t.keys {
		c, known := l.counts[key]
		if !now.Before(c.until) {
			c = count{until: now.Add(limitWindow)}
		}
		c.tries++
		if !known {
			l.makeRoom(now)
		}
		l.counts[key] = c
	}
	return t
}

// makeRoom forgets what is over, or else whatever comes first.
func (l *limiter) makeRoom(now time.Time) {
	if len(l.counts) < maxCounts {
		return
	}
	for key, c := range l.counts {
		if !now.Before(c.until) {
			delete(l.counts, key)
		}
	}
	// With some at a time, the loop above does not run again at once.
	for key := range l.counts {
		if len(l.counts) < maxCounts-maxCounts/100 {
			return
		}
		delete(l.counts, key)
	}
}

// succeeded takes a try back that was a good one: the tries at this account
// count no more, those from the address do.
func (t ticket) succeeded() {
	t.limiter.mu.Lock()
	defer t.limiter.mu.Unlock()
	for i, key := range t.keys {
		c, known := t.limiter.counts[key]
		switch {
		case i == 0:
			delete(t.limiter.counts, key)
		case known:
			c.tries--
			t.limiter.counts[key] = c
		}
	}
}
