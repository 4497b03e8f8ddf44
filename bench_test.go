package sneck_test

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/cache"
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

func benchServe(b *testing.B, h http.Handler, token string) {
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
