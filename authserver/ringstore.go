package authserver

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/sneckauth/sneck/internal/jws"
)

// The records of a [KeyRing]: versions of the list of keys, which never expire
// and of which the last is not spent; and private halves.
const (
	kindRing    Kind = "key_ring"
	kindPrivate Kind = "private_key"
)

// The places that records are sealed for. Their keys are digests of these.
func placeOfRing(version int) string  { return fmt.Sprintf("key ring, version %d", version) }
func placeOfPrivate(id string) string { return "private key " + id }

// A ringView is what the ring has made of the last look into the store.
type ringView struct {
	state *ringState
	set   *KeySet
	until time.Time // then it has to look again
	dead  time.Time // then it must not be used without
}

// KeySet implements [KeySource]. As long as nothing has to be asked, it costs
// nothing. It makes the first key of an empty ring.
func (r *KeyRing) KeySet(ctx context.Context) (*KeySet, error) {
	v := r.current.Load()
	if v != nil && r.config.Now().Before(v.until) {
		return v.set, nil
	}
	if v != nil && r.config.Now().Before(v.dead) {
		// One asks, the others go on.
		select {
		case r.turn <- struct{}{}:
		default:
			return v.set, nil
		}
	} else if err := r.take(ctx); err != nil {
		return nil, err
	}
	defer r.release()
	now := r.config.Now()
	if v = r.current.Load(); v != nil && now.Before(v.until) { // somebody else has asked
		return v.set, nil
	}
	if v != nil && now.Before(v.dead) {
		// The others go by what this one finds, so it does not end with a request
		// whose sender hangs up: who asks for the keys and is gone, over and over,
		// would keep a server from noticing that one was taken back.
		detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
		defer cancel()
		ctx = detached
	}
	return r.look(ctx, now, v)
}

// lookTimeout is how long a look into the store may take.
const lookTimeout = 10 * time.Second

// lookInterval is the shortest time between two questions to a store that
// fails, as long as the ring can do without.
const lookInterval = time.Second

// look asks the store, and lets the last view do if that fails and it is not
// too old.
func (r *KeyRing) look(ctx context.Context, now time.Time, last *ringView) (*KeySet, error) {
	if last != nil && now.Before(last.dead) && now.Before(r.retry) {
		return last.set, nil
	}
	next, err := r.maintain(ctx, now)
	if err == nil {
		r.current.Store(next)
		return next.set, nil
	}
	if last == nil || !now.Before(last.dead) {
		return nil, err
	}
	r.retry = now.Add(lookInterval)
	r.config.Logger.LogAttrs(ctx, slog.LevelError, "key ring not read", cause(err))
	// The same keys, but of this moment.
	set, err := r.set(ctx, last.state, now)
	if err != nil {
		return nil, err
	}
	r.current.Store(&ringView{last.state, set, now, last.dead})
	return set, nil
}

// maintain reads the ring, adds the key that is due, and deletes private
// halves that are of no use any more.
func (r *KeyRing) maintain(ctx context.Context, now time.Time) (*ringView, error) {
	st, err := r.load(ctx)
	if err != nil {
		return nil, err
	}
	if r.due(st, now) {
		// Another server may have been faster: due is asked again then.
		var made *newKey
		err := r.change(ctx, func(fresh *ringState, now time.Time) (_ *newKey, err error) {
			if st = fresh; !r.due(st, now) {
				return nil, errUnchanged
			}
			if made, err = r.newKey(nil); err != nil {
				return nil, err
			}
			signs := now
			if i := st.signing(now); i >= 0 {
				if signs = st.Keys[i].signs().Add(r.config.RotateEvery); signs.Before(now.Add(st.lead())) {
					signs = now.Add(st.lead())
				}
			}
			return made, st.add(made, now, signs)
		})
		if err != nil && !errors.Is(err, errUnchanged) {
			return nil, err
		}
		if err == nil {
			r.report(ctx, EventKeyAdded, made.public.ID)
		}
		if st, err = r.load(ctx); err != nil {
			return nil, err
		}
	}
	signing := st.signing(now)
	for i, k := range st.Keys {
		switch retired := st.retires(i); {
		case i >= signing:
			err := r.loadPrivate(ctx, k)
			if err != nil && i == signing {
				return nil, err
			}
			if err != nil { // there is time to repair it
				r.config.Logger.LogAttrs(ctx, slog.LevelError, "next signing key not read", slog.String("kid", k.ID), cause(err))
			}
		case !now.Before(retired.Add(st.maxAge())):
			// No server signs with it any more.
			if err := r.deletePrivate(ctx, k.ID); err != nil {
				r.config.Logger.LogAttrs(ctx, slog.LevelWarn, "private key not deleted", slog.String("kid", k.ID), cause(err))
			}
		}
	}
	set, err := r.set(ctx, st, now)
	if err != nil {
		return nil, err
	}
	until := now.Add(st.maxAge() / 4)
	if change := st.changes(now); !change.IsZero() && change.Before(until) {
		until = change
	}
	return &ringView{st, set, until, now.Add(st.maxAge())}, nil
}

