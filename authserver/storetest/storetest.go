// Package storetest says whether an [authserver.Store] is right. Adapters run
// it from their tests:
//
//	func TestStore(t *testing.T) {
//		storetest.Test(t, func(t *testing.T) authserver.Store { return open(t) })
//	}
package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

// Test checks everything that a store must keep. open returns an empty store
// each time; it may register its clean-up with the t it is given. Run it with
// the race detector as well.
func Test(t *testing.T, open func(t *testing.T) authserver.Store) {
	t.Helper()
	run(&tester{t}, func(t T) authserver.Store { return open(t.(*tester).T) })
}

// TestReopen checks that a durable store still has after a restart what it
// had before. reopen closes a store and opens it again on the same data.
func TestReopen(t *testing.T, open func(t *testing.T) authserver.Store, reopen func(t *testing.T, s authserver.Store) authserver.Store) {
	t.Helper()
	testReopen(&tester{t},
		func(t T) authserver.Store { return open(t.(*tester).T) },
		func(t T, s authserver.Store) authserver.Store { return reopen(t.(*tester).T, s) })
}

// T is the part of [testing.T] that the kit needs; that it fails where it
// should is tested with another implementation.
type T interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Run(name string, f func(T)) bool
}

type tester struct{ *testing.T }

func (t *tester) Run(name string, f func(T)) bool {
	return t.T.Run(name, func(t *testing.T) { f(&tester{t}) })
}

type opener func(T) authserver.Store

func run(t T, open opener) {
	t.Helper()
	for _, test := range []struct {
		name string
		f    func(T, authserver.Store)
	}{
		{"RoundTrip", testRoundTrip},
		{"UnknownIsNotFound", testUnknown},
		{"CollisionIsRefused", testCollision},
		{"BatchIsAllOrNothing", testBatch},
		{"RandomKeys", testRandom},
		{"SpendOnce", testSpendOnce},
		{"SpendKeepsTheOrderOfRefusals", testSpendOrder},
		{"SpendYields", testSpendYields},
		{"SpendIsAllOrNothing", testSpendAtomic},
		{"SpendWithGrace", testGrace},
		{"SpendAndKeep", testKeep},
		{"SpendExactlyOnceUnderConcurrency", testSpendConcurrently},
		{"CreateExactlyOnceUnderConcurrency", testCreateConcurrently},
		{"RevokeBySelector", testRevoke},
		{"RevokeRefusesTheZeroSelector", testRevokeZero},
		{"RevokedFamilyStaysRevokedUnderConcurrency", testRevokeConcurrently},
		{"ExpiredIsKeptUntilDeleted", testExpired},
		{"DeleteExpired", testDeleteExpired},
		{"CancelledContext", testCancelled},
		{"KeyRingIsOneForAllServers", testKeyRing},
	} {
		t.Run(test.name, func(t T) { test.f(t, open(t)) })
	}
}

// epoch is when the tests take place. It is not a whole second, as stores
// must keep more than those.
var epoch = time.Date(2030, 1, 2, 3, 4, 5, 678901000, time.UTC)

func key(name string) authserver.Key { return authserver.KeyOf("storetest " + name) }

// record returns a record with every field set.
func record(name string) authserver.Record {
	return authserver.Record{
		Key: key(name), Kind: "access", Family: "family of " + name,
		Client: "client", Subject: "subject é 世界",
		Scopes: scopes.Set{"read", "a:b"}, Audience: []string{"https://api.example.com/x", "other"},
		Issued: epoch, NotBefore: epoch.Add(time.Millisecond), Expires: epoch.Add(time.Hour),
		Extra: json.RawMessage(`{"a":["\u0000",1e3],"ü":null}`),
	}
}

// plain returns a record with nothing set that may be left out.
func plain(name string) authserver.Record {
	return authserver.Record{Key: key(name), Kind: "other", Client: "c"}
}

func must(t T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func create(t T, s authserver.Store, records ...authserver.Record) {
	t.Helper()
	must(t, s.Create(t.Context(), records...))
}

// has fails the test unless the store has exactly this record.
func has(t T, s authserver.Store, want authserver.Record) {
	t.Helper()
	got, err := s.Get(t.Context(), want.Key)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	same(t, got, want)
}

func lacks(t T, s authserver.Store, name string) {
	t.Helper()
	wantErr(t, authserver.ErrNotFound, func() error {
		_, err := s.Get(t.Context(), key(name))
		return err
	})
}

// same compares two records as far as a store has to keep them.
func same(t T, got, want authserver.Record) {
	t.Helper()
	normalize(&got)
	normalize(&want)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got record\n%s\nwant\n%s", show(got), show(want))
	}
}

func normalize(r *authserver.Record) {
	for _, at := range []*time.Time{&r.Issued, &r.NotBefore, &r.Expires, &r.Spent} {
		if !at.IsZero() {
			*at = at.UTC().Truncate(time.Microsecond)
		}
	}
	if len(r.Scopes) == 0 {
		r.Scopes = nil
	}
	if len(r.Audience) == 0 {
		r.Audience = nil
	}
	if len(r.Extra) == 0 {
		r.Extra = nil
	}
}

func show(r authserver.Record) string {
	r.Scopes, r.Audience = slices.Clone(r.Scopes), slices.Clone(r.Audience)
	return fmt.Sprintf("%+v extra %s", r, r.Extra)
}
