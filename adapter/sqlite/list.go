package sqlite

import (
	"context"
	"errors"

	"github.com/sneckauth/sneck/authserver"
)

var _ authserver.Lister = (*Store)(nil)

// List implements [authserver.Lister]. By client alone it reads the whole
// table; by family or subject it is quick.
func (s *Store) List(ctx context.Context, kind authserver.Kind, which authserver.Selector, after authserver.Key, limit int) (_ []authserver.Record, err error) {
	if s.closed.Load() {
		return nil, ErrClosed
	}
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
	rows, err := s.readers.QueryContext(ctx, query+` ORDER BY key LIMIT ?`, append(args, max(limit, 0))...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var list []authserver.Record
	for rows.Next() {
		r, err := scanRecord(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}
