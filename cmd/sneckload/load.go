//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A load is what many connections send, each its next request as soon as the
// last is answered.
type load struct {
	address     string
	connections int
	// requests are whole HTTP requests, sent in turn; expect is what each
	// answer must contain.
	requests [][]byte
	expect   []byte
}

// A window is what happened in some time.
type window struct {
	took    []time.Duration // by each request, the shortest first
	elapsed time.Duration
}

func newWindow(took []time.Duration, elapsed time.Duration) window {
	slices.Sort(took)
	return window{took, elapsed}
}

func (w window) requests() int { return len(w.took) }

func (w window) perSecond() float64 { return float64(len(w.took)) / w.elapsed.Seconds() }

// percentile returns the time that so many of a hundred requests did not take;
// 100 stands for the longest.
func (w window) percentile(n int) time.Duration {
	if len(w.took) == 0 {
		return 0
	}
	return w.took[min(len(w.took)*n/100, len(w.took)-1)]
}

// merge returns the window of both times.
func (w window) merge(other window) window {
	return newWindow(slices.Concat(w.took, other.took), w.elapsed+other.elapsed)
}

// A sample is one request that was answered.
type sample struct {
	end  time.Time
	took time.Duration
}

// run sends until during returns, which may ask for what happened meanwhile.
// Any answer but the expected one ends it with an error.
func (l *load) run(ctx context.Context, during func(ctx context.Context, look func(from, to time.Time) window) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	samples := make([][]sample, l.connections)
	var sending sync.WaitGroup
	for i := range l.connections {
		sending.Go(func() {
			err := l.send(ctx, i, func(s sample) {
				mu.Lock()
				samples[i] = append(samples[i], s)
				mu.Unlock()
			})
			if err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	err := during(ctx, func(from, to time.Time) window {
		mu.Lock()
		defer mu.Unlock()
		return look(samples, from, to)
	})
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(nil)
	sending.Wait()
	return err
}

func look(samples [][]sample, from, to time.Time) window {
	var took []time.Duration
	for _, list := range samples {
		for _, s := range list {
			if s.end.After(from) && !s.end.After(to) {
				took = append(took, s.took)
			}
		}
	}
	return newWindow(took, to.Sub(from))
}

// send is one connection.
func (l *load) send(ctx context.Context, i int, done func(sample)) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	r := bufio.NewReaderSize(conn, 16<<10)
	// Every connection begins elsewhere.
	for n := i * len(l.requests) / l.connections; ctx.Err() == nil; n++ {
		start := time.Now()
		if _, err := conn.Write(l.requests[n%len(l.requests)]); err != nil {
			return err
		}
		body, err := readAnswer(r)
		if err != nil {
			return err
		}
		if !bytes.Contains(body, l.expect) {
			return fmt.Errorf("an answer is not what was expected: %.200q", body)
		}
		end := time.Now()
		done(sample{end, end.Sub(start)})
	}
	return nil
}

// readAnswer reads an HTTP answer with status 200 and a length, as cheaply as
// can be, since it takes processors from the server. The body is valid until
// the next call.
func readAnswer(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		status := string(line)
		rest, _ := r.Peek(r.Buffered())
		return nil, fmt.Errorf("the server has answered %q %.500q", status, rest)
	}
	length := -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimRight(value, "\r\n"))); err != nil {
				return nil, err
			}
		}
	}
	if length < 0 {
		return nil, errors.New("an answer has no length")
	}
	body, err := r.Peek(length)
	if err != nil {
		return nil, err
	}
	if _, err := r.Discard(length); err != nil {
		return nil, err
	}
	return body, nil
}
