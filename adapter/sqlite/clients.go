package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/sneckauth/sneck/authserver"
)

// Client implements [authserver.Clients].
func (s *Store) Client(ctx context.Context, id string) (client *authserver.Client, err error) {
	err = s.read(ctx, func(c *conn) (err error) {
		data, err := c.clientData(id)
		if err == nil {
			client, err = s.clients.decode(id, data)
		}
		return err
	})
	return client, err
}

// clientData returns what is stored of a client, or ErrNotFound.
func (c *conn) clientData(id string) (data []byte, err error) {
	err = authserver.ErrNotFound
	failed := c.query(func(row []driver.Value) error {
		data, _ = row[0].([]byte)
		err = nil
		return nil
	}, `SELECT data FROM clients WHERE id = ?`, id)
	if failed != nil {
		return nil, fmt.Errorf("sqlite: read client %q: %w", id, failed)
	}
	return data, err
}

// ListClients implements [authserver.ClientRegistry].
func (s *Store) ListClients(ctx context.Context, after string, limit int) (list []*authserver.Client, err error) {
	err = s.read(ctx, func(c *conn) error {
		err := c.query(func(row []driver.Value) error {
			id, _ := row[0].(string)
			data, _ := row[1].([]byte)
			client, err := s.clients.decode(id, data)
			list = append(list, client)
			return err
		}, `SELECT id, data FROM clients WHERE id > ? ORDER BY id LIMIT ?`, after, int64(max(limit, 0)))
		if err != nil {
			return fmt.Errorf("sqlite: list clients: %w", err)
		}
		return nil
	})
	return list, err
}

// decoded keeps clients with what they were decoded from: most requests are
// from few clients, and decoding one takes longer than reading it. What is
// read decides; so a client that has changed is never used.
type decoded struct {
	mu   sync.Mutex
	byID map[string]decodedClient
}

type decodedClient struct {
	data   []byte
	client *authserver.Client
}

// maxDecoded is how many clients are kept.
const maxDecoded = 1000

func (d *decoded) decode(id string, data []byte) (*authserver.Client, error) {
	d.mu.Lock()
	known := d.byID[id]
	d.mu.Unlock()
	if known.client != nil && bytes.Equal(known.data, data) {
		return known.client, nil
	}
	client, err := decodeClient(id, data)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byID == nil || len(d.byID) >= maxDecoded {
		d.byID = map[string]decodedClient{}
	}
	d.byID[id] = decodedClient{data, client}
	return client, nil
}

func decodeClient(id string, data []byte) (*authserver.Client, error) {
	var c authserver.Client
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("sqlite: the record of client %q is damaged: %w", id, err)
	}
	return &c, nil
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
		n, err := w.exec(query, id, data)
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
		data, err := w.clientData(clientID)
		if errors.Is(err, authserver.ErrNotFound) {
			return err
		}
		if err != nil {
			return failed(err)
		}
		c, err := decodeClient(clientID, data)
		if err != nil {
			return err
		}
		for i := range c.Secrets {
			if c.Secrets[i].Hash == from {
				c.Secrets[i].Hash = to
			}
		}
		if data, err = json.Marshal(c); err != nil {
			return err
		}
		_, err = w.exec(`UPDATE clients SET data = ? WHERE id = ?`, data, clientID)
		return failed(err)
	})
}

// DeleteClient implements [authserver.ClientRegistry].
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	return s.writer.do(ctx, func(w *writer) error {
		_, err := w.exec(`DELETE FROM clients WHERE id = ?`, id)
		return failed(err)
	})
}
