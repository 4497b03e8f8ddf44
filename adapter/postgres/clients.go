package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sneckauth/sneck/authserver"
)

// maxClientReads is the largest number of lookups that share a statement.
const maxClientReads = 256

type clientCall = call[string, *authserver.Client]

// Client implements [authserver.Clients].
func (s *Store) Client(ctx context.Context, id string) (*authserver.Client, error) {
	if !storable(id) {
		return nil, authserver.ErrNotFound
	}
	if err := s.alive(ctx); err != nil {
		return nil, err
	}
	if client := s.recent.get(id); client != nil {
		return client, nil
	}
	return s.clientReads.do(ctx, id)
}

// readClients answers a batch. Many ask for the same client.
func (s *Store) readClients(batch []*clientCall) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var ids []string
	for _, c := range batch {
		ids = append(ids, c.arg)
	}
	slices.Sort(ids)
	found := map[string][]byte{}
	var asked time.Time
	err := s.on(ctx, s.others, func(ctx context.Context, conn *pgx.Conn) error {
		clear(found)
		asked = time.Now()
		rows, err := conn.Query(ctx, `SELECT id, data FROM clients WHERE id = ANY($1)`, slices.Compact(ids))
		if err != nil {
			return &undone{err}
		}
		var id string
		var data []byte
		_, err = pgx.ForEachRow(rows, []any{&id, &data}, func() error {
			found[id] = data
			return nil
		})
		if err != nil {
			return &undone{err}
		}
		return nil
	})
	decoded := map[string]*authserver.Client{}
	for _, c := range batch {
		data, there := found[c.arg]
		switch {
		case err != nil:
			c.err = answer(err)
		case !there:
			c.err = authserver.ErrNotFound
		case decoded[c.arg] != nil: // read-only for everybody
			c.result = decoded[c.arg]
		default:
			if c.result, c.err = decodeClient(c.arg, data); c.err == nil {
				decoded[c.arg] = c.result
				s.recent.put(c.result, asked)
			}
		}
	}
}

func decodeClient(id string, data []byte) (*authserver.Client, error) {
	var c authserver.Client
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("postgres: the record of client %q is damaged: %w", id, err)
	}
	return &c, nil
}

// ListClients implements [authserver.ClientRegistry].
func (s *Store) ListClients(ctx context.Context, after string, limit int) (list []*authserver.Client, err error) {
	if err := s.alive(ctx); err != nil {
		return nil, err
	}
	err = s.on(ctx, s.others, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT id, data FROM clients WHERE id COLLATE "C" > $1 ORDER BY id COLLATE "C" LIMIT $2`, after, max(limit, 0))
		if err != nil {
			return &undone{err}
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*authserver.Client, error) {
			var id string
			var data []byte
			if err := row.Scan(&id, &data); err != nil {
				return nil, err
			}
			return decodeClient(id, data)
		})
		if err != nil {
			return &undone{err}
		}
		return nil
	})
	return list, answer(err)
}

// CreateClient implements [authserver.ClientRegistry].
func (s *Store) CreateClient(ctx context.Context, c *authserver.Client) error {
	n, err := s.writeClient(ctx, c, `INSERT INTO clients (id, data) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`)
	if err == nil && n == 0 {
		return authserver.ErrExists
	}
	return err
}

// PutClient implements [authserver.ClientRegistry].
func (s *Store) PutClient(ctx context.Context, c *authserver.Client) error {
	_, err := s.writeClient(ctx, c, `INSERT INTO clients (id, data) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET data = excluded.data`)
	if err != nil {
		return err
	}
	return settle(ctx)
}

// writeClient runs a statement that takes an ID and data, and returns how many
// rows it has written.
func (s *Store) writeClient(ctx context.Context, c *authserver.Client, query string) (int64, error) {
	if err := c.Check(); err != nil {
		return 0, err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return 0, err
	}
	return s.exec(ctx, query, c.ID, data)
}

// ChangeClient implements [authserver.ClientChanger].
func (s *Store) ChangeClient(ctx context.Context, id string, change func(*authserver.Client) (*authserver.Client, error)) error {
	if err := s.alive(ctx); err != nil {
		return err
	}
	if !storable(id) {
		return authserver.ErrNotFound
	}
	err := s.on(ctx, s.others, func(ctx context.Context, conn *pgx.Conn) error {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return &undone{err}
		}
		defer func() { _ = tx.Rollback(ctx) }()
		var data []byte
		err = tx.QueryRow(ctx, `SELECT data FROM clients WHERE id = $1 FOR UPDATE`, id).Scan(&data)
		if errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if err != nil {
			return &undone{err}
		}
		if data, err = changeData(id, data, change); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE clients SET data = $2 WHERE id = $1`, id, data); err != nil {
			return &undone{err}
		}
		return failed(tx.Commit(ctx))
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return authserver.ErrNotFound
	}
	if err != nil {
		return answer(err)
	}
	return settle(ctx)
}

// changeData returns the data of a client after it was changed and checked.
func changeData(id string, data []byte, change func(*authserver.Client) (*authserver.Client, error)) ([]byte, error) {
	c, err := decodeClient(id, data)
	if err == nil {
		c, err = change(c)
	}
	if err == nil {
		err = c.CheckAs(id)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(c)
}

// UpgradeSecret implements [authserver.SecretUpgrader].
func (s *Store) UpgradeSecret(ctx context.Context, clientID, from, to string) error {
	return s.ChangeClient(ctx, clientID, func(c *authserver.Client) (*authserver.Client, error) { return c.WithHash(from, to), nil })
}

// DeleteClient implements [authserver.ClientRegistry].
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	if !storable(id) {
		return nil
	}
	_, err := s.exec(ctx, `DELETE FROM clients WHERE id = $1`, id)
	if err != nil {
		return err
	}
	return settle(ctx)
}

// exec runs a statement, and returns how many rows it has written.
func (s *Store) exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	if err := s.alive(ctx); err != nil {
		return 0, err
	}
	err = s.on(ctx, s.others, func(ctx context.Context, conn *pgx.Conn) error {
		tag, err := exec(ctx, conn, query, args...)
		n = tag.RowsAffected()
		return err
	})
	return n, answer(err)
}

// alive returns why nothing is to be done any more.
func (s *Store) alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return ErrClosed
	}
	return nil
}
