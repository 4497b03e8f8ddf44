package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// A Key is what can be said of a signing key.
type Key struct {
	// ID is the "kid" in what it signs.
	ID string `json:"kid"`
	// Algorithm is the JWS algorithm.
	Algorithm string `json:"alg"`
	// State is "waiting", "signing" or "retired".
	State string `json:"state"`
	// Published is when it was first published.
	Published time.Time `json:"published"`
	// Signs is from when on it signs.
	Signs time.Time `json:"signs"`
	// Retires is when it signs no more; zero if no key will replace it yet.
	Retires time.Time `json:"retires,omitzero"`
	// Gone is when it is not published any more; zero if no key will replace it
	// yet.
	Gone time.Time `json:"gone,omitzero"`
}

// The states of a key.
const (
	StateWaiting = "waiting"
	StateSigning = "signing"
	StateRetired = "retired"
)

// KeyOf returns what is said of a key at a moment.
func KeyOf(k authserver.RingKey, now time.Time) Key {
	v := Key{k.ID, k.Algorithm, StateSigning, k.Published.UTC(), k.Signs.UTC(), k.Retires.UTC(), k.Gone.UTC()}
	switch {
	case now.Before(k.Signs):
		v.State = StateWaiting
	case !k.Retires.IsZero() && !now.Before(k.Retires):
		v.State = StateRetired
	}
	return v
}

func (o *Operations) keys() (*authserver.KeyRing, error) {
	if o.config.Keys == nil {
		return nil, refuse(ErrAbsent, "the server has no signing keys in its store (hint: it signs nothing, or with keys from files)")
	}
	return o.config.Keys, nil
}

// Keys returns the keys that are published, the oldest first.
func (o *Operations) Keys(ctx context.Context) ([]Key, error) {
	ring, err := o.keys()
	if err != nil {
		return nil, err
	}
	list, err := ring.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("admin: list keys: %w", err)
	}
	keys := make([]Key, len(list))
	for i, k := range list {
		keys[i] = KeyOf(k, o.config.Now())
	}
	return keys, nil
}

// RotateKey makes a key that will sign once everybody can know it. It is
// ErrInvalid if one is waiting already.
func (o *Operations) RotateKey(ctx context.Context) (*Key, error) {
	keys, err := o.Keys(ctx)
	if err != nil {
		return nil, err
	}
	if n := len(keys); n > 0 && keys[n-1].State == StateWaiting {
		return nil, refuse(ErrInvalid, "key %q is waiting already, and signs from %s (hint: retire it first)", keys[n-1].ID, keys[n-1].Signs.Format(time.RFC3339))
	}
	added, err := o.config.Keys.Rotate(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("admin: rotate keys: %w", err)
	}
	v := KeyOf(added, o.config.Now())
	return &v, o.record(ctx, authserver.Event{Kind: authserver.EventKeyAdded, Reason: added.ID})
}

// RetireKey takes a key back at once, with all tokens that it signed.
func (o *Operations) RetireKey(ctx context.Context, id string) error {
	ring, err := o.keys()
	if err != nil {
		return err
	}
	err = ring.Retire(ctx, id)
	if errors.Is(err, authserver.ErrNoSuchKey) {
		return refuse(ErrNotFound, "there is no key %q (hint: list the keys)", id)
	}
	if err != nil {
		return fmt.Errorf("admin: retire a key: %w", err)
	}
	return o.record(ctx, authserver.Event{Kind: authserver.EventKeyRetired, Reason: id})
}
