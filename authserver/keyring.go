package authserver

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sneckauth/sneck/internal/jws"
)

// A KeyRing is the [KeySource] of keys that are kept in a store, sealed, and
// change by themselves. All servers that share the store sign with the same
// key and publish the same keys.
//
// A new key is published before it signs, for longer than verifiers keep what
// was published before. A key that signs no more stays published until the
// last token that it signed has expired; its private half is deleted soon.
//
// A ring is a chain of records that never change, each with a version of the
// list of keys; the next version spends the one before, so of several servers
// that want to change something only one can. It looks for a new version every
// quarter of MaxAge, and refuses to sign when it could not for all of MaxAge:
// a key that the others have taken back must not be used on.
//
// Make one with [NewKeyRing]. It is safe for concurrent use.
type KeyRing struct {
	config KeyRingConfig

	current atomic.Pointer[ringView]
	turn    chan struct{} // held by who asks the store
	// What follows is for the holder of the turn.
	version int    // the last one that is known to exist
	signs   string // ID of the key that signs
	private map[string]crypto.Signer
	deleted map[string]bool // private halves
	retry   time.Time       // when it is worth to ask a store that has failed
}

var _ KeySource = (*KeyRing)(nil)

// A KeyRingConfig configures a [KeyRing]. Store is mandatory, and either
// Sealer or InsecureUnsealed. It should be the same for all servers that share
// the store; of MaxAge and Overlap, the longest that any of them has had
// counts for what is published.
type KeyRingConfig struct {
	// Store keeps the keys.
	Store Store
	// Sealer encrypts the private halves.
	Sealer *Sealer
	// InsecureUnsealed takes what is in the store as it is, and without a
	// Sealer keeps it so: whoever can read the database, or a copy of it, can
	// make tokens of any content.
	InsecureUnsealed bool
	// Algorithm is that of new keys: ES256 if empty, or ES384, ES512, EdDSA,
	// or one of RSA, whose keys have 2048 bits then. It takes effect with the
	// next key.
	Algorithm string
	// RotateEvery is how long a key signs; zero means 30 days. With Never, it
	// is only replaced when somebody says so.
	RotateEvery time.Duration
	// MaxAge is how long verifiers may use what is published before they ask
	// again, in whole seconds; zero means ten minutes. A new key signs twice
	// as long after it was published.
	MaxAge time.Duration
	// Overlap is how long a key stays published after it has signed last, and
	// so the longest life of tokens; zero means 24 hours. JWTs of clients with
	// a longer one end sooner.
	Overlap time.Duration
	// Record, if set, is called with the Event of what the ring does by itself:
	// keys that it makes when it is time, or in place of one that was taken
	// back; keys that begin to sign; private halves that it deletes. It is the
	// Record method of the server. Who calls Rotate or Retire reports that.
	Record func(ctx context.Context, e Event) error
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Logger is told of changes, and of failures while the ring can go on; nil
	// is silent.
	Logger *slog.Logger
}

const (
	defaultRotateEvery = 30 * 24 * time.Hour
	defaultOverlap     = 24 * time.Hour
	minMaxAge          = 10 * time.Second
	maxMaxAge          = 24 * time.Hour
)

// ErrNoSuchKey means that a [KeyRing] has no key with an ID.
var ErrNoSuchKey = errors.New("authserver: the ring has no such key")

// NewKeyRing returns a KeyRing, or every mistake in the config. It does not
// ask the store; call KeySet to find out whether that works.
func NewKeyRing(c KeyRingConfig) (*KeyRing, error) {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf("authserver: KeyRing: "+format, args...))
		}
	}
	bad(c.Store == nil, "Store is missing")
	bad(c.Sealer == nil && !c.InsecureUnsealed, "Sealer is missing (hint: NewSealer with 32 random bytes from a file or a secret store)")
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&c.RotateEvery, defaultRotateEvery)
	set(&c.MaxAge, defaultMaxAge)
	set(&c.Overlap, defaultOverlap)
	bad(c.MaxAge < minMaxAge || c.MaxAge > maxMaxAge || c.MaxAge%time.Second != 0,
		"MaxAge %v is not in whole seconds from %v to %v", c.MaxAge, minMaxAge, maxMaxAge)
	bad(c.Overlap < time.Second || c.Overlap%time.Second != 0, "Overlap %v is not in whole seconds", c.Overlap)
	bad(c.RotateEvery < 4*c.MaxAge, "RotateEvery %v is less than four times MaxAge", c.RotateEvery)
	if c.Algorithm == "" {
		c.Algorithm = jws.ES256
	}
	if canonical := jws.Canonical(c.Algorithm); canonical != "" {
		c.Algorithm = canonical
	} else {
		bad(true, "Algorithm %q is not supported (hint: ES256, RS256, EdDSA)", c.Algorithm)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &KeyRing{config: c, turn: make(chan struct{}, 1), private: map[string]crypto.Signer{}, deleted: map[string]bool{}}, nil
}

