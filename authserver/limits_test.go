package authserver_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
)

func tooMany(after string) reply {
	return refusal(429, "temporarily_unavailable", "there were too many requests, wait as long as Retry-After says", "Retry-After", after)
}

// from sends a form from an address.
func (w *world) from(address, path, form string, header ...string) reply {
	r := request(path, form, header...)
	r.RemoteAddr = address
	return send(w, r)
}

const (
	here      = "192.0.2.1:1234" // that of httptest
	elsewhere = "198.51.100.7:443"
)

var none = authserver.Rate{InsecureUnlimited: true}

// strict has failures limited as they are by default.
func strict(c *authserver.Config) { c.Limits.Failures = authserver.EndpointLimit{} }

func rate(n int) authserver.Rate { return authserver.Rate{Count: n, Per: time.Minute} }

// Every endpoint has a limit for each client and one for each address, and
// nobody uses up that of another.
func TestLimitsOfEndpoints(t *testing.T) {
	both := func(client, address authserver.Rate) authserver.EndpointLimit {
		return authserver.EndpointLimit{Client: client, Address: address}
	}
	for _, endpoint := range []struct {
		path, form   string
		client       []string
		other        []string
		set          func(*authserver.Limits, authserver.EndpointLimit)
		whoIsPublic  string
		otherAddress int
	}{
		{"/token", credentialsGrant, as("app"), as("other app"), func(l *authserver.Limits, e authserver.EndpointLimit) { l.Token = e }, "", 0},
		{"/introspect", "token=x", as("api"), as("other api"), func(l *authserver.Limits, e authserver.EndpointLimit) { l.Introspect = e }, "", 0},
		{"/revoke", "token=x", as("app"), as("api"), func(l *authserver.Limits, e authserver.EndpointLimit) { l.Revoke = e }, "spa", 0},
		{"/device_authorization", "", as("box"), nil, func(l *authserver.Limits, e authserver.EndpointLimit) { l.Device = e }, "tv", 0},
	} {
		t.Run(endpoint.path, func(t *testing.T) {
			open := func(e authserver.EndpointLimit) *world {
				return newDeviceWorld(t, func(c *authserver.Config) { endpoint.set(&c.Limits, e) })
			}
			w := open(both(rate(3), none))
			for range 3 {
				assert.Equal(t, 200, w.from(here, endpoint.path, endpoint.form, endpoint.client...).status)
			}
			assert.Equal(t, tooMany("20"), w.from(here, endpoint.path, endpoint.form, endpoint.client...))
			assert.Equal(t, tooMany("20"), w.from(elsewhere, endpoint.path, endpoint.form, endpoint.client...), "it is the client's, wherever it is")
			if endpoint.other != nil {
				assert.Equal(t, 200, w.from(here, endpoint.path, endpoint.form, endpoint.other...).status)
			}
			w.now = epoch.Add(20 * time.Second)
			assert.Equal(t, 200, w.from(here, endpoint.path, endpoint.form, endpoint.client...).status)

			// Who has not authenticated uses up nothing of the client's.
			w = open(both(rate(3), none))
			for range 9 {
				assert.Equal(t, 401, w.from(elsewhere, endpoint.path, endpoint.form, basic("app", "wrong")...).status)
			}
			assert.Equal(t, 200, w.from(here, endpoint.path, endpoint.form, endpoint.client...).status)
			if endpoint.whoIsPublic != "" {
				form := endpoint.form + "&client_id=" + endpoint.whoIsPublic
				w = open(both(rate(1), none))
				assert.Equal(t, 200, w.from(here, endpoint.path, form).status)
				assert.Equal(t, tooMany("60"), w.from(here, endpoint.path, form))
				assert.Equal(t, 200, w.from(elsewhere, endpoint.path, form).status, "each address has its own of a public client")
			}

			w = open(both(none, rate(3)))
			for range 3 {
				assert.Equal(t, 415, send(w, func() *http.Request {
					r := request(endpoint.path, endpoint.form, endpoint.client...)
					r.Header.Set("Content-Type", "text/plain")
					return r
				}()).status, "garbage counts")
			}
			assert.Equal(t, tooMany("20"), w.from(here, endpoint.path, endpoint.form, endpoint.client...))
			assert.Equal(t, 200, w.from(elsewhere, endpoint.path, endpoint.form, endpoint.client...).status)
		})
	}
}

