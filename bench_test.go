package sneck_test

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// The two kinds of token that the promises are about: an opaque one of 48
// characters, and a JWT of 850.
var benchTokens = []struct{ name, token string }{
	{"opaque", strings.Repeat("opaque42", 6)},
	{"jwt", "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9." + strings.Repeat("x", 466) + "." + strings.Repeat("y", 342)},
}

func benchVerdict(context.Context, string) (*sneck.Token, error) {
	return &sneck.Token{
		Issuer: "https://as.example", Subject: "alice", ClientID: "app", Audience: []string{"https://api.example"},
		Scopes: scopes.MustParse("notes:read notes:write profile"), Expires: time.Now().Add(time.Hour),
	}, nil
}

// BenchmarkHit is the whole way of a request whose token is remembered: guard,
// cache, scopes, and the handler with the token in its context. It has to
// stay within 1.25 times BenchmarkFloor, with at most 2 allocations.
func BenchmarkHit(b *testing.B) {
	for _, kind := range benchTokens {
		b.Run(kind.name, func(b *testing.B) {
			benchServe(b, benchGuard(b).Require(scopes.All("notes:read"))(admitted), kind.token)
		})
	}
}

// benchGuard returns a guard with a cache.
func benchGuard(tb testing.TB) *middleware.Guard {
	c, err := cache.New(cache.Config{Verifier: sneck.VerifierFunc(benchVerdict), TTL: time.Hour})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	g, err := middleware.New(middleware.Config{Verifier: c, Audience: []string{"https://api.example"}})
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// BenchmarkCache is the part of BenchmarkHit that the cache takes.
func BenchmarkCache(b *testing.B) {
	for _, kind := range benchTokens {
		b.Run(kind.name, func(b *testing.B) {
			c, err := cache.New(cache.Config{Verifier: sneck.VerifierFunc(benchVerdict), TTL: time.Minute})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Verify(ctx, kind.token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFloor is what no guard with a cache can go below: read the header,
// SHA-256 of the token, one look into a map, one context for the handler.
func BenchmarkFloor(b *testing.B) {
	type key struct{}
	for _, kind := range benchTokens {
		b.Run(kind.name, func(b *testing.B) {
			token, _ := benchVerdict(b.Context(), kind.token)
			known := map[[sha256.Size]byte]*sneck.Token{sha256.Sum256([]byte(kind.token)): token}
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
				// Without a copy, which would double the time for a JWT.
				t, ok := known[sha256.Sum256(unsafe.Slice(unsafe.StringData(bearer), len(bearer)))]
				if !ok {
					b.Fatal("unknown token")
				}
				admitted.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, t)))
			})
			benchServe(b, h, kind.token)
		})
	}
}

// admitted is the handler behind the guard. It is a variable, so that the
// compiler can't see that it does nothing and leave out the request's copy.
var admitted http.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

// The promise on allocations holds in every test run, not only when somebody
// looks at a benchmark.
func TestHitAllocatesTwice(t *testing.T) {
	for _, kind := range benchTokens {
		h := benchGuard(t).Require(scopes.All("notes:read"))(admitted)
		r := httptest.NewRequest("GET", "/notes", nil)
		r.Header.Set("Authorization", "Bearer "+kind.token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if n := testing.AllocsPerRun(1000, func() { h.ServeHTTP(w, r) }); n > 2 {
			t.Errorf("%s: %v allocations for a remembered token", kind.name, n)
		}
	}
}

// benchServe serves one request again and again, in a heap of the size that a
// server has: in one of a few megabytes the collector runs all the time, and
// what is measured is its share.
func benchServe(b *testing.B, h http.Handler, token string) {
	heap := make([]byte, 128<<20)
	defer runtime.KeepAlive(heap)
	r := httptest.NewRequest("GET", "/notes", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
	if w.Code != http.StatusOK {
		b.Fatal(w.Code, w.Body)
	}
}
