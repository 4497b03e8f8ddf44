package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sneckauth/sneck/internal/brief"
	"github.com/sneckauth/sneck/middleware"
)

// A record is what is known of a request in the end.
type record struct {
	decision middleware.Decision
	decided  bool
	failed   string        // code of a failure
	about    *http.Request // what the request asks about; nil for itself
	next     atomic.Int64  // when more of the body must have come; zero for no matter
}

// late reports whether the body has not come in time. By the error alone it can
// not be told from a client that has left.
func (rec *record) late() bool {
	if rec == nil {
		return false
	}
	next := rec.next.Load()
	return next != 0 && time.Now().UnixNano() >= next
}

type recordKey struct{}

func recordOf(ctx context.Context) *record {
	rec, _ := ctx.Value(recordKey{}).(*record)
	return rec
}

// Observe is for [middleware.Config]: it tells [Watch] of the decision.
func Observe(ctx context.Context, d middleware.Decision) {
	if rec := recordOf(ctx); rec != nil {
		rec.decision, rec.decided = d, true
	}
}

// Watch returns a handler that logs each request when it has been answered:
// what was asked for, without the query and the token, what was decided and
// why, and how long it all took. A nil logger logs nothing.
//
// It also ends requests and answers of which nothing has been received or taken
// for idle, which is positive. They may take as long as they like otherwise.
func Watch(h http.Handler, idle time.Duration, logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &record{}
		watched := &writer{ResponseWriter: w, patience: patience{http.NewResponseController(w), idle, r.ProtoMajor >= 2}}
		r = r.WithContext(context.WithValue(r.Context(), recordKey{}, rec))
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &body{r.Body, watched.patience, rec}
			if !watched.brief {
				// Of a refused request, nobody but the server reads the body.
				_ = watched.control.SetReadDeadline(start.Add(idle)) // reading says why it fails
			}
		}
		defer func() { // also if the handler panics, to cut an answer off
			if watched.status != http.StatusSwitchingProtocols {
				// The end is still to be written, perhaps long after the rest,
				// and after the wait for a body that nobody has read.
				_ = watched.control.SetWriteDeadline(time.Now().Add(2 * idle)) // writing says why it fails
			}
			if logger != nil {
				log(logger, r, watched, rec, time.Since(start))
			}
		}()
		h.ServeHTTP(watched, r)
	})
}

// maxPath is how much of a path is logged, in bytes.
const maxPath = 256

func log(logger *slog.Logger, r *http.Request, w *writer, rec *record, took time.Duration) {
	about := r
	if rec.about != nil {
		about = rec.about
	}
	path := about.URL.EscapedPath()
	if len(path) > maxPath {
		path = path[:maxPath] + "…"
	}
	status := w.status
	if status == 0 {
		status = http.StatusOK // of an empty answer
	}
	attrs := []slog.Attr{
		slog.String("method", brief.Method(about)), slog.String("path", path), slog.Int("status", status),
		slog.Int64("bytes", w.bytes), slog.Duration("took", took), slog.String("peer", r.RemoteAddr),
	}
	if rec.decided {
		attrs = append(attrs, slog.String("reason", string(rec.decision.Reason)), slog.String("rule", rec.decision.Rule))
		if t := rec.decision.Token; t != nil {
			attrs = append(attrs, slog.String("client_id", t.ClientID))
		}
	}
	if rec.failed != "" {
		attrs = append(attrs, slog.String("failed", rec.failed))
	}
	logger.LogAttrs(r.Context(), slog.LevelInfo, "request", attrs...)
}

// A patience is how long a client is waited for that sends or takes nothing.
type patience struct {
	control *http.ResponseController
	idle    time.Duration
	// brief means that deadlines are only for as long as the client is waited
	// for. One of HTTP/2 ends the stream, also while it is the service that is
	// silent. One of HTTP/1 stays, as the server waits for the client, too,
	// when nobody reads or writes any more.
	brief bool
}

// taking waits for the client to take what write writes.
func (p *patience) taking(write func() error) error {
	_ = p.control.SetWriteDeadline(time.Now().Add(p.idle)) // the error would come again
	if p.brief {
		defer func() { _ = p.control.SetWriteDeadline(time.Time{}) }()
	}
	return write()
}

// A body is the body of a request, which must keep coming.
type body struct {
	io.ReadCloser
	patience
	record *record
}

func (b *body) Read(p []byte) (int, error) {
	next := time.Now().Add(b.idle)
	b.record.next.Store(next.UnixNano())
	_ = b.control.SetReadDeadline(next) // the error would come again
	n, err := b.ReadCloser.Read(p)
	ended := errors.Is(err, io.EOF)
	if err == nil || ended {
		b.record.next.Store(0)
	}
	if ended || err == nil && b.brief {
		_ = b.control.SetReadDeadline(time.Time{}) // the answer may take longer
	}
	return n, err
}

// A writer takes an answer, which must keep going.
type writer struct {
	http.ResponseWriter
	patience
	status int
	bytes  int64
}

// Unwrap is for [http.ResponseController].
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK { // others precede it
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(p []byte) (n int, err error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	err = w.taking(func() error {
		n, err = w.ResponseWriter.Write(p)
		return err
	})
	w.bytes += int64(n)
	return n, err
}

// FlushError is for [http.ResponseController].
func (w *writer) FlushError() error { return w.taking(w.control.Flush) }

// Hijack hands the connection over, for an upgrade. It may then be silent.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := w.control.Hijack()
	if err == nil {
		w.status = http.StatusSwitchingProtocols
		err = conn.SetDeadline(time.Time{})
	}
	return conn, buffered, err
}
