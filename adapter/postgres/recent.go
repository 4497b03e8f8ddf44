package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// recentFor is how long a client that was read may be used again. Whoever
// changes one waits for as long, on whichever server, so that the change
// counts everywhere when the call returns. What is changed past the stores, by
// a statement of one's own, counts after that time.
const recentFor = 100 * time.Millisecond

// maxRecent is how many clients are kept.
const maxRecent = 10_000

// recent keeps the clients that were just read. A busy server asks for the same
// few thousands of times a second, and each question is a journey to the
// database.
type recent struct {
	mu   sync.RWMutex
	byID map[string]recentClient
}

type recentClient struct {
	client *authserver.Client
	asked  time.Time // before it was read
}

func (r *recent) get(id string) *authserver.Client {
	r.mu.RLock()
	known := r.byID[id]
	r.mu.RUnlock()
	if known.client == nil || time.Since(known.asked) >= recentFor {
		return nil
	}
	return known.client
}

func (r *recent) put(client *authserver.Client, asked time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil || len(r.byID) >= maxRecent {
		r.byID = map[string]recentClient{}
	}
	r.byID[client.ID] = recentClient{client, asked}
}

// settle waits until nobody uses what was read before now.
func settle(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(recentFor):
		return nil
	}
}
