package resp_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sneckauth/sneck/adapter/redis/internal/resp"
)

var limits = resp.Limits{Blob: 100, Reply: 2000, Push: true}

// A stream is a connection on which the server's bytes come in pieces.
type stream struct {
	net.Conn
	rest  string
	piece int
}

func (s *stream) Write(p []byte) (int, error) { return len(p), nil }

func (s *stream) Read(p []byte) (int, error) {
	if s.rest == "" {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.piece)], s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// read returns what comes through the guard, and how it ended.
func read(bytes string, piece int) (string, error) {
	guarded := resp.Guard(&stream{rest: bytes, piece: piece}, limits)
	io.WriteString(guarded, strings.Repeat("*1\r\n$4\r\nPING\r\n", 1000))
	got, err := io.ReadAll(guarded)
	return string(got), err
}

func TestGuard(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, test := range []struct {
		name, stream string
		want         error
	}{
		{"lines", "+OK\r\n-ERR no\r\n:12\r\n:-3\r\n,1.5\r\n(123\r\n_\r\n#t\r\n#f\r\n", nil},
		{"blobs", "$0\r\n\r\n$5\r\na\r\nbc\r\n!3\r\nERR\r\n=7\r\ntxt:abc\r\n$-1\r\n*-1\r\n", nil},
		{"the largest blob", "$100\r\n" + long + "\r\n", nil},
		{"arrays", "*0\r\n*2\r\n$1\r\na\r\n*1\r\n:1\r\n%1\r\n+a\r\n+b\r\n~1\r\n_\r\n>2\r\n+message\r\n+x\r\n", nil},
		{"many replies", strings.Repeat("*2\r\n+a\r\n+b\r\n", 1000), nil},
		{"a blob that is too large", "$101\r\n", resp.ErrTooLarge},
		{"blobs that are too large together", "*20\r\n" + strings.Repeat("$100\r\n"+long+"\r\n", 20), resp.ErrTooLarge},
		{"an array that is too long", "*1000\r\n", resp.ErrTooLarge},
		{"a map that is too long", "%20\r\n", resp.ErrTooLarge},
		{"arrays in arrays", strings.Repeat("*1\r\n", 17), resp.ErrTooLarge},
		{"an endless line", "+" + strings.Repeat("x", 20_000), resp.ErrTooLarge},
		{"a length that overflows", "$9999999999999999999999\r\n", resp.ErrMalformed},
		{"a negative length", "$-5\r\n", resp.ErrMalformed},
		{"a negative map", "%-1\r\n", resp.ErrMalformed},
		{"minus nothing", "$-\r\n", resp.ErrMalformed},
		{"no length", "$\r\n", resp.ErrMalformed},
		{"a streamed string", "$?\r\n;4\r\nabcd\r\n;0\r\n", resp.ErrMalformed},
		{"a streamed array", "*?\r\n:1\r\n.\r\n", resp.ErrMalformed},
		{"an attribute", "|1\r\n+a\r\n+b\r\n+OK\r\n", resp.ErrMalformed},
		{"no protocol", "HTTP/1.1 200 OK\r\n", resp.ErrMalformed},
		{"LF alone", "+OK\n", resp.ErrMalformed},
		{"CR alone", "+O\rK\r\n", resp.ErrMalformed},
		{"a blob without an end", "$1\r\nabc", resp.ErrMalformed},
		// Lines that hide a header from a client that expects one character.
		{"a long boolean", "#t$999999\r\n", resp.ErrMalformed},
		{"a long null", "_$999999\r\n", resp.ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, chunk := range []int{1, 2, 7, 1 << 20} {
				got, err := read(test.stream, chunk)
				if test.want == nil {
					assert.NoError(t, err)
					assert.Equal(t, test.stream, got)
				} else {
					assert.Truef(t, errors.Is(err, test.want), "%v", err)
				}
			}
		})
	}
}

// Commands and replies are matched by their number alone, so one too many
// would be taken for the answer to another command, or panic.
func TestGuardCountsReplies(t *testing.T) {
	conn := &stream{piece: 1 << 20}
	guarded := resp.Guard(conn, limits)
	buffer := make([]byte, 1000)
	exchange := func(command, reply string) error {
		for piece := range strings.SplitAfterSeq(command, "\n") {
			io.WriteString(guarded, piece)
		}
		conn.rest = reply
		_, err := guarded.Read(buffer)
		return err
	}
	assert.NoError(t, exchange("*1\r\n$4\r\nPING\r\n", "+PONG\r\n"))
	assert.NoError(t, exchange("*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$4\r\nPING\r\n", ">2\r\n+message\r\n+x\r\n*2\r\n+a\r\n+b\r\n"))
	assert.NoError(t, exchange("", ":1\r\n"))
	assert.ErrorIs(t, exchange("", "+OK\r\n"), resp.ErrMalformed)
	assert.ErrorIs(t, exchange("*1\r\n$4\r\nPING\r\n", "+PONG\r\n"), resp.ErrMalformed, "an error is final")
}

func TestGuardRefusesPushes(t *testing.T) {
	guarded := resp.Guard(&stream{rest: ">2\r\n+subscribe\r\n+x\r\n", piece: 100}, resp.Limits{Blob: 100, Reply: 1000})
	_, err := io.ReadAll(guarded)
	assert.ErrorIs(t, err, resp.ErrMalformed)
}

// FuzzGuard checks that the way a stream is cut does not matter.
func FuzzGuard(f *testing.F) {
	f.Add("*2\r\n$1\r\na\r\n%1\r\n+a\r\n:1\r\n", uint8(3))
	f.Add("#t\r\n$-1\r\n>1\r\n_\r\n", uint8(1))
	f.Fuzz(func(t *testing.T, stream string, chunk uint8) {
		if len(stream) > 4096 {
			return
		}
		whole, whole2 := read(stream, 1<<20)
		parts, parts2 := read(stream, int(chunk)+1)
		if !errors.Is(parts2, whole2) || whole2 == nil && whole != parts {
			t.Fatalf("in one piece: %q, %v; in pieces: %q, %v", whole, whole2, parts, parts2)
		}
		if !strings.HasPrefix(stream, parts) {
			t.Fatal("bytes were made up")
		}
	})
}
