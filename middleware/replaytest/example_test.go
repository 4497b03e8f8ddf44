package replaytest_test

import (
	"testing"

	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/middleware/replaytest"
)

// openReplays returns the store of an adapter, which is empty. Here it is in
// memory; one that is shared takes a prefix of its own for each.
func openReplays(*testing.T) middleware.ReplayStore {
	return middleware.NewReplayMemory(0, nil)
}

// An adapter has this function by the name of TestReplays.
func testReplays(t *testing.T) {
	replaytest.Run(t, openReplays)
}

func Example() {
	_ = testReplays // is called by "go test -race"
}
