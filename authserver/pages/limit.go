package pages

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// Limits says how many passwords and passkeys can be tried. Whoever tries too
// many has to wait, and nobody else:
//
//   - a browser that has signed in to the account before has a count of its
//     own, so that others can not lock out its owner;
//   - anybody else counts by account and address, and by address alone.
//
// The name of an account counts whether it exists or not, so that the limit
// tells nothing about that. A right password ends the count of its account,
// and is not counted for its address. The zero value of each rate stands for
// its default.
type Limits struct {
	// Browser is for the passwords of an account from a browser that it knows;
	// zero means 10 in 15 minutes.
	Browser authserver.Rate
	// Account is for the passwords of an account from one address; zero means
	// 10 in 15 minutes.
	Account authserver.Rate
	// Address is for the passwords of all accounts from one address; zero means
	// 50 in 15 minutes.
	Address authserver.Rate
	// Passkeys is for the passkeys that are asked for from one address; zero
	// means 300 in 15 minutes.
	Passkeys authserver.Rate

	// Limiter counts; nil means a MemoryLimiter, for this process alone. It can
	// be that of the server.
	Limiter authserver.Limiter
}

// The names of the limits, in keys and events.
const (
	limitBrowser  = "sign_in.browser"
	limitAccount  = "sign_in.account"
	limitAddress  = "sign_in.address"
	limitPasskeys = "passkey.address"
)

// localKeys is how many keys the site's own limiter remembers.
const localKeys = 1 << 14

// prepare fills in the defaults, and returns every mistake.
func (l *Limits) prepare(now func() time.Time) error {
	var errs []error
	for _, e := range []struct {
		name     string
		rate     *authserver.Rate
		standard int
	}{{"Browser", &l.Browser, 10}, {"Account", &l.Account, 10}, {"Address", &l.Address, 50}, {"Passkeys", &l.Passkeys, 300}} {
		if *e.rate == (authserver.Rate{}) {
			*e.rate = authserver.Rate{Count: e.standard, Per: 15 * time.Minute}
		}
		if err := e.rate.Check(); err != nil {
			errs = append(errs, fmt.Errorf("pages: Limits.%s %w", e.name, err))
		}
	}
	if l.Limiter == nil {
		l.Limiter = authserver.NewMemoryLimiter(authserver.DefaultLimitKeys, now)
	}
	return errors.Join(errs...)
}

// A counted is one unit of a limit.
type counted struct {
	key  authserver.LimitKey
	rate authserver.Rate
}

// A try is what was counted before a password or passkey is looked at. So of
// many at once no more get through than of one after the other.
type try struct {
	site *Site
	took []counted
	// wait is how long to wait before the next; zero if this one may go on.
	wait time.Duration
	// reached is the limit for which to wait.
	reached authserver.LimitKey
}

// tryPassword counts a try. browser is what identifies one that is known to
// the account, else empty.
func (s *Site) tryPassword(ctx context.Context, username, browser string, from netip.Addr) try {
	l, name := &s.config.Limits, strings.ToLower(username)
	if browser != "" {
		return s.try(ctx, counted{authserver.LimitKey{What: limitBrowser, Client: nameless(name + " " + browser)}, l.Browser})
	}
	address := authserver.Network(from)
	return s.try(ctx,
		counted{authserver.LimitKey{What: limitAccount, Client: nameless(name), Address: address}, l.Account},
		counted{authserver.LimitKey{What: limitAddress, Address: address}, l.Address})
}

// tryPasskey counts the beginning of signing in with a passkey.
func (s *Site) tryPasskey(ctx context.Context, from netip.Addr) try {
	return s.try(ctx, counted{authserver.LimitKey{What: limitPasskeys, Address: authserver.Network(from)}, s.config.Limits.Passkeys})
}

// nameless identifies what people have typed without repeating it: some type
// their password where their name belongs.
func nameless(s string) string {
	key := authserver.KeyOf("limit " + s)
	return hex.EncodeToString(key[:16])
}

// try uses one unit of each, or none.
func (s *Site) try(ctx context.Context, units ...counted) try {
	t := try{site: s}
	for _, c := range units {
		if t.wait = s.take(ctx, c, 1); t.wait > 0 {
			t.reached = c.key
			for _, c := range t.took {
				s.take(ctx, c, -1)
			}
			return t
		}
		t.took = append(t.took, c)
	}
	return t
}

// succeeded takes a try back that was a good one: the tries at this account
// count no more, those from the address do.
func (t try) succeeded(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	for i, c := range t.took {
		n := 1
		if i == 0 {
			n = c.rate.Depth()
		}
		t.site.take(ctx, c, -n)
	}
}

// take asks the limiter, and one of its own if that fails.
func (s *Site) take(ctx context.Context, c counted, n int) time.Duration {
	if c.rate.InsecureUnlimited {
		return 0
	}
	wait, err := s.config.Limits.Limiter.Take(ctx, c.key, n, c.rate)
	if err == nil {
		return wait
	}
	if s.firstThisMinute(ctx, authserver.LimitKey{What: "log.limiter"}) {
		s.config.Logger.LogAttrs(ctx, slog.LevelError, "limiter failed, each server counts for itself", slog.Any("cause", err))
	}
	wait, _ = s.local.Take(ctx, c.key, n, c.rate) // it never fails
	return wait
}

// firstThisMinute reports whether something that would fill the log or the
// audit has not happened for a minute.
func (s *Site) firstThisMinute(ctx context.Context, what authserver.LimitKey) bool {
	wait, _ := s.local.Take(ctx, what, 1, authserver.Rate{Count: 1, Per: time.Minute})
	return wait == 0
}

// tooMany tells the browser how long to wait, and reports that once a minute.
func (t try) tooMany(w http.ResponseWriter, r *http.Request, subject string) {
	w.Header().Set("Retry-After", strconv.Itoa(int(t.wait/time.Second)+1))
	key := t.reached
	key.What = "event." + key.What
	if t.site.firstThisMinute(r.Context(), key) {
		// It is refused anyway.
		_ = t.site.record(r, authserver.Event{Kind: authserver.EventRateLimited, Subject: subject, Reason: t.reached.What})
	}
}
