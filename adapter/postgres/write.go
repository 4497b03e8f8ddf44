package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sneckauth/sneck/authserver"
)

const (
	// maxWrites is the largest number of calls that share a transaction.
	maxWrites = 128
	// maxKeyLocks is the largest number of keys that a transaction locks one
	// by one; the database has room for some thousands.
	maxKeyLocks = 512
)

// A write is a Create, or a Spend if it has one.
type write struct {
	spend *authserver.Spend
	rows  []row
}

type writeCall = call[write, authserver.Record]

// Create implements [authserver.Store].
func (s *Store) Create(ctx context.Context, records ...authserver.Record) error {
	rows, err := s.lives.rows(records)
	if err != nil {
		return err
	}
	_, err = s.writes.do(ctx, write{rows: rows})
	return err
}

// Spend implements [authserver.Store].
func (s *Store) Spend(ctx context.Context, spend authserver.Spend) (authserver.Record, error) {
	rows, err := s.lives.rows(spend.Yield)
	if err != nil {
		return authserver.Record{}, err
	}
	spend.Yield = nil
	return s.writes.do(ctx, write{&spend, rows})
}

// write answers a batch. If the database refuses it, each call gets a
// transaction of its own, so that it fails alone.
func (s *Store) write(batch []*writeCall) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	err := s.on(ctx, s.writers, func(ctx context.Context, conn *pgx.Conn) error { return s.transact(ctx, conn, batch) })
	cancel()
	switch {
	case err == nil:
	case len(batch) > 1 && isUndone(err) && !isBroken(err):
		for i := range batch {
			s.write(batch[i : i+1])
		}
	default:
		for _, c := range batch {
			c.result, c.err = authserver.Record{}, answer(err)
		}
	}
}

// transact runs a batch in one transaction: lock and look, decide about each
// call, write. All locks are taken in the same order by everyone: first the
// one that revocations take, then records by their keys, then new keys.
func (s *Store) transact(ctx context.Context, conn *pgx.Conn, batch []*writeCall) error {
	if rows := creates(batch); rows != nil {
		if created, err := s.create(ctx, conn, rows); created || err != nil {
			return err
		}
	}
	found, taken, err := s.look(ctx, conn, batch)
	if err != nil {
		return &undone{err}
	}
	changes := decide(batch, found, taken)
	if len(changes.rows) == 0 && len(changes.spent) == 0 {
		// Nothing was written, so there is nothing that could fail.
		_, _ = conn.Exec(ctx, `ROLLBACK`)
		return nil
	}
	var b pgx.Batch
	if len(changes.rows) > 0 {
		b.Queue(insertRows, arrays(changes.rows)...)
	}
	if len(changes.spent) > 0 {
		b.Queue(`UPDATE records r SET spent = u.spent FROM unnest($1::bytea[], $2::smallint[], $3::bigint[]) u (key, slot, spent)
			WHERE r.key = u.key AND r.slot = u.slot`, changes.spent, changes.slots, changes.at)
	}
	commit(&b)
	return failed(conn.SendBatch(ctx, &b).Close())
}

// creates returns the rows of a batch that has nothing else and in which no key
// comes twice, or nil.
func creates(batch []*writeCall) []row {
	var rows []row
	seen := map[authserver.Key]bool{}
	for _, c := range batch {
		if c.arg.spend != nil {
			return nil
		}
		for i := range c.arg.rows {
			seen[c.arg.rows[i].key] = true
		}
		rows = append(rows, c.arg.rows...)
	}
	if len(seen) < len(rows) || len(chosen(nil, rows)) > maxKeyLocks {
		return nil
	}
	return rows
}

// chosen appends the keys of the rows that somebody may have already.
func chosen(keys [][]byte, rows []row) [][]byte {
	for i := range rows {
		if !rows[i].random {
			keys = append(keys, rows[i].key[:])
		}
	}
	return keys
}

// create writes rows if all of their keys are free, and reports whether it has.
// The function does what look, decide and the rest of transact do.
func (s *Store) create(ctx context.Context, conn *pgx.Conn, rows []row) (bool, error) {
	// Of a connection that breaks later, nobody knows what it has done.
	//lint:ignore SA1019 a journey to the database would cost more than all of this saves
	if err := conn.PgConn().CheckConn(); err != nil {
		_ = conn.Close(ctx)
		return false, &undone{err}
	}
	keys := chosen([][]byte{}, rows)
	taken, err := conn.Query(ctx, writeRecords, append([]any{s.space, s.locks(keys), keys}, arrays(rows)...)...)
	if err != nil {
		return false, failed(err)
	}
	free := !taken.Next()
	taken.Close()
	return free, failed(taken.Err())
}

