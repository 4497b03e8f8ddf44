package cachetest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/cache/cachetest"
)

func TestMemoryIsAStore(t *testing.T) {
	cachetest.TestStore(t, func(*testing.T) cache.Store { return cachetest.NewMemory() })
}

func TestMemoryIsABus(t *testing.T) {
	cachetest.TestBus(t, func(*testing.T) (a, b cache.Bus) {
		m := cachetest.NewMemory()
		return m, m
	})
}

// A faulty is a Memory with some of its methods replaced.
type faulty struct {
	*cachetest.Memory
	get       func(ctx context.Context, key string) ([]byte, error)
	set       func(ctx context.Context, key string, b []byte, ttl time.Duration) error
	del       func(ctx context.Context, key string) error
	publish   func(ctx context.Context, message []byte) error
	subscribe func(ctx context.Context, receive func([]byte), lost func()) error
}

func (f *faulty) Get(ctx context.Context, key string) ([]byte, error) {
	if f.get != nil {
		return f.get(ctx, key)
	}
	return f.Memory.Get(ctx, key)
}

func (f *faulty) Set(ctx context.Context, key string, b []byte, ttl time.Duration) error {
	if f.set != nil {
		return f.set(ctx, key, b, ttl)
	}
	return f.Memory.Set(ctx, key, b, ttl)
}

func (f *faulty) Delete(ctx context.Context, key string) error {
	if f.del != nil {
		return f.del(ctx, key)
	}
	return f.Memory.Delete(ctx, key)
}

func (f *faulty) Publish(ctx context.Context, message []byte) error {
	if f.publish != nil {
		return f.publish(ctx, message)
	}
	return f.Memory.Publish(ctx, message)
}

func (f *faulty) Subscribe(ctx context.Context, receive func([]byte), lost func()) error {
	if f.subscribe != nil {
		return f.subscribe(ctx, receive, lost)
	}
	return f.Memory.Subscribe(ctx, receive, lost)
}

