package authserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
)

func sealer(t testing.TB, keys ...byte) *authserver.Sealer {
	t.Helper()
	list := make([][]byte, len(keys))
	for i, k := range keys {
		list[i] = bytes.Repeat([]byte{k}, authserver.SealingKeySize)
	}
	s, err := authserver.NewSealer(list[0], list[1:]...)
	require.NoError(t, err)
	return s
}

// A clock is a time that tests set.
type clock struct{ at atomic.Pointer[time.Time] }

func newClock(at time.Time) *clock {
	c := new(clock)
	c.set(at)
	return c
}

func (c *clock) Now() time.Time   { return *c.at.Load() }
func (c *clock) set(at time.Time) { c.at.Store(&at) }

// newRing returns a ring in the store by the clock.
func newRing(t testing.TB, store authserver.Store, c *clock, change ...func(*authserver.KeyRingConfig)) *authserver.KeyRing {
	t.Helper()
	config := authserver.KeyRingConfig{Store: store, Sealer: sealer(t, 1), Now: c.Now}
	for _, f := range change {
		f(&config)
	}
	ring, err := authserver.NewKeyRing(config)
	require.NoError(t, err)
	return ring
}

// newRingWorld is a server with a ring of its own in a store that may be
// shared.
func newRingWorld(t *testing.T, m *authserver.Memory, c *clock, change ...func(*authserver.KeyRingConfig)) *world {
	t.Helper()
	w := newWorld(t, func(config *authserver.Config) {
		config.Store, config.Clients, config.Now = m, m, c.Now
		config.Keys = newRing(t, m, c, change...)
		config.AccessToken, config.RecognizeToken = nil, nil
	})
	w.memory = m
	for _, id := range []string{"app", "api"} {
		client, err := newWorld(t).memory.Client(t.Context(), id)
		require.NoError(t, err)
		require.NoError(t, m.PutClient(t.Context(), client))
	}
	w.putJWTClient(t)
	return w
}

// days is some time, less if tests are to be quick.
func days(n int) time.Duration {
	if testing.Short() && n > 40 {
		n = 40
	}
	return time.Duration(n) * 24 * time.Hour
}

func kidOf(t *testing.T, token string) string {
	t.Helper()
	parsed, err := josejwt.ParseSigned(token, allAlgorithms)
	require.NoError(t, err)
	return parsed.Headers[0].KeyID
}

// Over months, on two servers whose requests come at any time: a token is
// good by what each server publishes as long as it lives, and when it is new
// also by what was published up to MaxAge before, whatever a verifier has
// cached.
func TestKeyRingRotatesWithOverlap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	m, c := authserver.NewMemory(), newClock(epoch)
	servers := []*world{newRingWorld(t, m, c), newRingWorld(t, m, c)}
	type published struct {
		at  time.Time
		set jose.JSONWebKeySet
	}
	type issued struct {
		token   string
		expires time.Time
	}
	var cached []published
	var alive []issued
	kids := map[string]bool{}
	for c.Now().Before(epoch.Add(days(100))) {
		// Hours, then minutes.
		c.set(c.Now().Add(time.Duration(random.Int64N(int64(12 * time.Hour)))))
		for range 4 {
			c.set(c.Now().Add(time.Duration(random.Int64N(int64(8 * time.Minute)))))
			w := servers[random.IntN(2)]
			for _, server := range servers {
				cached = append(cached, published{c.Now(), keysAt(t, server)})
			}
			for len(cached) > 0 && cached[0].at.Before(c.Now().Add(-10*time.Minute)) {
				cached = cached[1:]
			}
			token := w.issue(t, "jwt", "")
			kids[kidOf(t, token)] = true
			for _, p := range cached {
				_, claims := opened(t, token, p.set)
				require.Equal(t, "jwt", claims["sub"])
			}
			alive = append(alive, issued{token, c.Now().Add(time.Hour)})
			for len(alive) > 0 && !c.Now().Before(alive[0].expires) {
				alive = alive[1:]
			}
			for _, old := range alive {
				opened(t, old.token, keysAt(t, servers[random.IntN(2)]))
				require.Contains(t, servers[random.IntN(2)].post("/introspect", "token="+old.token, as("api")...).body, `"active":true`)
			}
		}
		require.LessOrEqual(t, len(keysAt(t, servers[0]).Keys), 2)
	}
	assert.Len(t, kids, 1+int(days(100)/days(30)), "one in 30 days")
}

