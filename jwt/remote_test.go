package jwt_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/jwt"
)

// deadClient reaches nothing.
var deadClient = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("no network") })}

// A roundTrip is an http.RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// An authority is an authorization server without a network.
type authority struct {
	mu       sync.Mutex
	set      string        // the JWK Set
	status   int           // 0: 200
	delay    time.Duration // before it answers
	header   http.Header
	metadata map[string]string // by URL
	fetched  int               // key sets asked for
	asked    []string          // every URL asked for
}

func (a *authority) change(f func(*authority)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(a)
}

func (a *authority) fetches() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fetched
}

const jwksURL = "https://as.example/jwks"

func (a *authority) client() *http.Client {
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		a.mu.Lock()
		url, delay := r.URL.String(), a.delay
		body, ok := a.metadata[url]
		status := http.StatusOK
		if url == jwksURL {
			a.fetched++
			body, ok = a.set, true
			if a.status != 0 {
				status = a.status
			}
		}
		if !ok {
			status = http.StatusNotFound
		}
		a.asked = append(a.asked, url)
		header := a.header.Clone()
		a.mu.Unlock()
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	})}
}

// withKid is a signer under another key ID.
func withKid(kid string) signer {
	s := signers()["ES256"]
	s.kid = kid
	return s
}

// remote returns a Remote on an authority that serves the keys with the IDs.
func remote(t *testing.T, change func(*jwt.Fetch), kids ...string) (*authority, *jwt.Remote) {
	t.Helper()
	a := &authority{set: keysOf(kids...)}
	f := jwt.Fetch{HTTPClient: a.client()}
	if change != nil {
		change(&f)
	}
	r, err := jwt.NewJWKS(jwksURL, f)
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	return a, r
}

func keysOf(kids ...string) string {
	var keys []string
	for _, kid := range kids {
		keys = append(keys, withKid(kid).jwk(""))
	}
	return jwks(keys...)
}

// has asks for a key and names the answer: "key", "no key", "unavailable".
func has(ctx context.Context, r jwt.KeySource, kid string) string {
	k, err := r.Key(ctx, "ES256", kid)
	var unavailable *sneck.UnavailableError
	switch {
	case err == nil && k != nil && k.ID() == kid:
		return "key"
	case errors.Is(err, jwt.ErrNoKey):
		return "no key"
	case errors.As(err, &unavailable):
		return "unavailable"
	}
	return fmt.Sprint(k, err)
}

func TestRemoteFetchesOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, r := remote(t, nil, "a")
		a.change(func(a *authority) { a.delay = time.Second })
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { assert.Equal(t, "key", has(t.Context(), r, "a")) })
		}
		all.Wait()
		assert.Equal(t, 1, a.fetches())
		assert.Equal(t, jwt.Status{Fetched: time.Now().Add(-time.Second), Keys: 1}, r.Status())
	})
}

// The set is fetched again before it is too old, and nobody waits for that.
func TestRemoteRefreshesAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, r := remote(t, nil, "a")
		require.Equal(t, "key", has(t.Context(), r, "a"))
		a.change(func(a *authority) { a.delay = 4 * time.Second })
		time.Sleep(7 * time.Minute)
		require.Equal(t, "key", has(t.Context(), r, "a"))
		synctest.Wait()
		require.Equal(t, 1, a.fetches(), "too early")
		time.Sleep(70 * time.Second)
		began := time.Now()
		require.Equal(t, "key", has(t.Context(), r, "a"))
		assert.Equal(t, began, time.Now(), "it waited")
		synctest.Wait()
		assert.Equal(t, 2, a.fetches())
	})
}

func TestRJ24_Rotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, r := remote(t, nil, "a")
		require.Equal(t, "key", has(t.Context(), r, "a"))
		time.Sleep(time.Minute)
		a.change(func(a *authority) { a.set = keysOf("b") })
		assert.Equal(t, "key", has(t.Context(), r, "b"), "a new key is picked up")
		assert.Equal(t, "no key", has(t.Context(), r, "a"), "the set was replaced")
		assert.Equal(t, 2, a.fetches())

		// Without a new key the old one is gone at the latest after Refresh.
		a.change(func(a *authority) { a.set = keysOf("c") })
		time.Sleep(10*time.Minute - time.Nanosecond)
		assert.Equal(t, "key", has(t.Context(), r, "b"), "the last moment")
		synctest.Wait()
		assert.Equal(t, "no key", has(t.Context(), r, "b"))
	})
}

