// Package sqlite keeps the records and clients of an authserver in one SQLite
// file, without cgo.
//
// An answer is given after its commit, and a commit is on the disk
// (synchronous=FULL). Callers that wait at the same time share one commit, so
// that durability costs little under load. Readers do not wait for the writer
// (WAL). Several processes may share a file on one machine, such as a server
// and a command that adds clients; a file on a network share is not safe.
//
// Everything is found by an index. What may be many records, those of one
// client or those that have expired, is deleted few at a time, so that others
// hardly wait.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sneckauth/sneck/authserver"
)

// A Store is an authserver.Store and authserver.Clients in an SQLite file.
// Open it with [Open]. It is safe for concurrent use.
type Store struct {
	writer  *writer
	readers chan *conn // those that nobody uses
	opened  int        // readers
	clients recent

	closed   chan struct{}
	closing  sync.Once
	closeErr error
}

var (
	_ authserver.Store          = (*Store)(nil)
	_ authserver.ExpiredCounter = (*Store)(nil)
	_ authserver.ClientRegistry = (*Store)(nil)
	_ authserver.ClientChanger  = (*Store)(nil)
	_ authserver.SecretUpgrader = (*Store)(nil)
)

// ErrClosed means that the store was closed.
var ErrClosed = errors.New("sqlite: the store is closed")

// Open opens the file, or creates it with mode 0600, and brings its tables up
// to date. Close the store when it is no longer needed.
func Open(ctx context.Context, path string) (*Store, error) {
	s, err := open(ctx, path)
	// SQLite does not wait while another process turns a new file into one
	// with a WAL, or takes the WAL of one that it closes.
	for wait := time.Millisecond; isBusy(err) && wait < 2*time.Second; wait *= 2 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
			s, err = open(ctx, path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("sqlite: open %s: %w", path, err)
	}
	return s, nil
}

func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

func open(ctx context.Context, path string) (_ *Store, err error) {
	if path == "" || path == ":memory:" {
		return nil, errors.New("not a file (hint: authserver.NewMemory keeps everything in memory)")
	}
	// SQLite gives its other files the mode of this one.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}

	n := 2 * runtime.GOMAXPROCS(0)
	s := &Store{readers: make(chan *conn, n), closed: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	c, err := connect(dsn(path, "journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(4000)", "cache_size(-16384)"))
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, c); err != nil {
		return nil, errors.Join(err, c.close())
	}
	s.writer = newWriter(c)
	for range n {
		reader, err := connect(dsn(path, "query_only(1)"))
		if err != nil {
			return nil, err
		}
		s.readers <- reader
		s.opened++
	}
	return s, nil
}

// read runs f with a connection to read from. There is one for as many
// goroutines as can run, and the others wait.
func (s *Store) read(ctx context.Context, f func(c *conn) error) error {
	if err := s.alive(ctx); err != nil {
		return err
	}
	select {
	case c := <-s.readers:
		defer func() { s.readers <- c }()
		return f(c)
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closed:
		return ErrClosed
	}
}

// alive returns why nothing is to be done any more.
func (s *Store) alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-s.closed:
		return ErrClosed
	default:
		return nil
	}
}

// dsn names the file such that nothing in its path is taken for an option.
func dsn(path string, pragmas ...string) string {
	options := url.Values{"_pragma": append([]string{"busy_timeout(10000)"}, pragmas...)}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + options.Encode()
}

// Close waits for what is being written, and closes the file. Calls that come
// later return ErrClosed.
func (s *Store) Close() error {
	s.closing.Do(func() {
		close(s.closed)
		var errs []error
		if s.writer != nil {
			errs = append(errs, s.writer.end())
		}
		for range s.opened {
			c := <-s.readers // when nobody uses it any more
			errs = append(errs, c.close())
		}
		s.closeErr = errors.Join(errs...)
	})
	return s.closeErr
}