// set returns the keys of a moment, and reports if another one signs.
func (r *KeyRing) set(ctx context.Context, st *ringState, now time.Time) (*KeySet, error) {
	set, err := st.set(now, r.private, r.config.Overlap)
	if err != nil {
		return nil, err
	}
	if id := st.Keys[st.signing(now)].ID; id != r.signs {
		r.signs = id
		r.report(ctx, EventKeySigns, id)
	}
	return set, nil
}

// due reports whether it is time for the next key.
func (r *KeyRing) due(st *ringState, now time.Time) bool {
	if len(st.Keys) == 0 {
		return true
	}
	last := st.Keys[len(st.Keys)-1].signs()
	return !now.Before(last) && r.config.RotateEvery != Never && !now.Before(last.Add(r.config.RotateEvery-st.lead()))
}

// load returns the last version of the ring, empty if there is none.
func (r *KeyRing) load(ctx context.Context) (*ringState, error) {
	extra, err := r.head(ctx)
	if err != nil {
		return nil, err
	}
	st := new(ringState)
	if extra != nil {
		data, err := r.unwrap(placeOfRing(r.version), extra)
		if err == nil {
			err = json.Unmarshal(data, st)
		}
		if err != nil {
			return nil, fmt.Errorf("authserver: version %d of the key ring can not be used: %w", r.version, err)
		}
	}
	st.MaxAge = max(st.MaxAge, int64(r.config.MaxAge/time.Second))
	st.Overlap = max(st.Overlap, int64(r.config.Overlap/time.Second))
	return st, nil
}

// head finds the last version, from the last known one on. Nothing is deleted
// from the chain, so at the start it need not look at each one.
func (r *KeyRing) head(ctx context.Context) (json.RawMessage, error) {
	if r.version == 0 {
		if err := r.leap(ctx); err != nil || r.version == 0 {
			return nil, err
		}
	}
	for {
		record, found, err := r.get(ctx, r.version)
		switch {
		case err != nil:
			return nil, err
		case !found:
			return nil, fmt.Errorf("authserver: version %d of the key ring has disappeared", r.version)
		case record.Spent.IsZero():
			return record.Extra, nil
		}
		r.version++
	}
}

// leap finds a version near the last one in few steps.
func (r *KeyRing) leap(ctx context.Context) error {
	there, missing := 0, 1
	for {
		_, found, err := r.get(ctx, missing)
		if err != nil {
			return err
		}
		if !found {
			break
		}
		there, missing = missing, 2*missing
	}
	for there+1 < missing {
		middle := (there + missing) / 2
		_, found, err := r.get(ctx, middle)
		if err != nil {
			return err
		}
		if found {
			there = middle
		} else {
			missing = middle
		}
	}
	r.version = there
	return nil
}

func (r *KeyRing) get(ctx context.Context, version int) (Record, bool, error) {
	record, err := r.config.Store.Get(ctx, KeyOf(placeOfRing(version)))
	switch {
	case errors.Is(err, ErrNotFound):
		return record, false, nil
	case err != nil:
		return record, false, fmt.Errorf("authserver: read the key ring: %w", err)
	case record.Kind != kindRing:
		return record, false, errors.New("authserver: the record of the key ring is something else")
	}
	return record, true, nil
}

// errUnchanged is returned by what change calls to leave the ring as it is.
var errUnchanged = errors.New("unchanged")

// change writes the next version of the ring, as edit makes it of the last.
// edit is called again if somebody else was faster.
func (r *KeyRing) change(ctx context.Context, edit func(*ringState, time.Time) (*newKey, error)) error {
	for range maxAttempts {
		st, err := r.load(ctx)
		if err != nil {
			return err
		}
		now := r.config.Now()
		added, err := edit(st, now)
		if err != nil {
			return err
		}
		err = r.append(ctx, now, st, added)
		if errors.Is(err, ErrExists) || errors.Is(err, ErrSpent) {
			continue
		}
		if err != nil {
			return fmt.Errorf("authserver: write the key ring: %w", err)
		}
		r.version++
		r.current.Store(nil)
		if added != nil {
			delete(r.deleted, added.public.ID)
			r.config.Logger.LogAttrs(ctx, slog.LevelInfo, "signing key added",
				slog.String("kid", added.public.ID), slog.String("alg", added.public.Algorithm))
		}
		return nil
	}
	return errors.New("authserver: write the key ring: the key is there already, or others were faster all the time")
}

