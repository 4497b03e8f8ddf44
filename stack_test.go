package sneck_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/cache/cachetest"
	"github.com/sneckauth/sneck/introspect"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// The tests here are of the whole way of a request, over real connections.

// A stack is a guard with everything behind it.
type stack struct {
	client *introspect.Client
	cache  *cache.Cache
	guard  *middleware.Guard
}

func newStack(t testing.TB, ask introspect.Config, remember cache.Config, guard middleware.Config) *stack {
	s := &stack{}
	var err error
	s.client, err = introspect.New(ask)
	require.NoError(t, err)
	t.Cleanup(func() { s.client.Close() })
	remember.Verifier = s.client
	s.cache, err = cache.New(remember)
	require.NoError(t, err)
	t.Cleanup(func() { s.cache.Close() })
	guard.Verifier = s.cache
	s.guard, err = middleware.New(guard)
	require.NoError(t, err)
	return s
}

// get serves a request with the token and returns the status.
func get(h http.Handler, token string) int {
	r := httptest.NewRequest("GET", "/notes", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// inParallel calls f with 1 to n.
func inParallel(n int, f func(i int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				f(int(i))
			}
		})
	}
	group.Wait()
}

// A flood of distinct garbage reaches neither the authority beyond its rate
// nor those whose tokens are known.
func TestFloodReachesNeitherTheAuthorityNorOthers(t *testing.T) {
	const warm, rate = 10_000, 50
	garbage := 100_000
	if testing.Short() {
		garbage = 20_000
	}
	if n := os.Getenv("SNECK_TEST_FLOOD"); n != "" {
		var err error
		garbage, err = strconv.Atoi(n)
		require.NoError(t, err)
	}
	var calls atomic.Int64
	authority := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		w.Header().Set("Content-Type", "application/json")
		if token := r.PostFormValue("token"); strings.HasPrefix(token, "good-") {
			fmt.Fprintf(w, `{"active":true,"sub":%q,"aud":"api","scope":"notes:read","exp":%d}`, token, time.Now().Add(time.Hour).Unix())
			return
		}
		fmt.Fprint(w, `{"active":false}`)
	}))
	defer authority.Close()
	began := time.Now()
	s := newStack(t,
		introspect.Config{Endpoint: authority.URL, Credential: introspect.Basic("api", "secret"), Rate: rate, Burst: warm},
		cache.Config{TTL: time.Hour},
		middleware.Config{Audience: []string{"api"}})
	h := s.guard.Require(scopes.All("notes:read"))(admitted)

	inParallel(warm, func(i int) { get(h, "good-"+strconv.Itoa(i)) })
	var let atomic.Int64
	inParallel(garbage, func(i int) {
		if get(h, "garbage-"+strconv.Itoa(i)) == http.StatusOK {
			let.Add(1)
		}
	})
	allowed := int64(warm + rate*time.Since(began).Seconds() + 1)
	before, asked := s.cache.Stats().Hits, calls.Load()
	var ok atomic.Int64
	inParallel(warm, func(i int) {
		if get(h, "good-"+strconv.Itoa(i)) == http.StatusOK {
			ok.Add(1)
		}
	})
	hits := s.cache.Stats().Hits - before
	t.Logf("%d garbage tokens: %d calls where the rate allows %d; %d of %d good tokens from memory, %d admitted",
		garbage, asked, allowed, hits, warm, ok.Load())
	assert.Zero(t, let.Load())
	assert.LessOrEqual(t, asked, allowed)
	assert.GreaterOrEqual(t, hits, uint64(warm*99/100))
}

// gather is an io.Writer for many goroutines.
type gather struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (g *gather) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.Write(p)
}

func (g *gather) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.String()
}

// Whatever happens to a request, neither its token nor our secret is in
// anything that the process writes, returns or stores.
func TestTokensAndSecretsAreWrittenNowhere(t *testing.T) {
	srv := authtest.NewServer(t)
	good, other := srv.Token(t, "notes:read"), srv.Token(t, "other")
	garbage := "garbage.0123456789.abcdef"
	for name, authority := range map[string]http.Handler{
		"well":      nil,
		"forbidden": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusUnauthorized) }),
		"broken":    http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }),
		// An authority that repeats what it was asked.
		"parrot": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, r.Header.Get("Authorization")+r.PostFormValue("token"), http.StatusBadRequest)
		}),
		"JSON parrot": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"active":%q}`, r.PostFormValue("token"))
		}),
	} {
		t.Run(name, func(t *testing.T) {
			var out gather
			log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}))
			shared := cachetest.NewMemory()
			s := newStack(t,
				introspect.Config{Endpoint: srv.URL + "/introspect", Credential: introspect.Basic(srv.ResourceServer.ID, srv.ResourceServer.Secret), Logger: log},
				cache.Config{TTL: time.Minute, StaleIfError: time.Minute, Logger: log, Shared: &cache.Shared{Store: shared, Bus: shared, Namespace: "n", Secret: make([]byte, 32)}},
				middleware.Config{Audience: []string{authtest.Audience}, Logger: log, ErrorWithScopes: true, Observe: func(_ context.Context, d middleware.Decision) {
					fmt.Fprintf(&out, "%v %+v %#v %v\n", d, d, d, d.Err)
				}})
			h := s.guard.Require(scopes.All("notes:read"))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, "%+v %#v", sneck.FromContext(r.Context()), sneck.FromContext(r.Context()))
			}))
			srv.Intercept(authority)
			defer srv.Intercept(nil)
			for _, header := range []string{
				"Bearer " + good, "Bearer " + other, "Bearer " + garbage, "bearer  " + good, "Bearer " + good + "," + other, "Bearer " + good + " " + other,
				"Bearer", "Bearer " + good + "\x00", "Basic " + good, "Bearer " + strings.Repeat(garbage, 1000), good,
			} {
				for range 2 {
					r := httptest.NewRequest("GET", "/notes?access_token="+garbage, nil)
					if header != "Bearer "+garbage {
						r = httptest.NewRequest("GET", "/notes", nil)
					}
					r.Header.Set("Authorization", header)
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					fmt.Fprintln(&out, w.Code, w.Header(), w.Body)
				}
				_, err := s.cache.Verify(t.Context(), strings.TrimPrefix(header, "Bearer "))
				fmt.Fprintf(&out, "%v %+v %#v\n", err, err, err)
				for ; err != nil; err = errors.Unwrap(err) {
					fmt.Fprintf(&out, "%v %#v\n", err, err)
				}
			}
			fmt.Fprintln(&out, s.cache.Revoke(t.Context(), cache.Revocation{Token: good}), s.cache.Stats(), s.client.Stats())
			for key, value := range shared.Dump() {
				fmt.Fprintln(&out, key, string(value))
			}
			text := out.String()
			require.NotEmpty(t, text)
			for what, secret := range map[string]string{"good token": good, "other token": other, "garbage": garbage, "secret": srv.ResourceServer.Secret} {
				if at := strings.Index(text, secret); at >= 0 {
					t.Errorf("%s: the %s is in the output: %s", name, what, text[max(at-300, 0):at+20])
				}
			}
		})
	}
}
