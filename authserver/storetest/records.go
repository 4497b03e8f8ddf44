package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

func wantErr(t T, want error, f func() error) {
	t.Helper()
	if err := f(); !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

func testRoundTrip(t T, s authserver.Store) {
	full, bare := record("full"), plain("bare")
	create(t, s, full, bare)
	create(t, s) // nothing to write is no mistake
	has(t, s, full)
	has(t, s, bare)

	// The caller may go on to use what it handed over and what it got.
	full.Extra[0], full.Scopes[0], full.Audience[0] = 'x', "x", "x"
	got, err := s.Get(t.Context(), full.Key)
	must(t, err)
	same(t, got, record("full"))
	if len(got.Extra) > 0 && len(got.Scopes) > 0 && len(got.Audience) > 0 {
		got.Extra[0], got.Scopes[0], got.Audience[0] = 'y', "y", "y"
	}
	has(t, s, record("full"))
}

func testUnknown(t T, s authserver.Store) {
	lacks(t, s, "nothing")
	wantErr(t, authserver.ErrNotFound, func() error {
		_, err := s.Spend(t.Context(), authserver.Spend{Key: key("nothing"), Now: epoch, Yield: []authserver.Record{plain("yield")}})
		return err
	})
	lacks(t, s, "yield")
	n, err := s.Revoke(t.Context(), authserver.Selector{Key: key("nothing")})
	must(t, err)
	if n != 0 {
		t.Errorf("revoked %d records of none", n)
	}
}

func testCollision(t T, s authserver.Store) {
	first := record("taken")
	create(t, s, first)
	second := plain("taken")
	second.Client = "somebody else"
	wantErr(t, authserver.ErrExists, func() error { return s.Create(t.Context(), second) })
	has(t, s, first)

	// A record that can no longer be used still has its key.
	old := record("old")
	old.Expires = epoch.Add(-time.Hour)
	create(t, s, old)
	wantErr(t, authserver.ErrExists, func() error { return s.Create(t.Context(), plain("old")) })
	has(t, s, old)
}

// Records that say that their keys are random are written like all others, and
// do not hide from the store that the key of another is taken.
func testRandom(t T, s authserver.Store) {
	random := func(name string) authserver.Record {
		r := record(name)
		r.Random = true
		return r
	}
	create(t, s, random("token"), plain("mark"))
	has(t, s, record("token"))
	has(t, s, plain("mark"))

	wantErr(t, authserver.ErrExists, func() error { return s.Create(t.Context(), plain("token")) })
	wantErr(t, authserver.ErrExists, func() error { return s.Create(t.Context(), random("another"), plain("mark")) })
	lacks(t, s, "another")
	wantErr(t, authserver.ErrExists, func() error {
		_, err := s.Spend(t.Context(), authserver.Spend{Key: key("token"), Now: epoch, Yield: []authserver.Record{random("another"), plain("mark")}})
		return err
	})
	lacks(t, s, "another")

	before, err := s.Spend(t.Context(), authserver.Spend{Key: key("token"), Now: epoch, Yield: []authserver.Record{random("yield"), plain("next")}})
	must(t, err)
	same(t, before, record("token"))
	has(t, s, record("yield"))
	has(t, s, plain("next"))
}

func testBatch(t T, s authserver.Store) {
	create(t, s, plain("taken"))
	wantErr(t, authserver.ErrExists, func() error {
		return s.Create(t.Context(), plain("before"), plain("taken"), plain("after"))
	})
	lacks(t, s, "before")
	lacks(t, s, "after")
	wantErr(t, authserver.ErrExists, func() error {
		return s.Create(t.Context(), plain("twin"), plain("twin"))
	})
	lacks(t, s, "twin")
	create(t, s, plain("before"), plain("after"))
}

// population writes records in all combinations of two families, clients and
// subjects, and returns their names.
func population(t T, s authserver.Store) []string {
	var names []string
	for _, family := range []string{"f1", "f2", ""} {
		for _, client := range []string{"c1", "c2"} {
			for _, subject := range []string{"s1", "s2"} {
				name := fmt.Sprintf("%s/%s/%s", family, client, subject)
				r := record(name)
				r.Family, r.Client, r.Subject = family, client, subject
				create(t, s, r)
				names = append(names, name)
			}
		}
	}
	return names
}

func testRevoke(t T, s authserver.Store) {
	for _, which := range []authserver.Selector{
		{Key: key("f1/c1/s1")},
		{Key: key("f1/c2/s1"), Client: "c1"}, // both must match
		{Family: "f1"},
		{Client: "c1"},
		{Subject: "s2"},
		{Client: "c2", Subject: "s1"},
		{Family: "f2", Client: "c1", Subject: "s1"},
		{Family: "f3"},
	} {
		names := population(t, s)
		spent := authserver.Spend{Key: key("f1/c1/s2"), Now: epoch}
		_, err := s.Spend(t.Context(), spent)
		must(t, err)

		var want int64
		var gone, left []string
		for _, name := range names {
			r, err := s.Get(t.Context(), key(name))
			must(t, err)
			if which.Match(r) {
				want++
				gone = append(gone, name)
			} else {
				left = append(left, name)
			}
		}
		n, err := s.Revoke(t.Context(), which)
		must(t, err)
		if n != want {
			t.Errorf("revoked %d records of %+v, want %d", n, which, want)
		}
		for _, name := range gone {
			lacks(t, s, name)
			wantErr(t, authserver.ErrNotFound, func() error {
				_, err := s.Spend(t.Context(), authserver.Spend{Key: key(name), Now: epoch, Grace: time.Hour, Yield: []authserver.Record{plain("y")}})
				return err
			})
			lacks(t, s, "y")
		}
		for _, name := range left {
			if _, err := s.Get(t.Context(), key(name)); err != nil {
				t.Errorf("%s is gone after revoking %+v: %v", name, which, err)
			}
		}
		// Start anew: what was revoked has never been, so its key is free.
		for _, client := range []string{"c1", "c2"} {
			_, err := s.Revoke(t.Context(), authserver.Selector{Client: client})
			must(t, err)
		}
	}
}

func testRevokeZero(t T, s authserver.Store) {
	create(t, s, plain("stays"))
	if _, err := s.Revoke(t.Context(), authserver.Selector{}); err == nil {
		t.Errorf("the zero selector is not refused")
	}
	has(t, s, plain("stays"))
}

func testExpired(t T, s authserver.Store) {
	r := record("old")
	r.Expires = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	create(t, s, r)
	has(t, s, r)
}

func testDeleteExpired(t T, s authserver.Store) {
	const expired = 25 // as in expiredThere
	for i := range expired {
		r := record(fmt.Sprint("old ", i))
		r.Expires = epoch.Add(-time.Duration(i) * time.Second) // the first just now
		if i%5 == 0 {
			r.Family, r.Subject = "", ""
		}
		create(t, s, r)
	}
	young, ever := record("young"), record("ever")
	young.Expires, ever.Expires = epoch.Add(time.Microsecond), time.Time{}
	create(t, s, young, ever)

	// Some may be kept until the young one has expired as well.
	deleteExpired(t, s, epoch)
	has(t, s, young)
	has(t, s, ever)
	deleteExpired(t, s, epoch.Add(1000*time.Hour))
	for i := range expired {
		lacks(t, s, fmt.Sprint("old ", i))
	}
	lacks(t, s, "young")
	has(t, s, ever)
	create(t, s, plain("old 0")) // its key is free again
}

// deleteExpired deletes in batches of ten until nothing is left to delete, and
// checks what the store says about it.
func deleteExpired(t T, s authserver.Store, before time.Time) {
	t.Helper()
	const limit, tooOften = 10, 1000
	there := expiredThere(t, s, before)
	counter, counts := s.(authserver.ExpiredCounter)
	var want int64
	if counts {
		var err error
		want, err = counter.CountExpired(t.Context(), before)
		must(t, err)
	}
	var total int64
	for n, calls := int64(1), 0; n > 0; calls++ {
		if calls == tooOften {
			t.Fatalf("there is no end to what is deleted")
		}
		var err error
		n, err = s.DeleteExpired(t.Context(), before, limit)
		must(t, err)
		total += n
	}
	if counts && total != want {
		t.Errorf("%d expired records were counted, and %d deleted", want, total)
	}
	if gone := there - expiredThere(t, s, before); gone != total {
		t.Errorf("%d records are gone, of %d that were deleted", gone, total)
	}
}

// expiredThere counts the records of testDeleteExpired that are still there.
func expiredThere(t T, s authserver.Store, before time.Time) (n int64) {
	t.Helper()
	names := []string{"young"}
	for i := range 25 {
		names = append(names, fmt.Sprint("old ", i))
	}
	for _, name := range names {
		if r, err := s.Get(t.Context(), key(name)); err == nil && r.ExpiredAt(before) {
			n++
		}
	}
	return n
}

func testCancelled(t T, s authserver.Store) {
	create(t, s, record("there"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, f := range map[string]func() error{
		"Create": func() error { return s.Create(ctx, plain("new")) },
		"Get":    func() error { _, err := s.Get(ctx, key("there")); return err },
		"Spend": func() error {
			_, err := s.Spend(ctx, authserver.Spend{Key: key("there"), Now: epoch})
			return err
		},
		"Revoke": func() error { _, err := s.Revoke(ctx, authserver.Selector{Key: key("there")}); return err },
		"DeleteExpired": func() error {
			_, err := s.DeleteExpired(ctx, epoch.Add(9*time.Hour), 10)
			return err
		},
	} {
		if err := f(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: got error %v", name, err)
		}
	}
	lacks(t, s, "new")
	has(t, s, record("there"))
}

func testReopen(t T, open opener, reopen func(T, authserver.Store) authserver.Store) {
	t.Helper()
	s := open(t)
	create(t, s, record("kept"), record("revoked"), record("spent"), plain("plain"))
	_, err := s.Spend(t.Context(), authserver.Spend{Key: key("spent"), Now: epoch, Yield: []authserver.Record{record("yield")}})
	must(t, err)
	_, err = s.Revoke(t.Context(), authserver.Selector{Key: key("revoked")})
	must(t, err)

	s = reopen(t, s)
	has(t, s, record("kept"))
	has(t, s, plain("plain"))
	has(t, s, record("yield"))
	lacks(t, s, "revoked")
	spent := record("spent")
	spent.Spent = epoch
	has(t, s, spent)
	wantErr(t, authserver.ErrSpent, func() error {
		_, err := s.Spend(t.Context(), authserver.Spend{Key: key("spent"), Now: epoch.Add(time.Second)})
		return err
	})
}
