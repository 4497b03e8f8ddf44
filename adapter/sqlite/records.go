package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

const (
	columns      = `key, kind, family, client, subject, scopes, audience, issued, not_before, expires, spent, extra`
	selectRecord = `SELECT ` + columns + ` FROM records WHERE key = ?`
	insertRecord = `INSERT INTO records (` + columns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
)

// Create implements [authserver.Store].
func (s *Store) Create(ctx context.Context, records ...authserver.Record) error {
	rows, err := encodeAll(records)
	if err != nil {
		return err
	}
	return s.writer.do(ctx, func(w *writer) error { return w.create(rows) })
}

// Get implements [authserver.Store].
func (s *Store) Get(ctx context.Context, key authserver.Key) (authserver.Record, error) {
	if s.closed.Load() {
		return authserver.Record{}, ErrClosed
	}
	return scanRecord(s.get.QueryRowContext(ctx, key[:]))
}

// Spend implements [authserver.Store].
func (s *Store) Spend(ctx context.Context, spend authserver.Spend) (authserver.Record, error) {
	rows, err := encodeAll(spend.Yield)
	if err != nil {
		return authserver.Record{}, err
	}
	var before authserver.Record
	err = s.writer.do(ctx, func(w *writer) error {
		r, err := scanRecord(w.get.QueryRowContext(context.Background(), spend.Key[:]))
		if errors.Is(err, authserver.ErrNotFound) {
			return err
		}
		if err != nil {
			return failed(err)
		}
		switch {
		case r.ExpiredAt(spend.Now):
			before = r
			return authserver.ErrExpired
		case !r.Spent.IsZero() && !spend.Now.Before(r.Spent.Add(spend.Grace)):
			before = r
			return authserver.ErrSpent
		}
		if err := w.create(rows); err != nil {
			return err
		}
		if r.Spent.IsZero() && !spend.Keep {
			if _, err := w.spend.ExecContext(context.Background(), micros(spend.Now), spend.Key[:]); err != nil {
				return failed(err)
			}
		}
		before = r
		return nil
	})
	if err != nil && !errors.Is(err, authserver.ErrExpired) && !errors.Is(err, authserver.ErrSpent) {
		// The operation may still be running, so its result is not looked at.
		return authserver.Record{}, err
	}
	return before, err
}

// Revoke implements [authserver.Store]. If it fails, some may be revoked.
func (s *Store) Revoke(ctx context.Context, which authserver.Selector) (int64, error) {
	var where []string
	var args []any
	add := func(column string, value any) {
		where = append(where, column+" = ?")
		args = append(args, value)
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
	if len(where) == 0 {
		return 0, errors.New("sqlite: the selector is empty (hint: name a key, family, client or subject)")
	}
	// When the last of them are deleted, no other is there, nor any that could
	// yield one.
	return s.delete(ctx, math.MaxInt, strings.Join(where, " AND "), args...)
}

// DeleteExpired implements [authserver.Store].
func (s *Store) DeleteExpired(ctx context.Context, before time.Time, limit int) (int64, error) {
	return s.delete(ctx, limit, `expires <= ?`, before.UnixMicro())
}

// CountExpired implements [authserver.ExpiredCounter].
func (s *Store) CountExpired(ctx context.Context, before time.Time) (n int64, err error) {
	if s.closed.Load() {
		return 0, ErrClosed
	}
	err = s.readers.QueryRowContext(ctx, `SELECT count(*) FROM records WHERE expires <= ?`, before.UnixMicro()).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("sqlite: count expired records: %w", err)
	}
	return n, nil
}

// maxDelete is the largest number of records that are deleted at once. It
// takes about as long as a few dozen others take to be written.
const maxDelete = 100

