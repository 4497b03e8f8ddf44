package storetest_test

import (
	"testing"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Test(t, func(*testing.T) authserver.Store { return authserver.NewMemory() })
	storetest.TestClients(t, func(*testing.T) authserver.ClientRegistry { return authserver.NewMemory() })
	storetest.TestLister(t, func(*testing.T) authserver.Lister { return authserver.NewMemory() })
}
