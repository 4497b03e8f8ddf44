package authserver

import (
	"crypto"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A ringState is one version of the list of keys of a [KeyRing], as it is in
// the store. Times are in seconds since 1970, spans in seconds.
type ringState struct {
	// Keys are in the order in which they sign.
	Keys []storedKey `json:"keys"`
	// MaxAge and Overlap are the longest of all servers.
	MaxAge  int64 `json:"max_age"`
	Overlap int64 `json:"overlap"`
}

// A storedKey is the public half of a key.
type storedKey struct {
	ID        string          `json:"kid"`
	Algorithm string          `json:"alg"`
	JWK       jose.JSONWebKey `json:"jwk"`
	Published int64           `json:"published"`
	Signs     int64           `json:"signs"`
}

func (k storedKey) signs() time.Time { return time.Unix(k.Signs, 0) }

func (k storedKey) public() PublicKey {
	return PublicKey{Key: k.JWK.Key, ID: k.ID, Algorithm: k.Algorithm}
}

func (st *ringState) maxAge() time.Duration  { return time.Duration(st.MaxAge) * time.Second }
func (st *ringState) overlap() time.Duration { return time.Duration(st.Overlap) * time.Second }

// signing returns the index of the key that signs, or -1 if there is none. The
// first key signs at once, also for a server whose clock is behind.
func (st *ringState) signing(now time.Time) int {
	for i, k := range slices.Backward(st.Keys) {
		if i == 0 || !now.Before(k.signs()) {
			return i
		}
	}
	return -1
}

// retires returns when the next key takes over; zero if there is none.
func (st *ringState) retires(i int) time.Time {
	if i+1 >= len(st.Keys) {
		return time.Time{}
	}
	return st.Keys[i+1].signs()
}

// leaves returns when a key is not published any more: when its last token has
// expired, and the servers that learned late that it has retired have noticed.
func (st *ringState) leaves(i int) time.Time {
	retires := st.retires(i)
	if retires.IsZero() {
		return retires
	}
	return retires.Add(st.overlap() + st.maxAge())
}

func (st *ringState) gone(i int, now time.Time) bool {
	leaves := st.leaves(i)
	return !leaves.IsZero() && !now.Before(leaves)
}

// changes returns the next moment after now at which another key signs or one
// is gone; zero if there is none.
func (st *ringState) changes(now time.Time) time.Time {
	var next time.Time
	for i, k := range st.Keys {
		for _, at := range []time.Time{k.signs(), st.leaves(i)} {
			if at.After(now) && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
	}
	return next
}

func (st *ringState) index(id string) int {
	return slices.IndexFunc(st.Keys, func(k storedKey) bool { return k.ID == id })
}

func (st *ringState) remove(i int) { st.Keys = slices.Delete(st.Keys, i, i+1) }

// maxRingKeys bounds a ring: more than that many are published only if somebody
// rotates all the time.
const maxRingKeys = 32

// add adds the key that signs next, and drops those that are gone.
func (st *ringState) add(k *newKey, now, signs time.Time) error {
	if st.index(k.public.ID) >= 0 {
		return fmt.Errorf("authserver: the ring has the key %q already", k.public.ID)
	}
	st.Keys = append(st.Keys, storedKey{
		ID: k.public.ID, Algorithm: k.public.Algorithm, JWK: k.public.jwk(), Published: now.Unix(), Signs: signs.Unix(),
	})
	for len(st.Keys) > 0 && st.gone(0, now) {
		st.remove(0)
	}
	if len(st.Keys) > maxRingKeys {
		return fmt.Errorf("authserver: the ring has %d keys (hint: retire some, or wait until their tokens have expired)", maxRingKeys)
	}
	return nil
}

func (st *ringState) describe(i int, k storedKey) RingKey {
	return RingKey{
		ID: k.ID, Algorithm: k.Algorithm, Published: time.Unix(k.Published, 0), Signs: k.signs(),
		Retires: st.retires(i), Gone: st.leaves(i), Public: k.public(),
	}
}

// set returns the keys of a moment.
func (st *ringState) set(now time.Time, private map[string]crypto.Signer, maxTTL time.Duration) (*KeySet, error) {
	signing := st.signing(now)
	if signing < 0 {
		return nil, errors.New("authserver: the key ring is empty")
	}
	k := st.Keys[signing]
	c := KeySetConfig{
		Signing: SigningKey{Signer: private[k.ID], ID: k.ID, Algorithm: k.Algorithm},
		MaxAge:  st.maxAge(), MaxTTL: maxTTL,
	}
	for i, k := range st.Keys {
		if i != signing && !st.gone(i, now) {
			c.Others = append(c.Others, k.public())
		}
	}
	return NewKeySet(c)
}
