package storetest_test

import (
	"testing"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Test(t, func(*testing.T) authserver.Store { return authserver.NewMemory() })
}
