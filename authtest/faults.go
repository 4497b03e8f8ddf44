package authtest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authserver"
)

// Down has the server answer nobody from now on: every connection is closed
// without a word, and [Server.Verify] can not find out. What it has issued
// lives on.
func (s *Server) Down() { s.down.Store(true) }

// Up ends what [Server.Down] and [Server.Slow] began.
func (s *Server) Up() {
	s.down.Store(false)
	s.slow.Store(0)
}

// Slow has the server wait that long before each answer from now on, or until
// the client has given up.
func (s *Server) Slow(d time.Duration) { s.slow.Store(int64(d)) }

// Intercept has h answer all requests from now on, instead of the server: to
// test with outages and nonsense of other kinds than the server's own. h may
// pass requests on to s.Server. A nil h ends it.
func (s *Server) Intercept(h http.Handler) {
	if h == nil {
		s.intercept.Store(nil)
		return
	}
	s.intercept.Store(&h)
}

// Advance lets time pass for the server, so that tokens expire. The test and
// what it tests keep their own time.
func (s *Server) Advance(d time.Duration) { s.offset.Add(int64(d)) }

// Revoke revokes a token at once: the server knows it no more. A service may
// remember it for a while, or verify a JWT without asking.
func (s *Server) Revoke(t testing.TB, token string) {
	t.Helper()
	n, err := s.Memory.Revoke(t.Context(), authserver.Selector{Key: authserver.KeyOf(token)})
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		t.Fatal("authtest: there is no such token to revoke")
	}
}

// wait waits as long as the server is slow, and reports whether anybody still
// waits for the answer.
func (s *Server) wait(ctx context.Context) bool {
	d := time.Duration(s.slow.Load())
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.ended:
	}
	return false
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/introspect") {
		s.introspections.Add(1)
	}
	if s.down.Load() || !s.wait(r.Context()) {
		panic(http.ErrAbortHandler) // closes the connection
	}
	switch h := s.intercept.Load(); {
	case h != nil:
		(*h).ServeHTTP(w, r)
	default:
		s.ServeHTTP(w, r)
	}
}

// Verify says what a token of the server means, as a [sneck.Verifier] in the
// same process. It fails like the server does when that is down or slow.
func (s *Server) Verify(ctx context.Context, token string) (*sneck.Token, error) {
	if s.down.Load() || !s.wait(ctx) {
		return nil, &sneck.UnavailableError{Err: errors.New("authtest: the server is down")}
	}
	verdict, err := s.Server.Verify(ctx, token)
	if err != nil {
		return nil, err
	}
	var bound struct {
		Confirmation map[string]string `json:"cnf"`
	}
	if err := json.Unmarshal(verdict.RawClaims, &bound); err != nil {
		return nil, err
	}
	if cnf := bound.Confirmation; cnf != nil && verdict.Confirmation == nil {
		verdict.Confirmation = &sneck.Confirmation{JKT: cnf["jkt"], X5TS256: cnf["x5t#S256"], Unknown: cnf["kid"] != ""}
	}
	return verdict, nil
}
