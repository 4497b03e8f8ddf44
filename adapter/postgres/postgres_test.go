package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/postgres"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/storetest"
	"github.com/sneckauth/sneck/scopes"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Test(t, func(t *testing.T) authserver.Store { return open(t, postgres.Config{Schema: schema(t)}) })
	storetest.TestLister(t, func(t *testing.T) authserver.Lister { return open(t, postgres.Config{Schema: schema(t)}) })
	storetest.TestClients(t, func(t *testing.T) authserver.ClientRegistry { return open(t, postgres.Config{Schema: schema(t)}) })
}

func TestReopen(t *testing.T) {
	var config postgres.Config
	storetest.TestReopen(t,
		func(t *testing.T) authserver.Store {
			config.Schema = schema(t)
			return open(t, config)
		},
		func(t *testing.T, s authserver.Store) authserver.Store {
			require.NoError(t, s.(*postgres.Store).Close())
			return open(t, config)
		})
}

// The kit's callers are spread over two servers that share the tables, and
// that only ever delete whole partitions.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	storetest.Test(t, func(t *testing.T) authserver.Store {
		config := postgres.Config{Schema: schema(t), DropOnly: true}
		return &twoServers{servers: [2]*postgres.Store{open(t, config), open(t, config)}}
	})
}

// twoServers sends each call to one of two servers in turn.
type twoServers struct {
	servers [2]*postgres.Store
	n       atomic.Int64
}

func (s *twoServers) next() *postgres.Store { return s.servers[s.n.Add(1)%2] }

func (s *twoServers) Create(ctx context.Context, records ...authserver.Record) error {
	return s.next().Create(ctx, records...)
}

func (s *twoServers) Get(ctx context.Context, key authserver.Key) (authserver.Record, error) {
	return s.next().Get(ctx, key)
}

func (s *twoServers) Spend(ctx context.Context, spend authserver.Spend) (authserver.Record, error) {
	return s.next().Spend(ctx, spend)
}

func (s *twoServers) Revoke(ctx context.Context, which authserver.Selector) (int64, error) {
	return s.next().Revoke(ctx, which)
}

func (s *twoServers) DeleteExpired(ctx context.Context, before time.Time, limit int) (int64, error) {
	return s.next().DeleteExpired(ctx, before, limit)
}

func TestOpenRefuses(t *testing.T) {
	_, err := postgres.Open(t.Context(), "postgres://u:hush@localhost:port/", postgres.Config{})
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "hush")

	_, err = postgres.Open(t.Context(), "", postgres.Config{
		Schema: `a"b`, Writers: -1, Queue: -1, ShortLife: time.Hour, LongLife: time.Minute,
	})
	for _, field := range []string{"Schema", "Writers", "Queue", "LongLife"} {
		require.ErrorContains(t, err, field)
	}

	for message, script := range map[string]string{
		"belongs to another program": `CREATE TABLE other (a int)`,
		"newer version":              `CREATE TABLE migrated AS SELECT 99 AS version, 1 AS space`,
	} {
		name := schema(t)
		conn := connect(t, name)
		_, err := conn.Exec(t.Context(), `CREATE SCHEMA `+name)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), script)
		require.NoError(t, err)
		_, err = postgres.Open(t.Context(), server, postgres.Config{Schema: name})
		require.ErrorContains(t, err, message)
	}
}

// Servers that start at once on a new schema do not disturb each other.
func TestMigrationsRunOnce(t *testing.T) {
	config := postgres.Config{Schema: schema(t), Writers: 1, Readers: 1}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			s, err := postgres.Open(t.Context(), server, config)
			if !assert.NoError(t, err) {
				return
			}
			assert.NoError(t, s.Create(t.Context(), authserver.Record{Key: authserver.KeyOf(fmt.Sprint(i))}))
			assert.NoError(t, s.Close())
		})
	}
	wg.Wait()
	s := open(t, config)
	for i := range 16 {
		_, err := s.Get(t.Context(), authserver.KeyOf(fmt.Sprint(i)))
		require.NoError(t, err)
	}
}