// The moments of one rotation, to the second.
func TestKeyRingMoments(t *testing.T) {
	m, c := authserver.NewMemory(), newClock(epoch.Add(500*time.Millisecond))
	w := newRingWorld(t, m, c)
	ring := newRing(t, m, c)
	first := kidOf(t, w.issue(t, "jwt", ""))
	list, err := ring.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []authserver.RingKey{{ID: first, Algorithm: "ES256", Published: local(epoch), Signs: local(epoch), Public: list[0].Public}}, list)
	published, err := json.Marshal(keysAt(t, w).Keys[0])
	require.NoError(t, err)
	public, err := json.Marshal(list[0].Public)
	require.NoError(t, err)
	assert.JSONEq(t, string(published), string(public))

	const month = 30 * 24 * time.Hour
	at := func(d time.Duration) (published int, signing string) {
		c.set(epoch.Add(d))
		return len(keysAt(t, w).Keys), kidOf(t, w.issue(t, "jwt", ""))
	}
	n, signing := at(month - 20*time.Minute - time.Second)
	assert.Equal(t, 1, n)
	assert.Equal(t, first, signing)
	at(month - 20*time.Minute + 150*time.Second) // it looks every 150 seconds
	n, signing = at(month - time.Second)
	assert.Equal(t, 2, n, "published for 20 minutes before it signs")
	assert.Equal(t, first, signing)
	list, err = ring.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2)
	signs := list[1].Signs
	assert.WithinRange(t, signs, epoch.Add(month), epoch.Add(month+150*time.Second))
	assert.Equal(t, authserver.RingKey{
		ID: first, Algorithm: "ES256", Published: local(epoch), Signs: local(epoch),
		Retires: signs, Gone: signs.Add(24*time.Hour + 10*time.Minute), Public: list[0].Public,
	}, list[0])
	assert.GreaterOrEqual(t, signs.Sub(list[1].Published), 20*time.Minute-time.Second)

	next := signs.Sub(epoch)
	_, signing = at(next - time.Second)
	assert.Equal(t, first, signing)
	n, signing = at(next)
	assert.Equal(t, 2, n)
	assert.Equal(t, list[1].ID, signing)
	has := func(kid string) bool {
		_, err := m.Get(t.Context(), authserver.KeyOf("private key "+kid))
		return err == nil
	}
	assert.True(t, has(first), "a server that was not there may still sign with it")
	at(next + 10*time.Minute)
	assert.False(t, has(first), "the private half is of no use to anybody")
	assert.True(t, has(signing))
	n, _ = at(next + 24*time.Hour + 10*time.Minute - time.Second)
	assert.Equal(t, 2, n)
	n, _ = at(next + 24*time.Hour + 10*time.Minute)
	assert.Equal(t, 1, n)
}

func local(t time.Time) time.Time { return time.Unix(t.Unix(), 0) }

