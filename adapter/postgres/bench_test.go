package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/postgres"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

var callerCounts = []int{1, 32, 256}

// spread runs f for each number below n, in many goroutines.
func spread(b *testing.B, callers, n int, f func(i int) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				if err := f(i); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func token(name any) authserver.Record {
	now := time.Now()
	return authserver.Record{
		Key: authserver.KeyOf(fmt.Sprint(name)), Kind: authserver.KindAccess, Client: "client", Subject: "client",
		Scopes: scopes.Set{"read"}, Audience: []string{"https://api.example.com"}, Issued: now, Expires: now.Add(time.Hour),
	}
}

func BenchmarkCreate(b *testing.B) {
	for _, callers := range callerCounts {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			for _, random := range []bool{false, true} {
				b.Run(fmt.Sprintf("random=%t", random), func(b *testing.B) {
					s := open(b, postgres.Config{Schema: schema(b)})
					b.ResetTimer()
					spread(b, callers, b.N, func(i int) error {
						r := token(i)
						r.Random = random
						return s.Create(context.Background(), r)
					})
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
				})
			}
		})
	}
}

// A refresh: spend one record, write two.
func BenchmarkSpend(b *testing.B) {
	for _, callers := range callerCounts {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			s := open(b, postgres.Config{Schema: schema(b)})
			var codes []authserver.Record
			for i := range b.N + 1 {
				codes = append(codes, token(i))
			}
			require.NoError(b, s.Create(b.Context(), codes...))
			b.ResetTimer()
			spread(b, callers, b.N, func(i int) error {
				access, refresh := token(fmt.Sprint("access ", i)), token(fmt.Sprint("refresh ", i))
				access.Family, refresh.Family = fmt.Sprint(i), fmt.Sprint(i)
				refresh.Expires = refresh.Issued.Add(30 * 24 * time.Hour)
				_, err := s.Spend(context.Background(), authserver.Spend{Key: codes[i].Key, Now: time.Now(), Yield: []authserver.Record{access, refresh}})
				return err
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

func BenchmarkGet(b *testing.B) {
	s := open(b, postgres.Config{Schema: schema(b)})
	const records = 100_000
	for start := 0; start < records; start += 5000 {
		batch := make([]authserver.Record, 5000)
		for i := range batch {
			batch[i] = token(start + i)
		}
		require.NoError(b, s.Create(b.Context(), batch...))
	}
	for _, callers := range callerCounts {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			spread(b, callers, b.N, func(i int) error {
				_, err := s.Get(context.Background(), authserver.KeyOf(fmt.Sprint(i*7919%records)))
				return err
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