const writeRecords = `SELECT write_records($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`

func commit(b *pgx.Batch) {
	b.Queue(`COMMIT`).Exec(func(tag pgconn.CommandTag) error {
		if tag.String() != "COMMIT" {
			return &undone{errors.New("the transaction was rolled back")}
		}
		return nil
	})
}

// look begins a transaction, locks the records to be spent and the keys to be
// made, and returns those records, and those of the keys that are taken.
func (s *Store) look(ctx context.Context, conn *pgx.Conn, batch []*writeCall) (found map[authserver.Key]*stored, taken map[authserver.Key]bool, err error) {
	var spends, creates [][]byte
	for _, c := range batch {
		if c.arg.spend != nil {
			spends = append(spends, c.arg.spend.Key[:])
		}
		creates = chosen(creates, c.arg.rows)
	}
	found, taken = map[authserver.Key]*stored{}, map[authserver.Key]bool{}
	var b pgx.Batch
	b.Queue(`BEGIN ISOLATION LEVEL READ COMMITTED`)
	if len(creates) <= maxKeyLocks {
		b.Queue(`SELECT pg_advisory_xact_lock_shared($1, 0)`, s.space)
	} else {
		b.Queue(`SELECT pg_advisory_xact_lock($1, 0)`, s.space) // nobody else makes keys
	}
	if len(spends) > 0 {
		slices.SortFunc(spends, bytes.Compare)
		b.Queue(selectRecord+`key = ANY($1) ORDER BY key FOR NO KEY UPDATE`, spends).Query(func(rows pgx.Rows) error {
			records, err := pgx.CollectRows(rows, scanRecord)
			for i := range records {
				found[records[i].Key] = &records[i]
			}
			return err
		})
	}
	if len(creates) > 0 {
		if len(creates) <= maxKeyLocks {
			b.Queue(`SELECT count(pg_advisory_xact_lock(k)) FROM unnest($1::bigint[]) k`, s.locks(creates))
		}
		b.Queue(`SELECT key FROM records WHERE key = ANY($1)`, creates).Query(func(rows pgx.Rows) error {
			keys, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
			for _, key := range keys {
				taken[authserver.Key(key)] = true
			}
			return err
		})
	}
	return found, taken, conn.SendBatch(ctx, &b).Close()
}

// locks returns the numbers of the advisory locks of the keys, in order. No
// index can see to it that a key is in one partition only; these do, while
// somebody looks and then writes.
func (s *Store) locks(keys [][]byte) []int64 {
	locks := make([]int64, len(keys))
	for i, key := range keys {
		locks[i] = int64(binary.BigEndian.Uint64(key)) ^ int64(s.space)
	}
	slices.Sort(locks)
	return slices.Compact(locks)
}

// changes is what a batch writes.
type changes struct {
	rows  []row
	spent [][]byte
	slots []int16
	at    []int64
}

// decide answers every call, in order, as if those before it were written.
func decide(batch []*writeCall, found map[authserver.Key]*stored, taken map[authserver.Key]bool) (todo changes) {
	for _, c := range batch {
		c.result, c.err = authserver.Record{}, nil
		var r *stored
		if spend := c.arg.spend; spend != nil {
			if r = found[spend.Key]; r == nil {
				c.err = authserver.ErrNotFound
				continue
			}
			c.result, c.err = clone(r.Record), spend.Refusal(r.Record)
			if c.err != nil {
				continue
			}
		}
		if !take(taken, c.arg.rows) {
			c.result, c.err = authserver.Record{}, authserver.ErrExists
			continue
		}
		todo.rows = append(todo.rows, c.arg.rows...)
		if r != nil && r.Spent.IsZero() && !c.arg.spend.Keep {
			r.Spent = c.arg.spend.Now.Truncate(time.Microsecond)
			todo.spent, todo.slots = append(todo.spent, c.arg.spend.Key[:]), append(todo.slots, r.slot)
			todo.at = append(todo.at, r.Spent.UnixMicro())
		}
	}
	return todo
}

// take marks the keys as taken, all of them or none.
func take(taken map[authserver.Key]bool, rows []row) bool {
	for i := range rows {
		if taken[rows[i].key] {
			for _, before := range rows[:i] {
				delete(taken, before.key)
			}
			return false
		}
		taken[rows[i].key] = true
	}
	return true
}
