package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sneckauth/sneck/authserver"
)

// Client implements [authserver.Clients].
func (s *Store) Client(ctx context.Context, id string) (*authserver.Client, error) {
	if !storable(id) {
		return nil, authserver.ErrNotFound
	}
	var data []byte
	err := s.on(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		err := conn.QueryRow(ctx, `SELECT data FROM clients WHERE id = $1`, id).Scan(&data)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return &undone{err}
		}
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, authserver.ErrNotFound
	}
	if err != nil {
		return nil, answer(err)
	}
	var c authserver.Client
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("postgres: the record of client %q is damaged: %w", id, err)
	}
	return &c, nil
}

// PutClient adds a client or replaces the one with the same ID, after it was
// checked. Secrets are stored as the hashes that they are.
func (s *Store) PutClient(ctx context.Context, c *authserver.Client) error {
	if err := c.Check(); err != nil {
		return err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return s.exec(ctx, `INSERT INTO clients (id, data) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET data = excluded.data`, c.ID, data)
}

// DeleteClient deletes the client with the ID, if there is one. What was
// issued to it lives on; Revoke ends that.
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	if !storable(id) {
		return nil
	}
	return s.exec(ctx, `DELETE FROM clients WHERE id = $1`, id)
}

func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	err := s.on(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := exec(ctx, conn, query, args...)
		return err
	})
	return answer(err)
}