// append writes a version behind the last one, with the private half of a key
// that it adds, all or nothing.
func (r *KeyRing) append(ctx context.Context, now time.Time, st *ringState, added *newKey) error {
	data, err := json.Marshal(st)
	if err != nil {
		return err
	}
	next, err := r.record(now, kindRing, placeOfRing(r.version+1), data)
	if err != nil {
		return err
	}
	records := []Record{next}
	if added != nil {
		der, err := x509.MarshalPKCS8PrivateKey(added.signer)
		if err != nil {
			return errors.New("the private half of the key can not be written down (hint: StaticKeys for keys kept elsewhere)")
		}
		private, err := r.record(now, kindPrivate, placeOfPrivate(added.public.ID), der)
		if err != nil {
			return err
		}
		records = append(records, private)
	}
	if r.version == 0 {
		return r.config.Store.Create(ctx, records...)
	}
	_, err = r.config.Store.Spend(ctx, Spend{Key: KeyOf(placeOfRing(r.version)), Now: now, Yield: records})
	return err
}

// A newKey is about to be added.
type newKey struct {
	public PublicKey
	signer crypto.Signer
}

// newKey completes a key, or makes one up.
func (r *KeyRing) newKey(key *SigningKey) (*newKey, error) {
	if key != nil {
		public, err := key.Public().complete()
		return &newKey{public, key.Signer}, err
	}
	for {
		signer, err := generateKey(r.config.Algorithm)
		if err != nil {
			return nil, fmt.Errorf("authserver: make a signing key: %w", err)
		}
		public, err := SigningKey{Signer: signer, Algorithm: r.config.Algorithm}.Public().complete()
		// One ID in 64 begins like an option of a command.
		if err != nil || !strings.HasPrefix(public.ID, "-") {
			return &newKey{public, signer}, err
		}
	}
}

// A wrapped is what the record of a list of keys or of a private half holds,
// sealed or not. The list is sealed as well, so that nobody can bring in a
// public key who can only write to the database.
type wrapped struct {
	Sealed string `json:"sealed,omitempty"`
	Plain  []byte `json:"plain,omitempty"`
}

// record returns the record with the data for a place.
func (r *KeyRing) record(now time.Time, kind Kind, place string, data []byte) (Record, error) {
	w := wrapped{Plain: data}
	if r.config.Sealer != nil {
		w = wrapped{Sealed: r.config.Sealer.seal(place, data)}
	}
	extra, err := json.Marshal(w)
	return Record{Key: KeyOf(place), Kind: kind, Issued: now, Extra: extra}, err
}

// unwrap returns the data of the record of a place.
func (r *KeyRing) unwrap(place string, extra json.RawMessage) ([]byte, error) {
	var w wrapped
	if err := json.Unmarshal(extra, &w); err != nil {
		return nil, errors.New("its record is damaged")
	}
	if w.Sealed != "" {
		return r.config.Sealer.open(place, w.Sealed)
	}
	if !r.config.InsecureUnsealed {
		return nil, errors.New("it is not sealed (hint: InsecureUnsealed, to go on as before)")
	}
	return w.Plain, nil
}

// loadPrivate reads the private half of a key, unless that has happened.
func (r *KeyRing) loadPrivate(ctx context.Context, k storedKey) error {
	if r.private[k.ID] != nil {
		return nil
	}
	record, err := r.config.Store.Get(ctx, KeyOf(placeOfPrivate(k.ID)))
	if err != nil {
		return fmt.Errorf("authserver: read the private half of key %q: %w", k.ID, err)
	}
	signer, err := r.openPrivate(k, record)
	if err != nil {
		return fmt.Errorf("authserver: the private half of key %q can not be used: %w", k.ID, err)
	}
	r.private[k.ID] = signer
	return nil
}

func (r *KeyRing) openPrivate(k storedKey, record Record) (crypto.Signer, error) {
	der, err := r.unwrap(placeOfPrivate(k.ID), record.Extra)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, errors.New("it is damaged")
	}
	mine := jws.Key{Public: signer.Public()}.Thumbprint()
	if theirs := (jws.Key{Public: k.JWK.Key}).Thumbprint(); mine == "" || mine != theirs {
		return nil, errors.New("it is not that of the public half")
	}
	return signer, nil
}

// deletePrivate deletes the private half of a key, once.
func (r *KeyRing) deletePrivate(ctx context.Context, id string) error {
	if r.deleted[id] {
		return nil
	}
	delete(r.private, id)
	n, err := r.config.Store.Revoke(ctx, Selector{Key: KeyOf(placeOfPrivate(id))})
	if err != nil {
		return fmt.Errorf("authserver: delete the private half of key %q: %w", id, err)
	}
	r.deleted[id] = true
	if n > 0 {
		r.report(ctx, EventKeyDeleted, id)
	}
	return nil
}
