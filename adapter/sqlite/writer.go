package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// maxBatch is the largest number of operations that share one commit.
const maxBatch = 512

// An operation is one call that writes. run does all of its work inside of a
// transaction, and either changes nothing and returns an error, or returns
// nil; any other kind of failure it reports as a *failure.
type operation struct {
	ctx  context.Context
	run  func(w *writer) error
	done chan error // has room for one
}

// A failure is an error of the database after which a transaction can not be
// relied on.
type failure struct{ err error }

func (f *failure) Error() string { return "sqlite: " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func failed(err error) error {
	if err == nil {
		return nil
	}
	return &failure{err}
}

// A writer runs operations on one connection, one after the other, and commits
// all that have come meanwhile at once. Its goroutine ends with close.
type writer struct {
	conn *sql.Conn

	stmts                                                       []*sql.Stmt // all of these:
	insert, insertNew, has, get, spend, begin, commit, rollback *sql.Stmt

	mu     sync.Mutex
	queue  []*operation
	closed bool
	wake   chan struct{} // has room for one
	ended  chan struct{}
}

func newWriter(ctx context.Context, conn *sql.Conn) (*writer, error) {
	w := &writer{conn: conn, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	for _, p := range []struct {
		stmt  **sql.Stmt
		query string
	}{
		{&w.insert, insertRecord},
		{&w.insertNew, insertRecord + ` ON CONFLICT DO NOTHING`},
		{&w.has, `SELECT count(*) FROM records WHERE key = ?`},
		{&w.get, selectRecord},
		{&w.spend, `UPDATE records SET spent = ? WHERE key = ?`},
		{&w.begin, `BEGIN IMMEDIATE`},
		{&w.commit, `COMMIT`},
		{&w.rollback, `ROLLBACK`},
	} {
		var err error
		if *p.stmt, err = conn.PrepareContext(ctx, p.query); err != nil {
			return nil, errors.Join(err, w.closeStmts())
		}
		w.stmts = append(w.stmts, *p.stmt)
	}
	go w.loop()
	return w, nil
}

// do runs an operation and returns after it is committed. If ctx is done
// before, the operation may still take place.
func (w *writer) do(ctx context.Context, run func(w *writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	op := &operation{ctx: ctx, run: run, done: make(chan error, 1)}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	w.queue = append(w.queue, op)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	select {
	case err := <-op.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	<-w.ended
	return errors.Join(w.closeStmts(), w.conn.Close())
}

// closeStmts closes the statements. Nobody else does so for those of a single
// connection, and SQLite keeps a connection with open statements: nobody would
// ever be the last to close the file, and so move everything from the WAL into
// it.
func (w *writer) closeStmts() error {
	var errs []error
	for _, stmt := range w.stmts {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(errs...)
}

func (w *writer) loop() {
	defer close(w.ended)
	for range w.wake {
		for {
			batch, closed := w.next()
			if len(batch) > 0 {
				w.write(batch)
				continue
			}
			if closed {
				return
			}
			break
		}
	}
}

func (w *writer) next() (batch []*operation, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.queue), maxBatch)
	batch = w.queue[:n:n]
	if w.queue = w.queue[n:]; len(w.queue) == 0 {
		w.queue = nil
	}
	return batch, w.closed
}

// write runs a batch in one transaction. If the database fails at it, each
// operation gets a transaction of its own, so that it fails alone. That does
// not help if no transaction could be begun at all.
func (w *writer) write(batch []*operation) {
	var results []error
	_, err := w.begin.ExecContext(context.Background())
	if err != nil {
		err = failed(err)
	} else if results, err = w.transact(batch); err != nil && len(batch) > 1 {
		for _, op := range batch {
			w.write([]*operation{op})
		}
		return
	}
	for i, op := range batch {
		if err != nil {
			op.done <- err
		} else {
			op.done <- results[i]
		}
	}
}

// transact runs a batch inside of the transaction that was begun, and ends it.
func (w *writer) transact(batch []*operation) ([]error, error) {
	// The transaction belongs to many callers, and so to the context of none.
	ctx := context.Background()
	results := make([]error, len(batch))
	for i, op := range batch {
		if results[i] = op.ctx.Err(); results[i] != nil {
			continue // nobody waits for it any more
		}
		results[i] = op.run(w)
		var f *failure
		if errors.As(results[i], &f) {
			return nil, w.abort(ctx, f)
		}
	}
	if _, err := w.commit.ExecContext(ctx); err != nil {
		return nil, w.abort(ctx, failed(err))
	}
	return results, nil
}

func (w *writer) abort(ctx context.Context, cause error) error {
	if _, err := w.rollback.ExecContext(ctx); err != nil {
		// After some failures SQLite has rolled back on its own.
		return fmt.Errorf("%w (roll back: %v)", cause, err)
	}
	return cause
}
