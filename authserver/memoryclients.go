package authserver

import (
	"context"
	"maps"
	"slices"
)

// Client implements [Clients].
func (m *Memory) Client(ctx context.Context, id string) (*Client, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c := m.clients[id]; c != nil {
		return c, nil
	}
	return nil, ErrNotFound
}

// CreateClient implements [ClientRegistry].
func (m *Memory) CreateClient(ctx context.Context, c *Client) error {
	return m.writeClient(ctx, c, false)
}

// PutClient implements [ClientRegistry].
func (m *Memory) PutClient(ctx context.Context, c *Client) error {
	return m.writeClient(ctx, c, true)
}

func (m *Memory) writeClient(ctx context.Context, c *Client, replace bool) error {
	if err := c.Check(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.clients[c.ID] != nil && !replace {
		return ErrExists
	}
	m.clients[c.ID] = c.clone()
	return nil
}

// DeleteClient implements [ClientRegistry].
func (m *Memory) DeleteClient(ctx context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	delete(m.clients, id)
	return nil
}

// ListClients implements [ClientRegistry].
func (m *Memory) ListClients(ctx context.Context, after string, limit int) ([]*Client, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var list []*Client
	for _, id := range slices.Sorted(maps.Keys(m.clients)) {
		if id > after && len(list) < limit {
			list = append(list, m.clients[id])
		}
	}
	return list, nil
}

// ChangeClient implements [ClientChanger].
func (m *Memory) ChangeClient(ctx context.Context, id string, change func(*Client) (*Client, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	c := m.clients[id]
	if c == nil {
		return ErrNotFound
	}
	changed, err := change(c)
	if err == nil {
		err = changed.CheckAs(id)
	}
	if err != nil {
		return err
	}
	m.clients[id] = changed.clone() // others may be reading the old one
	return nil
}

// UpgradeSecret implements [SecretUpgrader].
func (m *Memory) UpgradeSecret(ctx context.Context, clientID, from, to string) error {
	return m.ChangeClient(ctx, clientID, func(c *Client) (*Client, error) { return c.WithHash(from, to), nil })
}
