package postgres

import (
	"context"
	"runtime"
	"sync"
)

// A call is one caller's question. Whoever runs it sets result and err.
type call[A, R any] struct {
	ctx    context.Context
	arg    A
	result R
	err    error
	done   chan struct{}
}

// A queue hands calls to a few workers. A worker takes all that wait, up to a
// limit, so calls are answered one by one while there are few and together
// when there are many. Its goroutines end with close.
type queue[A, R any] struct {
	calls    chan *call[A, R]
	maxBatch int
	run      func(batch []*call[A, R])
	workers  sync.WaitGroup

	mu      sync.RWMutex
	closed  bool
	callers sync.WaitGroup
}

// yields is how often a worker lets others run before it takes what waits.
const yields = 2

func newQueue[A, R any](size, workers, maxBatch int, run func([]*call[A, R])) *queue[A, R] {
	q := &queue[A, R]{calls: make(chan *call[A, R], size), maxBatch: maxBatch, run: run}
	for range workers {
		q.workers.Go(q.work)
	}
	return q
}

// do waits for room in the queue and for the answer. If ctx is done before,
// the call may still take place.
func (q *queue[A, R]) do(ctx context.Context, arg A) (none R, _ error) {
	if err := ctx.Err(); err != nil {
		return none, err
	}
	q.mu.RLock()
	if q.closed {
		q.mu.RUnlock()
		return none, ErrClosed
	}
	q.callers.Add(1)
	q.mu.RUnlock()
	defer q.callers.Done()

	c := &call[A, R]{ctx: ctx, arg: arg, done: make(chan struct{})}
	select {
	case q.calls <- c:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	select {
	case <-c.done:
		return c.result, c.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// close refuses new calls and returns when all others are answered.
func (q *queue[A, R]) close() {
	q.mu.Lock()
	again := q.closed
	q.closed = true
	q.mu.Unlock()
	q.callers.Wait()
	if !again {
		close(q.calls)
	}
	q.workers.Wait()
}

func (q *queue[A, R]) work() {
	for c := range q.calls {
		// Whoever can run at the moment may be about to call. To let them costs
		// nothing if there is nobody, and makes batches half as large again.
		for range yields {
			runtime.Gosched()
		}
		batch := q.fill(c)
		if len(batch) > 0 {
			q.run(batch)
		}
		for _, c := range batch {
			close(c.done)
		}
	}
}

// fill returns what there is to do at once. Calls for whose answer nobody
// waits any more are left out.
func (q *queue[A, R]) fill(first *call[A, R]) []*call[A, R] {
	var batch []*call[A, R]
	for c := first; c != nil; {
		if c.ctx.Err() == nil {
			batch = append(batch, c)
		}
		if len(batch) == q.maxBatch {
			break
		}
		select {
		case c = <-q.calls: // nil once it is closed
		default:
			c = nil
		}
	}
	return batch
}
