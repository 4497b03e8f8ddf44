package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/sneckauth/sneck/authserver"
)

var _ authserver.Lister = (*Store)(nil)

// List implements [authserver.Lister]. By client alone it reads the whole
// table; by family or subject it is quick.
func (s *Store) List(ctx context.Context, kind authserver.Kind, which authserver.Selector, after authserver.Key, limit int) (list []authserver.Record, err error) {
	where, args := selector(which)
	if len(args) == 0 {
		return nil, errZeroSelector
	}
	query := `SELECT ` + columns + ` FROM records WHERE ` + where + ` AND key > ?`
	args = append(args, after[:])
	if kind != "" {
		query += ` AND kind = ?`
		args = append(args, string(kind))
	}
	err = s.read(ctx, func(c *conn) error {
		return c.query(func(row []driver.Value) error {
			r, err := decodeRecord(row)
			list = append(list, r)
			return err
		}, query+` ORDER BY key LIMIT ?`, append(args, int64(max(limit, 0)))...)
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: list records: %w", err)
	}
	return list, nil
}
