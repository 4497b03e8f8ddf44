package introspect

import "sync"

const (
	// Ten questions pay for one retry, so that retries add a tenth to the
	// load of a sick authority at most.
	retryShare   = 0.1
	maxRetryFund = 10
)

// A budget bounds retries to a share of the questions.
type budget struct {
	mu    sync.Mutex
	spent float64
}

// earn is called for every question.
func (b *budget) earn() {
	b.mu.Lock()
	b.spent = max(b.spent-retryShare, 0)
	b.mu.Unlock()
}

// spend reports whether there is enough for one retry, and takes it.
func (b *budget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent > maxRetryFund-1 {
		return false
	}
	b.spent++
	return true
}
