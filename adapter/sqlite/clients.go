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

func decodeClient(row *sql.Row) (*authserver.Client, error) {
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

// PutClient adds a client or replaces the one with the same ID, after it was
// checked. Secrets are stored as the hashes that they are.
func (s *Store) PutClient(ctx context.Context, c *authserver.Client) error {
	if err := c.Check(); err != nil {
		return err
	}
	id := c.ID
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return s.writer.do(ctx, func(w *writer) error {
		_, err := w.conn.ExecContext(context.Background(),
			`INSERT INTO clients (id, data) VALUES (?, ?) ON CONFLICT DO UPDATE SET data = excluded.data`, id, data)
		return failed(err)
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

// DeleteClient deletes the client with the ID, if there is one. What was
// issued to it lives on; Revoke ends that.
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	return s.writer.do(ctx, func(w *writer) error {
		_, err := w.conn.ExecContext(context.Background(), `DELETE FROM clients WHERE id = ?`, id)
		return failed(err)
	})
}
