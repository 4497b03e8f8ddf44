package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

const (
	// maxBatch is the largest number of operations that share one commit.
	maxBatch = 512
	// yields is how often others may run before a batch is taken.
	yields = 2
)

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
// all that have come meanwhile at once. Its goroutine ends with end.
type writer struct {
	*conn

	mu     sync.Mutex
	queue  []*operation
	closed bool
	wanted int           // callers, at which the writer is woken
	wake   chan struct{} // has room for one
	ended  chan struct{}

	pace pace // of the writer's goroutine
}

func newWriter(c *conn) *writer {
	w := &writer{conn: c, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go w.loop()
	return w
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
	first, enough := len(w.queue) == 1, len(w.queue) == w.wanted
	w.mu.Unlock()
	if first || enough {
		w.signal()
	}
	select {
	case err := <-op.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end waits for what is queued and closes the connection.
func (w *writer) end() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.signal()
	<-w.ended
	return w.close()
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default: // it is awake
	}
}

func (w *writer) loop() {
	defer close(w.ended)
	for range w.wake {
		for {
			w.gather()
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

// gather lets more callers come.
func (w *writer) gather() {
	// Whoever can run at the moment may be about to write. To let them costs
	// nothing if there is nobody, and makes batches larger.
	for range yields {
		runtime.Gosched()
	}
	if w.queued() == 0 {
		return
	}
	callers, patience := w.pace.wanted()
	if callers == 0 {
		return
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for !w.enough(callers) {
		select {
		case <-w.wake:
		case <-timeout.C:
			w.pace.waited(w.enough(callers))
			return
		}
	}
	w.pace.waited(true)
}

// enough reports whether so many callers wait, or none will come any more. If
// not, the writer is woken when they do.
func (w *writer) enough(callers int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wanted = callers
	return len(w.queue) >= callers || w.closed
}

func (w *writer) queued() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue)
}

func (w *writer) next() (batch []*operation, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wanted = 0
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
	start := time.Now()
	var results []error
	_, err := w.exec(`BEGIN IMMEDIATE`)
	if err != nil {
		err = failed(err)
	} else if results, err = w.transact(batch); err != nil && len(batch) > 1 {
		for _, op := range batch {
			w.write([]*operation{op})
		}
		return
	}
	w.pace.committed(len(batch), w.queued(), time.Since(start))
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
	results := make([]error, len(batch))
	for i, op := range batch {
		if results[i] = op.ctx.Err(); results[i] != nil {
			continue // nobody waits for it any more
		}
		results[i] = op.run(w)
		var f *failure
		if errors.As(results[i], &f) {
			return nil, w.abort(f)
		}
	}
	if _, err := w.exec(`COMMIT`); err != nil {
		return nil, w.abort(failed(err))
	}
	return results, nil
}

func (w *writer) abort(cause error) error {
	if _, err := w.exec(`ROLLBACK`); err != nil {
		// After some failures SQLite has rolled back on its own.
		return fmt.Errorf("%w (roll back: %v)", cause, err)
	}
	return cause
}
