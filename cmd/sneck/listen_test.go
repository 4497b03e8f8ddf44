package main

import (
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A oneListener accepts one connection.
type oneListener struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (l *oneListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *oneListener) Close() error   { close(l.closed); return nil }
func (l *oneListener) Addr() net.Addr { return &net.TCPAddr{} }

// Nobody keeps a connection for long: not who sends slowly, who sends nothing
// more, nor who does not read.
func TestSlowClients(t *testing.T) {
	for _, test := range []struct {
		name, sent string
		reads      bool
		most       time.Duration
	}{
		{"half a head", "GET / HTTP/1.1\r\nHost: a\r\n", true, 10 * time.Second},
		{"half a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx", true, 30 * time.Second},
		{"nothing more", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", true, 2 * time.Minute},
		{"does not read", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", false, time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gone := make(chan struct{})
				s := newAnsweringServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = w.Write([]byte("hello"))
				}), nil)
				s.ConnState = func(_ net.Conn, state http.ConnState) {
					if state == http.StateClosed {
						close(gone)
					}
				}
				l := &oneListener{make(chan net.Conn, 1), make(chan struct{})}
				client, server := net.Pipe()
				l.conn <- server
				go func() { _ = s.Serve(l) }()
				began := time.Now()
				_, err := client.Write([]byte(test.sent))
				require.NoError(t, err)
				if test.reads {
					go func() { _, _ = io.Copy(io.Discard, client) }()
				}
				select {
				case <-gone:
					assert.LessOrEqual(t, time.Since(began), test.most)
				case <-time.After(24 * time.Hour):
					assert.Fail(t, "the connection is still there")
				}
				client.Close()
				s.Close()
			})
		})
	}
}
