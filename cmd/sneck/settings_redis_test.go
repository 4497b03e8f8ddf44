package main

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/cmd/internal/settings"
)

// refuses asks for so many tokens as a client, and returns how many are refused
// for being too many.
func (s *serving) refuses(client string, n int) (refused int) {
	s.t.Helper()
	for range n {
		status, answer := s.post("/token", client, "grant_type=client_credentials&scope=read")
		if status == 429 {
			refused++
		} else {
			require.Equal(s.t, 200, status, answer)
		}
	}
	return refused
}

// Servers with one Redis count together. When it dies, each counts for itself,
// and one that never was there is no reason not to serve.
func TestSettingsOfRedis(t *testing.T) {
	h := newHouse(t)
	other, err := h.store.Client(t.Context(), "app")
	require.NoError(t, err)
	other.ID = "other"
	require.NoError(t, h.store.PutClient(t.Context(), other))
	const burst = 50
	socket := startRedis(t)
	serve := func(url string) *serving {
		return h.serve(t, nil, "--redis-url="+url, "--limits-token-client=50/h", "--limits-token-address="+insecureUnlimited)
	}
	a, b := serve("unix://"+socket), serve("unix://"+socket)
	// A slow answer has a server count for itself for a second, so it may take
	// more. By itself, b would refuse none of these.
	asked := 1
	for b.refuses("app", 1) == 0 {
		require.Less(t, asked, burst, "b counts for itself")
		a.refuses("app", burst)
		asked++
		time.Sleep(100 * time.Millisecond) // a Redis that is slow now may be quick then
	}

	conn, err := net.Dial("unix", socket)
	require.NoError(t, err)
	_, err = conn.Write([]byte("SHUTDOWN NOSAVE\r\n"))
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, conn) // until it is gone
	require.NoError(t, err)
	conn.Close()
	for name, s := range map[string]*serving{"a": a, "b": b, "never there": serve("unix:///nowhere")} {
		assert.Equal(t, 0, s.refuses("other", burst), name)
		assert.Equal(t, 5, s.refuses("other", 5), name)
	}
}

// The pages count where the server does.
func TestLimiterOfThePages(t *testing.T) {
	set := defaultSettings()
	config, _, err := set.load(settings.Sources{Flags: map[string][]string{"data": {"nowhere"}}})
	require.NoError(t, err)
	limiter := authserver.NewMemoryLimiter(1, nil)
	config.Limits.Limiter = limiter
	assert.Same(t, limiter, set.pagesAt("https://auth.example.com", &config, nil, nil).Limits.Limiter)
}
