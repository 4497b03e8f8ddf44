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

// UpgradeSecret implements [SecretUpgrader].
func (m *Memory) UpgradeSecret(_ context.Context, clientID, from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.clients[clientID]
	if c == nil {
		return ErrNotFound
	}
	// Others may be reading the client.
	upgraded := c.clone()
	for i := range upgraded.Secrets {
		if upgraded.Secrets[i].Hash == from {
			upgraded.Secrets[i].Hash = to
		}
	}
	m.clients[clientID] = upgraded
	return nil
}
