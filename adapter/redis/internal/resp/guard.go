// Package resp bounds what a Redis server can send. A client that believes
// the lengths in the protocol can be made to allocate without end, to nest
// without end, or to panic; here they are checked before it sees them.
package resp

import (
	"errors"
	"math"
	"net"
	"sync/atomic"
)

// ErrTooLarge means that the server announced more than the limits allow.
var ErrTooLarge = errors.New("redis: the server sent a reply that is too large")

// ErrMalformed means that the server did not send the Redis protocol.
var ErrMalformed = errors.New("redis: the server sent a malformed reply")

// Limits bound one reply.
type Limits struct {
	Blob  int // bytes of a string
	Reply int // bytes of everything in it, by estimate
	// Push allows messages that answer no command. A client that subscribes
	// needs them; to another they are only a danger.
	Push bool
}

const (
	maxLine   = 16 << 10 // bytes of a line
	maxDepth  = 16       // arrays in arrays
	maxCount  = 1 << 17  // elements of an array
	perMember = 64       // bytes that an element costs, whatever it is
)

// Guard returns conn with a Read that fails as soon as the other side breaks
// the limits or the protocol: RESP 2 or 3, without the streamed types and
// attributes, which Redis doesn't send unasked, and with no more replies than
// commands were written. A byte reaches the caller only after every length
// before it was found good.
func Guard(conn net.Conn, limits Limits) net.Conn {
	return &guarded{
		Conn:    conn,
		replies: scanner{limits: limits},
		// What we write ourselves has its bounds already.
		commands: scanner{limits: Limits{Blob: math.MaxInt32, Reply: math.MaxInt32}},
	}
}

type guarded struct {
	net.Conn
	sent atomic.Int64 // commands

	replies scanner // used by the one reader that a connection has
	err     error

	commands scanner // used by its one writer
}

func (g *guarded) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.Conn.Read(p)
	g.err = g.replies.feed(p[:n])
	if g.err == nil && g.replies.frames > g.sent.Load() {
		g.err = ErrMalformed // an answer to nothing
	}
	if g.err != nil {
		return 0, g.err
	}
	return n, err
}

func (g *guarded) Write(p []byte) (int, error) {
	if err := g.commands.feed(p); err != nil {
		return 0, err
	}
	g.sent.Store(g.commands.frames) // before the server can answer
	return g.Conn.Write(p)
}

// A scanner follows the frames of a stream of replies.
type scanner struct {
	limits Limits
	spent  int // of limits.Reply, by the present reply
	kind   byte
	line   int   // bytes of the line so far, the kind included; 0 between frames
	last   byte  // of the line
	number int   // in the line; -1 for none
	minus  bool  // the line is a negative number
	skip   int   // bytes of a blob still to come, CR LF included
	open   []int // elements still to come, for each array that is open
	push   bool  // the outermost of them is a push
	frames int64 // that were complete, pushes aside
}

func (s *scanner) feed(p []byte) error {
	for len(p) > 0 {
		if s.skip > 0 {
			n := min(s.skip, len(p))
			// The last two bytes are CR LF.
			for i := max(0, s.skip-2); i < n; i++ {
				if p[i] != "\r\n"[i-(s.skip-2)] {
					return ErrMalformed
				}
			}
			s.skip -= n
			p = p[n:]
			if s.skip == 0 {
				s.closeFrame()
			}
			continue
		}
		if err := s.lineByte(p[0]); err != nil {
			return err
		}
		p = p[1:]
	}
	return nil
}

// lineByte takes a byte of the first line of a frame.
func (s *scanner) lineByte(b byte) error {
	if s.line == 0 {
		s.kind, s.number, s.minus = b, -1, false
		if len(s.open) == 0 {
			s.push = b == '>'
		}
	}
	s.line++
	s.spent++
	defer func() { s.last = b }()
	switch {
	case s.line > maxLine || s.spent > s.limits.Reply:
		return ErrTooLarge
	case s.line == 1:
		return nil
	case b == '\n':
		if s.line < 3 || s.last != '\r' {
			return ErrMalformed
		}
		return s.endLine()
	case s.last == '\r' && s.line > 2:
		return ErrMalformed // CR without LF
	case b == '\r' || !s.counted():
		return nil
	case b == '-' && s.line == 2:
		s.minus = true
		return nil
	case b < '0' || b > '9' || s.number > 1<<30:
		return ErrMalformed
	}
	s.number = max(s.number, 0)*10 + int(b-'0')
	return nil
}

// counted reports whether the frame's line is a length.
func (s *scanner) counted() bool {
	switch s.kind {
	case '$', '!', '=', '*', '%', '~', '>':
		return true
	}
	return false
}

func (s *scanner) endLine() error {
	line := s.line
	s.line = 0
	switch s.kind {
	case '+', '-', ':', ',', '(':
		s.closeFrame()
		return nil
	case '_', '#': // exactly as long as the client will take them to be
		if want := map[byte]int{'_': 3, '#': 4}[s.kind]; line != want {
			return ErrMalformed
		}
		s.closeFrame()
		return nil
	}
	switch {
	case !s.counted() || s.number < 0 || s.kind == '>' && !s.limits.Push:
		return ErrMalformed
	case s.minus: // null is -1
		if s.number != 1 || s.kind != '$' && s.kind != '*' {
			return ErrMalformed
		}
		s.closeFrame()
		return nil
	}
	switch s.kind {
	case '$', '!', '=':
		if s.spent += s.number; s.number > s.limits.Blob || s.spent > s.limits.Reply {
			return ErrTooLarge
		}
		s.skip = s.number + 2
		return nil
	}
	return s.openArray()
}

func (s *scanner) openArray() error {
	n := s.number
	if s.kind == '%' {
		n *= 2
	}
	if s.spent += n * perMember; n > maxCount || s.spent > s.limits.Reply || len(s.open) == maxDepth {
		return ErrTooLarge
	}
	if n == 0 {
		s.closeFrame()
		return nil
	}
	s.open = append(s.open, n)
	return nil
}

// closeFrame counts a frame as complete, and the arrays that it completes.
func (s *scanner) closeFrame() {
	for len(s.open) > 0 {
		top := &s.open[len(s.open)-1]
		if *top--; *top > 0 {
			return
		}
		s.open = s.open[:len(s.open)-1]
	}
	s.spent = 0
	if !s.push {
		s.frames++
	}
}
