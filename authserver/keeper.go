package authserver

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A keeper verifies secrets. Digests of generated secrets cost nothing; for
// all other hashes, which are slow on purpose, it remembers what it has
// verified, and lets only some verifications run at a time.
type keeper struct {
	hasher  SecretHasher
	peppers []pepper // the first is for new hashes

	slots   chan struct{}
	waiting atomic.Int64
	key     [32]byte // known to this process only

	mu       sync.Mutex
	verified map[[32]byte]time.Time // until when
	turns    map[LimitKey]*turn
}

// A turn is held by the one of those with a key who is being verified.
type turn struct {
	held    chan struct{}
	holders int // and who wait; for who holds the mutex
}

const (
	// rememberFor is how long a verified secret needs no verification again.
	// It does not delay revocation: what is remembered is that a secret fits a
	// hash, which remains true.
	rememberFor = time.Minute
	maxVerified = 10000
	// maxWaiting is how many may wait for a slow verification, or for their turn.
	maxWaiting = 1000
)

func newKeeper(config *Config) *keeper {
	k := &keeper{
		hasher:   config.SecretHasher,
		slots:    make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		verified: map[[32]byte]time.Time{},
		turns:    map[LimitKey]*turn{},
	}
	for _, key := range config.SecretPeppers {
		k.peppers = append(k.peppers, newPepper(key))
	}
	rand.Read(k.key[:]) // never fails
	return k
}

// verify reports whether the presented secret is one of the client's, and
// which. Before it does something slow it asks gate, which may wait for others,
// and whose error it returns. Other errors mean that it could not find out.
func (k *keeper) verify(ctx context.Context, c *Client, presented string, now time.Time, gate func() error) (*Secret, error) {
	if len(presented) > maxSecret {
		return nil, errWrongSecret
	}
	if c == nil || c.Public() {
		k.pretend(presented)
		return nil, errWrongSecret
	}
	verdict := errWrongSecret
	for i := range c.Secrets {
		s := &c.Secrets[i]
		if s.expiredAt(now) {
			continue
		}
		ok, err := k.fits(ctx, s.Hash, presented, now, gate)
		if ok {
			return s, nil
		}
		if err != nil {
			verdict = err // but it may be another one
		}
	}
	return nil, verdict
}

var errWrongSecret = errors.New("unknown client or wrong secret")

// pretend takes as long as if there were a secret.
func (k *keeper) pretend(presented string) {
	if len(k.peppers) > 0 {
		k.peppers[0].sum(presented)
		return
	}
	sha256Hash{}.matches(presented)
}

func (k *keeper) fits(ctx context.Context, text, presented string, now time.Time, gate func() error) (bool, error) {
	h, err := parseHash(text)
	if err != nil {
		return false, err
	}
	switch h := h.(type) {
	case sha256Hash:
		return h.matches(presented), nil
	case pepperedHash:
		return k.fitsPeppered(h, presented)
	}
	id := k.id(text, presented)
	if k.remembers(id, now) {
		return true, nil
	}
	// Once before it waits, and once again for those who came with it.
	if err := gate(); err != nil {
		return false, err
	}
	// Somebody else may have verified the same while this one has waited.
	if k.remembers(id, now) {
		return true, nil
	}
	done, err := k.slot(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	if err := gate(); err != nil {
		return false, err
	}
	ok, err := k.fitsSlowly(ctx, h, text, presented)
	if ok {
		k.remember(id, now)
	}
	return ok, err
}

func (k *keeper) fitsSlowly(ctx context.Context, h hash, text, presented string) (bool, error) {
	if _, foreign := h.(foreignHash); !foreign {
		return h.matches(presented), nil
	}
	if k.hasher == nil {
		return false, errors.New("the hash of a secret is of a SecretHasher that is not configured")
	}
	return k.hasher.VerifySecret(ctx, text, presented)
}

// slot waits until something slow may run. The caller calls done after it.
func (k *keeper) slot(ctx context.Context) (done func(), err error) {
	if err := k.wait(ctx, k.slots); err != nil {
		return nil, err
	}
	return func() { <-k.slots }, nil
}

// wait waits for one of the places in a channel, if not too many do.
func (k *keeper) wait(ctx context.Context, places chan struct{}) error {
	if k.waiting.Add(1) > maxWaiting {
		k.waiting.Add(-1)
		return errors.New("too many wait for the verification of a secret")
	}
	defer k.waiting.Add(-1)
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// turn waits until nobody else with the key is verified. The caller calls done
// when it is known, and counted, whether a secret was wrong.
func (k *keeper) turn(ctx context.Context, key LimitKey) (done func(), err error) {
	k.mu.Lock()
	t := k.turns[key]
	if t == nil {
		t = &turn{held: make(chan struct{}, 1)}
		k.turns[key] = t
	}
	t.holders++
	k.mu.Unlock()
	leave := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if t.holders--; t.holders == 0 {
			delete(k.turns, key)
		}
	}
	if err := k.wait(ctx, t.held); err != nil {
		leave()
		return nil, err
	}
	return func() { <-t.held; leave() }, nil
}

// outdated reports whether HashSecret would make something else of the secret.
func (k *keeper) outdated(text string) bool {
	if k.hasher != nil {
		return !isForeign(text) || k.hasher.Outdated(text)
	}
	h, err := parseHash(text)
	if err != nil {
		return false
	}
	switch h := h.(type) {
	case sha256Hash:
		return len(k.peppers) > 0
	case pepperedHash:
		return len(k.peppers) > 0 && h.id != k.peppers[0].id
	}
	return !h.current()
}

// id identifies a pair of hash and secret, for this process only.
func (k *keeper) id(text, presented string) (id [32]byte) {
	mac := hmac.New(sha256.New, k.key[:])
	mac.Write([]byte(text))
	mac.Write([]byte{0})
	mac.Write([]byte(presented))
	mac.Sum(id[:0])
	return id
}

func (k *keeper) remembers(id [32]byte, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	until, ok := k.verified[id]
	return ok && now.Before(until)
}

func (k *keeper) remember(id [32]byte, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.verified) >= maxVerified {
		for old, until := range k.verified {
			// If nothing is outdated, any one has to go.
			if delete(k.verified, old); now.Before(until) {
				break
			}
		}
	}
	k.verified[id] = now.Add(rememberFor)
}