func TestKeyRingRotateAndRetire(t *testing.T) {
	ctx := t.Context()
	m, c := authserver.NewMemory(), newClock(epoch)
	w, ring := newRingWorld(t, m, c), newRing(t, m, c)
	old := w.issue(t, "jwt", "")
	first := kidOf(t, old)

	// By hand, with a key from elsewhere.
	mine := authserver.SigningKey{Signer: p256(t), ID: "mine", Algorithm: "ES256"}
	second, err := ring.Rotate(ctx, &mine)
	require.NoError(t, err)
	assert.Equal(t, authserver.RingKey{
		ID: "mine", Algorithm: "ES256", Published: local(epoch), Signs: local(epoch.Add(20 * time.Minute)), Public: mine.Public(),
	}, second)
	_, err = ring.Rotate(ctx, nil)
	require.EqualError(t, err, `authserver: key "mine" is waiting already, and signs from 2030-01-02T03:24:05Z (hint: retire it first)`)
	assert.Len(t, keysAt(t, w).Keys, 1, "the server has not looked yet")
	c.set(c.Now().Add(150 * time.Second))
	assert.Len(t, keysAt(t, w).Keys, 2)
	c.set(epoch.Add(20 * time.Minute))
	assert.Equal(t, "mine", kidOf(t, w.issue(t, "jwt", "")))

	// A key that somebody else has: what it signed is not good any more.
	require.NoError(t, ring.Retire(ctx, first))
	c.set(c.Now().Add(150 * time.Second))
	assert.Len(t, keysAt(t, w).Keys, 1)
	assert.JSONEq(t, `{"active":false}`, w.post("/introspect", "token="+old, as("api")...).body)

	// The one that signs, while another waits: that signs at once.
	third, err := ring.Rotate(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, ring.Retire(ctx, "mine"))
	c.set(c.Now().Add(150 * time.Second))
	assert.Equal(t, third.ID, kidOf(t, w.issue(t, "jwt", "")))

	// The one that signs, and none waits.
	require.NoError(t, ring.Retire(ctx, third.ID))
	c.set(c.Now().Add(150 * time.Second))
	fourth := kidOf(t, w.issue(t, "jwt", ""))
	assert.NotContains(t, []string{first, "mine", third.ID}, fourth)

	// One that waits.
	fifth, err := ring.Rotate(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, ring.Retire(ctx, fifth.ID))
	list, err := ring.List(ctx)
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.Equal(t, fourth, list[0].ID)
	require.ErrorIs(t, ring.Retire(ctx, fifth.ID), authserver.ErrNoSuchKey)
	require.ErrorIs(t, ring.Retire(ctx, ""), authserver.ErrNoSuchKey)
	for _, gone := range []string{first, "mine", third.ID, fifth.ID} {
		_, err := m.Get(ctx, authserver.KeyOf("private key "+gone))
		require.ErrorIs(t, err, authserver.ErrNotFound, gone)
	}
	// It may come back.
	_, err = ring.Rotate(ctx, &authserver.SigningKey{Signer: p256(t), ID: "mine"})
	require.NoError(t, err)
	_, err = ring.Rotate(ctx, &authserver.SigningKey{Signer: brokenSigner{p256(t)}, ID: "k"})
	require.ErrorContains(t, err, "is waiting already")
	require.NoError(t, ring.Retire(ctx, "mine"))
	_, err = ring.Rotate(ctx, &authserver.SigningKey{Signer: brokenSigner{p256(t)}, ID: "k"})
	require.ErrorContains(t, err, "can not be written down (hint: StaticKeys")
}

// The ID of a key can stand on a command line as it is.
func TestKeyRingMakesNoIDLikeAnOption(t *testing.T) {
	ring := newRing(t, authserver.NewMemory(), newClock(epoch), func(c *authserver.KeyRingConfig) { c.Algorithm = "EdDSA" })
	for range 500 {
		key, err := ring.Rotate(t.Context(), nil)
		require.NoError(t, err)
		require.NotRegexp(t, "^-", key.ID)
		require.NoError(t, ring.Retire(t.Context(), key.ID))
	}
}

// Sixteen servers start at once, and sixteen rotate at once: they agree.
func TestKeyRingUnderConcurrency(t *testing.T) {
	m, c := authserver.NewMemory(), newClock(epoch)
	const n = 16
	all := func(f func(*authserver.KeyRing) error) (failed int) {
		var wg sync.WaitGroup
		errs := make([]error, n)
		for i := range n {
			wg.Go(func() { errs[i] = f(newRing(t, m, c)) })
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				assert.ErrorContains(t, err, "is waiting already")
				failed++
			}
		}
		return failed
	}
	assert.Zero(t, all(func(r *authserver.KeyRing) error { _, err := r.KeySet(t.Context()); return err }))
	assert.Equal(t, n-1, all(func(r *authserver.KeyRing) error { _, err := r.Rotate(t.Context(), nil); return err }))
	list, err := newRing(t, m, c).List(t.Context())
	require.NoError(t, err)
	assert.Len(t, list, 2)
}

// flakyStore fails while it is told to.
type flakyStore struct {
	*authserver.Memory
	err   error
	asked int
}

func (s *flakyStore) Get(ctx context.Context, key authserver.Key) (authserver.Record, error) {
	s.asked++
	if s.err != nil {
		return authserver.Record{}, s.err
	}
	return s.Memory.Get(ctx, key)
}

