package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/postgres"
	"github.com/sneckauth/sneck/authserver"
)

// fill writes n records that live for the same time, and returns the first.
func fill(t testing.TB, s *postgres.Store, name string, n int, issued time.Time, life time.Duration) authserver.Record {
	t.Helper()
	records := make([]authserver.Record, n)
	for i := range records {
		records[i] = authserver.Record{Key: authserver.KeyOf(fmt.Sprint(name, i)), Client: "c", Issued: issued, Expires: issued.Add(life)}
	}
	require.NoError(t, s.Create(t.Context(), records...))
	return records[0]
}

func TestWholePartitionsAreEmptied(t *testing.T) {
	s := open(t, postgres.Config{Schema: schema(t)})
	short := fill(t, s, "short", 2500, epoch, time.Hour)
	long := fill(t, s, "long", 1500, epoch, 30*24*time.Hour)
	few := fill(t, s, "few", 10, epoch, 5*time.Hour)
	ever := fill(t, s, "ever", 10, epoch, 10000*time.Hour)

	n, err := s.DeleteExpired(t.Context(), short.Expires.Add(-time.Microsecond), 100)
	require.NoError(t, err)
	assert.Zero(t, n)
	n, err = s.DeleteExpired(t.Context(), short.Expires, 100)
	require.NoError(t, err)
	assert.EqualValues(t, 2500, n, "all at once, although more than 100")
	n, err = s.DeleteExpired(t.Context(), few.Expires, 100)
	require.NoError(t, err)
	assert.EqualValues(t, 10, n, "one by one")
	_, err = s.Get(t.Context(), long.Key)
	require.NoError(t, err)
	n, err = s.DeleteExpired(t.Context(), ever.Expires, 2000)
	require.NoError(t, err)
	assert.EqualValues(t, 1500, n, "a partition at a time")
	n, err = s.DeleteExpired(t.Context(), ever.Expires, 2000)
	require.NoError(t, err)
	assert.EqualValues(t, 10, n)
	for _, r := range []authserver.Record{short, long, few, ever} {
		_, err = s.Get(t.Context(), r.Key)
		require.ErrorIs(t, err, authserver.ErrNotFound)
	}
	fill(t, s, "short", 2500, epoch, time.Hour) // the keys are free again
}

// A partition with very many records is not read, so their number is what
// PostgreSQL believes it to be.
func TestManyAreEstimated(t *testing.T) {
	name := schema(t)
	s := open(t, postgres.Config{Schema: name, DropOnly: true})
	many := fill(t, s, "many", 15_000, epoch, time.Hour)
	_, err := connect(t, name).Exec(t.Context(), `ANALYZE records`)
	require.NoError(t, err)
	want, err := s.CountExpired(t.Context(), many.Expires)
	require.NoError(t, err)
	assert.EqualValues(t, 15_000, want, "which may take its time")
	n, err := s.DeleteExpired(t.Context(), many.Expires, 1)
	require.NoError(t, err)
	// What is reported just after an ANALYZE has been counted by that, too.
	assert.GreaterOrEqual(t, n, int64(14_850))
	assert.LessOrEqual(t, n, int64(30_150))
	_, err = s.Get(t.Context(), many.Key)
	require.ErrorIs(t, err, authserver.ErrNotFound)
}

func TestDropOnly(t *testing.T) {
	s := open(t, postgres.Config{Schema: schema(t), DropOnly: true})
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) // of a turn
	first := fill(t, s, "first", 10, start, time.Hour)
	second := fill(t, s, "second", 10, start, time.Hour+time.Minute)
	rest := fill(t, s, "rest", 10, start.Add(-1000*time.Hour), 1100*time.Hour)

	n, err := s.CountExpired(t.Context(), first.Expires)
	require.NoError(t, err)
	assert.Zero(t, n)
	n, err = s.DeleteExpired(t.Context(), first.Expires, 5)
	require.NoError(t, err)
	assert.Zero(t, n, "not while another of the partition is valid")
	_, err = s.Get(t.Context(), first.Key)
	require.NoError(t, err)
	n, err = s.DeleteExpired(t.Context(), second.Expires, 100)
	require.NoError(t, err)
	assert.EqualValues(t, 20, n)
	_, err = s.Get(t.Context(), rest.Key)
	require.NoError(t, err)
	n, err = s.DeleteExpired(t.Context(), start.Add(40*24*time.Hour), 100)
	require.NoError(t, err)
	assert.EqualValues(t, 10, n)
}

