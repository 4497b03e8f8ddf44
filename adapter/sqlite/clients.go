package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// Client implements [authserver.Clients].
func (s *Store) Client(ctx context.Context, id string) (client *authserver.Client, err error) {
	if err := s.alive(ctx); err != nil {
		return nil, err
	}
	if client := s.clients.get(id); client != nil {
		return client, nil
	}
	err = s.read(ctx, func(c *conn) (err error) {
		asked := time.Now()
		data, err := c.clientData(id)
		if err == nil {
			client, err = s.clients.decode(id, data, asked)
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
			client, err := decodeClient(id, data)
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

// recentFor is how long a client that was read may be used again. Whoever
// changes one waits for as long, in whichever process, so that the change
// counts everywhere when the call returns.
const recentFor = 100 * time.Millisecond

// settle waits until nobody uses what was read before now.
func settle(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(recentFor):
		return nil
	}
}

// recent keeps the clients that were read: most requests are from few of them,
// thousands of times a second. One that is no longer recent is read again, and
// decoded if it has changed.
type recent struct {
	mu   sync.RWMutex
	byID map[string]recentClient
}

type recentClient struct {
	data   []byte
	client *authserver.Client
	asked  time.Time // before it was read
}

// maxRecent is how many clients are kept.
const maxRecent = 10_000

func (r *recent) get(id string) *authserver.Client {
	r.mu.RLock()
	known := r.byID[id]
	r.mu.RUnlock()
	if known.client == nil || time.Since(known.asked) >= recentFor {
		return nil
	}
	return known.client
}

func (r *recent) decode(id string, data []byte, asked time.Time) (*authserver.Client, error) {
	r.mu.RLock()
	known := r.byID[id]
	r.mu.RUnlock()
	if known.client == nil || !bytes.Equal(known.data, data) {
		client, err := decodeClient(id, data)
		if err != nil {
			return nil, err
		}
		known = recentClient{data: data, client: client}
	}
	known.asked = asked
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil || len(r.byID) >= maxRecent {
		r.byID = map[string]recentClient{}
	}
	r.byID[id] = known
	return known.client, nil
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
	err := s.writeClient(ctx, c, `INSERT INTO clients (id, data) VALUES (?, ?) ON CONFLICT DO UPDATE SET data = excluded.data`)
	if err != nil {
		return err
	}
	return settle(ctx)
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

// ChangeClient implements [authserver.ClientChanger].
func (s *Store) ChangeClient(ctx context.Context, id string, change func(*authserver.Client) (*authserver.Client, error)) error {
	err := s.writer.do(ctx, func(w *writer) error {
		data, err := w.clientData(id)
		if errors.Is(err, authserver.ErrNotFound) {
			return err
		}
		if err != nil {
			return failed(err)
		}
		c, err := decodeClient(id, data)
		if err == nil {
			c, err = change(c)
		}
		if err == nil {
			err = c.CheckAs(id)
		}
		if err != nil {
			return err
		}
		if data, err = json.Marshal(c); err != nil {
			return err
		}
		_, err = w.exec(`UPDATE clients SET data = ? WHERE id = ?`, data, id)
		return failed(err)
	})
	if err != nil {
		return err
	}
	return settle(ctx)
}

// UpgradeSecret implements [authserver.SecretUpgrader].
func (s *Store) UpgradeSecret(ctx context.Context, clientID, from, to string) error {
	return s.ChangeClient(ctx, clientID, func(c *authserver.Client) (*authserver.Client, error) { return c.WithHash(from, to), nil })
}

// DeleteClient implements [authserver.ClientRegistry].
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	err := s.writer.do(ctx, func(w *writer) error {
		_, err := w.exec(`DELETE FROM clients WHERE id = ?`, id)
		return failed(err)
	})
	if err != nil {
		return err
	}
	return settle(ctx)
}
