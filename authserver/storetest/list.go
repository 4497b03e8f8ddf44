package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// TestLister checks what a store that is an [authserver.Lister] must keep
// besides. open returns an empty store each time.
func TestLister(t *testing.T, open func(t *testing.T) authserver.Lister) {
	t.Helper()
	runLister(&tester{t}, func(t T) authserver.Lister { return open(t.(*tester).T) })
}

func runLister(t T, open func(T) authserver.Lister) {
	t.Helper()
	for _, test := range []struct {
		name string
		f    func(T, authserver.Lister)
	}{
		{"ListBySelector", testList},
		{"ListInPieces", testListPieces},
		{"ListRefusesTheZeroSelector", testListZero},
		{"ListCancelledContext", testListCancelled},
	} {
		t.Run(test.name, func(t T) { test.f(t, open(t)) })
	}
}

func testList(t T, s authserver.Lister) {
	names := population(t, s)
	other := record("other kind")
	other.Kind, other.Family, other.Client, other.Subject = "other", "f1", "c1", "s1"
	old := record("old and spent")
	old.Family, old.Client, old.Subject, old.Expires = "f1", "c1", "s1", epoch.Add(time.Microsecond)
	create(t, s, other, old)
	_, err := s.Spend(t.Context(), authserver.Spend{Key: old.Key, Now: epoch})
	must(t, err)

	for _, kind := range []authserver.Kind{"", "access", "other", "none"} {
		for _, which := range []authserver.Selector{
			{Key: key("f1/c1/s1")},
			{Key: key("f1/c2/s1"), Client: "c1"},
			{Family: "f1"},
			{Client: "c1"},
			{Subject: "s2"},
			{Client: "c2", Subject: "s1"},
			{Family: "f2", Client: "c1", Subject: "s1"},
			{Family: "f3"},
			{Subject: "a NUL \x00"},
		} {
			var want []authserver.Record
			for _, name := range append(names[:len(names):len(names)], "other kind", "old and spent") {
				r, err := s.Get(t.Context(), key(name))
				must(t, err)
				if which.Match(r) && (kind == "" || kind == r.Kind) {
					want = append(want, r)
				}
			}
			slices.SortFunc(want, func(a, b authserver.Record) int { return bytes.Compare(a.Key[:], b.Key[:]) })
			got, err := s.List(t.Context(), kind, which, authserver.Key{}, 100)
			must(t, err)
			if len(got) != len(want) {
				t.Fatalf("listed %d records of kind %q and %+v, want %d", len(got), kind, which, len(want))
			}
			for i := range got {
				same(t, got[i], want[i])
			}
		}
	}
}

func testListPieces(t T, s authserver.Lister) {
	population(t, s) // six of them are of c1
	var after authserver.Key
	for _, want := range []int{4, 2, 0} {
		got, err := s.List(t.Context(), "access", authserver.Selector{Client: "c1"}, after, 4)
		must(t, err)
		if len(got) != want {
			t.Fatalf("listed %d records, want %d", len(got), want)
		}
		for _, r := range got {
			if bytes.Compare(r.Key[:], after[:]) <= 0 {
				t.Fatalf("a record comes twice or out of order")
			}
			after = r.Key
		}
	}
}

func testListZero(t T, s authserver.Lister) {
	create(t, s, plain("there"))
	if _, err := s.List(t.Context(), "other", authserver.Selector{}, authserver.Key{}, 10); err == nil {
		t.Errorf("the zero selector is not refused")
	}
}

func testListCancelled(t T, s authserver.Lister) {
	create(t, s, plain("there"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.List(ctx, "", authserver.Selector{Client: "c"}, authserver.Key{}, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("List with a cancelled context: got error %v", err)
	}
}
