package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

func testSpendOnce(t T, s authserver.Store) {
	create(t, s, record("code"))
	before, err := s.Spend(t.Context(), authserver.Spend{Key: key("code"), Now: epoch})
	must(t, err)
	same(t, before, record("code"))
	after := record("code")
	after.Spent = epoch
	has(t, s, after)
	got, err := s.Spend(t.Context(), authserver.Spend{Key: key("code"), Now: epoch.Add(time.Second)})
	if !errors.Is(err, authserver.ErrSpent) {
		t.Fatalf("second spend: got error %v, want %v", err, authserver.ErrSpent)
	}
	same(t, got, after)
	has(t, s, after)
	// Of two at the same time the later one may have been the first.
	_, err = s.Spend(t.Context(), authserver.Spend{Key: key("code"), Now: epoch.Add(-time.Second), Yield: []authserver.Record{plain("late")}})
	if !errors.Is(err, authserver.ErrSpent) {
		t.Errorf("spend again with an earlier time: got error %v, want %v", err, authserver.ErrSpent)
	}
	lacks(t, s, "late")
}

func testSpendOrder(t T, s authserver.Store) {
	create(t, s, record("taken"), record("used"))
	taken := []authserver.Record{record("taken")}
	_, err := s.Spend(t.Context(), authserver.Spend{Key: key("used"), Now: epoch})
	must(t, err)

	used := record("used")
	used.Spent = epoch
	for _, step := range []struct {
		name string
		key  string
		now  time.Time
		want error
	}{
		{"unknown, yield taken", "nothing", epoch, authserver.ErrNotFound},
		{"expired now, spent, yield taken", "used", used.Expires, authserver.ErrExpired},
		{"spent, yield taken", "used", used.Expires.Add(-time.Microsecond), authserver.ErrSpent},
	} {
		got, err := s.Spend(t.Context(), authserver.Spend{Key: key(step.key), Now: step.now, Yield: taken})
		if !errors.Is(err, step.want) {
			t.Errorf("%s: got error %v, want %v", step.name, err, step.want)
		}
		if step.want != authserver.ErrNotFound {
			same(t, got, used)
		}
	}
}

func testSpendYields(t T, s authserver.Store) {
	create(t, s, record("code"))
	access, refresh := record("access"), record("refresh")
	_, err := s.Spend(t.Context(), authserver.Spend{Key: key("code"), Now: epoch, Yield: []authserver.Record{access, refresh}})
	must(t, err)
	has(t, s, access)
	has(t, s, refresh)
	_, err = s.Spend(t.Context(), authserver.Spend{Key: key("code"), Now: epoch, Yield: []authserver.Record{plain("more")}})
	if !errors.Is(err, authserver.ErrSpent) {
		t.Errorf("second spend: got error %v", err)
	}
	lacks(t, s, "more")
	// What was yielded can be spent in turn.
	_, err = s.Spend(t.Context(), authserver.Spend{Key: key("refresh"), Now: epoch, Yield: []authserver.Record{plain("more")}})
	must(t, err)
	has(t, s, plain("more"))
}

func testSpendAtomic(t T, s authserver.Store) {
	create(t, s, record("code"), record("taken"))
	for _, yield := range [][]authserver.Record{
		{plain("new"), plain("taken")},
		{plain("new"), plain("new")},
		{plain("new"), plain("code")},
	} {
		wantErr(t, authserver.ErrExists, func() error {
			_, err := s.Spend(t.Context(), authserver.Spend{Key: key("code"), Now: epoch, Yield: yield})
			return err
		})
		lacks(t, s, "new")
		has(t, s, record("code"))
	}
	_, err := s.Spend(t.Context(), authserver.Spend{Key: key("code"), Now: epoch, Yield: []authserver.Record{plain("new")}})
	must(t, err)
	has(t, s, record("taken"))
}

func testGrace(t T, s authserver.Store) {
	create(t, s, record("refresh"))
	spend := func(name string, after, grace time.Duration) error {
		_, err := s.Spend(t.Context(), authserver.Spend{
			Key: key("refresh"), Now: epoch.Add(after), Grace: grace, Yield: []authserver.Record{record(name)},
		})
		return err
	}
	must(t, spend("first", 0, 0))
	must(t, spend("second", 9*time.Second, 10*time.Second))
	must(t, spend("third", 10*time.Second-time.Microsecond, 10*time.Second))
	must(t, spend("earlier", -time.Second, 10*time.Second))
	wantErr(t, authserver.ErrSpent, func() error { return spend("late", 10*time.Second, 10*time.Second) })
	wantErr(t, authserver.ErrSpent, func() error { return spend("late", 0, 0) })
	for _, name := range []string{"first", "second", "third", "earlier"} {
		has(t, s, record(name))
	}
	lacks(t, s, "late")
	spent := record("refresh")
	spent.Spent = epoch // of the first time, so the grace ends
	has(t, s, spent)
}