// The keys do for some time without the store, and no longer.
func TestKeyRingWithoutTheStore(t *testing.T) {
	ctx := t.Context()
	store, c := &flakyStore{Memory: authserver.NewMemory()}, newClock(epoch)
	store.err = errBroken
	ring := newRing(t, store, c)
	_, err := ring.KeySet(ctx)
	require.ErrorIs(t, err, errBroken)
	store.err = nil
	set, err := ring.KeySet(ctx)
	require.NoError(t, err)
	store.asked = 0
	for range 1000 {
		same, err := ring.KeySet(ctx)
		require.NoError(t, err)
		require.Same(t, set, same)
	}
	assert.Zero(t, store.asked)

	store.err = errBroken
	c.set(epoch.Add(150 * time.Second))
	for range 1000 {
		_, err = ring.KeySet(ctx)
		require.NoError(t, err)
	}
	assert.Equal(t, 1, store.asked, "a store that fails is not asked for every token")
	c.set(epoch.Add(10*time.Minute - 1))
	_, err = ring.KeySet(ctx)
	require.NoError(t, err)
	c.set(epoch.Add(10 * time.Minute))
	_, err = ring.KeySet(ctx)
	require.ErrorIs(t, err, errBroken, "the others may have taken the key back")
	store.err = nil
	_, err = ring.KeySet(ctx)
	require.NoError(t, err)

	canceled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = newRing(t, store, c).KeySet(canceled)
	require.ErrorIs(t, err, context.Canceled)
}

// Who asks for the keys and hangs up keeps nobody from noticing what has changed.
func TestKeyRingWhoHangsUp(t *testing.T) {
	m, c := authserver.NewMemory(), newClock(epoch)
	w := newRingWorld(t, m, c)
	before := get(w, issuer+"/jwks").body
	_, err := newRing(t, m, c).Rotate(t.Context(), nil) // on another server
	require.NoError(t, err)
	c.set(epoch.Add(150 * time.Second))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	r := request("/jwks", "")
	r.Method = http.MethodGet
	send(w, r.WithContext(gone))
	assert.NotEqual(t, before, get(w, issuer+"/jwks").body)
}

// A ring of hundreds of versions is found in few steps.
func TestKeyRingIsFoundQuickly(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes many keys")
	}
	store, c := &flakyStore{Memory: authserver.NewMemory()}, newClock(epoch)
	often := func(k *authserver.KeyRingConfig) { k.RotateEvery = time.Hour }
	ring := newRing(t, store, c, often)
	for range 300 {
		_, err := ring.KeySet(t.Context())
		require.NoError(t, err)
		c.set(c.Now().Add(time.Hour))
	}
	store.asked = 0
	list, err := newRing(t, store, c, often).List(t.Context())
	require.NoError(t, err)
	assert.Less(t, store.asked, 30)
	assert.LessOrEqual(t, len(list), 32)
	again, err := ring.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, list, again)
}