// However long nobody asked, a key that was withdrawn is not used.
func TestRJ24_WithdrawnWhileIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, r := remote(t, nil, "a")
		require.Equal(t, "key", has(t.Context(), r, "a"))
		a.change(func(a *authority) { a.set = keysOf("b"); a.delay = time.Second })
		time.Sleep(30 * time.Minute)
		assert.Equal(t, "no key", has(t.Context(), r, "a"))
	})
}

func TestRJ25_KeySetDown(t *testing.T) {
	for _, down := range []struct {
		name string
		how  func(*authority)
	}{
		{"500", func(a *authority) { a.status = 500 }},
		{"404", func(a *authority) { a.status = 404 }},
		{"redirect", func(a *authority) { a.status = 302 }},
		{"no answer", func(a *authority) { a.delay = time.Hour }},
		{"no keys", func(a *authority) { a.set = `{"keys":[]}` }},
		{"no usable keys", func(a *authority) { a.set = `{"keys":[{"kty":"oct","k":"AA"}]}` }},
		{"HTML", func(a *authority) { a.set = "<html>" }},
		{"nothing", func(a *authority) { a.set = "" }},
		{"too long", func(a *authority) { a.set += strings.Repeat(" ", 512<<10) }},
	} {
		t.Run(down.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, r := remote(t, nil, "a")
				require.Equal(t, "key", has(t.Context(), r, "a"))
				start := time.Now()
				a.change(down.how)
				for time.Since(start) < time.Hour-time.Second {
					time.Sleep(time.Second)
					require.Equal(t, "key", has(t.Context(), r, "a"), time.Since(start))
				}
				assert.Equal(t, "unavailable", has(t.Context(), r, "new"), "an outage is not a verdict")
				n := a.fetches()
				assert.LessOrEqual(t, n, 4+60*2, "tried too often")
				assert.Greater(t, n, 60)
				time.Sleep(10 * time.Second)
				assert.Equal(t, "unavailable", has(t.Context(), r, "a"), "past the bound")
				assert.NotZero(t, r.Status().Failures)
				assert.Error(t, r.Status().Err)

				a.change(func(a *authority) { a.set, a.status, a.delay = keysOf("a"), 0, 0 })
				time.Sleep(40 * time.Second)
				assert.Equal(t, "key", has(t.Context(), r, "a"), "it is back")
				assert.Zero(t, r.Status().Failures)
			})
		})
	}
}

// A service that starts before its issuer is not shut out for long.
func TestRemoteColdStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, r := remote(t, nil, "a")
		a.change(func(a *authority) { a.status = 503 })
		_, err := r.Key(t.Context(), "ES256", "a")
		var unavailable *sneck.UnavailableError
		require.ErrorAs(t, err, &unavailable)
		assert.Equal(t, time.Second, unavailable.RetryAfter)
		for range 1000 {
			require.Equal(t, "unavailable", has(t.Context(), r, "a"))
		}
		assert.Equal(t, 1, a.fetches(), "no herd")
		a.change(func(a *authority) { a.status = 0 })
		time.Sleep(time.Second)
		assert.Equal(t, "key", has(t.Context(), r, "a"))
	})
}

// 100,000 requests with made-up key IDs over ten minutes cause no more than
// one fetch in 30 seconds, and harm nobody.
func TestRemoteFloodOfUnknownKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, r := remote(t, nil, "a")
		var fetchedAt []time.Time
		seen := 0
		for i := range 100_000 {
			require.Equal(t, "no key", has(t.Context(), r, fmt.Sprint("made-up-", i)))
			if n := a.fetches(); n > seen {
				seen = n
				fetchedAt = append(fetchedAt, time.Now())
			}
			if i%100 == 0 {
				require.Equal(t, "key", has(t.Context(), r, "a"))
			}
			time.Sleep(6 * time.Millisecond)
		}
		assert.Len(t, fetchedAt, 20)
		for i := 1; i < len(fetchedAt); i++ {
			assert.GreaterOrEqual(t, fetchedAt[i].Sub(fetchedAt[i-1]), 30*time.Second)
		}
		a.change(func(a *authority) { a.set = keysOf("a", "b") })
		time.Sleep(30 * time.Second)
		assert.Equal(t, "key", has(t.Context(), r, "b"), "a real new key is found in the midst of it")
	})
}