// An IPv6 user has 2^64 addresses, which count as one.
func TestLimitsGroupIPv6(t *testing.T) {
	w := newWorld(t, func(c *authserver.Config) { c.Limits.Token.Address = rate(2) })
	assert.Equal(t, 200, w.from("[2001:db8:1:2::3]:1", "/token", credentialsGrant, as("app")...).status)
	assert.Equal(t, 200, w.from("[2001:db8:1:2:ffff::4]:2", "/token", credentialsGrant, as("app")...).status)
	assert.Equal(t, 429, w.from("[2001:db8:1:2:1:2:3:4]:3", "/token", credentialsGrant, as("app")...).status)
	assert.Equal(t, 200, w.from("[2001:db8:1:3::3]:1", "/token", credentialsGrant, as("app")...).status)
	assert.Equal(t, 200, w.from("[::ffff:192.0.2.1]:1", "/token", credentialsGrant, as("app")...).status)
	assert.Equal(t, 200, w.from("192.0.2.1:1", "/token", credentialsGrant, as("app")...).status)
	assert.Equal(t, 429, w.from("192.0.2.1:1", "/token", credentialsGrant, as("app")...).status, "the same as before in another form")
	for range 5 {
		assert.Equal(t, 200, w.from("@", "/token", credentialsGrant, as("app")...).status, "without an address nobody is limited for all")
	}
}

// Wrong secrets are refused soon; the right one is not, wherever it comes from.
func TestLimitsOfFailures(t *testing.T) {
	failed := refusal(401, "invalid_client", "client authentication failed")
	w := newWorld(t, strict)
	for range 10 {
		assert.Equal(t, failed, w.from(here, "/token", credentialsGrant, basic("app", "wrong")...))
	}
	assert.Equal(t, tooMany("6"), w.from(here, "/token", credentialsGrant, basic("app", "wrong")...))
	assert.Equal(t, tooMany("6"), w.from(here, "/introspect", "token=x", basic("app", "wrong")...), "at all endpoints together")
	assert.Equal(t, failed, w.from(elsewhere, "/token", credentialsGrant, basic("app", "wrong")...), "each address by itself")
	assert.Equal(t, failed, w.from(here, "/token", credentialsGrant, basic("other app", "wrong")...), "each client by itself")
	assert.Equal(t, issued("read"), w.from(here, "/token", credentialsGrant, as("app")...), "who knows the secret gets in")

	// Many clients, one address: a burst of 100.
	w = newWorld(t, strict)
	var statuses []int
	for i := range 120 {
		statuses = append(statuses, w.from(here, "/token", credentialsGrant, basic(fmt.Sprint("nobody-", i), "wrong")...).status)
	}
	want := make([]int, 120)
	for i := range want {
		if want[i] = 401; i >= 100 {
			want[i] = 429
		}
	}
	assert.Equal(t, want, statuses)
	assert.Equal(t, failed, w.from(elsewhere, "/token", credentialsGrant, basic("nobody", "wrong")...))
	assert.Equal(t, issued("read"), w.from(here, "/token", credentialsGrant, as("app")...), "nobody locks out others behind the same address")
	w.now = epoch.Add(time.Second)
	assert.Equal(t, failed, w.from(here, "/token", credentialsGrant, basic("nobody", "wrong")...))
}

// Where it is slow to say whether a secret is right, who has failed too often
// has to wait; but not who has been verified a moment ago.
func TestLimitsOfFailuresSpareSlowVerification(t *testing.T) {
	const chosen = "correct horse"
	hasher := &countingHasher{}
	w := newWorld(t, strict, func(c *authserver.Config) { c.SecretHasher = hasher })
	hash, err := w.HashSecret(t.Context(), chosen, false)
	require.NoError(t, err)
	withHash(t, w, hash)
	for range 10 {
		assert.Equal(t, 401, w.from(here, "/token", credentialsGrant, basic("c", "wrong horse")...).status)
	}
	assert.EqualValues(t, 10, hasher.verified.Load())
	assert.Equal(t, tooMany("6"), w.from(here, "/token", credentialsGrant, basic("c", "wrong horse")...))
	assert.Equal(t, tooMany("6"), w.from(here, "/token", credentialsGrant, basic("c", chosen)...), "nobody knows yet that this is right")
	assert.EqualValues(t, 10, hasher.verified.Load(), "nothing was verified")
	assert.Equal(t, 200, w.from(elsewhere, "/token", credentialsGrant, basic("c", chosen)...).status, "not locked out elsewhere")
	assert.Equal(t, 200, w.from(here, "/token", credentialsGrant, basic("c", chosen)...).status, "it is known to be right now")
	assert.EqualValues(t, 11, hasher.verified.Load())
}