// lead is how long a key is published before it signs: verifiers may have got
// what was there before until all servers have looked, and keep it for MaxAge.
func (st *ringState) lead() time.Duration { return 2 * st.maxAge() }

// generateKey returns a new key for an algorithm.
func generateKey(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case jws.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jws.ES384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jws.ES512:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case jws.EdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return rsa.GenerateKey(rand.Reader, jws.MinRSABits)
}

// A RingKey is what can be said about a key of a [KeyRing].
type RingKey struct {
	ID, Algorithm string
	// Published is when the key was first published, and Signs from when on
	// it signs.
	Published, Signs time.Time
	// Retires is when it signs no more, and Gone when it is not published any
	// more; zero if there is no key yet that will replace it.
	Retires, Gone time.Time
	// Public is its public half.
	Public PublicKey
}

// List returns the keys, the oldest first: those that are published, and at
// the end the one that signs or is about to.
func (r *KeyRing) List(ctx context.Context) ([]RingKey, error) {
	if err := r.take(ctx); err != nil {
		return nil, err
	}
	defer r.release()
	st, err := r.load(ctx)
	if err != nil {
		return nil, err
	}
	list := []RingKey{}
	now := r.config.Now()
	for i, k := range st.Keys {
		if !st.gone(i, now) {
			list = append(list, st.describe(i, k))
		}
	}
	return list, nil
}

// Rotate adds a key that will sign as soon as it was published for long
// enough, in place of the one that does now. Nil makes a new one of
// Config.Algorithm; else the given one is kept in the store, so it must be a
// key of the standard library. It is an error if a key is waiting already.
func (r *KeyRing) Rotate(ctx context.Context, key *SigningKey) (RingKey, error) {
	if err := r.take(ctx); err != nil {
		return RingKey{}, err
	}
	defer r.release()
	var added RingKey
	err := r.change(ctx, func(st *ringState, now time.Time) (*newKey, error) {
		if len(st.Keys) > 0 {
			if last := st.Keys[len(st.Keys)-1]; now.Before(last.signs()) {
				return nil, fmt.Errorf("authserver: key %q is waiting already, and signs from %s (hint: retire it first)",
					last.ID, last.signs().UTC().Format(time.RFC3339))
			}
		}
		k, err := r.newKey(key)
		if err != nil {
			return nil, err
		}
		signs := now
		if len(st.Keys) > 0 {
			signs = now.Add(st.lead())
		}
		if err := st.add(k, now, signs); err != nil {
			return nil, err
		}
		added = st.describe(len(st.Keys)-1, st.Keys[len(st.Keys)-1])
		return k, nil
	})
	return added, err
}

// Retire takes a key back at once: it signs no more and is not published any
// more, so the tokens that it signed become invalid, as soon as the others
// have heard of it. It is for a key that somebody else may have; otherwise
// Rotate is better. If it was the one that signs, the one that waits or a new
// one signs from now on.
func (r *KeyRing) Retire(ctx context.Context, id string) error {
	if err := r.take(ctx); err != nil {
		return err
	}
	defer r.release()
	var made *newKey
	err := r.change(ctx, func(st *ringState, now time.Time) (_ *newKey, err error) {
		made = nil
		i := st.index(id)
		if i < 0 || st.gone(i, now) {
			return nil, fmt.Errorf("%w: %q", ErrNoSuchKey, id)
		}
		signing := st.signing(now)
		st.remove(i)
		if i != signing {
			return nil, nil
		}
		if i < len(st.Keys) { // the one that waits has moved up
			st.Keys[i].Signs = now.Unix()
			return nil, nil
		}
		if made, err = r.newKey(nil); err != nil {
			return nil, err
		}
		return made, st.add(made, now, now)
	})
	if err != nil {
		return err
	}
	if made != nil {
		r.report(ctx, EventKeyAdded, made.public.ID)
	}
	return r.deletePrivate(ctx, id)
}

// take waits for the turn.
func (r *KeyRing) take(ctx context.Context) error {
	select {
	case r.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *KeyRing) release() { <-r.turn }

// report reports what the ring has done by itself.
func (r *KeyRing) report(ctx context.Context, kind EventKind, id string) {
	if r.config.Record == nil {
		return
	}
	if err := r.config.Record(ctx, Event{Kind: kind, Time: r.config.Now().UTC(), Reason: id}); err != nil {
		// It has happened, and nobody waits for it who could be refused.
		r.config.Logger.LogAttrs(ctx, slog.LevelError, "change of keys not on record", slog.String("kid", id), cause(err))
	}
}
