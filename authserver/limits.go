package authserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"
)

// Limits says how often clients and addresses may ask. Who asks more often is
// answered with 429 and Retry-After. The zero value of each rate stands for
// its default.
//
// A limit must not be a means to lock others out. So the requests of a client
// are counted after it has authenticated; those of public clients, which do
// not, for each address apart. And a secret that is right and quickly
// verified is accepted however many wrong ones there were: only who fails is
// refused, and who would cost a slow verification.
type Limits struct {
	// Token, Introspect, Revoke and Device are for the endpoints; Device is
	// where devices ask for codes. The defaults only keep a program that has
	// gone wild from wearing out the store: 1,000 tokens a second for each
	// client, 10,000 introspections, as a resource server may ask about every
	// request it gets, 1,000 revocations, and one device code after a burst
	// of 60, as a person has to type each; for each address, where there may
	// be many clients, twice as much.
	Token, Introspect, Revoke, Device EndpointLimit
	// Failures is for failed authentication: of a client at one address, and
	// of all at one address, administrators among them. A client is never refused for what failed
	// elsewhere. The defaults are 10 a minute, and 60 a minute after a burst
	// of 100.
	Failures EndpointLimit
	// UserCodes is for wrong codes of devices from one address; zero means 10
	// a minute. AllUserCodes is for those of all addresses together, as such
	// a code has no more than 34 random bits; zero means 300 a minute, with
	// which to hit one of a thousand codes in use takes five weeks.
	UserCodes, AllUserCodes Rate

	// Limiter counts; nil means a MemoryLimiter, for this process alone.
	Limiter Limiter
}

// An EndpointLimit has a rate for each client, and one for each address, where
// requests are counted before anybody has authenticated.
type EndpointLimit struct{ Client, Address Rate }

// PerSecond is a limit of n in a second for each client, and of twice as many
// for each address, after a burst of five times as many.
func PerSecond(n int) EndpointLimit {
	return EndpointLimit{
		Client:  Rate{Count: n, Per: time.Second, Burst: 5 * n},
		Address: Rate{Count: 2 * n, Per: time.Second, Burst: 10 * n},
	}
}

// prepare fills in the defaults, and returns every mistake.
func (l *Limits) prepare(now func() time.Time) error {
	var errs []error
	set := func(name string, rate *Rate, standard Rate) {
		if *rate == (Rate{}) {
			*rate = standard
		}
		if err := rate.Check(); err != nil {
			errs = append(errs, fmt.Errorf("authserver: Limits.%s %w", name, err))
		}
	}
	device := EndpointLimit{Rate{Count: 1, Per: time.Second, Burst: 60}, Rate{Count: 2, Per: time.Second, Burst: 120}}
	failures := EndpointLimit{Rate{Count: 10, Per: time.Minute}, Rate{Count: 60, Per: time.Minute, Burst: 100}}
	for _, e := range []struct {
		name     string
		limit    *EndpointLimit
		standard EndpointLimit
	}{
		{"Token", &l.Token, PerSecond(1000)},
		{"Introspect", &l.Introspect, PerSecond(10000)},
		{"Revoke", &l.Revoke, PerSecond(1000)},
		{"Device", &l.Device, device},
		{"Failures", &l.Failures, failures},
	} {
		set(e.name+".Client", &e.limit.Client, e.standard.Client)
		set(e.name+".Address", &e.limit.Address, e.standard.Address)
	}
	set("UserCodes", &l.UserCodes, failures.Client)
	set("AllUserCodes", &l.AllUserCodes, Rate{Count: 300, Per: time.Minute})
	if l.Limiter == nil {
		l.Limiter = NewMemoryLimiter(DefaultLimitKeys, now)
	}
	return errors.Join(errs...)
}

// A limit is an EndpointLimit with the names that its keys have, and events.
type limit struct {
	EndpointLimit
	client, address string
}

func named(what string, e EndpointLimit) limit { return limit{e, what + ".client", what + ".address"} }

// limits are those of a server.
type limits struct{ token, introspect, revoke, device, failure, userCode limit }

func (l *Limits) named() limits {
	return limits{
		token: named("token", l.Token), introspect: named("introspect", l.Introspect), revoke: named("revoke", l.Revoke),
		device: named("device", l.Device), failure: named("failure", l.Failures),
		userCode: limit{EndpointLimit{Client: l.AllUserCodes, Address: l.UserCodes}, "user_code.all", "user_code.address"},
	}
}