// Guesses that come all at once are no way around the limit: they are verified
// one after the other, and counted in between. Of what comes back after that,
// no more is used either.
func TestLimitsOfFailuresWhileManyWait(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(6))
	const guesses, allowed = 60, 10
	synctest.Test(t, func(t *testing.T) {
		hasher := &countingHasher{leave: make(chan struct{})}
		w := newWorld(t, strict, func(c *authserver.Config) { c.SecretHasher = hasher })
		withHash(t, w, "$x-test$false$")
		guess := func(leave func()) map[int]int {
			statuses := make(chan int, guesses)
			for i := range guesses {
				go func() {
					statuses <- w.from(here, "/token", credentialsGrant, basic("c", fmt.Sprint("guess ", i))...).status
				}()
			}
			synctest.Wait()
			assert.EqualValues(t, 1, hasher.running.Load())
			leave()
			count := map[int]int{}
			for range guesses {
				count[<-statuses]++
			}
			return count
		}
		assert.Equal(t, map[int]int{401: allowed, 429: guesses - allowed}, guess(func() {
			for range allowed {
				hasher.leave <- struct{}{}
			}
		}))
		assert.EqualValues(t, allowed, hasher.verified.Load())
		w.now = w.now.Add(6 * time.Second)
		assert.Equal(t, map[int]int{401: 1, 429: guesses - 1}, guess(func() { hasher.leave <- struct{}{} }))
		assert.EqualValues(t, allowed+1, hasher.verified.Load())
	})
}

func TestLimitsOfUserCodes(t *testing.T) {
	w := newDeviceWorld(t)
	d := w.device(t)
	look := func(address, code string) reply {
		r := request("/device?user_code="+code, "")
		r.Method, r.RemoteAddr = http.MethodGet, address
		return send(w, r)
	}
	for range 10 {
		assert.Equal(t, 404, look(here, "BBBB-BBBB").status)
	}
	got := look(here, d.UserCode)
	assert.Equal(t, 429, got.status)
	assert.Equal(t, "6", got.header.Get("Retry-After"))
	assert.Equal(t, 200, look(elsewhere, d.UserCode).status, "who mistypes is not everybody")
	for i := range 290 {
		assert.Equal(t, 404, look(fmt.Sprintf("203.0.%d.%d:1", i%10, i), "BBBB-BBBB").status)
	}
	assert.Equal(t, 429, look(elsewhere, d.UserCode).status, "all together")
}

// A slowStore answers about records when it is released.
type slowStore struct {
	authserver.Store
	asked   atomic.Int64
	release chan struct{}
}

func (s *slowStore) Get(ctx context.Context, key authserver.Key) (authserver.Record, error) {
	s.asked.Add(1)
	<-s.release
	return s.Store.Get(ctx, key)
}

// Of many wrong codes at once no more are looked up than of one after the other,
// and an address that has to wait uses up nothing of all others.
func TestLimitsOfUserCodesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const guesses = 50
		var store slowStore
		w := newDeviceWorld(t, func(c *authserver.Config) {
			store.Store, store.release = c.Store, make(chan struct{})
			c.Store = &store
			c.Limits.AllUserCodes = rate(12)
		})
		d := w.device(t)
		look := func(address, code string) int {
			r := request("/device?user_code="+code, "")
			r.Method, r.RemoteAddr = http.MethodGet, address
			return send(w, r).status
		}
		statuses := make(chan int, guesses)
		for range guesses {
			go func() { statuses <- look(here, "BBBB-BBBB") }()
		}
		synctest.Wait()
		assert.EqualValues(t, 10, store.asked.Load())
		close(store.release)
		count := map[int]int{}
		for range guesses {
			count[<-statuses]++
		}
		assert.Equal(t, map[int]int{404: 10, 429: guesses - 10}, count)
		for range 20 {
			require.Equal(t, 200, look(elsewhere, d.UserCode), "right ones do not count")
		}
		assert.Equal(t, []int{404, 404, 429}, []int{look(elsewhere, "BBBB-BBBB"), look(elsewhere, "BBBB-BBBB"), look(elsewhere, "BBBB-BBBB")})
		w.now = w.now.Add(10 * time.Second) // two for all
		assert.Equal(t, []int{404, 404, 429}, []int{look("203.0.113.1:1", "BBBB-BBBB"), look("203.0.113.1:1", "BBBB-BBBB"), look(elsewhere, "BBBB-BBBB")})
		w.now = w.now.Add(6 * time.Second)
		assert.Equal(t, 404, look(elsewhere, "BBBB-BBBB"), "who was refused for all keeps their own")
	})
}

