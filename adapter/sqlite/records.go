package sqlite

import (
	"context"
	"database/sql/driver"
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
func (s *Store) Get(ctx context.Context, key authserver.Key) (r authserver.Record, err error) {
	err = s.read(ctx, func(c *conn) (err error) {
		r, err = c.get(key)
		return err
	})
	return r, err
}

// get returns the record with the key, or ErrNotFound.
func (c *conn) get(key authserver.Key) (r authserver.Record, err error) {
	err = authserver.ErrNotFound
	failed := c.query(func(row []driver.Value) error {
		r, err = decodeRecord(row)
		return nil
	}, selectRecord, key[:])
	if failed != nil {
		return authserver.Record{}, fmt.Errorf("sqlite: read a record: %w", failed)
	}
	return r, err
}

// Spend implements [authserver.Store].
func (s *Store) Spend(ctx context.Context, spend authserver.Spend) (authserver.Record, error) {
	rows, err := encodeAll(spend.Yield)
	if err != nil {
		return authserver.Record{}, err
	}
	var before authserver.Record
	err = s.writer.do(ctx, func(w *writer) error {
		r, err := w.get(spend.Key)
		if errors.Is(err, authserver.ErrNotFound) {
			return err
		}
		if err != nil {
			return failed(err)
		}
		if err := spend.Refusal(r); err != nil {
			before = r
			return err
		}
		if err := w.create(rows); err != nil {
			return err
		}
		if r.Spent.IsZero() && !spend.Keep {
			if _, err := w.exec(`UPDATE records SET spent = ? WHERE key = ?`, micros(spend.Now), spend.Key[:]); err != nil {
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
	where, args := selector(which)
	if len(args) == 0 {
		return 0, errZeroSelector
	}
	// When the last of them are deleted, no other is there, nor any that could
	// yield one.
	return s.delete(ctx, math.MaxInt, where, args...)
}

var errZeroSelector = errors.New("sqlite: the selector is empty (hint: name a key, family, client or subject)")

// selector returns a condition and its arguments, none for the zero selector.
func selector(which authserver.Selector) (string, []driver.Value) {
	var where []string
	var args []driver.Value
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
	return strings.Join(where, " AND "), args
}

// DeleteExpired implements [authserver.Store].
func (s *Store) DeleteExpired(ctx context.Context, before time.Time, limit int) (int64, error) {
	return s.delete(ctx, limit, `expires <= ?`, before.UnixMicro())
}

// CountExpired implements [authserver.ExpiredCounter].
func (s *Store) CountExpired(ctx context.Context, before time.Time) (n int64, err error) {
	err = s.read(ctx, func(c *conn) error {
		row, err := c.numbers(`SELECT count(*) FROM records WHERE expires <= ?`, before.UnixMicro())
		if err != nil {
			return fmt.Errorf("sqlite: count expired records: %w", err)
		}
		n = row[0]
		return nil
	})
	return n, err
}

// maxDelete is the largest number of records that are deleted at once. It
// takes about as long as a few dozen others take to be written.
const maxDelete = 100

// delete deletes up to limit records, few at a time.
func (s *Store) delete(ctx context.Context, limit int, where string, args ...driver.Value) (total int64, err error) {
	query := `DELETE FROM records WHERE id IN (SELECT id FROM records WHERE ` + where + ` LIMIT ?)`
	for limit > 0 {
		chunk := min(limit, maxDelete)
		n, err := s.deleteSome(ctx, query, append(args[:len(args):len(args)], int64(chunk))...)
		total += n
		limit -= chunk
		if err != nil || n < int64(chunk) {
			return total, err
		}
	}
	return total, ctx.Err()
}

// deleteSome runs one statement, with what others write at the same time.
func (s *Store) deleteSome(ctx context.Context, query string, args ...driver.Value) (int64, error) {
	result := make(chan int64, 1)
	err := s.writer.do(ctx, func(w *writer) error {
		n, err := w.exec(query, args...)
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
func (w *writer) create(rows [][]driver.Value) error {
	if len(rows) == 1 {
		n, err := w.exec(insertRecord+` ON CONFLICT DO NOTHING`, rows[0]...)
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
		n, err := w.numbers(`SELECT count(*) FROM records WHERE key = ?`, key)
		if err != nil {
			return failed(err)
		}
		if n[0] > 0 || seen[string(key)] {
			return authserver.ErrExists
		}
		seen[string(key)] = true
	}
	for _, row := range rows {
		if _, err := w.exec(insertRecord, row...); err != nil {
			return failed(err)
		}
	}
	return nil
}

func encodeAll(records []authserver.Record) ([][]driver.Value, error) {
	rows := make([][]driver.Value, len(records))
	for i, r := range records {
		var audience, extra driver.Value
		if len(r.Audience) > 0 {
			data, err := json.Marshal(r.Audience)
			if err != nil {
				return nil, err
			}
			audience = string(data)
		}
		if len(r.Extra) > 0 {
			extra = append([]byte(nil), r.Extra...)
		}
		rows[i] = []driver.Value{
			append([]byte(nil), r.Key[:]...), string(r.Kind), text(r.Family), r.Client, r.Subject,
			text(r.Scopes.String()), audience,
			micros(r.Issued), micros(r.NotBefore), micros(r.Expires), micros(r.Spent), extra,
		}
	}
	return rows, nil
}

// decodeRecord reads a row of columns.
func decodeRecord(row []driver.Value) (authserver.Record, error) {
	d := decoder{row: row}
	r := authserver.Record{Kind: authserver.Kind(d.text(1)), Family: d.text(2), Client: d.text(3), Subject: d.text(4)}
	if set := d.text(5); set != "" {
		r.Scopes = scopes.Set(strings.Split(set, " "))
	}
	audience := d.text(6)
	r.Issued, r.NotBefore, r.Expires, r.Spent = d.moment(7), d.moment(8), d.moment(9), d.moment(10)
	key := d.bytes(0)
	r.Extra = d.bytes(11)
	if copy(r.Key[:], key) != len(key) || len(key) != len(r.Key) {
		d.wrong = true
	}
	if d.wrong {
		return authserver.Record{}, errors.New("sqlite: a record is damaged")
	}
	if audience != "" {
		if err := json.Unmarshal([]byte(audience), &r.Audience); err != nil {
			return authserver.Record{}, fmt.Errorf("sqlite: a record is damaged: %w", err)
		}
	}
	return r, nil
}

// A decoder reads values that are NULL or of one type each.
type decoder struct {
	row   []driver.Value
	wrong bool
}

func value[T any](d *decoder, i int) (v T) {
	if d.row[i] != nil {
		var ok bool
		v, ok = d.row[i].(T)
		d.wrong = d.wrong || !ok
	}
	return v
}

func (d *decoder) text(i int) string  { return value[string](d, i) }
func (d *decoder) bytes(i int) []byte { return value[[]byte](d, i) }

func (d *decoder) moment(i int) time.Time {
	if d.row[i] == nil {
		return time.Time{}
	}
	return time.UnixMicro(value[int64](d, i)).UTC()
}

// text returns NULL for the empty string.
func text(s string) driver.Value {
	if s == "" {
		return nil
	}
	return s
}

// micros returns NULL for the zero time.
func micros(t time.Time) driver.Value {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}
