package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/cmd/internal/proxy"
)

// A piped is a listener for the other ends of connections in memory.
type piped chan net.Conn

func (p piped) Accept() (net.Conn, error) {
	conn, open := <-p
	if !open {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (piped) Close() error   { return nil }
func (piped) Addr() net.Addr { return &net.UnixAddr{} }

// watched serves one connection, on which the lines of a request have been
// sent, and returns the answer.
func watched(t *testing.T, h http.HandlerFunc, lines ...string) *http.Response {
	l := make(piped, 1)
	client, server := net.Pipe()
	l <- server
	close(l)
	t.Cleanup(func() { client.Close() })
	go func() { _ = (&http.Server{Handler: proxy.Watch(h, time.Minute, nil)}).Serve(l) }()
	_, err := io.WriteString(client, strings.Join(lines, "\r\n"))
	require.NoError(t, err)
	require.NoError(t, client.SetReadDeadline(time.Now().Add(time.Hour)))
	response, err := http.ReadResponse(bufio.NewReader(client), nil)
	require.NoError(t, err)
	return response
}

// Who is refused can not hold a connection by a body that does not come: the
// server waits for it before it answers, though nobody has read from it.
func TestIdleBodyOfARefusedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		refuse := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }
		response := watched(t, refuse, "POST / HTTP/1.1", "Host: api.example", "Content-Length: 10", "", "half")
		assert.Equal(t, http.StatusUnauthorized, response.StatusCode)
		assert.True(t, response.Close)
		assert.Equal(t, time.Minute, time.Since(start))
	})
}

// A stream that is silent for long before it ends has a proper end.
func TestSilenceBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream := func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "event")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(2 * time.Minute) // of the test's clock
		}
		response := watched(t, stream, "GET / HTTP/1.1", "Host: api.example", "Connection: close", "", "")
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		assert.Equal(t, "event", string(body))
	})
}
