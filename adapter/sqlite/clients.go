package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sneckauth/sneck/authserver"
)

// Client implements [authserver.Clients].
func (s *Store) Client(ctx context.Context, id string) (*authserver.Client, error) {
	if s.closed.Load() {
		return nil, ErrClosed
	}
	c, err := decodeClient(s.client.QueryRowContext(ctx, id))
	if err != nil && !errors.Is(err, authserver.ErrNotFound) {
		err = fmt.Errorf("sqlite: read client %q: %w", id, err)
	}
	return c, err
}

const selectClient = `SELECT data FROM clients WHERE id = ?`

func decodeClient(row interface{ Scan(dest ...any) error }) (*authserver.Client, error) {
	var data []byte
	err := row.Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, authserver.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	var c authserver.Client
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, err
	}
	return &c, nil
}

// ListClients implements [authserver.ClientRegistry].
func (s *Store) ListClients(ctx context.Context, after string, limit int) (list []*authserver.Client, err error) {
	if s.closed.Load() {
		return nil, ErrClosed
	}
	rows, err := s.readers.QueryContext(ctx, `SELECT data FROM clients WHERE id > ? ORDER BY id LIMIT ?`, after, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("sqlite: list clients: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		c, err := decodeClient(rows)
		if err != nil {
			return nil, fmt.Errorf("sqlite: list clients: %w", err)
		}
		list = append(list, c)
	}
	return list, rows.Err()
}

// CreateClient implements [authserver.ClientRegistry].
func (s *Store) CreateClient(ctx context.Context, c *authserver.Client) error {
	return s.writeClient(ctx, c, `INSERT INTO clients (id, data) VALUES (?, ?) ON CONFLICT DO NOTHING`)
}

// PutClient implements [authserver.ClientRegistry].
func (s *Store) PutClient(ctx context.Context, c *authserver.Client) error {
	return s.writeClient(ctx, c, `INSERT INTO clients (id, data) VALUES (?, ?) ON CONFLICT DO UPDATE SET data = excluded.data`)
}

// writeClient runs a statement that takes an ID and data. It returns ErrExists
// if nothing was written.
func (s *Store) writeClient(ctx context.Context, c *authserver.Client, query string) error {
	if err := c.Check(); err != nil {
		return err
	}
	id := c.ID
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return s.writer.do(ctx, func(w *writer) error {
		res, err := w.conn.ExecContext(context.Background(), query, id, data)
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
	})
}

// UpgradeSecret implements [authserver.SecretUpgrader].
func (s *Store) UpgradeSecret(ctx context.Context, clientID, from, to string) error {
	return s.writer.do(ctx, func(w *writer) error {
		ctx := context.Background()
		c, err := decodeClient(w.conn.QueryRowContext(ctx, selectClient, clientID))
		if err != nil {
			return err
		}
		for i := range c.Secrets {
			if c.Secrets[i].Hash == from {
				c.Secrets[i].Hash = to
			}
		}
		data, err := json.Marshal(c)
		if err != nil {
			return err
		}
		_, err = w.conn.ExecContext(ctx, `UPDATE clients SET data = ? WHERE id = ?`, data, clientID)
		return failed(err)
	})
}

// DeleteClient implements [authserver.ClientRegistry].
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	return s.writer.do(ctx, func(w *writer) error {
		_, err := w.conn.ExecContext(context.Background(), `DELETE FROM clients WHERE id = ?`, id)
		return failed(err)
	})
}