// brokenLimiter is one whose database is away.
type brokenLimiter struct{ asked int }

func (b *brokenLimiter) Take(context.Context, authserver.LimitKey, int, authserver.Rate) (time.Duration, error) {
	b.asked++
	return 0, errBroken
}

func TestLimitsWithoutTheSharedLimiter(t *testing.T) {
	var log strings.Builder
	broken := &brokenLimiter{}
	w := newWorld(t, withLog(&log), func(c *authserver.Config) {
		c.Limits.Limiter, c.Limits.Token.Client = broken, rate(2)
	})
	assert.Equal(t, 200, w.post("/token", credentialsGrant, as("app")...).status)
	assert.Equal(t, 200, w.post("/token", credentialsGrant, as("app")...).status)
	assert.Equal(t, 429, w.post("/token", credentialsGrant, as("app")...).status)
	assert.Equal(t, 6, broken.asked)
	assert.Equal(t, 1, strings.Count(log.String(), `level=ERROR msg="limiter failed, each server counts for itself" cause="the disk is gone"`))
	assert.Equal(t, 1, strings.Count(log.String(), `level=WARN msg="limit reached" limit=token.client address=192.0.2.1 client=app`))
}

func TestLimitsConfig(t *testing.T) {
	m := authserver.NewMemory()
	_, err := authserver.New(authserver.Config{
		Issuer: issuer, Store: m, Clients: m,
		Limits: authserver.Limits{
			Token:        authserver.EndpointLimit{Client: authserver.Rate{Count: 1}, Address: authserver.Rate{Count: -1, Per: 1}},
			Failures:     authserver.EndpointLimit{Client: authserver.Rate{Burst: 1}, Address: authserver.Rate{InsecureUnlimited: true, Count: 1}},
			AllUserCodes: authserver.Rate{Count: 1, Per: time.Hour, Burst: 25},
		},
		Proxies: authserver.Proxies{Header: "X-Real-IP", Trusted: []netip.Prefix{{}, netip.MustParsePrefix("0.0.0.0/0")}},
	})
	const numbers = " lacks Count or Per, or is negative (hint: Rate{Count: 10, Per: time.Minute})"
	require.EqualError(t, err, strings.Join([]string{
		"authserver: Limits.Token.Client" + numbers,
		"authserver: Limits.Token.Address" + numbers,
		"authserver: Limits.Failures.Client" + numbers,
		"authserver: Limits.Failures.Address is unlimited and has numbers",
		"authserver: Limits.AllUserCodes takes more than 24h0m0s until all units are back",
		`authserver: Proxies.Header "X-Real-IP" is not known (hint: X-Forwarded-For or Forwarded)`,
		"authserver: Proxies.Trusted has an invalid prefix",
		"authserver: Proxies.Trusted has 0.0.0.0/0: then everybody may claim any address (hint: name the proxies)",
	}, "\n"))
}

