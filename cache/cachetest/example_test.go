package cachetest_test

import (
	"testing"

	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/cache/cachetest"
)

// openStore returns the store of an adapter, which is empty. Here it is in
// memory; one that is shared takes a prefix of its own for each.
func openStore(*testing.T) cache.Store {
	return cachetest.NewMemory()
}

// openBus returns what two processes have of one bus: each a connection.
func openBus(*testing.T) (a, b cache.Bus) {
	m := cachetest.NewMemory()
	return m, m
}

// An adapter has these functions by the names of TestStore and TestBus.
func testStore(t *testing.T) { cachetest.TestStore(t, openStore) }

func testBus(t *testing.T) { cachetest.TestBus(t, openBus) }

func Example() {
	_, _ = testStore, testBus // are called by "go test -race"
}
