package limittest

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sneckauth/sneck/authserver"
)

func TestMemoryLimiter(t *testing.T) {
	Test(t, func(*testing.T) authserver.Limiter { return authserver.NewMemoryLimiter(0, nil) })
}

type takeFunc func(ctx context.Context, key authserver.LimitKey, n int, rate authserver.Rate) (time.Duration, error)

func (f takeFunc) Take(ctx context.Context, key authserver.LimitKey, n int, rate authserver.Rate) (time.Duration, error) {
	return f(ctx, key, n, rate)
}

// The kit finds what is wrong.
func TestFlawsAreFound(t *testing.T) {
	for _, flaw := range []struct {
		name  string
		open  func(*authserver.MemoryLimiter) takeFunc
		found []string
	}{
		{"allows everything", func(*authserver.MemoryLimiter) takeFunc {
			return func(context.Context, authserver.LimitKey, int, authserver.Rate) (time.Duration, error) { return 0, nil }
		}, []string{"BurstThenWait", "ZeroUnitsUseNothing", "AllOrNone", "UnitsComeBack", "KeysAreApart", "WaitIsTrue", "ExactlyTheBurstUnderConcurrency", "NeverMoreThanTheRateUnderConcurrency"}},
		{"looking costs one", func(m *authserver.MemoryLimiter) takeFunc {
			return func(ctx context.Context, key authserver.LimitKey, n int, rate authserver.Rate) (time.Duration, error) {
				if n == 0 {
					n = 1
				}
				return m.Take(ctx, key, n, rate)
			}
		}, []string{"ZeroUnitsUseNothing"}},
		{"one by one", func(m *authserver.MemoryLimiter) takeFunc {
			return func(ctx context.Context, key authserver.LimitKey, n int, rate authserver.Rate) (time.Duration, error) {
				wait, err := m.Take(ctx, key, min(n, 1), rate)
				for range n - 1 {
					wait, err = m.Take(ctx, key, 1, rate)
				}
				return wait, err
			}
		}, []string{"AllOrNone", "UnitsComeBack"}},
		{"keeps what it has", func(m *authserver.MemoryLimiter) takeFunc {
			return func(ctx context.Context, key authserver.LimitKey, n int, rate authserver.Rate) (time.Duration, error) {
				if n < 0 {
					return 0, nil
				}
				return m.Take(ctx, key, n, rate)
			}
		}, []string{"UnitsComeBack"}},
		{"forgets the address", func(m *authserver.MemoryLimiter) takeFunc {
			return func(ctx context.Context, key authserver.LimitKey, n int, rate authserver.Rate) (time.Duration, error) {
				return m.Take(ctx, authserver.LimitKey{What: key.What, Client: key.Client}, n, rate)
			}
		}, []string{"KeysAreApart"}},
		{"joins the strings", func(m *authserver.MemoryLimiter) takeFunc {
			return func(ctx context.Context, key authserver.LimitKey, n int, rate authserver.Rate) (time.Duration, error) {
				return m.Take(ctx, authserver.LimitKey{What: key.What + key.Client, Address: key.Address}, n, rate)
			}
		}, []string{"KeysAreApart"}},
		{"gives nothing back", func(m *authserver.MemoryLimiter) takeFunc {
			return func(ctx context.Context, key authserver.LimitKey, n int, rate authserver.Rate) (time.Duration, error) {
				return m.Take(ctx, key, n, authserver.Rate{Count: 1, Per: time.Hour, Burst: rate.Depth()})
			}
		}, []string{"WaitIsTrue", "NeverMoreThanTheRateUnderConcurrency"}},
		{"two at once count as one", func(*authserver.MemoryLimiter) takeFunc { return racy() },
			[]string{"UnitsComeBack", "ExactlyTheBurstUnderConcurrency", "NeverMoreThanTheRateUnderConcurrency"}},
	} {
		t.Run(flaw.name, func(t *testing.T) {
			var found []string
			for _, c := range checks {
				if c.f(t.Context(), flaw.open(authserver.NewMemoryLimiter(0, nil))) != nil {
					found = append(found, c.name)
				}
			}
			assert.Equal(t, flaw.found, found)
		})
	}
}

// racy loads the state, lets others do the same, and stores it.
func racy() takeFunc {
	var mu sync.Mutex
	full := map[authserver.LimitKey]time.Time{}
	return func(_ context.Context, key authserver.LimitKey, n int, rate authserver.Rate) (time.Duration, error) {
		now := time.Now()
		mu.Lock()
		at := full[key]
		mu.Unlock()
		if at.Before(now) {
			at = now
		}
		if n > 0 {
			runtime.Gosched() // the others may
		}
		next := at.Add(time.Duration(max(n, 1)) * rate.Interval())
		if wait := next.Sub(now) - time.Duration(rate.Depth())*rate.Interval(); wait > 0 {
			return wait, nil
		}
		if n > 0 {
			mu.Lock()
			full[key] = next
			mu.Unlock()
		}
		return 0, nil
	}
}
