package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/audit"
	"github.com/sneckauth/sneck/scopes"
)

// Who fails too often has to wait, at that address only. An administrator does
// not, wherever the others are, and it is the server's limiter that counts.
func TestLimitOfFailures(t *testing.T) {
	var counted []authserver.LimitKey
	w := newWorld(t, func(c *authserver.Config) {
		c.Limits.Failures.Address = authserver.Rate{Count: 3, Per: time.Minute}
		c.Limits.Limiter = countingLimiter{authserver.NewMemoryLimiter(0, c.Now), &counted}
	})
	good, reader := w.token(t), w.tokenOf(t, "reader", scopes.Set{"notes:read"}, issuer)
	counted = nil
	ask := func(from, token string) string {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, admin.Path+"keys", nil)
		r.RemoteAddr = from
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		answer := w.serve(r)
		return strings.TrimSpace(fmt.Sprintln(answer.Code, answer.Header().Get("Retry-After")))
	}
	const here, there, near = "192.0.2.7:1", "198.51.100.1:2", "192.0.2.7:3"
	for i, step := range []struct {
		from, token, want string
		later             time.Duration
	}{
		{from: here, token: "x", want: "401"},
		{from: here, token: authserver.NewAccessToken(), want: "401"},
		{from: here, token: reader, want: "403"}, // it is a token, so this is no failure
		{from: here, token: "", want: "401"},
		{from: here, token: "x", want: "429 20"},
		{from: near, token: authserver.NewAccessToken(), want: "429 20"},
		{from: here, token: good, want: "200"},
		{from: here, token: reader, want: "403"},
		{from: there, token: "x", want: "401"},
		{from: here, token: "x", later: 19500 * time.Millisecond, want: "429 1"},
		{from: here, token: "x", later: 500 * time.Millisecond, want: "401"},
		{from: here, token: "x", want: "429 20"},
	} {
		w.now = w.now.Add(step.later)
		assert.Equal(t, step.want, ask(step.from, step.token), "step %d", i)
	}
	assert.Len(t, counted, 9)
	for _, key := range counted {
		assert.Equal(t, []string{"failure.address", ""}, []string{key.What, key.Client})
	}
	found, err := w.ops.AuditSearch(t.Context(), audit.Query{Kinds: []authserver.EventKind{authserver.EventRateLimited}}, "", 10)
	require.NoError(t, err)
	require.Len(t, found.Entries, 1, "once a minute")
	assert.Equal(t, "192.0.2.7 failure.address", found.Entries[0].Address.String()+" "+found.Entries[0].Reason)
}

// A countingLimiter knows for what it was asked.
type countingLimiter struct {
	authserver.Limiter
	keys *[]authserver.LimitKey
}

func (c countingLimiter) Take(ctx context.Context, key authserver.LimitKey, n int, rate authserver.Rate) (time.Duration, error) {
	*c.keys = append(*c.keys, key)
	return c.Limiter.Take(ctx, key, n, rate)
}