// delete deletes up to limit records, few at a time.
func (s *Store) delete(ctx context.Context, limit int, where string, args ...any) (total int64, err error) {
	query := `DELETE FROM records WHERE id IN (SELECT id FROM records WHERE ` + where + ` LIMIT ?)`
	for limit > 0 {
		chunk := min(limit, maxDelete)
		n, err := s.deleteSome(ctx, query, append(args[:len(args):len(args)], chunk)...)
		total += n
		limit -= chunk
		if err != nil || n < int64(chunk) {
			return total, err
		}
	}
	return total, ctx.Err()
}

// deleteSome runs one statement, with what others write at the same time.
func (s *Store) deleteSome(ctx context.Context, query string, args ...any) (int64, error) {
	result := make(chan int64, 1)
	err := s.writer.do(ctx, func(w *writer) error {
		res, err := w.conn.ExecContext(context.Background(), query, args...)
		if err != nil {
			return failed(err)
		}
		n, err := res.RowsAffected()
		if err != nil {
			return failed(err)
		}
		select {
		case <-result: // of an attempt that was rolled back
		default:
		}
		result <- n
		return nil
	})
	if err != nil {
		return 0, err
	}
	return <-result, nil
}

// create inserts all rows, or none if one has a key that is taken.
func (w *writer) create(rows [][]any) error {
	ctx := context.Background()
	if len(rows) == 1 {
		res, err := w.insertNew.ExecContext(ctx, rows[0]...)
		if err != nil {
			return failed(err)
		}
		n, err := res.RowsAffected()
		if err != nil {
			return failed(err)
		}
		if n == 0 {
			return authserver.ErrExists
		}
		return nil
	}
	seen := map[string]bool{}
	for _, row := range rows {
		key := row[0].([]byte)
		var n int
		if err := w.has.QueryRowContext(ctx, key).Scan(&n); err != nil {
			return failed(err)
		}
		if n > 0 || seen[string(key)] {
			return authserver.ErrExists
		}
		seen[string(key)] = true
	}
	for _, row := range rows {
		if _, err := w.insert.ExecContext(ctx, row...); err != nil {
			return failed(err)
		}
	}
	return nil
}

func encodeAll(records []authserver.Record) ([][]any, error) {
	rows := make([][]any, len(records))
	for i, r := range records {
		var audience any
		if len(r.Audience) > 0 {
			data, err := json.Marshal(r.Audience)
			if err != nil {
				return nil, err
			}
			audience = string(data)
		}
		rows[i] = []any{
			append([]byte(nil), r.Key[:]...), string(r.Kind), text(r.Family), r.Client, r.Subject,
			text(r.Scopes.String()), audience,
			micros(r.Issued), micros(r.NotBefore), micros(r.Expires), micros(r.Spent), append([]byte(nil), r.Extra...),
		}
	}
	return rows, nil
}

func scanRecord(row *sql.Row) (authserver.Record, error) {
	var (
		r                                 authserver.Record
		key, extra                        []byte
		kind                              string
		family, set, audience             sql.NullString
		issued, notBefore, expires, spent sql.NullInt64
	)
	err := row.Scan(&key, &kind, &family, &r.Client, &r.Subject, &set, &audience, &issued, &notBefore, &expires, &spent, &extra)
	if errors.Is(err, sql.ErrNoRows) {
		return r, authserver.ErrNotFound
	}
	if err != nil {
		return r, err
	}
	copy(r.Key[:], key)
	r.Kind, r.Family, r.Extra = authserver.Kind(kind), family.String, extra
	if set.String != "" {
		r.Scopes = scopes.Set(strings.Split(set.String, " "))
	}
	if audience.String != "" {
		if err := json.Unmarshal([]byte(audience.String), &r.Audience); err != nil {
			return r, err
		}
	}
	r.Issued, r.NotBefore, r.Expires, r.Spent = moment(issued), moment(notBefore), moment(expires), moment(spent)
	return r, nil
}

// text returns NULL for the empty string.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// micros returns NULL for the zero time.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func moment(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMicro(n.Int64).UTC()
}
