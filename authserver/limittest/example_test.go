package limittest_test

import (
	"testing"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/limittest"
)

// openLimiter returns the limiter of an adapter, which has counted nothing yet.
// Here it is in memory; one that counts elsewhere takes a prefix of its own for
// each.
func openLimiter(*testing.T) authserver.Limiter {
	return authserver.NewMemoryLimiter(0, nil)
}

// An adapter has this function by the name of TestLimiter.
func testLimiter(t *testing.T) {
	limittest.Test(t, openLimiter)
}

func Example() {
	_ = testLimiter // is called by "go test -race"
}
