package proxy_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
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

// overHTTP2 serves one connection of HTTP/2 and returns a client that uses it.
func overHTTP2(t *testing.T, h http.HandlerFunc) *http.Client {
	l := make(piped, 1)
	client, server := net.Pipe()
	l <- server
	close(l)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	front := &http.Server{Handler: proxy.Watch(h, time.Minute, nil), Protocols: protocols}
	go func() { _ = front.Serve(l) }()
	transport := &http.Transport{Protocols: protocols, DialContext: func(context.Context, string, string) (net.Conn, error) { return client, nil }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		client.Close()
		server.Close()
	})
	return &http.Client{Transport: transport}
}

// Over HTTP/2 a deadline ends a stream even if nobody waits for anything. It is
// only for as long as the client is waited for: not while the service is silent,
// nor while it takes its time for what has come.
func TestSilenceOfTheServiceOverHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := overHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * time.Minute) // of the test's clock
			half := make([]byte, 4)
			_, err := io.ReadFull(r.Body, half)
			assert.NoError(t, err)
			time.Sleep(2 * time.Minute)
			rest, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			for _, event := range []string{string(half), string(rest), "end"} {
				_, _ = io.WriteString(w, event)
				assert.NoError(t, http.NewResponseController(w).Flush())
				time.Sleep(2 * time.Minute)
			}
		})
		response, err := client.Post("http://api.example/", "text/plain", strings.NewReader("halfrest"))
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		assert.Equal(t, "halfrestend", string(body))
	})
}

// A client that sends or takes nothing is let go, with HTTP/2 as without.
func TestSilenceOfTheClientOverHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took := make(chan time.Duration, 1)
		client := overHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			var err error
			if r.Method == http.MethodPost {
				_, err = io.ReadAll(r.Body)
			}
			for err == nil { // more than the client has room for
				if _, err = w.Write(make([]byte, 1<<20)); err == nil {
					err = http.NewResponseController(w).Flush()
				}
			}
			took <- time.Since(start)
		})
		response, err := client.Get("http://api.example/")
		require.NoError(t, err)
		defer response.Body.Close()
		assert.Equal(t, time.Minute, <-took)

		body, sending := io.Pipe()
		defer sending.Close()
		go func() { _, _ = io.WriteString(sending, "half") }()
		if response, err := client.Post("http://api.example/", "text/plain", body); err == nil {
			response.Body.Close()
		}
		assert.Equal(t, time.Minute, <-took)
	})
}

// What a client chooses makes no long line of the log.
func TestLogIsBrief(t *testing.T) {
	var logged strings.Builder
	h := proxy.Watch(http.NotFoundHandler(), time.Minute, slog.New(slog.NewTextHandler(&logged, nil)))
	r := httptest.NewRequest("GET", "/"+strings.Repeat("p", 1000), nil)
	r.Method = strings.Repeat("M", 1000)
	h.ServeHTTP(httptest.NewRecorder(), r)
	assert.Contains(t, logged.String(), "method="+strings.Repeat("M", 32)+"… path=/"+strings.Repeat("p", 255)+"… status=404 ")
}
