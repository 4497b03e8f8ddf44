// Package limittest says whether an [authserver.Limiter] is right. Adapters
// run it from their tests:
//
//	func TestLimiter(t *testing.T) {
//		limittest.Test(t, func(t *testing.T) authserver.Limiter { return open(t) })
//	}
package limittest

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// Test checks everything that a limiter must keep. open returns a limiter
// that has counted nothing yet. The limiter has to use the real time, of which
// the test takes about a second. Run it with the race detector as well.
func Test(t *testing.T, open func(t *testing.T) authserver.Limiter) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.f(t.Context(), open(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

var checks = []struct {
	name string
	f    func(context.Context, authserver.Limiter) error
}{
	{"BurstThenWait", burstThenWait},
	{"ZeroUnitsUseNothing", zeroUnits},
	{"AllOrNone", allOrNone},
	{"UnitsComeBack", unitsComeBack},
	{"KeysAreApart", keysAreApart},
	{"WaitIsTrue", waitIsTrue},
	{"ExactlyTheBurstUnderConcurrency", exactBurst},
	{"NeverMoreThanTheRateUnderConcurrency", exactRate},
}

// slow gives nothing back during a test.
func slow(burst int) authserver.Rate {
	return authserver.Rate{Count: 1, Per: time.Hour, Burst: burst}
}

func key(client string) authserver.LimitKey {
	return authserver.LimitKey{What: "test", Client: client, Address: netip.MustParsePrefix("192.0.2.1/32")}
}

// takes checks whether n units are there.
func takes(ctx context.Context, l authserver.Limiter, k authserver.LimitKey, n int, rate authserver.Rate, want bool) error {
	wait, err := l.Take(ctx, k, n, rate)
	if err != nil {
		return err
	}
	if got := wait == 0; got != want {
		return fmt.Errorf("Take(%+v, %d, %+v) = %v, want granted: %v", k, n, rate, wait, want)
	}
	return nil
}

func burstThenWait(ctx context.Context, l authserver.Limiter) error {
	for range 3 {
		if err := takes(ctx, l, key("a"), 1, slow(3), true); err != nil {
			return err
		}
	}
	wait, err := l.Take(ctx, key("a"), 1, slow(3))
	if err != nil {
		return err
	}
	if wait <= 59*time.Minute || wait > time.Hour {
		return fmt.Errorf("the wait is %v, not almost an hour", wait)
	}
	// To have asked in vain does not make it longer.
	again, err := l.Take(ctx, key("a"), 1, slow(3))
	if err == nil && again > wait {
		err = fmt.Errorf("the wait went from %v to %v", wait, again)
	}
	return err
}

func zeroUnits(ctx context.Context, l authserver.Limiter) error {
	for range 5 {
		if err := takes(ctx, l, key("a"), 0, slow(1), true); err != nil {
			return err
		}
	}
	if err := takes(ctx, l, key("a"), 1, slow(1), true); err != nil {
		return err
	}
	return takes(ctx, l, key("a"), 0, slow(1), false)
}

func allOrNone(ctx context.Context, l authserver.Limiter) error {
	for _, step := range []struct {
		n    int
		want bool
	}{{6, false}, {3, true}, {3, false}, {2, true}, {1, false}} {
		if err := takes(ctx, l, key("a"), step.n, slow(5), step.want); err != nil {
			return err
		}
	}
	return nil
}

func unitsComeBack(ctx context.Context, l authserver.Limiter) error {
	for _, step := range []struct {
		n    int
		want bool
	}{{-5, true}, {5, true}, {-2, true}, {2, true}, {1, false}, {-9, true}, {6, false}, {5, true}, {0, false}} {
		if err := takes(ctx, l, key("a"), step.n, slow(5), step.want); err != nil {
			return err
		}
	}
	return nil
}

func keysAreApart(ctx context.Context, l authserver.Limiter) error {
	a, b := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/64")
	for _, k := range []authserver.LimitKey{
		{}, {What: "ab"}, {What: "a", Client: "b"}, {Client: "ab"}, {What: "a", Client: "b", Address: a}, {What: "a", Client: "b", Address: b},
		{What: "a", Address: a}, {Client: "a\x00"}, {What: "a\x00"}, {Client: "b\r\n"}, {Client: "{b}"}, {Client: "é\xff"},
		{What: "a", Address: netip.MustParsePrefix("2001:db8::/48")},
	} {
		if err := takes(ctx, l, k, 1, slow(1), true); err != nil {
			return err
		}
		if err := takes(ctx, l, k, 1, slow(1), false); err != nil {
			return err
		}
	}
	return nil
}

func waitIsTrue(ctx context.Context, l authserver.Limiter) error {
	rate := authserver.Rate{Count: 10, Per: time.Second, Burst: 1}
	if err := takes(ctx, l, key("a"), 1, rate, true); err != nil {
		return err
	}
	wait, err := l.Take(ctx, key("a"), 1, rate)
	if err != nil {
		return err
	}
	if wait <= 0 || wait > rate.Interval() {
		return fmt.Errorf("the wait is %v, not up to %v", wait, rate.Interval())
	}
	<-time.After(wait + time.Millisecond)
	return takes(ctx, l, key("a"), 1, rate, true)
}

// workers is how many ask at a time.
const workers = 64

func exactBurst(ctx context.Context, l authserver.Limiter) error {
	granted, err := together(func() (bool, error) {
		wait, err := l.Take(ctx, key("a"), 1, slow(100))
		return wait == 0, err
	}, 10)
	if err == nil && granted != 100 {
		err = fmt.Errorf("%d of a burst of 100 were granted", granted)
	}
	return err
}

// exactRate counts for a fifth of a second what a rate lets through.
func exactRate(ctx context.Context, l authserver.Limiter) error {
	const burst, perSecond = 50, 2000
	rate := authserver.Rate{Count: perSecond, Per: time.Second, Burst: burst}
	start := time.Now()
	end := start.Add(time.Second / 5)
	var total int64
	for time.Now().Before(end) {
		granted, err := together(func() (bool, error) {
			wait, err := l.Take(ctx, key("a"), 1, rate)
			return wait == 0, err
		}, 20)
		if err != nil {
			return err
		}
		total += granted
	}
	// A clock that counts microseconds, and one more for the moment itself.
	took := time.Since(start) + time.Millisecond
	most := burst + int64(took.Seconds()*perSecond) + 1
	if total > most {
		return fmt.Errorf("%d were granted in %v, more than %d", total, took, most)
	}
	if least := int64(burst + perSecond/20); total < least {
		return fmt.Errorf("only %d were granted in %v: it gives nothing back", total, took)
	}
	return nil
}

// together has the workers call f n times each, and returns how often it was
// true.
func together(f func() (bool, error), n int) (int64, error) {
	var granted atomic.Int64
	var failed error
	var once sync.Once
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range n {
				ok, err := f()
				if err != nil {
					once.Do(func() { failed = err })
					return
				}
				if ok {
					granted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return granted.Load(), failed
}
