package postgres

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
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

	// pace is of the only worker, nil if there are more or nobody is waited
	// for. It is woken by enough, which has room for one, when as many calls
	// wait as are wanted.
	pace   *pace
	wanted atomic.Int64
	enough chan struct{}

	mu      sync.RWMutex
	closed  bool
	callers sync.WaitGroup
}

// yields is how often a worker lets others run before it takes what waits.
const yields = 2

func newQueue[A, R any](size, workers, maxBatch int, run func([]*call[A, R])) *queue[A, R] {
	q := &queue[A, R]{calls: make(chan *call[A, R], size), maxBatch: maxBatch, run: run, enough: make(chan struct{}, 1)}
	q.start(workers)
	return q
}

// newPaced returns a queue whose worker, if it is the only one, waits for more
// calls where many are expected. That is worth it if a batch costs much, such
// as a flush of the disk.
func newPaced[A, R any](size, workers, maxBatch int, run func([]*call[A, R])) *queue[A, R] {
	q := &queue[A, R]{calls: make(chan *call[A, R], size), maxBatch: maxBatch, run: run, enough: make(chan struct{}, 1)}
	if workers == 1 {
		q.pace = &pace{most: min(size, maxBatch)}
	}
	q.start(workers)
	return q
}

func (q *queue[A, R]) start(workers int) {
	for range workers {
		q.workers.Go(q.work)
	}
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
	if n := q.wanted.Load(); n > 0 && int64(len(q.calls)) >= n {
		q.signal()
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
		q.gather()
		batch := q.fill(c)
		if len(batch) > 0 {
			start := time.Now()
			q.run(batch)
			if q.pace != nil {
				q.pace.committed(len(batch), len(q.calls), time.Since(start))
			}
		}
		for _, c := range batch {
			close(c.done)
		}
	}
}

// gather waits until enough calls have come besides the one that the worker
// has.
func (q *queue[A, R]) gather() {
	if q.pace == nil {
		return
	}
	callers, patience := q.pace.wanted()
	if callers == 0 {
		return
	}
	q.wanted.Store(int64(callers - 1))
	defer q.wanted.Store(0)
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for len(q.calls) < callers-1 {
		select {
		case <-q.enough:
		case <-timeout.C:
			q.pace.waited(len(q.calls) >= callers-1)
			return
		}
	}
	q.pace.waited(true)
}

func (q *queue[A, R]) signal() {
	select {
	case q.enough <- struct{}{}:
	default:
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
