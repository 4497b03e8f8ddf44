package lyingserver

import (
	"context"
	"io"
	"log"
	"net/http"
	"time"
)

// silent keeps what net/http says about lies out of the output of tests.
var silent = log.New(io.Discard, "", 0)

// A stoppable context is also known by the end of the server.
type stoppable struct {
	context.Context
	stop chan struct{}
}

// wait reports whether d has passed before the client or the server went
// away; a negative d never passes.
func wait(r *http.Request, d time.Duration) bool {
	var passed <-chan time.Time
	if d >= 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		passed = timer.C
	}
	select {
	case <-passed:
		return true
	case <-r.Context().Done():
	case <-r.Context().(*stoppable).stop:
	}
	return false
}
