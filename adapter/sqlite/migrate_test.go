package sqlite_test

import (
	"database/sql"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/sqlite"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

// exec runs a script on a file, past the store.
func exec(t *testing.T, path, script string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), script, args...)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

// A file of the first version keeps every record and client.
func TestMigrationKeepsRecords(t *testing.T) {
	path := file(t)
	first, err := os.ReadFile("migrations/0001_records.sql")
	require.NoError(t, err)
	exec(t, path, string(first)+`; PRAGMA application_id = 0x736e636b; PRAGMA user_version = 1`)
	want := authserver.Record{
		Key: authserver.KeyOf("full"), Kind: authserver.KindRefresh, Family: "f", Client: "c", Subject: "s",
		Scopes: scopes.Set{"a", "b"}, Audience: []string{"x", "y"},
		Issued: time.UnixMicro(1).UTC(), NotBefore: time.UnixMicro(2).UTC(), Expires: time.UnixMicro(3).UTC(), Spent: time.UnixMicro(4).UTC(),
		Extra: []byte(`{"z":1}`),
	}
	exec(t, path, `INSERT INTO records VALUES (?, 'refresh', 'f', 'c', 's', 'a b', '["x","y"]', 1, 2, 3, 4, ?)`, want.Key[:], []byte(want.Extra))
	bare := authserver.Record{Key: authserver.KeyOf("bare"), Kind: "k", Client: "c", Subject: "s"}
	exec(t, path, `INSERT INTO records (key, kind, client, subject) VALUES (?, 'k', 'c', 's')`, bare.Key[:])
	exec(t, path, `INSERT INTO clients VALUES ('c', ?)`, []byte(`{"ID":"c"}`))

	s := open(t, path)
	for _, want := range []authserver.Record{want, bare} {
		got, err := s.Get(t.Context(), want.Key)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	require.ErrorIs(t, s.Create(t.Context(), bare), authserver.ErrExists)
	c, err := s.Client(t.Context(), "c")
	require.NoError(t, err)
	assert.Equal(t, &authserver.Client{ID: "c"}, c)
}

// After Close everything is in the one file, which may be copied.
func TestCloseEmptiesTheWAL(t *testing.T) {
	path := file(t)
	s, err := sqlite.Open(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, s.Create(t.Context(), authserver.Record{Key: authserver.KeyOf("x")}))
	_, err = s.Get(t.Context(), authserver.KeyOf("x"))
	require.NoError(t, err)
	_, err = s.Revoke(t.Context(), authserver.Selector{Client: "c"})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	assert.NoFileExists(t, path+"-wal")
	assert.NoFileExists(t, path+"-shm")

	data, err := os.ReadFile(path)
	require.NoError(t, err)
	backup := file(t)
	require.NoError(t, os.WriteFile(backup, data, 0o600))
	_, err = open(t, backup).Get(t.Context(), authserver.KeyOf("x"))
	require.NoError(t, err)
}

// What may be many is found by an index.
func TestStatementsUseIndexes(t *testing.T) {
	path := file(t)
	open(t, path)
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer db.Close()
	for _, where := range []string{"key = x''", "family = ''", "client = ''", "subject = ''", "client = '' AND subject = ''", "expires <= 1"} {
		var id, parent, unused int
		var plan string
		err := db.QueryRowContext(t.Context(), `EXPLAIN QUERY PLAN SELECT id FROM records WHERE `+where+` LIMIT 5`).Scan(&id, &parent, &unused, &plan)
		require.NoError(t, err)
		assert.Contains(t, plan, "SEARCH records USING ", where)
	}
}

// Many records are deleted by several statements, and exactly up to the limit.
func TestDeletesMany(t *testing.T) {
	s := open(t, file(t))
	expires := time.UnixMicro(1e15)
	records := make([]authserver.Record, 950)
	for i := range records {
		records[i] = authserver.Record{Key: authserver.KeyOf(fmt.Sprint(i)), Client: "c", Subject: fmt.Sprint(i % 2), Expires: expires}
	}
	require.NoError(t, s.Create(t.Context(), records...))
	for _, step := range []struct{ limit, want int64 }{{0, 0}, {-1, 0}, {1, 1}, {99, 99}, {250, 250}} {
		n, err := s.DeleteExpired(t.Context(), expires, int(step.limit))
		require.NoError(t, err)
		assert.Equal(t, step.want, n)
	}
	n, err := s.CountExpired(t.Context(), expires)
	require.NoError(t, err)
	assert.EqualValues(t, 600, n)
	n, err = s.Revoke(t.Context(), authserver.Selector{Client: "c", Subject: "1"})
	require.NoError(t, err)
	assert.EqualValues(t, 300, n)
	n, err = s.Revoke(t.Context(), authserver.Selector{Client: "c"})
	require.NoError(t, err)
	assert.EqualValues(t, 300, n)
}
