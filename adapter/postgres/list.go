package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sneckauth/sneck/authserver"
)

var _ authserver.Lister = (*Store)(nil)

// List implements [authserver.Lister].
func (s *Store) List(ctx context.Context, kind authserver.Kind, which authserver.Selector, after authserver.Key, limit int) ([]authserver.Record, error) {
	if which.IsZero() {
		return nil, errors.New("postgres: the selector is empty (hint: name a key, family, client or subject)")
	}
	for _, s := range []string{string(kind), which.Family, which.Client, which.Subject} {
		if !storable(s) {
			return nil, nil // nor is it in any record
		}
	}
	where, args := selector(which)
	args = append(args, after[:], string(kind), max(limit, 0))
	n := len(args)
	query := fmt.Sprintf(`%s%s AND key > $%d AND ($%d = '' OR kind = $%d) ORDER BY key LIMIT $%d`, selectRecord, where, n-2, n-1, n-1, n)
	var found []stored
	err := s.on(ctx, s.others, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, query, args...)
		if err != nil {
			return &undone{err}
		}
		if found, err = pgx.CollectRows(rows, scanRecord); err != nil {
			return &undone{err}
		}
		return nil
	})
	if err != nil {
		return nil, answer(err)
	}
	list := make([]authserver.Record, len(found))
	for i, r := range found {
		list[i] = r.Record
	}
	return list, nil
}
