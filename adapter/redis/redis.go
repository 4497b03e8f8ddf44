package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/sneckauth/sneck/cache"
)

// A Redis is a [cache.Store] and a [cache.Bus]. It is safe for concurrent
// use. Make one with [New]; the zero value does not work.
type Redis struct {
	cfg    Config
	option rueidis.ClientOption
	slots  chan struct{} // taken by operations

	ctx   context.Context // of what runs in the background; done by Close
	stop  context.CancelFunc
	tried chan struct{} // closed after the first attempt to connect
	warm  atomic.Bool   // a connection is being made ahead of need

	mu     sync.Mutex
	client rueidis.Client // nil until connected
	down   error          // why there is none
	closed bool
	group  sync.WaitGroup
}

var (
	_ cache.Store = (*Redis)(nil)
	_ cache.Bus   = (*Redis)(nil)
)

// ErrClosed is returned by the methods of a Redis after Close.
var ErrClosed = errors.New("redis: closed")

// maxOperations bounds the operations under way, and with them the goroutines
// that wait for a server that does not answer.
const maxOperations = 1024

// New returns a Redis, or an error that lists every mistake in cfg. It begins
// to connect and does not wait for it: a server that is down, now or later,
// fails operations and not New. Use [Redis.Ping] to wait for it. The Redis
// must be closed, after the caches that use it.
func New(cfg Config) (*Redis, error) {
	option, err := cfg.options()
	if err != nil {
		return nil, err
	}
	r := &Redis{
		cfg:    cfg,
		option: option,
		slots:  make(chan struct{}, maxOperations),
		tried:  make(chan struct{}),
		down:   errors.New("redis: not connected yet"),
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.group.Go(r.connect)
	return r, nil
}

// connect makes the client, which from then on mends its connections itself.
func (r *Redis) connect() {
	var once sync.Once
	defer once.Do(func() { close(r.tried) })
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		client, err := rueidis.NewClient(r.option)
		if err != nil && client != nil {
			client.Close()
		}
		r.mu.Lock()
		switch {
		case err != nil:
			r.down = fmt.Errorf("redis: can not connect: %w", err)
		case r.closed:
			defer client.Close()
		default:
			r.client = client
		}
		r.mu.Unlock()
		once.Do(func() { close(r.tried) })
		if err == nil {
			return
		}
		r.cfg.Logger.Warn("can not connect to Redis; trying again", "error", err, "pause", pause)
		if !r.sleep(r.ctx, pause) {
			return
		}
	}
}

const (
	firstPause = 20 * time.Millisecond
	maxPause   = time.Second
)

// sleep waits, up to a quarter less than asked, and reports whether ctx is
// still good.
func (r *Redis) sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause - rand.N(pause/4))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// begin returns the client for one operation, which must end with
// r.group.Done.
func (r *Redis) begin(ctx context.Context) (rueidis.Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-r.tried:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, ErrClosed
	case r.client == nil:
		return nil, r.down
	}
	r.group.Add(1)
	return r.client, nil
}

// do runs an operation and returns when it has ended or ctx is done. The
// client looks at ctx before it sends, so nothing is sent later. It does not
// look while it connects on behalf of another, which is why do doesn't wait
// for it.
func do[T any](ctx context.Context, r *Redis, op func(context.Context, rueidis.Client) (T, error)) (T, error) {
	var none T
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	type result struct {
		value T
		err   error
	}
	client, err := r.begin(ctx)
	if err != nil {
		<-r.slots
		return none, err
	}
	done := make(chan result, 1)
	go func() {
		defer r.group.Done()
		defer func() { <-r.slots }()
		defer func() {
			// What a hostile server can provoke must not end the process.
			if p := recover(); p != nil {
				done <- result{err: fmt.Errorf("redis: the client panicked: %v", p)}
			}
		}()
		value, err := op(ctx, client)
		if ctx.Err() != nil {
			r.reconnect()
		}
		done <- result{value, err}
	}()
	select {
	case out := <-done:
		return out.value, out.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// reconnect makes the connection that an operation had too little time for:
// with TLS and a login over a wide network it may take longer than an
// operation may.
func (r *Redis) reconnect() {
	if !r.warm.CompareAndSwap(false, true) {
		return
	}
	client, err := r.begin(r.ctx)
	if err != nil {
		r.warm.Store(false)
		return
	}
	go func() {
		defer r.group.Done()
		defer r.warm.Store(false)
		ctx, cancel := context.WithTimeout(r.ctx, 2*r.cfg.DialTimeout)
		defer cancel()
		for _, node := range client.Nodes() {
			_ = node.Do(ctx, node.B().Ping().Build()).Error()
		}
	}()
}

// Ping waits until Redis answers, and returns the last error if it does not
// before ctx is done.
func (r *Redis) Ping(ctx context.Context) error {
	last := r.ctx.Err()
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		_, err := do(ctx, r, func(ctx context.Context, client rueidis.Client) (struct{}, error) {
			return struct{}{}, client.Do(ctx, client.B().Getrange().Key(r.key("ping")).Start(0).End(0).Build()).Error()
		})
		if err == nil || errors.Is(err, ErrClosed) {
			return err
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		if !r.sleep(ctx, pause) {
			return fmt.Errorf("redis: no answer: %w", last)
		}
	}
}

// Close ends every operation and subscription, and the connections. Further
// calls do nothing.
func (r *Redis) Close() error {
	r.mu.Lock()
	client, was := r.client, r.closed
	r.closed = true
	r.mu.Unlock()
	r.stop()
	if client != nil && !was {
		client.Close()
	}
	r.group.Wait()
	return nil
}

// key is the name in Redis.
func (r *Redis) key(name string) string { return r.cfg.Prefix + name }
