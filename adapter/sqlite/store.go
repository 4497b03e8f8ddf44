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
	"io/fs"
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

const (
	// openWait is how long Open waits for a file that another process has
	// locked, in tries of openTry, between which it looks at its context.
	openWait = 10 * time.Second
	openTry  = 500 * time.Millisecond
	// patient has a statement wait for longer, once the file is open.
	patient = "PRAGMA busy_timeout = 10000"
)

// Open opens the file, or creates it with mode 0600, and brings its tables up
// to date. Close the store when it is no longer needed.
//
// While another process has locked the file, such as one that brings its tables
// up to date, Open waits, until ctx is done and for about ten seconds at most.
func Open(ctx context.Context, path string) (*Store, error) {
	began := time.Now()
	s, err := open(ctx, path)
	// SQLite does not wait itself while another process turns a new file into
	// one with a WAL, or takes the WAL of one that it closes.
	for pause := time.Millisecond; isBusy(err) && time.Since(began) < openWait; pause = min(2*pause, openTry) {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("sqlite: open %s: another process has locked it: %w", path, ctx.Err())
		case <-time.After(pause):
			s, err = open(ctx, path)
		}
	}
	switch {
	case isBusy(err):
		return nil, fmt.Errorf("sqlite: open %s: another process has locked it for %v: %w (hint: wait for that process or end it; fuser %s names it)",
			path, time.Since(began).Round(time.Second), err, path)
	case err != nil:
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
	if err := create(path); err != nil {
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
	if err := c.script(ctx, patient); err != nil {
		return nil, errors.Join(err, c.close())
	}
	s.writer = newWriter(c)
	for range n {
		reader, err := connect(dsn(path, "query_only(1)"))
		if err != nil {
			return nil, err
		}
		if err := reader.script(ctx, patient); err != nil {
			return nil, errors.Join(err, reader.close())
		}
		s.readers <- reader
		s.opened++
	}
	return s, nil
}

// creating is held by who creates a file.
var creating sync.Mutex

// create makes the file unless it is there. SQLite gives its other files the mode
// of this one. A file that is there is left alone: who closes a file ends all
// locks that the process has on it, those of another Store included (POSIX,
// close), and then other processes take it for one that nobody uses.
func create(path string) error {
	creating.Lock()
	defer creating.Unlock()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
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
	options := url.Values{"_pragma": append([]string{fmt.Sprintf("busy_timeout(%d)", openTry.Milliseconds())}, pragmas...)}
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