func TestProxies(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, test := range []struct {
		name    string
		proxies authserver.Proxies
		peer    string
		header  []string
		want    string
	}{
		{"nobody trusted", authserver.Proxies{}, "10.0.0.1:1", []string{"X-Forwarded-For", "192.0.2.9"}, "10.0.0.1"},
		{"peer is not a proxy", authserver.Proxies{Trusted: trusted}, "192.0.2.1:1", []string{"X-Forwarded-For", "192.0.2.9"}, "192.0.2.1"},
		{"one proxy", authserver.Proxies{Trusted: trusted}, "10.0.0.1:1", []string{"X-Forwarded-For", "192.0.2.9"}, "192.0.2.9"},
		{"rightmost that is not trusted", authserver.Proxies{Trusted: trusted}, "10.0.0.1:1", []string{"X-Forwarded-For", "127.0.0.1, 192.0.2.9, 10.0.0.2"}, "192.0.2.9"},
		{"several headers", authserver.Proxies{Trusted: trusted}, "10.0.0.1:1", []string{"X-Forwarded-For", "127.0.0.1", "X-Forwarded-For", "192.0.2.9,10.0.0.3", "X-Forwarded-For", "10.0.0.2"}, "192.0.2.9"},
		{"all are proxies", authserver.Proxies{Trusted: trusted}, "10.0.0.1:1", []string{"X-Forwarded-For", "10.0.0.4, 10.0.0.2"}, "10.0.0.4"},
		{"no header", authserver.Proxies{Trusted: trusted}, "10.0.0.1:1", nil, "10.0.0.1"},
		{"garbage", authserver.Proxies{Trusted: trusted}, "10.0.0.1:1", []string{"X-Forwarded-For", "192.0.2.9, x"}, "10.0.0.1"},
		{"garbage behind a proxy", authserver.Proxies{Trusted: trusted}, "10.0.0.1:1", []string{"X-Forwarded-For", "192.0.2.9, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"empty", authserver.Proxies{Trusted: trusted}, "10.0.0.1:1", []string{"X-Forwarded-For", ""}, "10.0.0.1"},
		{"comma", authserver.Proxies{Trusted: trusted}, "10.0.0.1:1", []string{"X-Forwarded-For", "192.0.2.9,"}, "10.0.0.1"},
		{"with port", authserver.Proxies{Trusted: trusted}, "10.0.0.1:1", []string{"X-Forwarded-For", "192.0.2.9:443"}, "192.0.2.9"},
		{"IPv6", authserver.Proxies{Trusted: trusted}, "[fd00::1%eth0]:1", []string{"X-Forwarded-For", "[2001:db8::1]:443, 2001:db8::2"}, "2001:db8::2"},
		{"IPv4 in IPv6", authserver.Proxies{Trusted: trusted}, "[::ffff:10.0.0.1]:1", []string{"X-Forwarded-For", "::ffff:192.0.2.9"}, "192.0.2.9"},
		{"Unix socket", authserver.Proxies{Trusted: trusted}, "@", []string{"X-Forwarded-For", "192.0.2.9"}, "192.0.2.9"},
		{"Unix socket, nobody trusted", authserver.Proxies{}, "@", []string{"X-Forwarded-For", "192.0.2.9"}, "invalid IP"},
		{"the other header", authserver.Proxies{Trusted: trusted}, "10.0.0.1:1", []string{"Forwarded", "for=192.0.2.9"}, "10.0.0.1"},
		{"Forwarded", authserver.Proxies{Trusted: trusted, Header: "Forwarded"}, "10.0.0.1:1", []string{"Forwarded", `for=127.0.0.1;proto=http, by=x;For="[2001:db8::1]:443"`}, "2001:db8::1"},
		{"Forwarded, unknown", authserver.Proxies{Trusted: trusted, Header: "Forwarded"}, "10.0.0.1:1", []string{"Forwarded", `for=192.0.2.9, for=unknown`}, "10.0.0.1"},
		{"Forwarded, obscured", authserver.Proxies{Trusted: trusted, Header: "Forwarded"}, "10.0.0.1:1", []string{"Forwarded", `for=_hidden, for=10.0.0.2`}, "10.0.0.2"},
		{"Forwarded, what a client wrote as the host", authserver.Proxies{Trusted: trusted, Header: "Forwarded"}, "10.0.0.1:1", []string{"Forwarded", `proto=http;host="a,for=6.6.6.6";for=192.0.2.9`}, "192.0.2.9"},
		{"Forwarded, the same behind", authserver.Proxies{Trusted: trusted, Header: "Forwarded"}, "10.0.0.1:1", []string{"Forwarded", `for=192.0.2.9;host="a, for=6.6.6.6;x=y"`}, "192.0.2.9"},
		{"Forwarded, another parameter", authserver.Proxies{Trusted: trusted, Header: "Forwarded"}, "10.0.0.1:1", []string{"Forwarded", `host="a;for=6.6.6.6";for=192.0.2.9`}, "192.0.2.9"},
		{"Forwarded, quotes in quotes", authserver.Proxies{Trusted: trusted, Header: "Forwarded"}, "10.0.0.1:1", []string{"Forwarded", `host="a\\\",for=6.6.6.6;b\"";for=192.0.2.9`}, "192.0.2.9"},
		{"Forwarded, a quote that a client left open", authserver.Proxies{Trusted: trusted, Header: "Forwarded"}, "10.0.0.1:1", []string{"Forwarded", `for="6.6.6.6, for=192.0.2.9`}, "192.0.2.9"},
		{"Forwarded, one that is not closed", authserver.Proxies{Trusted: trusted, Header: "Forwarded"}, "10.0.0.1:1", []string{"Forwarded", `for=6.6.6.6, for=192.0.2.9;host="a\"`}, "10.0.0.1"},
		{"Forwarded, twice in one", authserver.Proxies{Trusted: trusted, Header: "Forwarded"}, "10.0.0.1:1", []string{"Forwarded", `for=6.6.6.6;for=192.0.2.9`}, "10.0.0.1"},
		{"Forwarded, nothing for", authserver.Proxies{Trusted: trusted, Header: "Forwarded"}, "10.0.0.1:1", []string{"Forwarded", `proto=https`}, "10.0.0.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := request("/token", "", test.header...)
			r.RemoteAddr = test.peer
			if test.proxies.Header == "" {
				test.proxies.Header = "X-Forwarded-For"
			}
			assert.Equal(t, test.want, test.proxies.Address(r).String())
		})
	}
	// A client behind a proxy is limited by its own address.
	w := newWorld(t, func(c *authserver.Config) {
		c.Proxies.Trusted, c.Limits.Token.Address = trusted, rate(1)
	})
	for i, want := range []int{200, 200, 429} {
		got := w.from("10.0.0.1:1", "/token", credentialsGrant, append(as("app"), "X-Forwarded-For", fmt.Sprintf("1.1.1.%d, 192.0.2.%d", i, min(i, 1)))...)
		assert.Equal(t, want, got.status, i)
	}
}

func FuzzProxies(f *testing.F) {
	f.Add("192.0.2.9, 10.0.0.2", "10.0.0.1:1")
	f.Add(`for="[2001:db8::1]:443";by=x, for=unknown`, "[fd00::1]:1")
	f.Add(",,;=\"", "@")
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, value, peer string) {
		for _, header := range []string{"X-Forwarded-For", "Forwarded"} {
			r := request("/token", "", header, value)
			r.RemoteAddr = peer
			got := authserver.Proxies{Trusted: trusted, Header: header}.Address(r)
			without := authserver.Proxies{}.Address(r)
			if without.IsValid() && !trusted[0].Contains(without) {
				assert.Equal(t, without, got, "who is not trusted has the address it has")
			}
			assert.False(t, got.Is4In6())
			assert.Empty(t, got.Zone())
		}
	})
}

