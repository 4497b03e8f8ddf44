// Package lyingserver is a test's authorization server on a real port of
// loopback that answers in every way a server should not.
package lyingserver

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// A Server answers every request with its current lie and remembers what it
// was asked. It is safe for concurrent use.
type Server struct {
	// URL is the address, without a path.
	URL string
	// HTTP is the server itself, for its TLS certificate and its listener.
	HTTP *httptest.Server

	stop chan struct{}
	mu   sync.Mutex
	lies []http.Handler
	seen []Seen
}

// Seen is a request that a [Server] got.
type Seen struct {
	Remote string // address of the client's end of the connection
	Method string
	URL    *url.URL
	Header http.Header
	Form   url.Values // of the body
	Body   string
}

// New starts a server that ends with the test. It answers the first request
// with the first lie and so on, and all others with the last.
func New(t testing.TB, lies ...http.Handler) *Server {
	return start(t, (*httptest.Server).Start, lies)
}

// NewTLS is New with a certificate that only a client knows that asks
// s.HTTP.Certificate.
func NewTLS(t testing.TB, lies ...http.Handler) *Server {
	return start(t, (*httptest.Server).StartTLS, lies)
}

func start(t testing.TB, how func(*httptest.Server), lies []http.Handler) *Server {
	s := &Server{stop: make(chan struct{}), lies: lies}
	s.HTTP = httptest.NewUnstartedServer(s)
	s.HTTP.Config.ErrorLog = silent
	how(s.HTTP)
	s.URL = s.HTTP.URL
	t.Cleanup(func() {
		close(s.stop)
		s.HTTP.CloseClientConnections()
		s.HTTP.Close()
	})
	return s
}

// Lie replaces the lies that were not told yet.
func (s *Server) Lie(lies ...http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lies = lies
}

// Seen returns all requests so far.
func (s *Server) Seen() []Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Seen(nil), s.seen...)
}

// Last returns the last request. It fails the test if there was none.
func (s *Server) Last(t testing.TB) Seen {
	t.Helper()
	all := s.Seen()
	if len(all) == 0 {
		t.Fatal("lyingserver: nobody asked")
	}
	return all[len(all)-1]
}

// ServeHTTP records the request and tells the current lie.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	form, _ := url.ParseQuery(string(body))
	s.mu.Lock()
	s.seen = append(s.seen, Seen{r.RemoteAddr, r.Method, r.URL, r.Header.Clone(), form, string(body)})
	lie := s.lies[0]
	if len(s.lies) > 1 {
		s.lies = s.lies[1:]
	}
	s.mu.Unlock()
	lie.ServeHTTP(w, r.WithContext(&stoppable{r.Context(), s.stop}))
}

// Answer is the truth for once: status 200 and a JSON body.
func Answer(body string) http.Handler { return Typed("application/json", body) }

// Typed is status 200 and a body of a media type.
func Typed(mediaType, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		_, _ = io.WriteString(w, body)
	})
}

// Status is a status with a JSON body and pairs of header names and values.
func Status(status int, body string, header ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// Hang never answers.
func Hang() http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { wait(r, -1) })
}

// Drip sends the header at once and then a byte of the body every so often.
func Drip(body string, every time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := range len(body) {
			_, _ = w.Write([]byte{body[i]})
			_ = http.NewResponseController(w).Flush()
			if !wait(r, every) {
				return
			}
		}
	})
}

// Reset closes the connection without an answer, with RST.
func Reset() http.Handler {
	return raw(func(c net.Conn) {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	})
}

// Raw writes the bytes instead of an HTTP response and closes the connection.
func Raw(bytes string) http.Handler {
	return raw(func(c net.Conn) { _, _ = io.WriteString(c, bytes) })
}

// Truncated promises a longer body than it sends.
func Truncated(body string) http.Handler {
	return Raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n" + body)
}

// Endless sends JSON as fast as it is read, and of unknown length. It ends
// after 64 MiB with an answer that is active, so that a client without a bound
// of its own fails its test instead of taking all memory of the machine.
func Endless() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, err := io.WriteString(w, `{"active":true,"x":"`)
		chunk := bytes.Repeat([]byte("x"), 64<<10)
		for range 1024 {
			if err == nil {
				_, err = w.Write(chunk)
			}
		}
		_, _ = io.WriteString(w, `"}`)
	})
}

// Bomb sends about ten kilobytes that are ten megabytes after decompression.
func Bomb() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, err := io.WriteString(z, `{"active":true,"x":"`)
		for i, chunk := 0, make([]byte, 1<<20); i < 10 && err == nil; i++ {
			_, err = z.Write(chunk)
		}
		_ = z.Close()
	})
}

func raw(f func(net.Conn)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer c.Close()
		f(c)
	})
}
