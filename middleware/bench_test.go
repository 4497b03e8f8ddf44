package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// A discard is a response writer that keeps nothing but its header map.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

// knowsTwo knows a token, one without scopes, and nothing else.
type knowsTwo struct{ token, poor *sneck.Token }

func (v knowsTwo) Verify(_ context.Context, token string) (*sneck.Token, error) {
	switch token {
	case "good":
		return v.token, nil
	case "poor":
		return v.poor, nil
	case "down":
		return nil, errDown
	}
	return nil, sneck.ErrInvalid
}

var errDown = errors.New("down")

func benchmarked(tb testing.TB) http.Handler {
	good := sneck.Token{
		Audience:   []string{audience},
		Scopes:     scopes.MustParse("read"),
		Expires:    time.Now().Add(time.Hour),
		VerifiedAt: time.Now(),
	}
	poor := good
	poor.Scopes = nil
	guard, err := middleware.New(middleware.Config{
		Verifier: knowsTwo{&good, &poor},
		Audience: []string{audience},
	})
	require.NoError(tb, err)
	return guard.Require(scopes.All("read"))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

func TestAdmittedAllocatesTwice(t *testing.T) {
	handler := benchmarked(t)
	r := get("Bearer good")
	w := &discard{header: http.Header{}}
	// The copy of the request, and the context with the token.
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { handler.ServeHTTP(w, r) }), 2.0)
	assert.Zero(t, w.status)
}

func TestRefusalsAllocateLittle(t *testing.T) {
	handler := benchmarked(t)
	for name, r := range map[string]*http.Request{
		"no token": get(), "two tokens": get("Bearer good", "Bearer good"), "too long": get("Bearer " + longest + "a"), "invalid": get("Bearer bad"),
		"scope": get("Bearer poor"), "unavailable": get("Bearer down"),
	} {
		w := &discard{header: http.Header{}}
		assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { handler.ServeHTTP(w, r) }), 3.0, name)
	}
}

// A refusal costs at most three times what the admission of a request does.
func BenchmarkGuard(b *testing.B) {
	handler := benchmarked(b)
	for _, bench := range []struct {
		name string
		req  *http.Request
	}{
		{"admitted", get("Bearer good")},
		{"no token", get()},
		{"two tokens", get("Bearer good", "Bearer good")},
		{"too long", get("Bearer " + longest + "a")},
		{"invalid", get("Bearer bad")},
		{"scope", get("Bearer poor")},
		{"unavailable", get("Bearer down")},
	} {
		b.Run(bench.name, func(b *testing.B) {
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				handler.ServeHTTP(w, bench.req)
			}
		})
	}
}
