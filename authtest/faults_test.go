package authtest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/introspect"
	"github.com/sneckauth/sneck/jwt"
	"github.com/sneckauth/sneck/middleware"
)

// A service is what authtest is for: a guarded handler that asks the server
// over HTTP and remembers the answers.
type service struct {
	http.Handler
	cache *cache.Cache
	past  atomic.Int64 // how far the service's clock has been set forward
}

const remembered = time.Minute

func newService(t *testing.T, srv *authtest.Server, change ...func(*middleware.Config)) *service {
	t.Helper()
	return newPatientService(t, srv, 30*time.Second, change...)
}

func newPatientService(t *testing.T, srv *authtest.Server, patience time.Duration, change ...func(*middleware.Config)) *service {
	t.Helper()
	s := &service{}
	now := func() time.Time { return time.Now().Add(time.Duration(s.past.Load())) }
	authority, err := introspect.New(introspect.Config{
		Endpoint:   srv.URL + "/introspect",
		Credential: introspect.Basic(srv.ResourceServer.ID, srv.ResourceServer.Secret),
		Timeout:    patience,
	})
	require.NoError(t, err)
	s.cache, err = cache.New(cache.Config{Verifier: authority, TTL: remembered, RefreshAfter: -1, FlightTimeout: time.Minute, Now: now})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.cache.Close()) })
	s.Handler = guarded(t, s.cache, append(change, func(c *middleware.Config) { c.Now = now })...)
	return s
}

func guarded(t *testing.T, v sneck.Verifier, change ...func(*middleware.Config)) http.Handler {
	t.Helper()
	config := middleware.Config{Verifier: v, Audience: []string{authtest.Audience}, Observe: func(_ context.Context, d middleware.Decision) { t.Log(d) }}
	for _, f := range change {
		f(&config)
	}
	guard, err := middleware.New(config)
	require.NoError(t, err)
	return guard.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Subject", sneck.FromContext(r.Context()).Subject)
	}))
}

// call returns the status, and who the handler has seen or what the client
// reads about the refusal.
func call(h http.Handler, token string) string {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	answer := []string{http.StatusText(w.Code), w.Header().Get("Subject")}
	if after := w.Header().Get("Retry-After"); after != "" {
		answer = append(answer, "retry after "+after)
	}
	return strings.Join(strings.Fields(strings.Join(answer, " ")), " ")
}

func TestDown(t *testing.T) {
	srv := authtest.NewServer(t)
	api := newService(t, srv)
	warm, unknown := srv.Issue(t, sneck.Token{Subject: "ann"}), srv.Issue(t, sneck.Token{Subject: "bob"})
	assert.Equal(t, "OK ann", call(api, warm))

	srv.Down()
	assert.Equal(t, "OK ann", call(api, warm), "what is remembered needs no server")
	assert.Equal(t, "Service Unavailable retry after 1", call(api, unknown))
	assert.Equal(t, "Service Unavailable retry after 1", call(guarded(t, srv), warm), "in the same process, too")
	_, err := http.Get(srv.URL)
	require.Error(t, err)

	srv.Up()
	assert.Equal(t, "OK bob", call(api, unknown))
	assert.Equal(t, "OK ann", call(guarded(t, srv), warm))
}

func TestSlow(t *testing.T) {
	srv := authtest.NewServer(t)
	token := srv.Issue(t, sneck.Token{Subject: "ann"})

	srv.Slow(time.Hour)
	began := time.Now()
	assert.Equal(t, "Service Unavailable retry after 1", call(newPatientService(t, srv, 100*time.Millisecond), token))
	assert.Less(t, time.Since(began), 30*time.Second, "the service does not wait longer than it is told to")

	const d = 20 * time.Millisecond
	srv.Slow(d)
	began = time.Now()
	assert.Equal(t, "OK ann", call(newService(t, srv), token))
	assert.GreaterOrEqual(t, time.Since(began), d)
	began = time.Now()
	assert.Equal(t, "OK ann", call(guarded(t, srv), token))
	assert.GreaterOrEqual(t, time.Since(began), d)
	srv.Up()
}

// A test may end while requests wait for a slow server.
func TestSlowEndsWithTheTest(t *testing.T) {
	var got error
	done := make(chan struct{})
	t.Run("test", func(t *testing.T) {
		srv := authtest.NewServer(t)
		srv.Slow(time.Hour)
		arrived := srv.Introspections()
		go func() {
			defer close(done)
			_, got = http.Post(srv.URL+"/introspect", "", nil)
		}()
		assert.Eventually(t, func() bool { return srv.Introspections() > arrived }, 10*time.Second, time.Millisecond)
	})
	<-done
	require.Error(t, got)
}

func TestRevoke(t *testing.T) {
	srv := authtest.NewServer(t)
	api := newService(t, srv)
	token, other := srv.Issue(t, sneck.Token{Subject: "ann"}), srv.IssueJWT(t, sneck.Token{Subject: "bob"})
	assert.Equal(t, "OK ann", call(api, token))
	assert.Equal(t, "OK bob", call(api, other))
	srv.Revoke(t, token)
	srv.Revoke(t, other)
	assert.Equal(t, "Unauthorized", call(guarded(t, srv), token), "the server knows at once")

	assert.Equal(t, "OK ann", call(api, token), "it is remembered")
	require.NoError(t, api.cache.Revoke(t.Context(), cache.Revocation{Token: token}))
	assert.Equal(t, "Unauthorized", call(api, token), "at once if the cache is told")

	assert.Equal(t, "OK bob", call(api, other))
	api.past.Store(int64(remembered))
	// A cache may still be writing what it was told a moment ago, by the real
	// clock.
	assert.Eventually(t, func() bool { return call(api, other) == "Unauthorized" }, 10*time.Second, time.Millisecond, "after the TTL in any case")
}

func TestAdvance(t *testing.T) {
	srv := authtest.NewServer(t)
	api := newService(t, srv)
	token := srv.Issue(t, sneck.Token{Subject: "ann", Expires: time.Now().Add(30 * time.Second)})
	srv.Advance(29 * time.Second)
	assert.Equal(t, "OK ann", call(guarded(t, srv), token))
	srv.Advance(2 * time.Second)
	assert.Equal(t, "Unauthorized", call(api, token))
}

func TestRotateKeys(t *testing.T) {
	srv := authtest.NewServer(t)
	verifier, err := jwt.New(jwt.Config{Issuers: []jwt.Issuer{{ID: srv.URL}}, Fetch: jwt.Fetch{UnknownKeyInterval: time.Nanosecond}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, verifier.Close()) })
	api := guarded(t, verifier)
	before := srv.IssueJWT(t, sneck.Token{Subject: "ann"})
	assert.Equal(t, "OK ann", call(api, before))
	assert.Zero(t, srv.Introspections())

	srv.RotateKeys()
	assert.Equal(t, "OK ann", call(api, before), "nobody has told the service")
	after := srv.IssueJWT(t, sneck.Token{Subject: "bob"})
	assert.Equal(t, "OK bob", call(api, after), "the new key is fetched when it is seen")
	assert.Equal(t, "Unauthorized", call(api, before), "and the old one is gone")

	srv.Down()
	assert.Equal(t, "OK bob", call(api, after))
	srv.RotateKeys()
	assert.Equal(t, "Service Unavailable retry after 1", call(api, srv.IssueJWT(t, sneck.Token{})))
}
