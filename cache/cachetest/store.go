package cachetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sneckauth/sneck/cache"
)

// patience is how long the kits wait for what should be there at once; only
// a store that is broken or drowned needs it.
const patience = 5 * time.Second

// TestStore checks that what open returns keeps the contract of
// [cache.Store]. It calls open once for each part; the Stores may share one
// table, as every part uses keys of its own. Cleaning up is left to
// [testing.T.Cleanup].
func TestStore(t *testing.T, open func(t *testing.T) cache.Store) {
	for _, part := range []struct {
		name string
		test func(*testing.T, cache.Store)
	}{
		{"a missing key has no value", storeMissing},
		{"every value comes back", storeRoundTrip},
		{"every key is a key of its own", storeKeys},
		{"values are copies", storeCopies},
		{"Set replaces", storeOverwrite},
		{"Delete removes", storeDelete},
		{"values run out", storeExpiry},
		{"Set renews the time", storeRenew},
		{"a done context ends every method", storeContext},
		{"many at once", storeConcurrent},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, open(t)) })
	}
}

func fresh() string { return "cachetest-" + rand.Text() }

func set(t *testing.T, s cache.Store, key string, value []byte, ttl time.Duration) {
	t.Helper()
	if err := s.Set(t.Context(), key, value, ttl); err != nil {
		t.Fatalf("Set(%q): %v", key, err)
	}
}

// want checks that the key has the value, which may be empty but is not nil.
func want(t *testing.T, s cache.Store, key string, value []byte) {
	t.Helper()
	got, err := s.Get(t.Context(), key)
	switch {
	case err != nil:
		t.Fatalf("Get(%q): %v", key, err)
	case got == nil:
		t.Fatalf("Get(%q) = nil, want %d bytes", key, len(value))
	case !bytes.Equal(got, value):
		t.Fatalf("Get(%q) = %d bytes, which are not the %d that were set", key, len(got), len(value))
	}
}

func wantNone(t *testing.T, s cache.Store, key string) {
	t.Helper()
	if got, err := s.Get(t.Context(), key); err != nil || got != nil {
		t.Fatalf("Get(%q) = %q, %v, want nil, nil", key, got, err)
	}
}

func storeMissing(t *testing.T, s cache.Store) { wantNone(t, s, fresh()) }

// oddBytes are values and messages that a text protocol could trip over.
func oddBytes() [][]byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	large := make([]byte, 128<<10)
	rand.Read(large)
	return [][]byte{{}, {0}, all, []byte("a\r\n$5\r\n%s%n"), []byte("nil"), large}
}

func storeRoundTrip(t *testing.T, s cache.Store) {
	for _, value := range oddBytes() {
		key := fresh()
		set(t, s, key, value, time.Minute)
		want(t, s, key, value)
	}
}

func storeKeys(t *testing.T, s cache.Store) {
	base := fresh()
	keys := []string{base, base + " ", base + "\r\nDEL x", base + "\x00", base + "%s*?[a]", base + "{a}", base + "é\xff", base + ":" + base}
	for i, key := range keys {
		set(t, s, key, []byte{byte(i)}, time.Minute)
	}
	for i, key := range keys {
		want(t, s, key, []byte{byte(i)})
	}
}

func storeCopies(t *testing.T, s cache.Store) {
	key, value := fresh(), []byte("value")
	set(t, s, key, value, time.Minute)
	value[0] = 'x'
	want(t, s, key, []byte("value"))
	got, err := s.Get(t.Context(), key)
	if err != nil || len(got) == 0 {
		t.Fatalf("Get = %q, %v", got, err)
	}
	got[0] = 'x'
	want(t, s, key, []byte("value"))
}

func storeOverwrite(t *testing.T, s cache.Store) {
	key := fresh()
	for _, value := range []string{"first", "", "the second, which is longer", "3"} {
		set(t, s, key, []byte(value), time.Minute)
		want(t, s, key, []byte(value))
	}
}

func storeDelete(t *testing.T, s cache.Store) {
	key, other := fresh(), fresh()
	set(t, s, key, []byte("value"), time.Minute)
	set(t, s, other, []byte("other"), time.Minute)
	for range 2 { // the second time it is not there
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatalf("Delete: %v", err)
		}
		wantNone(t, s, key)
	}
	want(t, s, other, []byte("other"))
}

// untilNone waits for the value to run out.
func untilNone(t *testing.T, s cache.Store, key string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got, err := s.Get(t.Context(), key)
		if err != nil {
			t.Fatalf("Get: %v", err)
		}
		if got == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("Get(%q) = %q, long after its time", key, got)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func storeExpiry(t *testing.T, s cache.Store) {
	short, long := fresh(), fresh()
	set(t, s, short, []byte("short"), 200*time.Millisecond)
	set(t, s, long, []byte("long"), time.Hour)
	untilNone(t, s, short)
	want(t, s, long, []byte("long"))
	set(t, s, short, []byte("again"), time.Hour)
	want(t, s, short, []byte("again"))
	tiny := fresh()
	set(t, s, tiny, []byte("tiny"), time.Nanosecond) // positive, so no error
	untilNone(t, s, tiny)
}

func storeRenew(t *testing.T, s cache.Store) {
	renewed, other := fresh(), fresh()
	set(t, s, renewed, []byte("value"), time.Second)
	set(t, s, other, []byte("value"), time.Second)
	set(t, s, renewed, []byte("value"), time.Hour)
	untilNone(t, s, other)
	want(t, s, renewed, []byte("value"))
	set(t, s, renewed, []byte("value"), 200*time.Millisecond)
	untilNone(t, s, renewed)
}

func storeContext(t *testing.T, s cache.Store) {
	set(t, s, fresh(), []byte("value"), time.Minute) // it is connected now
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	key := fresh()
	for _, ctx := range []context.Context{cancelled, expired} {
		for name, method := range map[string]func() error{
			"Get":    func() error { _, err := s.Get(ctx, key); return err },
			"Set":    func() error { return s.Set(ctx, key, []byte("value"), time.Minute) },
			"Delete": func() error { return s.Delete(ctx, key) },
		} {
			prompt(t, name, method)
		}
	}
}

// prompt checks that a method returns within a second.
func prompt(t *testing.T, name string, method func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- method() }()
	select {
	case <-done: // with an error or with luck: both are allowed
	case <-time.After(time.Second):
		t.Fatalf("%s did not return within a second of its context", name)
	}
}

func storeConcurrent(t *testing.T, s cache.Store) {
	const workers, rounds = 8, 40
	shared := fresh()
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			own := fresh()
			for round := range rounds {
				value := fmt.Appendf(nil, "value-%d-%d", worker, round)
				for _, key := range []string{own, shared} {
					if err := s.Set(t.Context(), key, value, time.Minute); err != nil {
						t.Errorf("Set: %v", err)
						return
					}
				}
				if got, err := s.Get(t.Context(), own); err != nil || !bytes.Equal(got, value) {
					t.Errorf("Get = %q, %v, want %q", got, err, value)
					return
				}
				if got, err := s.Get(t.Context(), shared); err != nil || !bytes.HasPrefix(got, []byte("value-")) {
					t.Errorf("Get = %q, %v, want a value of one of the writers", got, err)
					return
				}
			}
			if err := s.Delete(t.Context(), own); err != nil {
				t.Errorf("Delete: %v", err)
			}
		})
	}
	group.Wait()
}