func testKeep(t T, s authserver.Store) {
	create(t, s, record("refresh"))
	keep := authserver.Spend{Key: key("refresh"), Now: epoch, Keep: true}
	for i := range 3 {
		keep.Yield = []authserver.Record{plain(fmt.Sprint("access ", i))}
		_, err := s.Spend(t.Context(), keep)
		must(t, err)
		has(t, s, keep.Yield[0])
	}
	has(t, s, record("refresh"))
	_, err := s.Spend(t.Context(), authserver.Spend{Key: key("refresh"), Now: epoch})
	must(t, err)
	keep.Yield = []authserver.Record{plain("more")}
	wantErr(t, authserver.ErrSpent, func() error {
		_, err := s.Spend(t.Context(), keep)
		return err
	})
	lacks(t, s, "more")
}

// callers is how many goroutines do the same thing at once.
const callers = 64

// together runs f in many goroutines that start at the same time.
func together(f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range callers {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

func testSpendConcurrently(t T, s authserver.Store) {
	for round := range 4 {
		code := fmt.Sprint("code ", round)
		create(t, s, record(code))
		var won atomic.Int64
		together(func(i int) {
			_, err := s.Spend(t.Context(), authserver.Spend{
				Key: key(code), Now: epoch, Yield: []authserver.Record{plain(fmt.Sprint(code, " yield ", i))},
			})
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, authserver.ErrSpent):
				t.Errorf("concurrent spend: got error %v", err)
			}
		})
		if won.Load() != 1 {
			t.Errorf("%d callers have spent the same record", won.Load())
		}
		there := 0
		for i := range callers {
			if _, err := s.Get(t.Context(), key(fmt.Sprint(code, " yield ", i))); err == nil {
				there++
			}
		}
		if there != 1 {
			t.Errorf("%d callers have written what the record yields", there)
		}
	}
}

func testCreateConcurrently(t T, s authserver.Store) {
	var won atomic.Int64
	together(func(i int) {
		// Half of them collide, and must not take the others down.
		if i%2 == 0 {
			if err := s.Create(t.Context(), plain(fmt.Sprint("own ", i))); err != nil {
				t.Errorf("concurrent create: got error %v", err)
			}
			return
		}
		switch err := s.Create(t.Context(), plain(fmt.Sprint("side ", i)), plain("same")); {
		case err == nil:
			won.Add(1)
		case !errors.Is(err, authserver.ErrExists):
			t.Errorf("concurrent create: got error %v", err)
		}
	})
	if won.Load() != 1 {
		t.Errorf("%d callers have created the same record", won.Load())
	}
	sides := 0
	for i := range callers {
		if i%2 == 0 {
			has(t, s, plain(fmt.Sprint("own ", i)))
		} else if _, err := s.Get(t.Context(), key(fmt.Sprint("side ", i))); err == nil {
			sides++
		}
	}
	if sides != 1 {
		t.Errorf("%d callers have written a part of what was refused", sides)
	}
}

// One caller revokes a family while others rotate its tokens. When it is
// done, nothing of the family may be left, nor appear later.
func testRevokeConcurrently(t T, s authserver.Store) {
	for round := range 4 {
		family := fmt.Sprint("family ", round)
		name := func(i, generation int) string { return fmt.Sprint(family, " ", i, " ", generation) }
		member := func(i, generation int) authserver.Record {
			r := record(name(i, generation))
			r.Family = family
			return r
		}
		const generations = 5
		for i := range callers {
			create(t, s, member(i, 0))
		}
		together(func(i int) {
			if i == 0 {
				if _, err := s.Revoke(t.Context(), authserver.Selector{Family: family}); err != nil {
					t.Errorf("revoke a family: %v", err)
				}
				return
			}
			for g := range generations {
				_, err := s.Spend(t.Context(), authserver.Spend{
					Key: key(name(i, g)), Now: epoch, Yield: []authserver.Record{member(i, g+1)},
				})
				if errors.Is(err, authserver.ErrNotFound) {
					return
				}
				if err != nil {
					t.Errorf("rotate while the family is revoked: %v", err)
				}
			}
		})
		for i := range callers {
			for g := range generations + 1 {
				lacks(t, s, name(i, g))
			}
		}
	}
}
