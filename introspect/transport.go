package introspect

import (
	"context"
	"crypto/tls"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// maxAnswerBytes is the longest body of an answer that is read.
	maxAnswerBytes = 64 << 10
	maxHeaderBytes = 32 << 10
	maxRetryAfter  = time.Hour
)

// newTransport returns a transport that keeps as many connections as are
// asked for. It wants no compression: an answer is small, and a compressed
// one can be a bomb.
func newTransport(config *tls.Config, connections int) *http.Transport {
	if config == nil {
		config = &tls.Config{}
	} else {
		config = config.Clone()
	}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    5 * time.Second,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConns:           connections,
		MaxIdleConnsPerHost:    connections,
		IdleConnTimeout:        60 * time.Second,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}

// A wire is a transport of which nobody sees more than RoundTrip. retryablehttp
// closes the idle connections of its client whenever a call fails or is
// cancelled, which would make one impatient asker cost everybody else a new
// handshake; it can not do so to a wire.
type wire struct {
	next  http.RoundTripper
	tries *atomic.Uint64
	// patience bounds the wait for the header of an answer, so that there is
	// time left for another endpoint; none if zero.
	patience time.Duration
}

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.tries.Add(1)
	if w.patience == 0 {
		return w.next.RoundTrip(r)
	}
	// The body is read under this context too. It ends with its parent.
	ctx, cancel := context.WithCancelCause(r.Context())
	timer := time.AfterFunc(w.patience, func() { cancel(errDeadline) })
	response, err := w.next.RoundTrip(r.WithContext(ctx))
	if timer.Stop() {
		if err != nil {
			cancel(nil)
		}
		return response, err
	}
	if err == nil {
		_ = response.Body.Close()
	}
	return nil, errDeadline
}

// newHTTPClient returns a client that follows no redirect, keeps no cookies
// and has no timeout of its own: net/http would start a goroutine for it.
func newHTTPClient(w wire) *http.Client {
	return &http.Client{
		Transport:     w,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// readBody reads at most limit bytes to the end, so that the connection can be
// used again.
func readBody(r *http.Response, limit int64) ([]byte, error) {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, &badBody{"is compressed, which was not asked for"}
	}
	if r.ContentLength > limit {
		return nil, errTooLong
	}
	if r.ContentLength >= 0 {
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, readError(err)
		}
		return body, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, readError(err)
	}
	if int64(len(body)) > limit {
		return nil, errTooLong
	}
	return body, nil
}

// A badBody is the error of a body that came, but is not taken.
type badBody struct{ what string }

func (e *badBody) Error() string { return "introspect: the answer " + e.what }

var errTooLong = &badBody{"is longer than 64 KiB"}

func readError(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return &exchangeError{"the answer ended too early", nil}
	}
	return describe(err)
}

// mediaType reports whether the answer has the wanted media type, in UTF-8.
func mediaType(r *http.Response, want string) bool {
	values := r.Header["Content-Type"]
	if len(values) != 1 {
		return false
	}
	if values[0] == want {
		return true
	}
	got, parameters, err := mime.ParseMediaType(values[0])
	if err != nil || got != want {
		return false
	}
	charset, given := parameters["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}

// retryAfter reads the header of that name (RFC 9110, section 10.2.3); zero
// if there is none that makes sense.
func retryAfter(r *http.Response, now time.Time) time.Duration {
	value := r.Header.Get("Retry-After")
	if value == "" {
		return 0
	}
	var wait time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}
