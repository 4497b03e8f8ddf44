package introspect_test

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/internal/lyingserver"
	"github.com/sneckauth/sneck/introspect"
)

const jsonHead = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

// allocated returns how many bytes f and everything beside it allocate.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Whatever an authority sends, one question takes a few megabytes at most, what
// the server in this process needs to say it included.
func TestNoAnswerTakesMuchMemory(t *testing.T) {
	const most = 16 << 20
	line := "X-Filler: " + strings.Repeat("x", 4000) + "\r\n"
	for name, lie := range map[string]http.Handler{
		"endless":            lyingserver.Endless(),
		"bomb":               lyingserver.Bomb(),
		"10 GiB, as it says": lyingserver.Raw(jsonHead + "Content-Length: 10737418240\r\n\r\n" + good),
		"more than it says":  lyingserver.Raw(jsonHead + "Content-Length: 9223372036854775807\r\n\r\n" + good),
		"one endless header": lyingserver.Raw(jsonHead + "X-Filler: " + strings.Repeat("x", 4<<20)),
		"endless headers":    lyingserver.Raw(jsonHead + strings.Repeat(line, 1024)),
		"endless status":     lyingserver.Raw("HTTP/1.1 200 " + strings.Repeat("x", 4<<20)),
		"endless hints":      lyingserver.Raw(strings.Repeat("HTTP/1.1 103 Early Hints\r\n"+line+"\r\n", 1024)),
		"endless trailers":   lyingserver.Raw(jsonHead + "Transfer-Encoding: chunked\r\nTrailer: X-Filler\r\n\r\n0\r\n" + strings.Repeat(line, 1024)),
		"a chunk of 10 GiB":  lyingserver.Raw(jsonHead + "Transfer-Encoding: chunked\r\n\r\n280000000\r\n" + good),
		"a chunk's comment":  lyingserver.Raw(jsonHead + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", 4<<20)),
		"a million members":  lyingserver.Answer(`{"active":true` + strings.Repeat(`,"":0`, 1<<20) + `}`),
		"endless refusal":    lyingserver.Status(400, strings.Repeat("x", 4<<20)),
		"endless 503":        lyingserver.Status(503, strings.Repeat("x", 4<<20)),
	} {
		t.Run(name, func(t *testing.T) {
			s := lyingserver.New(t, lie)
			c := asking(t, s, func(cfg *introspect.Config) { cfg.Timeout = 5 * time.Second })
			n := allocated(func() {
				got, err := c.Verify(t.Context(), "abc")
				requireUnavailable(t, got, err)
			})
			assert.Less(t, n, uint64(most), "bytes")
		})
		t.Run(name+", of metadata", func(t *testing.T) {
			s := lyingserver.New(t, lie)
			c := asking(t, s, func(cfg *introspect.Config) { cfg.Endpoint, cfg.Issuer, cfg.Timeout = "", s.URL, 5*time.Second })
			n := allocated(func() {
				got, err := c.Verify(t.Context(), "abc")
				requireUnavailable(t, got, err)
			})
			// There are two documents to look for, and a second try of each.
			assert.Less(t, n, uint64(4*most), "bytes")
		})
	}
}

// A server of HTTP/2 may send as much as its window allows before anybody reads.
func TestEndlessAnswerOverHTTP2(t *testing.T) {
	s := httptest.NewUnstartedServer(lyingserver.Endless())
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	transport := s.Client().Transport
	c, err := introspect.New(introspect.Config{Endpoint: s.URL, Credential: introspect.Bearer("x"), Transport: transport, Timeout: time.Minute})
	require.NoError(t, err)
	defer c.Close()
	n := allocated(func() {
		got, err := c.Verify(t.Context(), "abc")
		requireUnavailable(t, got, err)
	})
	assert.Less(t, n, uint64(32<<20), "bytes")
}
