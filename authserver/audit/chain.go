package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/sneckauth/sneck/authserver"
)

// An Entry is one line of the log.
type Entry struct {
	// Seq counts the lines of the chain, from 1.
	Seq uint64 `json:"seq"`
	// Prev is the digest of the line before; zero at the beginning.
	Prev Hash `json:"prev"`
	authserver.Event
}

// A Hash is the SHA-256 digest of a line without its end.
type Hash [sha256.Size]byte

// String returns the digest in hexadecimal digits, or "" for the zero Hash.
func (h Hash) String() string {
	if h == (Hash{}) {
		return ""
	}
	return hex.EncodeToString(h[:])
}

// MarshalText implements [encoding.TextMarshaler].
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*h = Hash{}
		return nil
	}
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != len(h) || Hash(raw).String() != string(text) {
		return errors.New("it is not a SHA-256 digest")
	}
	*h = Hash(raw)
	return nil
}

// A Tip names a line of the chain, and with it all lines before.
type Tip struct {
	Seq  uint64
	Hash Hash
}

// String returns the number and the digest with a colon between.
func (t Tip) String() string { return strconv.FormatUint(t.Seq, 10) + ":" + t.Hash.String() }

// ParseTip reads what String has written.
func ParseTip(s string) (Tip, error) {
	number, hash, _ := strings.Cut(s, ":")
	var t Tip
	var err1 error
	t.Seq, err1 = strconv.ParseUint(number, 10, 64)
	err2 := t.Hash.UnmarshalText([]byte(hash))
	if err1 != nil || err2 != nil || t.String() != s {
		return Tip{}, fmt.Errorf("audit: %q is not a tip (hint: a number, a colon, and 64 hexadecimal digits)", s)
	}
	return t, nil
}

func tipOf(seq uint64, line []byte) Tip { return Tip{seq, sha256.Sum256(line)} }

// lastLine returns the last whole line of the data, and where it ends, with
// its line feed. The data begins at the beginning of the file if whole is set.
func lastLine(data []byte, whole bool) (line []byte, end int, err error) {
	end = bytes.LastIndexByte(data, '\n') + 1
	if end == 0 {
		if !whole {
			return nil, 0, errors.New("audit: the last line is too long")
		}
		return nil, 0, nil
	}
	begin := bytes.LastIndexByte(data[:end-1], '\n') + 1
	if begin == 0 && !whole {
		return nil, 0, errors.New("audit: the last line is too long")
	}
	return data[begin : end-1], end, nil
}

func parseEntry(line []byte) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(line, &e); err != nil || e.Seq == 0 || e.Kind == "" {
		return Entry{}, errors.New("audit: the line is not an entry")
	}
	return e, nil
}

// Entries returns the entries of a log, in order, without a look at the chain.
// It ends with the first error.
func Entries(r io.Reader) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for line, err := range lines(r) {
			var e Entry
			if err == nil {
				e, err = parseEntry(line)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// lines returns the lines without their ends. They are valid until the next.
func lines(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		buffered := bufio.NewReaderSize(r, maxLine)
		for {
			line, err := buffered.ReadSlice('\n')
			switch {
			case err == nil:
				if !yield(line[:len(line)-1], nil) {
					return
				}
				continue
			case err == io.EOF && len(line) == 0:
				return
			case err == io.EOF:
				err = errors.New("audit: the last line is not complete (hint: the server mends it when it starts)")
			case errors.Is(err, bufio.ErrBufferFull):
				err = errors.New("audit: the line is too long")
			}
			yield(nil, err)
			return
		}
	}
}

// A Report says what Verify has found.
type Report struct {
	// Lines is the number of lines whose place in the chain is right.
	Lines uint64
	// First is what the first line was chained to; zero if the chain begins
	// there.
	First Tip
	// Last is the end of the chain.
	Last Tip
	// Found reports whether the Tip that was asked for is in the chain.
	Found bool
}

// Verify checks the chain of a log. after is the end of the file before, and
// zero if there is none; a log that begins in the middle of a chain is taken
// at its word then. tip is one that was noted before, or zero.
//
// An error says which line is the first that does not fit; the report is about
// those before it. That the tip was not found is not an error: it may be in
// another file.
func Verify(r io.Reader, after, tip Tip) (Report, error) {
	report := Report{First: after, Last: after, Found: tip == Tip{} || tip == after}
	number := 0
	for line, err := range lines(r) {
		number++
		var e Entry
		if err == nil {
			e, err = parseEntry(line)
		}
		if err == nil && number == 1 && after == (Tip{}) && e.Seq > 1 {
			report.First = Tip{e.Seq - 1, e.Prev}
			report.Last = report.First
			report.Found = report.Found || report.First == tip
		}
		if err == nil {
			err = follows(e, report.Last)
		}
		if err != nil {
			return report, fmt.Errorf("line %d: %w", number, err)
		}
		report.Lines++
		report.Last = tipOf(e.Seq, line)
		report.Found = report.Found || report.Last == tip
	}
	return report, nil
}

// follows checks that an entry is the next one.
func follows(e Entry, last Tip) error {
	switch {
	case e.Seq == last.Seq+1 && e.Prev == last.Hash:
		return nil
	case e.Seq == 1 && e.Prev == Hash{}:
		return errors.New("audit: a new chain begins (hint: lines before it are gone, or the file was rotated while nothing ran)")
	case e.Seq > last.Seq+1:
		return fmt.Errorf("audit: %d lines are missing before number %d", e.Seq-last.Seq-1, e.Seq)
	case e.Seq <= last.Seq:
		return fmt.Errorf("audit: number %d comes after number %d", e.Seq, last.Seq)
	}
	return fmt.Errorf("audit: the line before number %d was changed", e.Seq)
}
