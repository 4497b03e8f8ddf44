package authserver

import (
	"bytes"
	"context"
	"slices"
)

// A Lister is a [Store] that can say which records it has. OAuth does not need
// it; pages that show people what they have allowed do. Package storetest says
// whether an implementation is right.
type Lister interface {
	Store
	// List returns up to limit records that the selector matches, in the order
	// of their keys, beginning after the given key; fewer than limit means
	// that no more are left. A kind that is not empty leaves out those of
	// other kinds. Spent and expired records are among them. The zero Selector
	// is an error: a list of everything is for nobody.
	List(ctx context.Context, kind Kind, which Selector, after Key, limit int) ([]Record, error)
}

var _ Lister = (*Memory)(nil)

// List implements [Lister]. It looks at every record, unless the selector has
// a family.
func (m *Memory) List(ctx context.Context, kind Kind, which Selector, after Key, limit int) ([]Record, error) {
	if which.IsZero() {
		return nil, errZeroSelector
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var list []Record
	for key := range m.candidates(which) {
		r := m.records[key]
		if r != nil && which.Match(*r) && (kind == "" || kind == r.Kind) && bytes.Compare(key[:], after[:]) > 0 {
			list = append(list, clone(*r))
		}
	}
	slices.SortFunc(list, func(a, b Record) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	return list[:min(len(list), max(limit, 0))], nil
}
