package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sneckauth/sneck/authserver"
)

const (
	// maxReads is the largest number of calls that share a statement.
	maxReads = 128
	// fewReads are looked up in all partitions at once.
	fewReads = 4
)

type readCall = call[authserver.Key, authserver.Record]

// Get implements [authserver.Store].
func (s *Store) Get(ctx context.Context, key authserver.Key) (authserver.Record, error) {
	return s.reads.do(ctx, key)
}

// read answers a batch. Each partition in which a key is looked up costs some
// microseconds, so many keys are looked up where most of them are, and the few
// that are left everywhere.
func (s *Store) read(batch []*readCall) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	keys := make([][]byte, len(batch))
	for i, c := range batch {
		keys[i] = c.arg[:]
	}
	found := make(map[authserver.Key]authserver.Record, len(batch))
	err := s.on(ctx, s.readers, func(ctx context.Context, conn *pgx.Conn) error {
		clear(found)
		left := keys
		if len(left) > fewReads {
			hot := s.lives.hot(time.Now())
			where := fmt.Sprintf(`slot IN (%d, %d, %d) AND key = ANY($1)`, hot[0], hot[1], hot[2])
			if err := lookUp(ctx, conn, where, left, found); err != nil {
				return err
			}
			left = slices.DeleteFunc(slices.Clone(left), func(key []byte) bool {
				_, there := found[authserver.Key(key)]
				return there
			})
		}
		switch len(left) {
		case 0:
			return nil
		case 1:
			return lookUp(ctx, conn, `key = $1`, left[0], found)
		}
		return lookUp(ctx, conn, `key = ANY($1)`, left, found)
	})
	given := make(map[authserver.Key]bool, len(batch))
	for _, c := range batch {
		r, there := found[c.arg]
		switch {
		case err != nil:
			c.err = answer(err)
		case !there:
			c.err = authserver.ErrNotFound
		case given[c.arg]:
			c.result = clone(r)
		default:
			c.result = r
			given[c.arg] = true
		}
	}
}

func lookUp(ctx context.Context, conn *pgx.Conn, where string, arg any, found map[authserver.Key]authserver.Record) error {
	rows, err := conn.Query(ctx, selectRecord+where, arg)
	if err != nil {
		return &undone{err}
	}
	records, err := pgx.CollectRows(rows, scanRecord)
	if err != nil {
		return &undone{err}
	}
	for _, r := range records {
		found[r.Key] = r.Record
	}
	return nil
}

// clone returns a copy that shares nothing with r.
func clone(r authserver.Record) authserver.Record {
	r.Scopes, r.Audience, r.Extra = slices.Clone(r.Scopes), slices.Clone(r.Audience), slices.Clone(r.Extra)
	return r
}
