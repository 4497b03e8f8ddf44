package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sneckauth/sneck/authserver"
)

const (
	// maxRevokes is the largest number of calls that share a transaction.
	maxRevokes = 64
	// maxDelete is the largest number of records that are deleted by one
	// statement where they can be many.
	maxDelete = 1000
)

type revokeCall = call[authserver.Selector, int64]

// Revoke implements [authserver.Store]. Other calls that write wait meanwhile,
// for no longer than it takes to find the records by an index and delete the
// last of them; most are deleted before. If it fails, some may be revoked.
func (s *Store) Revoke(ctx context.Context, which authserver.Selector) (int64, error) {
	if which.IsZero() {
		return 0, errors.New("postgres: the selector is empty (hint: name a key, family, client or subject)")
	}
	for _, s := range []string{which.Family, which.Client, which.Subject} {
		if !storable(s) {
			return 0, nil // nor is it in any record
		}
	}
	var thinned int64
	if which.Family == "" && (which.Key == authserver.Key{}) {
		where, args := selector(which)
		var err error
		if thinned, err = s.deleteWhere(ctx, where, args, 1<<62); err != nil {
			return thinned, err
		}
	}
	n, err := s.revokes.do(ctx, which)
	return thinned + n, err
}

// selector returns a condition and its arguments.
func selector(which authserver.Selector) (string, []any) {
	var where []string
	var args []any
	add := func(column string, value any) {
		args = append(args, value)
		where = append(where, fmt.Sprintf("%s = $%d", column, len(args)))
	}
	if (which.Key != authserver.Key{}) {
		add("key", which.Key[:])
	}
	if which.Family != "" {
		add("family", which.Family)
	}
	if which.Client != "" {
		add("client", which.Client)
	}
	if which.Subject != "" {
		add("subject", which.Subject)
	}
	return strings.Join(where, " AND "), args
}

// revoke answers a batch, like [Store.write].
func (s *Store) revoke(batch []*revokeCall) {
	// In the order in which others lock records.
	slices.SortFunc(batch, func(a, b *revokeCall) int { return bytes.Compare(a.arg.Key[:], b.arg.Key[:]) })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	err := s.on(ctx, s.others, func(ctx context.Context, conn *pgx.Conn) error { return s.transactRevokes(ctx, conn, batch) })
	cancel()
	switch {
	case err == nil:
	case len(batch) > 1 && isUndone(err) && !isBroken(err):
		for i := range batch {
			s.revoke(batch[i : i+1])
		}
	default:
		for _, c := range batch {
			c.result, c.err = 0, answer(err)
		}
	}
}

func (s *Store) transactRevokes(ctx context.Context, conn *pgx.Conn, batch []*revokeCall) error {
	var locks pgx.Batch
	locks.Queue(`BEGIN ISOLATION LEVEL READ COMMITTED`)
	// A record that is being spent may yield others that the statement would
	// not see. So it waits for those who write, and they for it. What has a
	// given key is one record, which is locked by itself.
	if slices.ContainsFunc(batch, func(c *revokeCall) bool { return c.arg.Key == authserver.Key{} }) {
		locks.Queue(`SELECT pg_advisory_xact_lock($1, 0)`, s.space)
	}
	if err := conn.SendBatch(ctx, &locks).Close(); err != nil {
		return &undone{err}
	}
	var b pgx.Batch
	for _, c := range batch {
		where, args := selector(c.arg)
		b.Queue(`DELETE FROM records WHERE `+where, args...).Exec(func(tag pgconn.CommandTag) error {
			c.result, c.err = tag.RowsAffected(), nil
			return nil
		})
	}
	commit(&b)
	return failed(conn.SendBatch(ctx, &b).Close())
}

// deleteWhere deletes up to limit records, few at a time. It waits for nobody,
// and leaves out the records that somebody is about to change.
func (s *Store) deleteWhere(ctx context.Context, where string, args []any, limit int64) (total int64, err error) {
	query := fmt.Sprintf(`DELETE FROM records WHERE (key, slot) IN
		(SELECT key, slot FROM records WHERE %s LIMIT $%d FOR UPDATE SKIP LOCKED)`, where, len(args)+1)
	for total < limit {
		chunk := min(limit-total, maxDelete)
		var n int64
		err := s.on(ctx, s.others, func(ctx context.Context, conn *pgx.Conn) error {
			tag, err := exec(ctx, conn, query, append(slices.Clone(args), chunk)...)
			n = tag.RowsAffected()
			return err
		})
		if err != nil {
			return total, answer(err)
		}
		if total += n; n < chunk {
			break
		}
	}
	return total, nil
}
