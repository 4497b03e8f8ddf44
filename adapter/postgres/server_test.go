package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/postgres"
)

// server is the URL of the PostgreSQL for the tests; noServer says why there
// is none.
var (
	server   string
	noServer error
)

func TestMain(m *testing.M) {
	stop := func() {}
	switch url := os.Getenv("SNECK_TEST_POSTGRES"); {
	case url != "":
		server = url
	default:
		server = "postgres://postgres@127.0.0.1:5432/test"
		if !answers(server) {
			server, stop, noServer = start()
		}
	}
	code := m.Run()
	stop()
	os.Exit(code)
}

func answers(url string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return false
	}
	return conn.Close(ctx) == nil
}

// start starts a PostgreSQL of our own in a new directory, on no network.
func start() (url string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "pg") // the path of a socket must be short
	if err != nil {
		return "", func() {}, err
	}
	run := func(args ...string) error {
		if os.Geteuid() == 0 { // as which they refuse to run
			args = append([]string{"runuser", "-u", "postgres", "--"}, args...)
		}
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		out, err := cmd.Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return fmt.Errorf("%s: %w\n%s%s", strings.Join(args, " "), err, out, exit.Stderr)
		}
		return err
	}
	data := filepath.Join(dir, "data")
	stop = func() {
		_ = run("pg_ctl", "-D", data, "-m", "immediate", "stop")
		_ = os.RemoveAll(dir)
	}
	if os.Geteuid() == 0 {
		err = give(dir, "postgres")
	}
	if err == nil {
		err = run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8")
	}
	if err == nil {
		// Without fsync only a crash of the machine loses what was committed.
		err = run("pg_ctl", "-D", data, "-l", filepath.Join(dir, "log"), "-w", "-o", "-c listen_addresses='' -c fsync=off -k "+dir, "start")
	}
	if err != nil {
		stop()
		return "", func() {}, err
	}
	return "host=" + dir + " user=postgres dbname=postgres", stop, nil
}

func give(dir, name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	return os.Chown(dir, uid, -1)
}

var schemas atomic.Int64

// schema returns the name of a new schema, which is dropped when the test ends.
func schema(t testing.TB) string {
	t.Helper()
	if noServer != nil {
		message := fmt.Sprintf("no PostgreSQL for this test: %v (hint: install postgresql, or set SNECK_TEST_POSTGRES to a URL)", noServer)
		if os.Getenv("CI") == "true" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	name := fmt.Sprintf("sneck_test_%d_%d_%d", os.Getpid(), time.Now().UnixMicro(), schemas.Add(1))
	t.Cleanup(func() {
		ctx := context.Background() // that of the test is over
		conn, err := pgx.Connect(ctx, server)
		require.NoError(t, err)
		_, err = conn.Exec(ctx, "DROP SCHEMA IF EXISTS "+name+" CASCADE")
		require.NoError(t, err)
		require.NoError(t, conn.Close(ctx))
	})
	return name
}

func open(t testing.TB, config postgres.Config) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), server, config)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// connect returns a connection to look at a schema with.
func connect(t testing.TB, schema string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close(context.Background())) })
	_, err = conn.Exec(t.Context(), `SELECT set_config('search_path', $1, false)`, schema)
	require.NoError(t, err)
	return conn
}