func TestKeyRingIsSealed(t *testing.T) {
	ctx := t.Context()
	m, c := authserver.NewMemory(), newClock(epoch)
	ring := newRing(t, m, c)
	_, err := ring.KeySet(ctx)
	require.NoError(t, err)
	list, err := ring.List(ctx)
	require.NoError(t, err)
	kid := list[0].ID
	places := []string{"key ring, version 1", "private key " + kid}
	for _, place := range places {
		record, err := m.Get(ctx, authserver.KeyOf(place))
		require.NoError(t, err)
		assert.Regexp(t, `^\{"sealed":"\$aes256-gcm\$[0-9A-Za-z_-]{8}\$[0-9A-Za-z+/]+"\}$`, string(record.Extra))
	}
	try := func(change func(*authserver.KeyRingConfig)) error {
		_, err := newRing(t, m, c, change).KeySet(ctx)
		return err
	}
	assert.NoError(t, try(func(k *authserver.KeyRingConfig) { k.Sealer = sealer(t, 2, 1) }))
	assert.ErrorContains(t, try(func(k *authserver.KeyRingConfig) { k.Sealer = sealer(t, 2) }), "sealed with another key (hint: keep old sealing keys)")
	assert.ErrorContains(t, try(func(k *authserver.KeyRingConfig) { k.Sealer, k.InsecureUnsealed = nil, true }), "there is no sealing key")

	// Nobody who can only write to the database moves, changes or brings a key.
	alter := func(place string, f func(string) string) error {
		forged := authserver.NewMemory()
		for _, other := range places {
			record, err := m.Get(ctx, authserver.KeyOf(other))
			require.NoError(t, err)
			if other == place {
				record.Extra = []byte(f(string(record.Extra)))
			}
			require.NoError(t, forged.Create(ctx, record))
		}
		_, err := newRing(t, forged, c).KeySet(ctx)
		return err
	}
	for i, place := range places {
		other, err := m.Get(ctx, authserver.KeyOf(places[1-i]))
		require.NoError(t, err)
		require.NoError(t, alter(place, func(s string) string { return s }))
		assert.ErrorContains(t, alter(place, func(string) string { return string(other.Extra) }), "it is not what was sealed for this place")
		assert.ErrorContains(t, alter(place, func(s string) string { return s[:40] + "_" + s[41:] }), "it has not the form")
		assert.ErrorContains(t, alter(place, func(string) string { return `{"plain":"e30="}` }), "it is not sealed")
		assert.ErrorContains(t, alter(place, func(string) string { return `[]` }), "damaged")
	}
}

// Unsealed keys can be had by name, and be sealed later.
func TestKeyRingUnsealed(t *testing.T) {
	ctx := t.Context()
	m, c := authserver.NewMemory(), newClock(epoch)
	unsealed := func(k *authserver.KeyRingConfig) { k.Sealer, k.InsecureUnsealed = nil, true }
	both := func(k *authserver.KeyRingConfig) { k.InsecureUnsealed = true }
	_, err := newRing(t, m, c, unsealed).KeySet(ctx)
	require.NoError(t, err)
	_, err = newRing(t, m, c).KeySet(ctx)
	require.ErrorContains(t, err, "it is not sealed (hint: InsecureUnsealed, to go on as before)")
	ring := newRing(t, m, c, both)
	_, err = ring.Rotate(ctx, nil)
	require.NoError(t, err)
	c.set(epoch.Add(20 * time.Minute))
	_, err = newRing(t, m, c).KeySet(ctx)
	require.NoError(t, err, "what it needs is sealed by now")
}

func TestKeyRingMistakes(t *testing.T) {
	_, err := authserver.NewKeyRing(authserver.KeyRingConfig{Algorithm: "HS256", MaxAge: time.Millisecond, Overlap: -1, RotateEvery: time.Millisecond})
	require.EqualError(t, err, `authserver: KeyRing: Store is missing
authserver: KeyRing: Sealer is missing (hint: NewSealer with 32 random bytes from a file or a secret store)
authserver: KeyRing: MaxAge 1ms is not in whole seconds from 10s to 24h0m0s
authserver: KeyRing: Overlap -1ns is not in whole seconds
authserver: KeyRing: RotateEvery 1ms is less than four times MaxAge
authserver: KeyRing: Algorithm "HS256" is not supported (hint: ES256, RS256, EdDSA)`)
	for _, size := range []int{0, 16, 31, 33} {
		_, err := authserver.NewSealer(make([]byte, size))
		assert.ErrorContains(t, err, fmt.Sprintf("has %d bytes and not 32", size))
	}
}

// Every algorithm that can be configured makes keys that work, and no token
// outlives the key that it was signed by.
func TestKeyRingAlgorithms(t *testing.T) {
	for _, alg := range []string{"ES256", "ES384", "ES512", "EdDSA", "RS256", "PS256"} {
		m, c := authserver.NewMemory(), newClock(epoch)
		w := newRingWorld(t, m, c, func(k *authserver.KeyRingConfig) { k.Algorithm, k.Overlap = alg, 10*time.Minute })
		got := w.post("/token", credentialsGrant, as("jwt")...)
		assert.Contains(t, got.body, `"expires_in":600,`)
		_, rest, _ := strings.Cut(got.body, `"access_token":"`)
		token, _, _ := strings.Cut(rest, `"`)
		header, _ := opened(t, token, keysAt(t, w))
		assert.Equal(t, alg, header["alg"])
	}
}