// take uses n units of a limit, and returns a limitError if they are not there.
func (s *Server) take(ctx context.Context, key LimitKey, n int, rate Rate) error {
	if rate.InsecureUnlimited {
		return nil
	}
	wait, err := s.config.Limits.Limiter.Take(ctx, key, n, rate)
	if err != nil {
		if s.firstThisMinute(ctx, "limiter") {
			s.config.Logger.LogAttrs(ctx, slog.LevelError, "limiter failed, each server counts for itself", cause(err))
		}
		wait, _ = s.local.Take(ctx, key, n, rate)
	}
	if wait <= 0 {
		return nil
	}
	return &limitError{key: key, wait: wait}
}

// A counted is one unit of a limit.
type counted struct {
	key  LimitKey
	rate Rate
}

// try uses one of each, or none, before what is limited is looked at: of many
// guesses at once no more get through than of one after the other. If it was no
// wrong one, back gives the units back.
func (s *Server) try(r *http.Request, units ...counted) (back func(), err error) {
	ctx := context.WithoutCancel(r.Context())
	var took []counted
	back = func() {
		for _, c := range took {
			_ = s.take(ctx, c.key, -1, c.rate)
		}
	}
	for _, c := range units {
		if err := s.take(ctx, c.key, 1, c.rate); err != nil {
			back()
			return nil, s.tooMany(r, err)
		}
		took = append(took, c)
	}
	return back, nil
}

// A limitError says that a limit is reached.
type limitError struct {
	key  LimitKey
	wait time.Duration
}

func (e *limitError) Error() string {
	return fmt.Sprintf("limit %s is reached for %v", e.key.What, e.wait)
}

// limitAddress counts a request that has not authenticated yet.
func (s *Server) limitAddress(r *http.Request, l *limit) error {
	return s.tooMany(r, s.takeAddress(r, l, 1))
}

// takeAddress limits nobody whose address is not known: it would be all such
// together.
func (s *Server) takeAddress(r *http.Request, l *limit, n int) error {
	from := Network(s.address(r))
	if !from.IsValid() {
		return nil
	}
	return s.take(r.Context(), LimitKey{What: l.address, Address: from}, n, l.Address)
}

// limitClient counts a request of a client.
func (s *Server) limitClient(r *http.Request, l *limit, c *Client) error {
	key := LimitKey{What: l.client, Client: c.ID}
	if c.Public() {
		key.Address = Network(s.address(r)) // anybody can say to be this client
	}
	return s.tooMany(r, s.take(r.Context(), key, 1, l.Client))
}

// limitFailure counts what has failed with 401. It returns the error to be
// answered.
func (s *Server) limitFailure(r *http.Request, form Form, err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Status != http.StatusUnauthorized {
		return err
	}
	claimed := claimedID(r.Header, form)
	if !e.counted {
		if limited := s.failures(r, claimed, 1); limited != nil {
			return limited
		}
	}
	s.observeFailure(r, claimed, e)
	return err
}

// failures uses n units of the limits for failed authentication.
func (s *Server) failures(r *http.Request, claimed string, n int) error {
	l := &s.limits.failure
	err := s.takeAddress(r, l, n)
	if claimed != "" {
		err = cmp.Or(s.take(r.Context(), s.failureKey(r, claimed), n, l.Client), err)
	}
	return s.tooMany(r, err)
}

// failureKey is what failures of who says to be a client are counted by.
func (s *Server) failureKey(r *http.Request, claimed string) LimitKey {
	return LimitKey{s.limits.failure.client, claimed, Network(s.address(r))}
}

// Failed counts a request that did not authenticate at something beside the
// server's endpoints, such as its administration, for the address that it came
// from: see Limits.Failures. It returns how long whoever sent it has to wait
// before they try again; zero if the limit is not reached. Who does authenticate
// is to be let in all the same, so that nobody can lock others out.
func (s *Server) Failed(r *http.Request) (wait time.Duration) {
	var limited *limitError
	if errors.As(s.takeAddress(r, &s.limits.failure, 1), &limited) {
		s.observeLimit(r, limited)
		return limited.wait
	}
	return 0
}

// claimedID returns who the client says it is, if it is possible.
func claimedID(header http.Header, form Form) string {
	c, err := readCredentials(header, form)
	if err != nil {
		c.id = form.Get("client_id")
	}
	if !validID(c.id) {
		return ""
	}
	return c.id
}

// tooMany turns the error of a limit into an answer, and reports it.
func (s *Server) tooMany(r *http.Request, err error) error {
	if err == nil {
		return nil
	}
	var limited *limitError
	if !errors.As(err, &limited) {
		return err
	}
	s.observeLimit(r, limited)
	return &Error{
		Code: codeUnavailable, Description: "there were too many requests, wait as long as Retry-After says",
		Status: http.StatusTooManyRequests, Err: err, retryAfter: limited.wait,
	}
}

// address returns the address of who sent the request; invalid if it is not
// known.
func (s *Server) address(r *http.Request) netip.Addr { return s.config.Proxies.Address(r) }
