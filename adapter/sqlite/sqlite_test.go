package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/sqlite"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/storetest"
	"github.com/sneckauth/sneck/scopes"
)

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "sneck.db") }

func TestStore(t *testing.T) {
	storetest.Test(t, func(t *testing.T) authserver.Store { return open(t, file(t)) })
	storetest.TestClients(t, func(t *testing.T) authserver.ClientRegistry { return open(t, file(t)) })
	storetest.TestLister(t, func(t *testing.T) authserver.Lister { return open(t, file(t)) })
}

func TestReopen(t *testing.T) {
	path := file(t)
	storetest.TestReopen(t,
		func(t *testing.T) authserver.Store { return open(t, path) },
		func(t *testing.T, s authserver.Store) authserver.Store {
			require.NoError(t, s.(*sqlite.Store).Close())
			return open(t, path)
		})
}

// The backup of docs/durability.md is whole while a server writes on.
func TestDocsBackup(t *testing.T) {
	docs, err := os.ReadFile("../../docs/durability.md")
	require.NoError(t, err)
	shown := regexp.MustCompile(`sqlite3 \S+ "(VACUUM INTO )'([^']+)'"`).FindStringSubmatch(string(docs))
	require.NotNil(t, shown)
	path, backup := file(t), filepath.Join(t.TempDir(), filepath.Base(shown[2]))
	s := open(t, path)
	kept := authserver.Record{Key: authserver.KeyOf("kept"), Kind: authserver.KindAccess, Expires: time.Now().Add(time.Hour)}
	require.NoError(t, s.Create(t.Context(), kept))

	writing, written := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	busy.Go(func() {
		for i := 0; writing.Err() == nil; i++ {
			_ = s.Create(t.Context(), authserver.Record{Key: authserver.KeyOf(fmt.Sprint(i)), Kind: authserver.KindAccess, Expires: kept.Expires})
		}
	})
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), shown[1]+"'"+backup+"'")
	written()
	busy.Wait()
	require.NoError(t, err)

	_, err = open(t, backup).Get(t.Context(), kept.Key)
	assert.NoError(t, err)
}

func TestModeOfTheFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "sneck.db"))
	require.NoError(t, s.Create(t.Context(), authserver.Record{}))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 3) // with -wal and -shm
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode(), e.Name())
	}
}

func TestOddPaths(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a b.db", "a?mode=memory", "a#b", "a%20b", "é"} {
		path := filepath.Join(dir, name)
		open(t, path)
		_, err := os.Stat(path)
		require.NoError(t, err)
	}
	t.Chdir(dir)
	open(t, "relative.db")
	_, err := os.Stat(filepath.Join(dir, "relative.db"))
	require.NoError(t, err)
}

func TestOpenRefuses(t *testing.T) {
	for _, path := range []string{"", ":memory:", t.TempDir(), "/does/not/exist"} {
		_, err := sqlite.Open(t.Context(), path)
		require.Error(t, err, path)
	}
	garbage := file(t)
	require.NoError(t, os.WriteFile(garbage, []byte("this is not a database, but long enough to be read as one"), 0o600))
	_, err := sqlite.Open(t.Context(), garbage)
	require.Error(t, err)
	kept, err := os.ReadFile(garbage)
	require.NoError(t, err)
	assert.Contains(t, string(kept), "this is not a database")

	for name, script := range map[string]string{
		"belongs to another program": `CREATE TABLE other (a)`,
		"newer version":              `PRAGMA application_id = 0x736e636b; PRAGMA user_version = 99`,
	} {
		path := file(t)
		db, err := sql.Open("sqlite", path)
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), script)
		require.NoError(t, err)
		require.NoError(t, db.Close())
		_, err = sqlite.Open(t.Context(), path)
		require.ErrorContains(t, err, name)
	}
}

// lockElsewhere has another process lock the file until the test ends: what this
// one does with it would end its own locks.
func lockElsewhere(t *testing.T, path, script string) {
	t.Helper()
	cmd := elsewhere(t, path, script)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _, _ = in.Close(), cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "locked\n", line)
}

