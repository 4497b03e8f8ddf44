package redis_test

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A link is a TCP proxy that can be cut: connections end, and new ones end at
// once.
type link struct {
	address string
	target  string

	mu    sync.Mutex
	tls   *tls.Config // of the side of the client; nil is plain text
	down  bool
	conns []net.Conn
}

func newLink(t testing.TB, target string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &link{address: listener.Addr().String(), target: target}
	t.Cleanup(func() {
		listener.Close()
		l.cut()
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			l.join(conn)
		}
	}()
	return l
}

func (l *link) join(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		conn.Close()
		return
	}
	server, err := net.Dial("tcp", l.target)
	if err != nil {
		conn.Close()
		return
	}
	if l.tls != nil {
		conn = tls.Server(conn, l.tls)
	}
	l.conns = append(l.conns, conn, server)
	for _, pair := range [][2]net.Conn{{conn, server}, {server, conn}} {
		go func() {
			io.Copy(pair[0], pair[1])
			pair[0].Close()
		}()
	}
}

func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for _, conn := range l.conns {
		conn.Close()
	}
	l.conns = nil
}

func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}
