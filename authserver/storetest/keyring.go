package storetest

import (
	"errors"
	"reflect"
	"sync"

	"github.com/sneckauth/sneck/authserver"
)

// testKeyRing has many servers start at once and change the keys at once: they
// agree on every step.
func testKeyRing(t T, s authserver.Store) {
	const servers = 8
	rings := make([]*authserver.KeyRing, servers)
	for i := range rings {
		var err error
		rings[i], err = authserver.NewKeyRing(authserver.KeyRingConfig{Store: s, InsecureUnsealed: true})
		must(t, err)
	}
	all := func(f func(*authserver.KeyRing) error) (succeeded int) {
		errs := make([]error, servers)
		var wg sync.WaitGroup
		for i, ring := range rings {
			wg.Go(func() { errs[i] = f(ring) })
		}
		wg.Wait()
		for _, err := range errs {
			if err == nil {
				succeeded++
			}
		}
		return succeeded
	}
	expect := func(what string, got, want int) {
		t.Helper()
		if got != want {
			t.Fatalf("%d of %d servers could %s, want %d", got, servers, what, want)
		}
	}
	agree := func(keys int) []authserver.RingKey {
		t.Helper()
		var first []authserver.RingKey
		for i, ring := range rings {
			list, err := ring.List(t.Context())
			must(t, err)
			if i == 0 {
				first = list
			}
			if !reflect.DeepEqual(list, first) || len(list) != keys {
				t.Fatalf("server %d has the keys\n%+v\nserver 0\n%+v\nwant %d keys", i, list, first, keys)
			}
		}
		return first
	}
	private := func(k authserver.RingKey) bool {
		_, err := s.Get(t.Context(), authserver.KeyOf("private key "+k.ID))
		if err != nil && !errors.Is(err, authserver.ErrNotFound) {
			t.Fatalf("Get: %v", err)
		}
		return err == nil
	}
	expect("start", all(func(r *authserver.KeyRing) error { _, err := r.KeySet(t.Context()); return err }), servers)
	agree(1)
	for round := range 3 {
		expect("add a key", all(func(r *authserver.KeyRing) error { _, err := r.Rotate(t.Context(), nil); return err }), 1)
		waits := agree(2)[1]
		expect("retire it", all(func(r *authserver.KeyRing) error { return r.Retire(t.Context(), waits.ID) }), 1)
		if left := agree(1)[0]; private(waits) || !private(left) {
			t.Errorf("round %d: the private half of the key that was retired is there, or that of the other is not", round)
		}
	}
}
