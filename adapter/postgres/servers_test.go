package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/postgres"
	"github.com/sneckauth/sneck/authserver"
)

var epoch = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func TestOneOfManyServersSpends(t *testing.T) {
	config := postgres.Config{Schema: schema(t)}
	servers := []*postgres.Store{open(t, config), open(t, config)}
	code := authserver.Record{Key: authserver.KeyOf("code"), Expires: epoch.Add(time.Minute)}
	require.NoError(t, servers[0].Create(t.Context(), code))
	const callers = 100
	yield := func(i int) authserver.Record {
		return authserver.Record{Key: authserver.KeyOf(fmt.Sprint("yield ", i)), Expires: epoch.Add(time.Hour)}
	}
	var won, lost atomic.Int64
	var winner atomic.Int64
	together(callers, func(i int) {
		_, err := servers[i%2].Spend(t.Context(), authserver.Spend{Key: code.Key, Now: epoch, Yield: []authserver.Record{yield(i)}})
		switch {
		case err == nil:
			won.Add(1)
			winner.Store(int64(i))
		case assert.ErrorIs(t, err, authserver.ErrSpent):
			lost.Add(1)
		}
	})
	assert.EqualValues(t, 1, won.Load())
	assert.EqualValues(t, callers-1, lost.Load())
	for i := range callers {
		_, err := servers[i%2].Get(t.Context(), yield(i).Key)
		if int64(i) == winner.Load() {
			assert.NoError(t, err)
		} else {
			assert.ErrorIs(t, err, authserver.ErrNotFound)
		}
	}
}

// The same key in different partitions is in different indexes, none of which
// sees the other.
func TestOneOfManyServersCreates(t *testing.T) {
	config := postgres.Config{Schema: schema(t), Writers: 2, Readers: 1}
	servers := []*postgres.Store{open(t, config), open(t, config)}
	lives := []time.Duration{time.Hour, 3 * time.Hour, 30 * 24 * time.Hour, 50 * 24 * time.Hour, 100 * 24 * time.Hour}
	for round := range 10 {
		var won atomic.Int64
		together(20, func(i int) {
			err := servers[i%2].Create(t.Context(), authserver.Record{
				Key: authserver.KeyOf(fmt.Sprint(round)), Issued: epoch, Expires: epoch.Add(lives[i%len(lives)]),
			})
			if err == nil {
				won.Add(1)
			} else {
				assert.ErrorIs(t, err, authserver.ErrExists)
			}
		})
		assert.EqualValues(t, 1, won.Load())
	}
	var n int
	require.NoError(t, connect(t, config.Schema).QueryRow(t.Context(), `SELECT count(*) FROM records`).Scan(&n))
	assert.Equal(t, 10, n)
}

// Two servers rotate the tokens of many users while each user is revoked.
func TestRevokedSubjectsStayRevoked(t *testing.T) {
	config := postgres.Config{Schema: schema(t)}
	servers := []*postgres.Store{open(t, config), open(t, config)}
	const users = 40
	member := func(user, generation int) authserver.Record {
		return authserver.Record{
			Key: authserver.KeyOf(fmt.Sprint(user, " ", generation)), Subject: fmt.Sprint("user ", user), Client: "app",
			Issued: epoch, Expires: epoch.Add(time.Duration(generation) * 50 * time.Hour),
		}
	}
	for user := range users {
		require.NoError(t, servers[user%2].Create(t.Context(), member(user, 1)))
	}
	together(2*users, func(i int) {
		user := i / 2
		if i%2 == 0 {
			for generation := 1; generation < 20; generation++ {
				_, err := servers[user%2].Spend(t.Context(), authserver.Spend{
					Key: member(user, generation).Key, Now: epoch, Yield: []authserver.Record{member(user, generation+1)},
				})
				if errors.Is(err, authserver.ErrNotFound) {
					return
				}
				assert.NoError(t, err)
			}
			return
		}
		_, err := servers[(user+1)%2].Revoke(t.Context(), authserver.Selector{Subject: fmt.Sprint("user ", user)})
		assert.NoError(t, err)
	})
	var n int
	require.NoError(t, connect(t, config.Schema).QueryRow(t.Context(), `SELECT count(*) FROM records`).Scan(&n))
	assert.Zero(t, n)
}

// A database that closes connections in the middle of everything fails some
// calls, and every record of one that did not fail is there.
func TestConnectionsAreLost(t *testing.T) {
	name := schema(t)
	s := open(t, postgres.Config{Schema: name, Writers: 3, Readers: 3})
	conn := connect(t, name)
	const callers = 32
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	key := func(i, n int) authserver.Key { return authserver.KeyOf(fmt.Sprint(i, " ", n)) }
	var wg sync.WaitGroup
	var written [callers][]int
	var wrote, failed atomic.Int64
	progress := make(chan struct{})
	for i := range callers {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				// What was begun is finished, to know what came of it.
				if err := s.Create(context.Background(), authserver.Record{Key: key(i, n)}); err != nil {
					failed.Add(1)
					continue
				}
				written[i] = append(written[i], n)
				wrote.Add(1)
				select {
				case progress <- struct{}{}:
				case <-ctx.Done():
				}
				_, err := s.Get(context.Background(), key(i, n))
				assert.NotErrorIs(t, err, authserver.ErrNotFound)
			}
		})
	}
	for range 20 {
		for range 50 {
			<-progress
		}
		_, err := conn.Exec(t.Context(), `SELECT pg_terminate_backend(l.pid) FROM (SELECT DISTINCT pid FROM pg_locks
			WHERE relation = 'records'::regclass AND pid <> pg_backend_pid()) l`)
		require.NoError(t, err)
	}
	cancel()
	wg.Wait()
	t.Logf("%d calls have succeeded, %d failed", wrote.Load(), failed.Load())
	for i, ns := range written {
		for _, n := range ns {
			_, err := s.Get(t.Context(), key(i, n))
			require.NoError(t, err)
		}
	}
}

// All idle connections are closed at once, and nobody notices.
func TestIdleConnectionsAreLost(t *testing.T) {
	name := schema(t)
	t.Setenv("PGAPPNAME", name)
	s := open(t, postgres.Config{Schema: name})
	conn := connect(t, name)
	together(64, func(i int) { // so that there are many
		assert.NoError(t, s.Create(t.Context(), authserver.Record{Key: authserver.KeyOf(fmt.Sprint(i))}))
	})
	for round := range 10 {
		terminate(t, conn, name)
		require.NoError(t, s.Create(t.Context(), authserver.Record{Key: authserver.KeyOf(fmt.Sprint("round ", round))}))
		terminate(t, conn, name)
		_, err := s.Get(t.Context(), authserver.KeyOf(fmt.Sprint("round ", round)))
		require.NoError(t, err)
		terminate(t, conn, name)
		_, err = s.Revoke(t.Context(), authserver.Selector{Family: "x"})
		require.NoError(t, err)
		terminate(t, conn, name)
		_, err = s.DeleteExpired(t.Context(), epoch, 10)
		require.NoError(t, err)
	}
}

// terminate closes all other connections of an application.
func terminate(t *testing.T, conn *pgx.Conn, application string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
		WHERE application_name = $1 AND pid <> pg_backend_pid()`, application)
	require.NoError(t, err)
}

// together runs f in n goroutines that start at the same time.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}
