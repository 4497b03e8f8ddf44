package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sneckauth/sneck/authserver"
)

// A recorder is a T that remembers which tests failed.
type recorder struct {
	ctx    context.Context
	name   string
	failed bool
	mu     *sync.Mutex
	list   *[]string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Errorf(string, ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.failed {
		r.failed = true
		*r.list = append(*r.list, r.name)
	}
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Run(name string, f func(T)) bool {
	sub := &recorder{ctx: r.ctx, name: name, mu: r.mu, list: r.list}
	var wg sync.WaitGroup
	wg.Go(func() { f(sub) })
	wg.Wait()
	return !sub.failed
}

func failures(ctx context.Context, open func() authserver.Store) []string {
	list := []string{}
	run(&recorder{ctx: ctx, mu: new(sync.Mutex), list: &list}, func(T) authserver.Store { return open() })
	return list
}

// A flawed store is a good one with one method replaced.
type flawed struct {
	*authserver.Memory
	create func(context.Context, ...authserver.Record) error
	get    func(context.Context, authserver.Key) (authserver.Record, error)
	spend  func(context.Context, authserver.Spend) (authserver.Record, error)
	revoke func(context.Context, authserver.Selector) (int64, error)
	clean  func(context.Context, time.Time, int) (int64, error)
}

func (f *flawed) Create(ctx context.Context, r ...authserver.Record) error {
	if f.create != nil {
		return f.create(ctx, r...)
	}
	return f.Memory.Create(ctx, r...)
}

func (f *flawed) Get(ctx context.Context, k authserver.Key) (authserver.Record, error) {
	if f.get != nil {
		return f.get(ctx, k)
	}
	return f.Memory.Get(ctx, k)
}

func (f *flawed) Spend(ctx context.Context, s authserver.Spend) (authserver.Record, error) {
	if f.spend != nil {
		return f.spend(ctx, s)
	}
	return f.Memory.Spend(ctx, s)
}

func (f *flawed) Revoke(ctx context.Context, s authserver.Selector) (int64, error) {
	if f.revoke != nil {
		return f.revoke(ctx, s)
	}
	return f.Memory.Revoke(ctx, s)
}

func (f *flawed) DeleteExpired(ctx context.Context, before time.Time, limit int) (int64, error) {
	if f.clean != nil {
		return f.clean(ctx, before, limit)
	}
	return f.Memory.DeleteExpired(ctx, before, limit)
}

func TestKitFindsFlaws(t *testing.T) {
	assert.Empty(t, failures(t.Context(), func() authserver.Store { return &flawed{Memory: authserver.NewMemory()} }))

	for _, flaw := range []struct {
		name  string
		found string // the test that has to fail
		make  func(m *authserver.Memory, f *flawed)
	}{
		{"keeps whole seconds only", "RoundTrip", func(m *authserver.Memory, f *flawed) {
			f.create = func(ctx context.Context, records ...authserver.Record) error {
				for i := range records {
					records[i].Issued = records[i].Issued.Truncate(time.Second)
				}
				return m.Create(ctx, records...)
			}
		}},
		{"loses the not-before time", "RoundTrip", func(m *authserver.Memory, f *flawed) {
			f.get = func(ctx context.Context, k authserver.Key) (authserver.Record, error) {
				r, err := m.Get(ctx, k)
				r.NotBefore = time.Time{}
				return r, err
			}
		}},
		{"finds what there is not", "UnknownIsNotFound", func(m *authserver.Memory, f *flawed) {
			f.get = func(ctx context.Context, k authserver.Key) (authserver.Record, error) {
				r, err := m.Get(ctx, k)
				if errors.Is(err, authserver.ErrNotFound) {
					return authserver.Record{Key: k}, nil
				}
				return r, err
			}
		}},
		{"overwrites", "CollisionIsRefused", func(m *authserver.Memory, f *flawed) {
			f.create = func(ctx context.Context, records ...authserver.Record) error {
				for _, r := range records {
					if _, err := m.Revoke(ctx, authserver.Selector{Key: r.Key}); err != nil {
						return err
					}
				}
				return m.Create(ctx, records...)
			}
		}},
		{"looks for no key beside a random one", "RandomKeys", func(m *authserver.Memory, f *flawed) {
			f.create = func(ctx context.Context, records ...authserver.Record) error {
				if !slices.ContainsFunc(records, func(r authserver.Record) bool { return r.Random }) {
					return m.Create(ctx, records...)
				}
				for _, r := range records {
					if _, err := m.Revoke(ctx, authserver.Selector{Key: r.Key}); err != nil {
						return err
					}
				}
				return m.Create(ctx, records...)
			}
		}},
		{"writes a batch one by one", "BatchIsAllOrNothing", func(m *authserver.Memory, f *flawed) {
			f.create = func(ctx context.Context, records ...authserver.Record) error {
				for _, r := range records {
					if err := m.Create(ctx, r); err != nil {
						return err
					}
				}
				return ctx.Err()
			}
		}},
		{"loads, looks, then writes", "SpendExactlyOnceUnderConcurrency", func(m *authserver.Memory, f *flawed) {
			f.spend = func(ctx context.Context, s authserver.Spend) (authserver.Record, error) {
				r, err := m.Get(ctx, s.Key)
				if err != nil || !r.Spent.IsZero() {
					return m.Spend(ctx, s)
				}
				for range 1000 {
					runtime.Gosched()
				}
				s.Grace = time.Hour
				return m.Spend(ctx, s)
			}
		}},
		{"spends first, then writes", "SpendIsAllOrNothing", func(m *authserver.Memory, f *flawed) {
			f.spend = func(ctx context.Context, s authserver.Spend) (authserver.Record, error) {
				yield := s.Yield
				s.Yield = nil
				r, err := m.Spend(ctx, s)
				if err == nil {
					err = m.Create(ctx, yield...)
				}
				return r, err
			}
		}},
		{"does not look at the expiry", "SpendKeepsTheOrderOfRefusals", func(m *authserver.Memory, f *flawed) {
			f.spend = func(ctx context.Context, s authserver.Spend) (authserver.Record, error) {
				s.Now = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
				return m.Spend(ctx, s)
			}
		}},
		{"forgives who comes too early", "SpendOnce", func(m *authserver.Memory, f *flawed) {
			f.spend = func(ctx context.Context, s authserver.Spend) (authserver.Record, error) {
				r, err := m.Get(ctx, s.Key)
				if err == nil && s.Now.Before(r.Spent) {
					s.Grace = time.Hour
				}
				return m.Spend(ctx, s)
			}
		}},
		{"has no grace", "SpendWithGrace", func(m *authserver.Memory, f *flawed) {
			f.spend = func(ctx context.Context, s authserver.Spend) (authserver.Record, error) {
				s.Grace = 0
				return m.Spend(ctx, s)
			}
		}},
		{"has a grace for ever", "SpendWithGrace", func(m *authserver.Memory, f *flawed) {
			f.spend = func(ctx context.Context, s authserver.Spend) (authserver.Record, error) {
				if s.Grace > 0 {
					s.Grace = 24 * time.Hour
				}
				return m.Spend(ctx, s)
			}
		}},
		{"spends what is to be kept", "SpendAndKeep", func(m *authserver.Memory, f *flawed) {
			f.spend = func(ctx context.Context, s authserver.Spend) (authserver.Record, error) {
				s.Keep = false
				return m.Spend(ctx, s)
			}
		}},
		{"forgets to return the spent record", "SpendOnce", func(m *authserver.Memory, f *flawed) {
			f.spend = func(ctx context.Context, s authserver.Spend) (authserver.Record, error) {
				r, err := m.Spend(ctx, s)
				if err != nil {
					return authserver.Record{}, err
				}
				return r, nil
			}
		}},
		{"takes the zero selector for all", "RevokeRefusesTheZeroSelector", func(m *authserver.Memory, f *flawed) {
			f.revoke = func(ctx context.Context, s authserver.Selector) (int64, error) {
				if s.IsZero() {
					return 0, nil
				}
				return m.Revoke(ctx, s)
			}
		}},
		{"revokes whatever has one of the fields", "RevokeBySelector", func(m *authserver.Memory, f *flawed) {
			f.revoke = func(ctx context.Context, s authserver.Selector) (int64, error) {
				if s.Client != "" {
					s = authserver.Selector{Client: s.Client}
				}
				return m.Revoke(ctx, s)
			}
		}},
		{"does not revoke what is written meanwhile", "RevokedFamilyStaysRevokedUnderConcurrency", func(m *authserver.Memory, f *flawed) {
			f.spend = func(ctx context.Context, s authserver.Spend) (authserver.Record, error) {
				yield := s.Yield
				s.Yield = nil
				r, err := m.Spend(ctx, s)
				for range 100 {
					runtime.Gosched()
				}
				if err == nil {
					err = m.Create(ctx, yield...)
				}
				return r, err
			}
		}},
		{"hides the expired", "ExpiredIsKeptUntilDeleted", func(m *authserver.Memory, f *flawed) {
			f.get = func(ctx context.Context, k authserver.Key) (authserver.Record, error) {
				r, err := m.Get(ctx, k)
				if err == nil && r.ExpiredAt(time.Now()) {
					return authserver.Record{}, authserver.ErrNotFound
				}
				return r, err
			}
		}},
		{"says too early that nothing is left", "DeleteExpired", func(m *authserver.Memory, f *flawed) {
			f.clean = func(ctx context.Context, before time.Time, limit int) (int64, error) {
				n, err := m.DeleteExpired(ctx, before, limit)
				if n < int64(limit) {
					n = 0
				}
				return n, err
			}
		}},
		{"never says that nothing is left", "DeleteExpired", func(m *authserver.Memory, f *flawed) {
			f.clean = func(ctx context.Context, before time.Time, limit int) (int64, error) {
				n, err := m.DeleteExpired(ctx, before, limit)
				return n + 1, err
			}
		}},
		{"deletes less than it says", "DeleteExpired", func(m *authserver.Memory, f *flawed) {
			left := int64(5)
			f.clean = func(ctx context.Context, before time.Time, limit int) (int64, error) {
				if left--; left < 0 {
					return 0, nil
				}
				return 5, nil
			}
		}},
		{"deletes what is still valid", "DeleteExpired", func(m *authserver.Memory, f *flawed) {
			f.clean = func(ctx context.Context, before time.Time, limit int) (int64, error) {
				return m.DeleteExpired(ctx, before.Add(time.Second), limit)
			}
		}},
		{"has no ear for the context", "CancelledContext", func(m *authserver.Memory, f *flawed) {
			f.get = func(ctx context.Context, k authserver.Key) (authserver.Record, error) {
				return m.Get(context.WithoutCancel(ctx), k)
			}
		}},
		{"does not revoke what stands alone", "KeyRingIsOneForAllServers", func(m *authserver.Memory, f *flawed) {
			f.revoke = func(ctx context.Context, s authserver.Selector) (int64, error) {
				if s.Family == "" && s.Client == "" && !s.IsZero() {
					return 1, nil
				}
				return m.Revoke(ctx, s)
			}
		}},
		{"fails a whole batch of callers for one", "CreateExactlyOnceUnderConcurrency", func(m *authserver.Memory, f *flawed) {
			var mu sync.Mutex
			collided := false
			f.create = func(ctx context.Context, records ...authserver.Record) error {
				mu.Lock()
				defer mu.Unlock()
				err := m.Create(ctx, records...)
				collided = collided || errors.Is(err, authserver.ErrExists)
				if err == nil && collided {
					return fmt.Errorf("another call has failed")
				}
				return err
			}
		}},
	} {
		t.Run(flaw.name, func(t *testing.T) {
			found := failures(t.Context(), func() authserver.Store {
				f := &flawed{Memory: authserver.NewMemory()}
				flaw.make(f.Memory, f)
				return f
			})
			assert.True(t, slices.Contains(found, flaw.found), "%s should have failed; failed: %v", flaw.found, found)
		})
	}
}

// A store that forgets is found by the test for durable ones.
func TestKitFindsForgetfulness(t *testing.T) {
	list := []string{}
	r := &recorder{ctx: t.Context(), name: "reopen", mu: new(sync.Mutex), list: &list}
	open := func(T) authserver.Store { return authserver.NewMemory() }
	r.Run("kept", func(t T) { testReopen(t, open, func(_ T, s authserver.Store) authserver.Store { return s }) })
	assert.Empty(t, list)
	r.Run("forgotten", func(t T) {
		testReopen(t, open, func(T, authserver.Store) authserver.Store { return authserver.NewMemory() })
	})
	assert.Equal(t, []string{"forgotten"}, list)
}

// A lazy registry folds case, forgets fields, replaces what is there and lists
// nothing.
type lazy struct{ *authserver.Memory }

func (l lazy) Client(ctx context.Context, id string) (*authserver.Client, error) {
	c, err := l.Memory.Client(ctx, strings.ToLower(id))
	if err != nil {
		return nil, err
	}
	less := *c
	less.RedirectURIs = nil
	return &less, nil
}

func (l lazy) CreateClient(ctx context.Context, c *authserver.Client) error {
	return l.PutClient(ctx, c)
}

func (l lazy) ListClients(context.Context, string, int) ([]*authserver.Client, error) {
	return nil, nil
}
func (l lazy) DeleteClient(context.Context, string) error { return nil }

func TestKitFindsLazyRegistry(t *testing.T) {
	list := []string{}
	runClients(&recorder{ctx: t.Context(), mu: new(sync.Mutex), list: &list}, func(T) authserver.ClientRegistry {
		return lazy{authserver.NewMemory()}
	})
	assert.Equal(t, []string{"RoundTrip", "Create", "CreateExactlyOnceUnderConcurrency", "Replace", "Delete", "List", "Change", "CancelledContext"}, list)
}

// A careless lister takes one field for the selector, and begins anew.
type careless struct{ *authserver.Memory }

func (l careless) List(_ context.Context, _ authserver.Kind, which authserver.Selector, _ authserver.Key, limit int) ([]authserver.Record, error) {
	if which.IsZero() {
		return nil, nil
	}
	return l.Memory.List(context.Background(), "", authserver.Selector{Client: which.Client, Subject: "s1"}, authserver.Key{}, limit)
}

func TestKitFindsCarelessLister(t *testing.T) {
	list := []string{}
	runLister(&recorder{ctx: t.Context(), mu: new(sync.Mutex), list: &list}, func(T) authserver.Lister {
		return careless{authserver.NewMemory()}
	})
	assert.Equal(t, []string{"ListBySelector", "ListInPieces", "ListRefusesTheZeroSelector", "ListCancelledContext"}, list)
}