// Somebody who reads a table for hours, such as a backup, does not stop
// anybody: the partition is emptied another time.
func TestDeleteExpiredDoesNotWait(t *testing.T) {
	name := schema(t)
	s := open(t, postgres.Config{Schema: name, DropOnly: true})
	old := fill(t, s, "old", 1200, epoch, time.Hour)
	conn := connect(t, name)
	backup, err := conn.Begin(t.Context())
	require.NoError(t, err)
	var seen int
	require.NoError(t, backup.QueryRow(t.Context(), `SELECT count(*) FROM records`).Scan(&seen))

	n, err := s.DeleteExpired(t.Context(), old.Expires, 2000)
	require.NoError(t, err)
	assert.Zero(t, n)
	require.NoError(t, s.Create(t.Context(), authserver.Record{Client: "c"}))

	require.NoError(t, backup.Rollback(t.Context()))
	n, err = s.DeleteExpired(t.Context(), old.Expires, 2000)
	require.NoError(t, err)
	assert.EqualValues(t, 1200, n)
}

// Many servers delete while others write.
func TestDeleteExpiredTogether(t *testing.T) {
	config := postgres.Config{Schema: schema(t)}
	servers := []*postgres.Store{open(t, config), open(t, config)}
	fill(t, servers[0], "old", 3000, epoch, time.Hour)
	fill(t, servers[0], "rest", 3000, epoch, 9999*time.Hour)
	deleted := make([]int64, 4)
	together(20, func(i int) {
		s := servers[i%2]
		if i < len(deleted) {
			for {
				n, err := s.DeleteExpired(t.Context(), epoch.Add(10000*time.Hour), 500)
				if !assert.NoError(t, err) || n == 0 {
					return
				}
				deleted[i] += n
			}
		}
		for n := range 20 {
			assert.NoError(t, s.Create(t.Context(), authserver.Record{Key: authserver.KeyOf(fmt.Sprint(i, " new ", n)), Issued: epoch, Expires: epoch.Add(20000 * time.Hour)}))
		}
	})
	n, err := servers[0].DeleteExpired(t.Context(), epoch.Add(10000*time.Hour), 10000)
	require.NoError(t, err)
	for _, more := range deleted {
		n += more
	}
	assert.EqualValues(t, 6000, n)
	var left int
	require.NoError(t, connect(t, config.Schema).QueryRow(t.Context(), `SELECT count(*) FROM records`).Scan(&left))
	assert.Equal(t, 16*20, left)
}

// Statements that were planned while all partitions were empty do not become
// scans of what these grow to.
func TestStatementsUseIndexes(t *testing.T) {
	name := schema(t)
	s := open(t, postgres.Config{Schema: name})
	conn := connect(t, name)
	together(64, func(i int) {
		r := authserver.Record{Key: authserver.KeyOf(fmt.Sprint(i)), Family: "f", Client: "c", Subject: "s", Issued: epoch, Expires: epoch.Add(time.Hour)}
		assert.NoError(t, s.Create(t.Context(), r))
		_, err := s.Get(t.Context(), r.Key)
		assert.NoError(t, err)
		_, err = s.Spend(t.Context(), authserver.Spend{Key: r.Key, Now: epoch, Yield: []authserver.Record{{Key: authserver.KeyOf(fmt.Sprint("yield ", i))}}})
		assert.NoError(t, err)
	})
	for _, which := range []authserver.Selector{{Family: "f"}, {Client: "c"}, {Subject: "s"}, {Key: authserver.KeyOf("1")}} {
		_, err := s.Revoke(t.Context(), which)
		require.NoError(t, err)
	}
	_, err := s.DeleteExpired(t.Context(), epoch, 10)
	require.NoError(t, err)
	require.NoError(t, s.Close()) // which makes the connections report
	assert.Zero(t, sequentialScans(t, conn, name))
}

func sequentialScans(t *testing.T, conn *pgx.Conn, schema string) (n int) {
	t.Helper()
	err := conn.QueryRow(context.Background(), `SELECT coalesce(sum(seq_scan - CASE WHEN seq_tup_read = 0 THEN seq_scan ELSE 0 END), 0)
		FROM pg_stat_user_tables WHERE schemaname = $1 AND relname LIKE 'records%'`, schema).Scan(&n)
	require.NoError(t, err)
	return n
}
