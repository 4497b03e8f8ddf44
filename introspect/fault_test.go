package introspect_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/internal/lyingserver"
	"github.com/sneckauth/sneck/introspect"
)

func TestIC07_RedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		victim := lyingserver.New(t, lyingserver.Answer(good))
		s := lyingserver.New(t, lyingserver.Status(status, good, "Location", victim.URL+"/latest/meta-data/"))
		c := asking(t, s)
		got, err := c.Verify(t.Context(), "abc")
		requireUnavailable(t, got, err)
		assert.ErrorContains(t, err, "redirects are not followed")
		assert.Empty(t, victim.Seen())
		assert.Len(t, s.Seen(), 1)
	}
}

func TestIC08_IC09_EveryFaultIsUnavailableInTime(t *testing.T) {
	for _, test := range []struct {
		name  string
		lie   http.Handler
		tries uint64
	}{
		{"hang", lyingserver.Hang(), 1},
		{"drip", lyingserver.Drip(good, time.Second), 1},
		{"reset", lyingserver.Reset(), 2},
		{"end", lyingserver.Raw(""), 2},
		{"truncated", lyingserver.Truncated(good), 1},
		{"429", lyingserver.Status(429, ""), 1},
		{"429, come back much later", lyingserver.Status(429, "", "Retry-After", "3600"), 1},
		{"500", lyingserver.Status(500, ""), 1},
		{"502", lyingserver.Status(502, ""), 2},
		{"503", lyingserver.Status(503, ""), 2},
		{"503, come back much later", lyingserver.Status(503, "", "Retry-After", "3600"), 1},
		{"504", lyingserver.Status(504, ""), 1},
		{"HTML", lyingserver.Typed("text/html", "<html>"), 1},
		{"endless", lyingserver.Endless(), 1},
		{"bomb", lyingserver.Bomb(), 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := lyingserver.New(t, test.lie)
			timeout := time.Minute
			if test.name == "hang" || test.name == "drip" {
				timeout = 100 * time.Millisecond
			}
			c := asking(t, s, func(cfg *introspect.Config) { cfg.Timeout = timeout })
			began := time.Now()
			got, err := c.Verify(t.Context(), "abc")
			requireUnavailable(t, got, err)
			// Patience with a slow machine is still less than for ever.
			assert.Less(t, time.Since(began), 30*time.Second)
			assert.Equal(t, test.tries, c.Stats().Tries)
		})
	}
}

func TestServerThatNobodyCanTrust(t *testing.T) {
	s := lyingserver.NewTLS(t, lyingserver.Answer(good))
	t.Run("unknown root", func(t *testing.T) {
		c := asking(t, s)
		got, err := c.Verify(t.Context(), "abc")
		requireUnavailable(t, got, err)
		assert.ErrorContains(t, err, "RootCAs")
		assert.EqualValues(t, 1, c.Stats().Tries)
	})
	roots := x509.NewCertPool()
	roots.AddCert(s.HTTP.Certificate())
	t.Run("other name", func(t *testing.T) {
		c := asking(t, s, func(cfg *introspect.Config) { cfg.TLS = &tls.Config{RootCAs: roots, ServerName: "as.invalid"} })
		got, err := c.Verify(t.Context(), "abc")
		requireUnavailable(t, got, err)
		assert.ErrorContains(t, err, "another host name")
	})
	t.Run("no TLS", func(t *testing.T) {
		plain := lyingserver.New(t, lyingserver.Answer(good))
		c := asking(t, plain, func(cfg *introspect.Config) { cfg.Endpoint = "https" + plain.URL[len("http"):] })
		got, err := c.Verify(t.Context(), "abc")
		requireUnavailable(t, got, err)
	})
	t.Run("old TLS", func(t *testing.T) {
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
			Certificates: s.HTTP.TLS.Certificates, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
		})
		require.NoError(t, err)
		old := &http.Server{Handler: lyingserver.Answer(good), ErrorLog: log.New(io.Discard, "", 0)}
		go func() { _ = old.Serve(l) }()
		defer old.Close()
		c := asking(t, s, func(cfg *introspect.Config) {
			cfg.Endpoint = "https://" + l.Addr().String()
			cfg.TLS = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}
		})
		got, err := c.Verify(t.Context(), "abc")
		requireUnavailable(t, got, err)
	})
	assert.Empty(t, s.Seen())
	t.Run("trusted", func(t *testing.T) {
		c := asking(t, s, func(cfg *introspect.Config) { cfg.TLS = &tls.Config{RootCAs: roots} })
		_, err := c.Verify(t.Context(), "abc")
		require.NoError(t, err)
	})
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	c, err := introspect.New(introspect.Config{Endpoint: "http://" + l.Addr().String(), Credential: introspect.Bearer("x"), Timeout: time.Minute})
	require.NoError(t, err)
	got, err := c.Verify(t.Context(), "abc")
	requireUnavailable(t, got, err)
	assert.ErrorContains(t, err, "connection refused")
	assert.EqualValues(t, 2, c.Stats().Tries)
}

func TestOneFaultIsRepaired(t *testing.T) {
	for name, lie := range map[string]http.Handler{
		"reset": lyingserver.Reset(),
		"502":   lyingserver.Status(502, ""),
		"503":   lyingserver.Status(503, ""),
	} {
		t.Run(name, func(t *testing.T) {
			s := lyingserver.New(t, lie, lyingserver.Answer(good))
			c := asking(t, s)
			_, err := c.Verify(t.Context(), "abc")
			require.NoError(t, err)
			seen := s.Seen()
			require.Len(t, seen, 2)
			assert.Equal(t, seen[0].Form, seen[1].Form)
			assert.Equal(t, introspect.Stats{Active: 1, Tries: 2, Retries: 1}, c.Stats())
		})
	}
}

func TestRetriesAreATenthAtMost(t *testing.T) {
	s := lyingserver.New(t, lyingserver.Status(503, ""))
	c := asking(t, s, func(cfg *introspect.Config) { cfg.BreakAfter = -1 })
	for range 50 {
		got, err := c.Verify(t.Context(), "abc")
		requireUnavailable(t, got, err)
	}
	// Ten are saved up, and fifty questions pay for five.
	assert.InDelta(t, 15, c.Stats().Retries, 1)
}

// retryablehttp closes all idle connections when a call fails, unless it is
// kept from it.
func TestCancelledQuestionsCostNobodyAConnection(t *testing.T) {
	s := lyingserver.New(t, lyingserver.Answer(good))
	c := asking(t, s)
	for i := range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		if i%5 == 4 {
			cancel()
		}
		_, err := c.Verify(ctx, "abc")
		assert.Equal(t, i%5 == 4, err != nil)
		cancel()
	}
	connections := map[string]bool{}
	for _, seen := range s.Seen() {
		connections[seen.Remote] = true
	}
	assert.LessOrEqual(t, len(connections), 3)
}
