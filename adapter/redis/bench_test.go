package redis_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/adapter/redis/internal/redistest"
	"github.com/sneckauth/sneck/cache"
)

func BenchmarkStore(b *testing.B) {
	r := connect(b, at(redistest.Address(b)))
	ctx := context.Background()
	value := make([]byte, 600) // of a sealed verdict
	require.NoError(b, r.Set(ctx, "key", value, time.Hour))
	get := func() {
		if got, err := r.Get(ctx, "key"); err != nil || len(got) != len(value) {
			b.Fatal(len(got), err)
		}
	}
	b.Run("Get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			get()
		}
	})
	b.Run("Get in parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				get()
			}
		})
	})
	b.Run("Get of nothing", func(b *testing.B) {
		for b.Loop() {
			if _, err := r.Get(ctx, "missing"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Set", func(b *testing.B) {
		for b.Loop() {
			if err := r.Set(ctx, "key", value, time.Hour); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSharedHit measures a request that finds its answer only in Redis:
// the miss in memory, Get, opening the value, and remembering it.
func BenchmarkSharedHit(b *testing.B) {
	cfg := at(redistest.Address(b))
	var a authority
	one := sharing(b, &a, connect(b, cfg))
	const tokens = 2000
	name := func(i int) string { return fmt.Sprint("good-", i) }
	for i := range tokens {
		require.Equal(b, "sub-"+name(i), ask(one, name(i)))
	}
	shared(b, raw(b, cfg.Addresses[0]), cfg, tokens)
	r := connect(b, cfg)
	asked := a.calls.Load()
	fresh := func() *cache.Cache {
		c, err := cache.New(cache.Config{
			Verifier: &a, TTL: time.Minute,
			Shared: &cache.Shared{Store: r, Namespace: "test", Secret: secret, Timeout: patience},
		})
		require.NoError(b, err)
		return c
	}
	b.ResetTimer()
	var c *cache.Cache
	for i := 0; i < b.N; i++ {
		if i%tokens == 0 {
			b.StopTimer()
			if c != nil {
				c.Close()
			}
			c = fresh()
			b.StartTimer()
		}
		if _, err := sneck.Verifier(c).Verify(context.Background(), name(i%tokens)); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	c.Close()
	b.ReportMetric(float64(a.calls.Load()-asked)/float64(b.N), "questions/op")
}

func BenchmarkBus(b *testing.B) {
	cfg := at(redistest.Address(b))
	publisher, subscriber := connect(b, cfg), connect(b, cfg)
	got := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go subscriber.Subscribe(ctx, cache.Subscriber{
		Receive: func([]byte) { got <- struct{}{} }, Current: func(time.Time) {}, Behind: func() {},
	})
	message := make([]byte, 250)
	for b.Loop() {
		if err := publisher.Publish(ctx, message); err != nil {
			b.Fatal(err)
		}
		<-got
	}
}
