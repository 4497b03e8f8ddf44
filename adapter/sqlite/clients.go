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
	var data []byte
	err := s.client.QueryRowContext(ctx, id).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, authserver.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	var c authserver.Client
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("sqlite: the record of client %q is damaged: %w", id, err)
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

// DeleteClient deletes the client with the ID, if there is one. What was
// issued to it lives on; Revoke ends that.
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	return s.writer.do(ctx, func(w *writer) error {
		_, err := w.conn.ExecContext(context.Background(), `DELETE FROM clients WHERE id = ?`, id)
		return failed(err)
	})
}