// elsewhere returns another process that runs a script on the file, or without one
// says whether somebody reads it.
func elsewhere(t *testing.T, path, script string) *osexec.Cmd {
	cmd := osexec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelperLocks$")
	cmd.Env = append(os.Environ(), "SNECK_TEST_LOCK_FILE="+path, "SNECK_TEST_LOCK_SCRIPT="+script)
	return cmd
}

// TestHelperLocks is the other process.
func TestHelperLocks(t *testing.T) {
	path := os.Getenv("SNECK_TEST_LOCK_FILE")
	if path == "" {
		return // it is for others to run
	}
	script := os.Getenv("SNECK_TEST_LOCK_SCRIPT")
	if script == "" {
		f, err := os.Open(path)
		require.NoError(t, err)
		// The bytes that readers lock (SQLite, "File Format For VFS Locks").
		lock := syscall.Flock_t{Type: syscall.F_WRLCK, Start: 1<<30 + 2, Len: 510}
		require.NoError(t, syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &lock))
		fmt.Println(map[bool]string{true: "free", false: "held"}[lock.Type == syscall.F_UNLCK])
		return
	}
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	c, err := db.Conn(t.Context())
	require.NoError(t, err)
	_, err = c.ExecContext(t.Context(), script)
	require.NoError(t, err)
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// A file that another process keeps for itself is waited for, but not for ever.
func TestOpenWhileLocked(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"exclusive": "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE IF NOT EXISTS x (a)",
		"writing":   "BEGIN IMMEDIATE",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := file(t)
			open(t, path).Close()
			lockElsewhere(t, path, script)

			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, err := sqlite.Open(ctx, path)
			require.ErrorIs(t, err, context.DeadlineExceeded)

			began := time.Now()
			_, err = sqlite.Open(t.Context(), path)
			require.Error(t, err)
			assert.Regexp(t, "^sqlite: open "+regexp.QuoteMeta(path)+`: another process has locked it for \d+s: .*database is locked.* \(hint: wait for that process or end it; fuser \S+ names it\)$`, err.Error())
			assert.GreaterOrEqual(t, time.Since(began), 10*time.Second)
		})
	}
}

// A second Store of the same process leaves the locks of the first alone. Without
// them, another process takes the file for one that nobody uses.
func TestOpenTwice(t *testing.T) {
	path := file(t)
	open(t, path)
	open(t, path)
	out, err := elsewhere(t, path, "").Output()
	require.NoError(t, err)
	assert.Equal(t, "held", strings.Fields(string(out))[0])
}

// Processes that start at once on a new file do not disturb each other.
func TestMigrationsRunOnce(t *testing.T) {
	path := file(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			s, err := sqlite.Open(t.Context(), path)
			if !assert.NoError(t, err) {
				return
			}
			assert.NoError(t, s.Create(t.Context(), authserver.Record{Key: authserver.KeyOf(fmt.Sprint(i))}))
			assert.NoError(t, s.Close())
		})
	}
	wg.Wait()
	s := open(t, path)
	for i := range 8 {
		_, err := s.Get(t.Context(), authserver.KeyOf(fmt.Sprint(i)))
		require.NoError(t, err)
	}
}

func TestClients(t *testing.T) {
	path := file(t)
	s := open(t, path)
	_, err := s.Client(t.Context(), "app")
	require.ErrorIs(t, err, authserver.ErrNotFound)

	app := &authserver.Client{
		ID: "app", Name: "Ápp", Secrets: []authserver.Secret{{Hash: authserver.HashGenerated("x"), Expires: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}},
		AuthMethod: "client_secret_post", Grants: []string{"client_credentials"}, Scopes: scopes.Set{"a", "b"}, DefaultScopes: scopes.Set{"a"},
		Audience: []string{"x"}, Resources: []string{"https://y"}, Introspect: true, Serves: []string{"z"}, AccessTokenTTL: time.Minute,
	}
	require.NoError(t, s.PutClient(t.Context(), app))
	got, err := s.Client(t.Context(), "app")
	require.NoError(t, err)
	assert.Equal(t, app, got)

	other := open(t, path) // as another process would
	got.Name = "changed"
	require.NoError(t, other.PutClient(t.Context(), got))
	got, err = s.Client(t.Context(), "app")
	require.NoError(t, err)
	assert.Equal(t, "changed", got.Name)

	better := authserver.HashGenerated("y")
	require.NoError(t, s.UpgradeSecret(t.Context(), "app", "$sha256$another", better))
	require.NoError(t, s.UpgradeSecret(t.Context(), "app", app.Secrets[0].Hash, better))
	got, err = s.Client(t.Context(), "app")
	require.NoError(t, err)
	assert.Equal(t, []authserver.Secret{{Hash: better, Expires: app.Secrets[0].Expires}}, got.Secrets)
	require.ErrorIs(t, s.UpgradeSecret(t.Context(), "nobody", "", better), authserver.ErrNotFound)

	require.Error(t, s.PutClient(t.Context(), &authserver.Client{}))
	require.NoError(t, other.DeleteClient(t.Context(), "app"))
	require.NoError(t, other.DeleteClient(t.Context(), "app"))
	_, err = s.Client(t.Context(), "app")
	require.ErrorIs(t, err, authserver.ErrNotFound)
}