// A database that is set up to lose commits does not get to.
func TestCommitsAreDurable(t *testing.T) {
	name := schema(t)
	t.Setenv("PGOPTIONS", "-c synchronous_commit=off")
	s := open(t, postgres.Config{Schema: name})
	conn := connect(t, name)
	var setting string
	require.NoError(t, conn.QueryRow(t.Context(), `SHOW synchronous_commit`).Scan(&setting))
	require.Equal(t, "off", setting, "of others")

	_, err := conn.Exec(t.Context(), `CREATE TABLE seen (setting text);
		CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
		CREATE TRIGGER look AFTER INSERT ON records FOR EACH ROW EXECUTE FUNCTION look()`)
	require.NoError(t, err)
	require.NoError(t, s.Create(t.Context(), authserver.Record{Client: "c"}))
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT setting FROM seen`).Scan(&setting))
	assert.Equal(t, "on", setting)
}

func TestClients(t *testing.T) {
	config := postgres.Config{Schema: schema(t)}
	s := open(t, config)
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

	other := open(t, config) // as another server would
	got.Name = "changed"
	require.NoError(t, other.PutClient(t.Context(), got))
	got, err = s.Client(t.Context(), "app")
	require.NoError(t, err)
	assert.Equal(t, "changed", got.Name)

	better := authserver.HashGenerated("y")
	require.NoError(t, s.UpgradeSecret(t.Context(), "app", "$sha256$another", better))
	require.NoError(t, s.UpgradeSecret(t.Context(), "app", app.Secrets[0].Hash, better))
	got, err = other.Client(t.Context(), "app")
	require.NoError(t, err)
	assert.Equal(t, []authserver.Secret{{Hash: better, Expires: app.Secrets[0].Expires}}, got.Secrets)
	for _, id := range []string{"nobody", "\x00"} {
		require.ErrorIs(t, s.UpgradeSecret(t.Context(), id, "", better), authserver.ErrNotFound)
	}

	require.Error(t, s.PutClient(t.Context(), &authserver.Client{}))
	require.NoError(t, other.DeleteClient(t.Context(), "app"))
	require.NoError(t, other.DeleteClient(t.Context(), "app"))
	for _, id := range []string{"app", "\x00", "\xff"} {
		_, err = s.Client(t.Context(), id)
		require.ErrorIs(t, err, authserver.ErrNotFound)
	}
}

// Close waits for those who are writing, and every one of them either gets an
// error or finds its record again.
func TestCloseDrains(t *testing.T) {
	config := postgres.Config{Schema: schema(t)}
	s := open(t, config)
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
					assert.ErrorIs(t, err, postgres.ErrClosed)
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
	again := open(t, config)
	for writer, count := range counts {
		for i := range count {
			_, err := again.Get(t.Context(), key(writer, i))
			require.NoError(t, err)
		}
		_, err := again.Get(t.Context(), key(writer, count))
		require.ErrorIs(t, err, authserver.ErrNotFound)
	}

	_, err := s.Get(t.Context(), authserver.Key{})
	require.ErrorIs(t, err, postgres.ErrClosed)
	_, err = s.Client(t.Context(), "x")
	require.ErrorIs(t, err, postgres.ErrClosed)
	_, err = s.Revoke(t.Context(), authserver.Selector{Client: "x"})
	require.ErrorIs(t, err, postgres.ErrClosed)
	_, err = s.DeleteExpired(t.Context(), time.Now(), 1)
	require.ErrorIs(t, err, postgres.ErrClosed)
}

// A caller that gives up, or asks for what can not be stored, does not take
// the others of its transaction along.
func TestCallersAreIndependent(t *testing.T) {
	s := open(t, postgres.Config{Schema: schema(t), Writers: 1})
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r := authserver.Record{Key: authserver.KeyOf(fmt.Sprint(i))}
			switch i % 3 {
			case 0:
				go cancel()
				err := s.Create(ctx, r)
				assert.True(t, err == nil || errors.Is(err, context.Canceled), "%v", err)
			case 1:
				r.Subject = "\x00"
				assert.ErrorContains(t, s.Create(ctx, r), "NUL")
			default:
				assert.NoError(t, s.Create(ctx, r))
			}
		})
	}
	wg.Wait()
}

// More records than there is room for locks can be written at once.
func TestCreateMany(t *testing.T) {
	s := open(t, postgres.Config{Schema: schema(t)})
	many := make([]authserver.Record, 5000)
	for i := range many {
		many[i].Key = authserver.KeyOf(fmt.Sprint(i))
	}
	require.NoError(t, s.Create(t.Context(), many...))
	require.ErrorIs(t, s.Create(t.Context(), many...), authserver.ErrExists)
	_, err := s.Get(t.Context(), many[4999].Key)
	require.NoError(t, err)
}
