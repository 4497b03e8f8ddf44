package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// grace is how long requests under way may take after the program was told to
// end.
const grace = 10 * time.Second

// listen opens a TCP port, on any free one if the port of the address is 0.
// The flag is what the user can change about it.
func listen(ctx context.Context, flag, address string) (net.Listener, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, usageError(fmt.Errorf("%s %q is not an address", flag, address), "host:port, such as 127.0.0.1:8080")
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w (hint: choose another address with %s)", err, flag)
	}
	return l, nil
}

// loopback reports whether nobody outside of this machine reaches an address.
func loopback(l net.Listener) bool {
	a, ok := l.Addr().(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

// newHTTPServer returns a server that no slow or silent client can wear out.
// A nil log is silent.
func newHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &http.Server{
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelError),
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
}

// answerTimeout is how long a request may take in which little is asked and
// answered, with the answer taken.
const answerTimeout = time.Minute

// newAnsweringServer is newHTTPServer for a handler whose answers are short and
// come soon: nobody keeps a connection by not reading.
func newAnsweringServer(h http.Handler, log *slog.Logger) *http.Server {
	s := newHTTPServer(h, log)
	s.WriteTimeout = answerTimeout
	return s
}

// serveUntil serves until ctx is done, and then lets requests under way end.
func serveUntil(ctx context.Context, s *http.Server, l net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := s.Shutdown(ending)
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.Join(fmt.Errorf("requests were cut off after %v", grace), s.Close())
	}
	return err
}