// One client with one bad key ID is not worth a fetch each time.
func TestRemoteBelievesThatAKeyIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, r := remote(t, nil, "a")
		require.Equal(t, "key", has(t.Context(), r, "a"))
		time.Sleep(time.Minute)
		for range 4 {
			require.Equal(t, "no key", has(t.Context(), r, "bad"))
			time.Sleep(29 * time.Second)
		}
		assert.Equal(t, 2, a.fetches())
		time.Sleep(5 * time.Second)
		require.Equal(t, "no key", has(t.Context(), r, "bad"))
		assert.Equal(t, 3, a.fetches(), "after 2 minutes it is looked for again")
	})
}

// A key that is published while a fetch is under way is found by the next.
func TestRemotePublishedDuringAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, r := remote(t, nil, "a")
		require.Equal(t, "key", has(t.Context(), r, "a"))
		time.Sleep(9 * time.Minute)
		a.change(func(a *authority) { a.delay = time.Second })
		require.Equal(t, "key", has(t.Context(), r, "a")) // begins one in the background
		synctest.Wait()
		require.Equal(t, 2, a.fetches())
		a.change(func(a *authority) { a.set = keysOf("a", "b") }) // too late for that one
		assert.Equal(t, "key", has(t.Context(), r, "b"))
		assert.Equal(t, 3, a.fetches())
	})
}

// Whoever stops waiting does not stop the fetch for the others.
func TestRemoteWaitersLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, r := remote(t, nil, "a")
		a.change(func(a *authority) { a.delay = 2 * time.Second })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var other sync.WaitGroup
		other.Go(func() { assert.Equal(t, "key", has(t.Context(), r, "a")) })
		synctest.Wait()
		_, err := r.Key(ctx, "ES256", "a")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, "unavailable", has(ctx, r, "a"))
		other.Wait()
		assert.Equal(t, 1, a.fetches())
	})
}

func TestRemoteClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, r := remote(t, nil, "a")
		a.change(func(a *authority) { a.delay = time.Hour })
		var waiter sync.WaitGroup
		waiter.Go(func() { assert.Equal(t, "unavailable", has(t.Context(), r, "a")) })
		synctest.Wait()
		began := time.Now()
		require.NoError(t, r.Close())
		waiter.Wait()
		assert.Equal(t, began, time.Now())
		assert.Equal(t, "unavailable", has(t.Context(), r, "a"))
		require.NoError(t, r.Close(), "twice is as good as once")
		assert.Equal(t, 1, a.fetches())
	})
}

func TestRemoteCacheControl(t *testing.T) {
	for value, again := range map[string]time.Duration{
		"":                             10 * time.Minute,
		"public, max-age=120":          2 * time.Minute,
		`MAX-AGE="180"`:                3 * time.Minute,
		"max-age=0":                    time.Minute,
		"max-age=86400":                10 * time.Minute,
		"max-age=-1":                   10 * time.Minute,
		"max-age=99999999999999999999": 10 * time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			a, r := remote(t, nil, "a")
			a.change(func(a *authority) { a.header = http.Header{"Cache-Control": {value}} })
			require.Equal(t, "key", has(t.Context(), r, "a"))
			time.Sleep(time.Duration(float64(again) * 0.7))
			require.Equal(t, "key", has(t.Context(), r, "a"))
			synctest.Wait()
			assert.Equal(t, 1, a.fetches(), value)
			time.Sleep(time.Duration(float64(again) * 0.11))
			require.Equal(t, "key", has(t.Context(), r, "a"))
			synctest.Wait()
			assert.Equal(t, 2, a.fetches(), value)
		})
	}
}

func TestRemoteLogsFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		a, r := remote(t, func(f *jwt.Fetch) { f.Logger = slog.New(slog.NewTextHandler(&log, nil)) }, "a")
		a.change(func(a *authority) { a.status = 500 })
		has(t.Context(), r, "secret-kid")
		assert.Contains(t, log.String(), `level=WARN msg="key set not fetched" source=https://as.example/jwks failures=1 retry_in=1s`)
		assert.Contains(t, log.String(), "status 500")
		assert.NotContains(t, log.String(), "secret-kid")
	})
}

func TestRemoteRSAAlgorithm(t *testing.T) {
	s := signers()["PS256"]
	a, r := remote(t, func(f *jwt.Fetch) { f.RSAAlgorithm = jwt.PS256 })
	a.change(func(a *authority) { a.set = jwks(s.jwk("")) })
	k, err := r.Key(t.Context(), jwt.PS256, s.kid)
	require.NoError(t, err)
	assert.Equal(t, jwt.PS256, k.Algorithm())
	_, err = r.Key(t.Context(), jwt.RS256, s.kid)
	assert.ErrorIs(t, err, jwt.ErrNoKey)
}