// Close waits for those who are writing, and every one of them either gets an
// error or finds its record again.
func TestCloseDrains(t *testing.T) {
	path := file(t)
	s := open(t, path)
	const writers, before = 16, 300
	var wrote atomic.Int64
	var wg sync.WaitGroup
	enough := make(chan struct{})
	var counts [writers]int
	key := func(writer, i int) authserver.Key { return authserver.KeyOf(fmt.Sprint(writer, " ", i)) }
	for writer := range writers {
		wg.Go(func() {
			for ; ; counts[writer]++ {
				err := s.Create(context.Background(), authserver.Record{Key: key(writer, counts[writer])})
				if err != nil {
					assert.ErrorIs(t, err, sqlite.ErrClosed)
					return
				}
				if wrote.Add(1) == before {
					close(enough)
				}
			}
		})
	}
	<-enough
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "again")
	wg.Wait()
	again := open(t, path)
	for writer, count := range counts {
		for i := range count {
			_, err := again.Get(t.Context(), key(writer, i))
			require.NoError(t, err)
		}
		_, err := again.Get(t.Context(), key(writer, count))
		require.ErrorIs(t, err, authserver.ErrNotFound)
	}

	_, err := s.Get(t.Context(), authserver.Key{})
	require.ErrorIs(t, err, sqlite.ErrClosed)
	_, err = s.Client(t.Context(), "x")
	require.ErrorIs(t, err, sqlite.ErrClosed)
}

// A caller that gives up does not take the others of its commit along.
func TestCallersAreIndependent(t *testing.T) {
	s := open(t, file(t))
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%2 == 0 {
				go cancel()
			}
			err := s.Create(ctx, authserver.Record{Key: authserver.KeyOf(fmt.Sprint(i))})
			if i%2 == 0 {
				assert.True(t, err == nil || errors.Is(err, context.Canceled), "%v", err)
			} else {
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
}

func BenchmarkCreate(b *testing.B) {
	for _, callers := range []int{1, 32, 256} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			s := open(b, file(b))
			ctx := context.Background()
			var n atomic.Int64
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
						r := authserver.Record{
							Key: authserver.KeyOf(fmt.Sprint(i)), Kind: authserver.KindAccess, Client: "client", Subject: "client",
							Scopes: scopes.Set{"read"}, Audience: []string{"https://api.example.com"},
							Issued: time.Unix(1893553445+i/1000, 0), Expires: time.Unix(1893557045+i/1000, 0),
						}
						if err := s.Create(ctx, r); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

func BenchmarkGet(b *testing.B) {
	s := open(b, file(b))
	const records = 10000
	for i := range records {
		if i%100 != 0 {
			continue
		}
		batch := make([]authserver.Record, 100)
		for j := range batch {
			batch[j] = authserver.Record{
				Key: authserver.KeyOf(fmt.Sprint(i + j)), Kind: authserver.KindAccess, Client: "client", Subject: "client",
				Scopes: scopes.Set{"read"}, Audience: []string{"https://api.example.com"}, Expires: time.Unix(1893557045, 0),
			}
		}
		require.NoError(b, s.Create(context.Background(), batch...))
	}
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := s.Get(context.Background(), authserver.KeyOf(fmt.Sprint(i%records))); err != nil {
				b.Error(err)
			}
		}
	})
}
