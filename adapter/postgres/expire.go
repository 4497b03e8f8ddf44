package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// minDrop is the number of records from which on a partition is emptied as
	// a whole, if others would be deleted one by one.
	minDrop = 1000
	// lockPatience is how long everybody waits at worst because a partition is
	// about to be emptied that somebody reads.
	lockPatience = 100 * time.Millisecond
	// maxCount is up to where records are counted before they are deleted
	// together. Reading more of them would disturb others more than deleting.
	maxCount = 10_000
)

// DeleteExpired implements [authserver.Store]. It empties a partition in which
// everything has expired, which takes little time however full it is, and may so
// delete more than limit records; the number does not account for what is
// revoked meanwhile, and above ten thousand it is an estimate. If there is none,
// and unless Config.DropOnly is set, it deletes records from other partitions one
// by one, up to the limit.
func (s *Store) DeleteExpired(ctx context.Context, before time.Time, limit int) (int64, error) {
	if err := s.alive(ctx); err != nil {
		return 0, err
	}
	if limit <= 0 {
		return 0, nil
	}
	for slot := range slots {
		if slot == slotRest {
			continue // it has no turns, so it is never emptied
		}
		if n, err := s.empty(ctx, slot, before); n > 0 || err != nil {
			return n, answer(err)
		}
	}
	where := `expires <= $1`
	if s.dropOnly {
		where = `slot = 0 AND ` + where
	}
	return s.deleteWhere(ctx, where, []any{before.UnixMicro()}, int64(limit))
}

// empty empties a partition if all that is in it has expired, and returns how
// many records there were.
func (s *Store) empty(ctx context.Context, slot int16, before time.Time) (n int64, err error) {
	table := fmt.Sprintf("records_%d", slot)
	err = s.on(ctx, s.others, func(ctx context.Context, conn *pgx.Conn) error {
		n = 0
		whole, err := expired(ctx, conn, table, before)
		if err != nil || !whole {
			return err
		}
		// Counting takes long, and so is done before others have to wait.
		count, err := about(ctx, conn, table)
		if err != nil {
			return err
		}
		if count == 0 || count < minDrop && !s.dropOnly {
			return nil
		}
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, fmt.Sprintf(`SET LOCAL lock_timeout = %d`, lockPatience.Milliseconds())); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `LOCK TABLE `+table+` IN ACCESS EXCLUSIVE MODE`); err != nil {
				return err
			}
			whole, err := expired(ctx, tx, table, before) // still, or because another server was quicker
			if err != nil || !whole {
				return err
			}
			if _, err = tx.Exec(ctx, `TRUNCATE `+table); err == nil {
				n = count
			}
			return err
		})
		var e *pgconn.PgError
		const lockNotAvailable = "55P03"
		if errors.As(err, &e) && e.Code == lockNotAvailable {
			return nil // the next time
		}
		return failed(err)
	})
	return n, err
}

// about returns how many records a partition has.
func about(ctx context.Context, conn *pgx.Conn, table string) (n int64, err error) {
	err = conn.QueryRow(ctx, fmt.Sprintf(`SELECT count(*) FROM (SELECT FROM %s LIMIT %d) AS few`, table, maxCount+1)).Scan(&n)
	if err != nil || n <= maxCount {
		return n, undo(err)
	}
	// What PostgreSQL has seen written and deleted, reported after a moment and
	// forgotten in a crash, or what it found when it last looked.
	err = conn.QueryRow(ctx, `SELECT greatest($1, pg_stat_get_live_tuples(oid), reltuples::bigint) FROM pg_class WHERE oid = $2::regclass`,
		n, table).Scan(&n)
	return n, undo(err)
}

// undo says of an error that nothing has changed.
func undo(err error) error {
	if err == nil {
		return nil
	}
	return &undone{err}
}

// CountExpired implements [authserver.ExpiredCounter].
func (s *Store) CountExpired(ctx context.Context, before time.Time) (total int64, err error) {
	if err := s.alive(ctx); err != nil {
		return 0, err
	}
	err = s.on(ctx, s.others, func(ctx context.Context, conn *pgx.Conn) error {
		total = 0
		return undo(pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0`); err != nil {
				return err
			}
			for slot := range slots {
				table := fmt.Sprintf("records_%d", slot)
				if s.dropOnly && slot != slotRest {
					if whole, err := expired(ctx, tx, table, before); err != nil {
						return err
					} else if !whole {
						continue
					}
				}
				var n int64
				if err := tx.QueryRow(ctx, `SELECT count(*) FROM `+table+` WHERE expires <= $1`, before.UnixMicro()).Scan(&n); err != nil {
					return err
				}
				total += n
			}
			return nil
		}))
	})
	return total, answer(err)
}

// expired reports whether there are records and all of them have expired.
func expired(ctx context.Context, q interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, table string, before time.Time) (bool, error) {
	var last *int64
	if err := q.QueryRow(ctx, `SELECT max(expires) FROM `+table).Scan(&last); err != nil {
		return false, &undone{err}
	}
	return last != nil && *last <= before.UnixMicro(), nil
}