// Each fault breaks one sentence of the contract.
var faults = map[string]struct {
	part  string // of the kit, that must notice
	spoil func(f *faulty)
}{
	"missing is an error": {"a_missing_key", func(f *faulty) {
		f.get = func(ctx context.Context, key string) ([]byte, error) {
			b, err := f.Memory.Get(ctx, key)
			if b == nil && err == nil {
				err = errors.New("not found")
			}
			return b, err
		}
	}},
	"empty is missing": {"every_value", func(f *faulty) {
		f.get = func(ctx context.Context, key string) ([]byte, error) {
			b, err := f.Memory.Get(ctx, key)
			if len(b) == 0 {
				b = nil
			}
			return b, err
		}
	}},
	"values end at a line break": {"every_value", func(f *faulty) {
		f.set = func(ctx context.Context, key string, b []byte, ttl time.Duration) error {
			line, _, _ := strings.Cut(string(b), "\r\n")
			return f.Memory.Set(ctx, key, []byte(line), ttl)
		}
	}},
	"keys end at a zero byte": {"every_key", func(f *faulty) {
		f.set = func(ctx context.Context, key string, b []byte, ttl time.Duration) error {
			key, _, _ = strings.Cut(key, "\x00")
			return f.Memory.Set(ctx, key, b, ttl)
		}
	}},
	"the caller's slice is kept": {"values_are_copies", func(f *faulty) {
		var mu sync.Mutex
		values := make(map[string][]byte)
		f.get = func(_ context.Context, key string) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			return values[key], nil
		}
		f.set = func(_ context.Context, key string, b []byte, _ time.Duration) error {
			mu.Lock()
			defer mu.Unlock()
			values[key] = b
			return nil
		}
	}},
	"the first value stays": {"Set_replaces", func(f *faulty) {
		f.set = func(ctx context.Context, key string, b []byte, ttl time.Duration) error {
			if have, _ := f.Memory.Get(ctx, key); have != nil {
				return nil
			}
			return f.Memory.Set(ctx, key, b, ttl)
		}
	}},
	"nothing is deleted": {"Delete_removes", func(f *faulty) {
		f.del = func(context.Context, string) error { return nil }
	}},
	"deleting what is missing fails": {"Delete_removes", func(f *faulty) {
		f.del = func(ctx context.Context, key string) error {
			if b, _ := f.Memory.Get(ctx, key); b == nil {
				return errors.New("not found")
			}
			return f.Memory.Delete(ctx, key)
		}
	}},
	"values stay for ever": {"values_run_out", func(f *faulty) {
		f.set = func(ctx context.Context, key string, b []byte, _ time.Duration) error {
			return f.Memory.Set(ctx, key, b, time.Hour)
		}
	}},
	"the context is ignored": {"a_done_context", func(f *faulty) {
		f.get = func(ctx context.Context, key string) ([]byte, error) {
			if ctx.Err() != nil {
				time.Sleep(time.Minute)
			}
			return f.Memory.Get(ctx, key)
		}
	}},
	"writers mix": {"many_at_once", func(f *faulty) {
		var mu sync.Mutex
		last := ""
		f.set = func(ctx context.Context, key string, b []byte, ttl time.Duration) error {
			mu.Lock()
			if last == "" || len(b)%2 == 0 {
				last = key
			}
			key = last
			mu.Unlock()
			return f.Memory.Set(ctx, key, b, ttl)
		}
	}},
	"one subscriber gets it": {"every_subscriber", func(f *faulty) {
		turn := make(chan struct{}, 1)
		turn <- struct{}{}
		f.subscribe = func(ctx context.Context, receive func([]byte), lost func()) error {
			return f.Memory.Subscribe(ctx, func(message []byte) {
				select {
				case <-turn:
					receive(message)
					if strings.HasPrefix(string(message), "probe") {
						turn <- struct{}{}
					}
				default:
				}
			}, lost)
		}
	}},
	"messages are cut": {"messages_arrive", func(f *faulty) {
		f.publish = func(ctx context.Context, message []byte) error {
			return f.Memory.Publish(ctx, message[:min(len(message), 60_000)])
		}
	}},
	"subscribers never leave": {"a_subscriber_may_leave", func(f *faulty) {
		f.subscribe = func(ctx context.Context, receive func([]byte), lost func()) error {
			err := f.Memory.Subscribe(ctx, receive, lost)
			time.Sleep(3 * time.Second)
			return err
		}
	}},
	"what was sent before is missed": {"who_joins", func(f *faulty) {
		var sent atomic.Int64
		f.publish = func(ctx context.Context, message []byte) error {
			sent.Add(1)
			return f.Memory.Publish(ctx, message)
		}
		f.subscribe = func(ctx context.Context, receive func([]byte), lost func()) error {
			past := sent.Load()
			return f.Memory.Subscribe(ctx, func(message []byte) {
				if past--; past < 0 {
					receive(message)
				}
			}, lost)
		}
	}},
	"the past comes last": {"who_joins", func(f *faulty) {
		f.subscribe = func(ctx context.Context, receive func([]byte), lost func()) error {
			var past [][]byte
			return f.Memory.Subscribe(ctx, func(message []byte) {
				if past != nil || !strings.HasPrefix(string(message), "probe") {
					past = append(past, message)
				} else {
					receive(message)
				}
				if len(past) > 240 {
					for _, message := range past {
						receive(message)
					}
					past = nil
				}
			}, lost)
		}
	}},
	"messages get lost": {"many_at_once", func(f *faulty) {
		var mu sync.Mutex
		n := 0
		f.publish = func(ctx context.Context, message []byte) error {
			mu.Lock()
			n++
			lose := n%20 == 0
			mu.Unlock()
			if lose {
				return nil
			}
			return f.Memory.Publish(ctx, message)
		}
	}},
}

// The kits notice every fault. A kit that fails needs a process of its own.
func TestKitsCanFail(t *testing.T) {
	const env = "CACHETEST_FAULT"
	if name := os.Getenv(env); name != "" {
		open := func() *faulty {
			f := &faulty{Memory: cachetest.NewMemory()}
			faults[name].spoil(f)
			return f
		}
		t.Run("store", func(t *testing.T) {
			cachetest.TestStore(t, func(*testing.T) cache.Store { return open() })
		})
		t.Run("bus", func(t *testing.T) {
			cachetest.TestBus(t, func(*testing.T) (a, b cache.Bus) { f := open(); return f, f })
		})
		return
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKitsCanFail$/^(store|bus)$/"+fault.part, "-test.v")
			cmd.Env = append(os.Environ(), env+"="+name)
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "%s", out)
			assert.Contains(t, string(out), "--- FAIL: TestKitsCanFail/", "%s", out)
			assert.NotContains(t, string(out), "panic:", "%s", out)
		})
	}
}
