package redis

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A past is what a stream tells somebody who joins about the time before. It
// may have been evicted, flushed, trimmed, or taken over by a server that
// lacked its last messages, all without a trace but one: anchors, which carry
// the replication id of their server and stand in the stream with everything
// that was published after them. So nothing is missing after the first of
// those anchors at the end that are all from the present server.
type past struct {
	own    string    // the anchor that this subscription left when it joined
	joined time.Time // just after that, by our clock
	first  string    // the first anchor that counts; empty if none does
}

// see takes note of an anchor, while the stream is read from its beginning. A
// server that is not known is none that can be relied on.
func (p *past) see(id, server, present string) {
	switch {
	case server != present || present == "":
		p.first = ""
	case p.first == "":
		p.first = id
	}
}

// since returns the moment, by our clock, after which nothing is missing. The
// server's clock only tells how long before our own anchor that was.
func (p *past) since() time.Time {
	first, err := millis(p.first)
	own, err2 := millis(p.own)
	if err != nil || err2 != nil {
		return p.joined
	}
	return p.joined.Add(-time.Duration(max(own-first, 0)) * time.Millisecond)
}

// millis returns the time in an entry's identifier, in milliseconds.
func millis(id string) (int64, error) {
	head, _, _ := strings.Cut(id, "-")
	at, err := strconv.ParseInt(head, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("redis: %q is not the identifier of an entry", id)
	}
	return at, nil
}