// The memory is bounded, and a flood of new keys does not free those that are
// over their limit.
func TestMemoryLimiterUnderAFlood(t *testing.T) {
	now := epoch
	l := authserver.NewMemoryLimiter(1<<10, func() time.Time { return now })
	guesser := authserver.LimitKey{What: "failure", Client: "c", Address: netip.MustParsePrefix("192.0.2.1/32")}
	for range 10 {
		wait, err := l.Take(t.Context(), guesser, 1, rate(10))
		require.NoError(t, err)
		require.Zero(t, wait)
	}
	random := rand.New(rand.NewPCG(1, 2))
	flood := func() {
		var b [16]byte
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		wait, err := l.Take(t.Context(), authserver.LimitKey{What: "failure", Address: netip.PrefixFrom(netip.AddrFrom16(b), 64).Masked()}, 1, rate(10))
		assert.NoError(t, err)
		assert.Zero(t, wait, "each is new")
	}
	for range 100000 {
		flood()
	}
	assert.Zero(t, testing.AllocsPerRun(1000, flood))
	wait, err := l.Take(t.Context(), guesser, 1, rate(10))
	require.NoError(t, err)
	assert.Equal(t, 6*time.Second, wait, "it is still there")

	// A clock that was set back keeps nobody out for longer than the limit does.
	now = epoch.Add(-time.Hour)
	wait, err = l.Take(t.Context(), guesser, 1, rate(10))
	require.NoError(t, err)
	assert.Equal(t, 6*time.Second, wait)
}

func BenchmarkMemoryLimiter(b *testing.B) {
	l := authserver.NewMemoryLimiter(0, nil)
	fast := authserver.Rate{Count: 1 << 30, Per: time.Second}
	for name, key := range map[string]authserver.LimitKey{
		"client":  {What: "token.client", Client: "0123456789abcdefghijklmnopqrstuv"},
		"address": {What: "token.address", Address: netip.MustParsePrefix("2001:db8::/64")},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if wait, _ := l.Take(b.Context(), key, 1, fast); wait != 0 {
						b.Error(wait)
					}
				}
			})
		})
	}
	b.Run("flood of keys", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			r := rand.New(rand.NewPCG(rand.Uint64(), 1))
			for pb.Next() {
				var a [16]byte
				for i := range 8 {
					a[i] = byte(r.Uint32())
				}
				_, _ = l.Take(b.Context(), authserver.LimitKey{What: "token.address", Address: netip.PrefixFrom(netip.AddrFrom16(a), 64)}, 1, rate(10))
			}
		})
	})
}
