package storetest_test

import (
	"testing"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/storetest"
)

// openStore returns the store of an adapter: empty, and gone after the test.
// Here it is in memory; a database has a schema, or a file, for each.
func openStore(t *testing.T) *authserver.Memory {
	s := authserver.NewMemory()
	t.Cleanup(func() { /* close it, and remove what it has written */ })
	return s
}

// An adapter has this function by the name of TestStore. What its store does
// not offer, such as lists, is left out. If it is durable, TestReopen closes and
// opens it again.
func testStore(t *testing.T) {
	storetest.Test(t, func(t *testing.T) authserver.Store { return openStore(t) })
	storetest.TestClients(t, func(t *testing.T) authserver.ClientRegistry { return openStore(t) })
	storetest.TestLister(t, func(t *testing.T) authserver.Lister { return openStore(t) })
}

func Example() {
	_ = testStore // is called by "go test -race"
}
