// Package postgres keeps the records and clients of an authserver in
// PostgreSQL, 14 or later. Any number of servers may share one database.
//
// An answer is given after its commit, and a commit is on the disk
// (synchronous_commit). Callers that wait at the same time share one
// transaction, so that durability costs little under load, and each of them
// still succeeds or fails alone. What has expired is deleted by emptying whole
// partitions; docs/decisions/0005 says how, and why keys are unique all the
// same.
//
// Every transaction is over within milliseconds. If a server dies in the
// middle of one, PostgreSQL ends it after ten seconds; until then others wait
// if they want the same record. Pooling proxies that hand a connection to
// another client after each transaction do not work: the statements are
// prepared.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sneckauth/sneck/authserver"
)

// Config says how a store uses its database. The zero value is fit for use.
type Config struct {
	// Schema is the PostgreSQL schema with the tables; empty means "sneck".
	// It is created if it is not there. It has lower-case letters, digits and
	// underscores.
	Schema string
	// Writers and Readers are how many connections write and read at the same
	// time, each for many callers; zero means 1. Four more are for all else.
	// More of them help if the database has many cores or is far away, and do
	// harm if not: fewer calls share each commit.
	Writers, Readers int
	// Queue is how many calls of a kind may wait for a connection before
	// others wait for room; zero means 4,096.
	Queue int
	// ShortLife is the longest life of records that are deleted together
	// soonest, within half that time after they expired; zero means two
	// hours. It is best a little above the life of most access tokens.
	ShortLife time.Duration
	// LongLife is the same for all others, such as refresh tokens; zero means
	// 32 days. Records that live longer are deleted one by one.
	LongLife time.Duration
	// DropOnly makes DeleteExpired leave the records that do not expire
	// together with all others of their partition until these have expired
	// too. That takes up to half of ShortLife, or LongLife, more, during which they are
	// returned as the expired records they are, and saves nearly all of the
	// work.
	DropOnly bool
}

const (
	defaultConns = 1
	maxConns     = 1000
	// extraConns are for revocations, reading and writing clients, and deleting.
	extraConns       = 4
	defaultQueue     = 4096
	defaultShortLife = 2 * time.Hour
	defaultLongLife  = 32 * 24 * time.Hour
)

var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// prepare fills in the defaults and returns what is wrong, all mistakes joined.
func (c *Config) prepare() error {
	for _, n := range []*int{&c.Writers, &c.Readers} {
		if *n == 0 {
			*n = defaultConns
		}
	}
	if c.Schema == "" {
		c.Schema = "sneck"
	}
	if c.Queue == 0 {
		c.Queue = defaultQueue
	}
	if c.ShortLife == 0 {
		c.ShortLife = defaultShortLife
	}
	if c.LongLife == 0 {
		c.LongLife = max(defaultLongLife, c.ShortLife)
	}
	var errs []error
	if !schemaName.MatchString(c.Schema) {
		errs = append(errs, fmt.Errorf("postgres: Schema %q is not of 1 to 63 lower-case letters, digits and underscores", c.Schema))
	}
	if c.Writers < 0 || c.Readers < 0 || c.Writers > maxConns || c.Readers > maxConns {
		errs = append(errs, fmt.Errorf("postgres: Writers %d and Readers %d must be 1 to %d each", c.Writers, c.Readers, maxConns))
	}
	if c.Queue < 0 {
		errs = append(errs, fmt.Errorf("postgres: Queue %d is negative", c.Queue))
	}
	if c.ShortLife < time.Second || c.LongLife < c.ShortLife {
		errs = append(errs, fmt.Errorf("postgres: ShortLife %v must be at least a second, and LongLife %v not less than that", c.ShortLife, c.LongLife))
	}
	return errors.Join(errs...)
}

// A Store is an authserver.Store and authserver.Clients in PostgreSQL. Open it
// with [Open]. It is safe for concurrent use.
type Store struct {
	// Connections know the statements and plans that they were used for, and
	// take long for others. So those that write and read records do nothing
	// else, and whoever cleans up leaves them alone.
	writers, readers, others *pgxpool.Pool

	space    int32 // of the advisory locks
	lives    lives
	dropOnly bool

	writes  *queue[write, authserver.Record]
	reads   *queue[authserver.Key, authserver.Record]
	revokes *queue[authserver.Selector, int64]

	clientReads *queue[string, *authserver.Client]
	recent      recent

	closed atomic.Bool
}

var (
	_ authserver.Store          = (*Store)(nil)
	_ authserver.ExpiredCounter = (*Store)(nil)
	_ authserver.ClientRegistry = (*Store)(nil)
	_ authserver.ClientChanger  = (*Store)(nil)
	_ authserver.SecretUpgrader = (*Store)(nil)
)

// ErrClosed means that the store was closed.
var ErrClosed = errors.New("postgres: the store is closed")

// Open connects to a database and brings the tables up to date; several
// servers may do so at once. url is a URL or a list of key=value pairs, as
// libpq takes them, with its environment variables as defaults. Close the
// store when it is no longer needed.
func Open(ctx context.Context, url string, config Config) (*Store, error) {
	if err := config.prepare(); err != nil {
		return nil, err
	}
	// Its errors do not contain the password.
	pool, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	session(pool.ConnConfig, config.Schema)
	pool.AfterConnect = durable

	s := &Store{lives: lives{config.ShortLife, config.LongLife}, dropOnly: config.DropOnly}
	for of, size := range map[**pgxpool.Pool]int{&s.writers: config.Writers, &s.readers: config.Readers, &s.others: extraConns} {
		if *of, err = pgxpool.NewWithConfig(ctx, sized(pool, int32(size))); err != nil {
			s.disconnect()
			return nil, fmt.Errorf("postgres: open: %w", err)
		}
	}
	err = s.others.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		s.space, err = migrate(ctx, conn.Conn(), config.Schema)
		return err
	})
	if err != nil {
		s.disconnect()
		return nil, fmt.Errorf("postgres: open: %w", err)
	}
	s.writes = newPaced(config.Queue, config.Writers, maxWrites, s.write)
	s.reads = newQueue(config.Queue, config.Readers, maxReads, s.read)
	s.revokes = newQueue(config.Queue, 1, maxRevokes, s.revoke)
	s.clientReads = newQueue(config.Queue, 1, maxClientReads, s.readClients)
	return s, nil
}

// sized returns a copy of the settings for a pool with so many connections.
func sized(pool *pgxpool.Config, size int32) *pgxpool.Config {
	pool = pool.Copy()
	pool.MaxConns = size
	pool.MinConns = min(pool.MinConns, size)
	pool.MinIdleConns = min(pool.MinIdleConns, size)
	return pool
}

// disconnect closes all connections.
func (s *Store) disconnect() {
	for _, pool := range []*pgxpool.Pool{s.writers, s.readers, s.others} {
		if pool != nil {
			pool.Close()
		}
	}
}

// session sets what the statements here rely on.
func session(conn *pgx.ConnConfig, schema string) {
	set := conn.RuntimeParams
	if set["application_name"] == "" {
		set["application_name"] = "sneck"
	}
	set["search_path"] = schema
	set["statement_timeout"] = "20s"
	set["idle_in_transaction_session_timeout"] = "10s"
	// There is one good plan for each statement, by an index. It is made once,
	// maybe while a partition is empty, and must not be a scan of the partition
	// that it becomes.
	set["plan_cache_mode"] = "force_generic_plan"
	for _, plan := range []string{"seqscan", "hashjoin", "mergejoin"} {
		set["enable_"+plan] = "off"
	}
	set["jit"] = "off"
}

// durable undoes a default of the database or role, and leaves stricter ones.
func durable(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`)
	return err
}

// Close waits for the calls that are under way, and closes the connections.
// Calls that come later return ErrClosed.
func (s *Store) Close() error {
	s.closed.Store(true)
	var closing sync.WaitGroup
	closing.Go(s.writes.close)
	closing.Go(s.reads.close)
	closing.Go(s.revokes.close)
	closing.Go(s.clientReads.close)
	closing.Wait()
	s.disconnect()
	return nil
}
