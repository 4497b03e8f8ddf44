package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// A Query selects the entries that have all of what is set.
type Query struct {
	// Kinds lists the kinds, of which an entry has one.
	Kinds []authserver.EventKind
	// Client and the others are compared byte by byte.
	Client, Subject, Token, Family, By string
	// Since is the first moment, and Until the first that is too late.
	Since, Until time.Time
	// Text is somewhere in what the entry says, whatever the case of letters.
	Text string
	// Scan is how many bytes one call looks at, to the end of a line; zero means
	// 64 MiB.
	Scan int64
}

// Match reports whether the query selects the entry.
func (q Query) Match(e Entry) bool {
	same := func(want, have string) bool { return want == "" || want == have }
	return (len(q.Kinds) == 0 || slices.Contains(q.Kinds, e.Kind)) &&
		same(q.Client, e.Client) && same(q.Subject, e.Subject) && same(q.Token, e.Token) &&
		same(q.Family, e.Family) && same(q.By, e.By) &&
		(q.Since.IsZero() || !e.Time.Before(q.Since)) && (q.Until.IsZero() || e.Time.Before(q.Until)) &&
		(q.Text == "" || strings.Contains(words(e), strings.ToLower(q.Text)))
}

// words returns what an entry says, in lower case, with line feeds between.
func words(e Entry) string {
	all := []string{string(e.Kind), e.Client, e.Subject, e.Grant, e.Scopes.String(), e.Token, e.Family, e.Reason, e.By}
	if e.Address.IsValid() {
		all = append(all, e.Address.String())
	}
	return strings.ToLower(strings.Join(append(all, e.Audience...), "\n"))
}

// marks returns what the line of every entry holds that the query selects, to
// leave out most lines before they are parsed.
func (q Query) marks() [][]byte {
	var marks [][]byte
	for _, value := range []string{q.Client, q.Subject, q.Token, q.Family, q.By} {
		if value != "" && plain(value) {
			marks = append(marks, []byte(`"`+value+`"`))
		}
	}
	return marks
}

// plain reports whether a line holds the text as it is: other characters may be
// escaped in more than one way, and spaces may stand between scopes.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.:/", r)
	})
}

// Found is what Search has found.
type Found struct {
	// Entries are the newest first.
	Entries []Entry
	// Next is what to go on with; empty if all was looked at.
	Next string
	// Damaged is how many lines were no entries: see [Verify].
	Damaged int
	// LeftOut names files that could not be searched, as they are compressed or
	// no logs. Those that can not have anything of the asked time are not named.
	LeftOut []string
	// Unread are files that could not be read, or not to the beginning, so what
	// they have may be missing.
	Unread []UnreadFile
}

// An UnreadFile is a part of a log that could not be read.
type UnreadFile struct {
	// Name is that in its folder.
	Name string
	// Err says why.
	Err error
}

// ErrNext means that a search can not go on from there.
var ErrNext = errors.New("audit: there is no such place in the log (hint: search again, from the beginning)")

const (
	defaultScan = 64 << 20
	// clockSlack is how much later a line may have been written than its event
	// took place.
	clockSlack = time.Minute
)

// Search returns up to limit entries of a log that the query selects, the
// newest first. It looks into the file and into what it was renamed to: files
// whose name has a dot or a dash and more behind it. A file that was written to
// for the last time before Query.Since is not opened. after is the Next of what
// was found before, or empty. One file is open at a time, and what can not be
// read keeps nobody from what is in the others.
//
// It reads backwards, little at a time, and stops after Query.Scan bytes, so that
// there may be fewer entries than limit, or none, and more to come.
func Search(ctx context.Context, path string, q Query, after string, limit int) (*Found, error) {
	s := search{ctx: ctx, query: q, marks: q.marks(), limit: limit, left: cmp.Or(q.Scan, defaultScan)}
	if plain(q.Text) {
		s.text = []byte(strings.ToLower(q.Text))
	}
	all, err := s.parts(path)
	if err != nil {
		return nil, err
	}
	files := all.files
	s.found.LeftOut, s.found.Unread = all.leftOut, all.unread
	from, offset := 0, int64(-1)
	if after != "" {
		id, text, _ := strings.Cut(after, ".")
		offset, err = strconv.ParseInt(text, 10, 64)
		if err != nil || offset < 0 {
			return nil, ErrNext
		}
		if from = slices.IndexFunc(files, func(f logFile) bool { return f.id == id }); from < 0 {
			return nil, ErrNext // it was deleted
		}
	}
	for _, f := range files[from:] {
		if done, err := s.in(path, f, offset); done || err != nil {
			return &s.found, err
		}
		offset = -1
	}
	return &s.found, nil
}

// A search is under way.
type search struct {
	ctx   context.Context
	query Query
	marks [][]byte
	text  []byte // that is in the line, whatever the case of letters
	limit int
	left  int64 // how many bytes may still be looked at
	found Found
}

// A logFile is a part of a log. The digest of its first line names it, whatever
// it is renamed to.
type logFile struct {
	path  string
	size  int64
	id    string
	began time.Time
}

// The logFiles are what there is of a log, the newest first, and what can not be
// searched.
type logFiles struct {
	files   []logFile
	leftOut []string
	unread  []UnreadFile
}

// parts looks for the files of a log that can have what is asked for.
func (s *search) parts(path string) (all logFiles, err error) {
	base := filepath.Base(path)
	names, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return all, fmt.Errorf("audit: %w", err)
	}
	for _, entry := range names {
		rest, ok := strings.CutPrefix(entry.Name(), base)
		if !ok || rest != "" && rest[0] != '.' && rest[0] != '-' {
			continue
		}
		f, err := s.part(filepath.Join(filepath.Dir(path), entry.Name()))
		switch {
		case errors.Is(err, errNoLog):
			all.leftOut = append(all.leftOut, entry.Name())
		case errors.Is(err, os.ErrNotExist), errors.Is(err, io.EOF), errors.Is(err, errOtherTime): // renamed, still empty, or of no use
		case err != nil:
			all.unread = append(all.unread, UnreadFile{entry.Name(), err})
		default:
			all.files = append(all.files, f)
		}
	}
	slices.SortFunc(all.files, func(a, b logFile) int {
		return cmp.Or(b.began.Compare(a.began), cmp.Compare(a.id, b.id), cmp.Compare(b.size, a.size))
	})
	// One that was renamed meanwhile is there twice, and so is a copy.
	all.files = slices.CompactFunc(all.files, func(a, b logFile) bool { return a.id == b.id })
	return all, nil
}

var (
	errNoLog     = errors.New("audit: the file is no log")
	errOtherTime = errors.New("audit: the file is of another time")
)

// part looks at a file that may be a part of a log.
func (s *search) part(path string) (f logFile, err error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return f, fmt.Errorf("audit: %w", err)
	case !info.Mode().IsRegular():
		return f, errNoLog
	case info.ModTime().Add(clockSlack).Before(s.query.Since):
		return f, errOtherTime
	case info.Size() == 0:
		return f, io.EOF
	}
	file, f, err := openPart(path)
	if err != nil {
		return f, err
	}
	_ = file.Close()
	if !s.query.Until.IsZero() && !f.began.Add(-clockSlack).Before(s.query.Until) {
		err = errOtherTime
	}
	return f, err
}

// openPart opens a part of a log. What is no file is not opened: a pipe would
// wait for somebody who writes.
func openPart(path string) (file *os.File, f logFile, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, f, fmt.Errorf("audit: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, f, errNoLog
	}
	if file, err = os.Open(path); err != nil {
		return nil, f, fmt.Errorf("audit: %w", err)
	}
	if f, err = readPart(file); err != nil {
		_ = file.Close()
		return nil, f, err
	}
	return file, f, nil
}

// reopen opens a file of the log at path again, by whatever name it has now.
func (s *search) reopen(path string, f logFile) (*os.File, error) {
	file, now, err := openPart(f.path)
	switch {
	case err == nil && now.id == f.id:
		return file, nil
	case err == nil:
		_ = file.Close()
		err = fmt.Errorf("audit: %w", os.ErrNotExist) // unless it is found
	}
	all, listErr := s.parts(path)
	if listErr != nil {
		return nil, listErr
	}
	i := slices.IndexFunc(all.files, func(other logFile) bool { return other.id == f.id })
	if i < 0 {
		return nil, err
	}
	file, now, err = openPart(all.files[i].path)
	if err == nil && now.id != f.id {
		_ = file.Close()
		err = errors.New("audit: the file is renamed all the time")
	}
	if err != nil {
		return nil, err
	}
	return file, nil
}

// readPart reads how a part of a log begins.
func readPart(file *os.File) (f logFile, err error) {
	info, err := file.Stat()
	if err != nil {
		return f, fmt.Errorf("audit: %w", err)
	}
	line, err := bufio.NewReader(io.NewSectionReader(file, 0, maxLine)).ReadBytes('\n')
	switch {
	case errors.Is(err, io.EOF):
		return f, errNoLog
	case err != nil:
		return f, fmt.Errorf("audit: %w", err)
	}
	line = line[:len(line)-1]
	first, err := parseEntry(line)
	if err != nil {
		return f, errNoLog
	}
	sum := sha256.Sum256(line)
	return logFile{file.Name(), info.Size(), hex.EncodeToString(sum[:8]), first.Time}, nil
}

// in looks into one file of the log at path, backwards from the offset, or from
// the end if that is negative. It reports whether the search is over.
func (s *search) in(path string, f logFile, offset int64) (done bool, err error) {
	file, failed := s.reopen(path, f)
	if failed != nil {
		s.unread(f, failed)
		return false, nil
	}
	defer file.Close()
	if offset < 0 || offset > f.size {
		offset = f.size
	}
	for at, line := range backwards(file, offset, &failed) {
		if s.ctx.Err() != nil {
			return true, fmt.Errorf("audit: %w", s.ctx.Err())
		}
		if s.left <= 0 {
			s.found.Next = fmt.Sprintf("%s.%d", f.id, at+int64(len(line))+1)
			return true, nil
		}
		s.left -= int64(len(line))
		if !s.mayHave(line) {
			continue
		}
		e, parseErr := parseEntry(line)
		switch {
		case parseErr != nil:
			s.found.Damaged++
		case e.Time.Add(clockSlack).Before(s.query.Since):
			return true, nil // and so were those before
		case s.query.Match(e):
			if s.found.Entries = append(s.found.Entries, e); len(s.found.Entries) >= s.limit {
				s.found.Next = fmt.Sprintf("%s.%d", f.id, at)
				return true, nil
			}
		}
	}
	if failed != nil {
		s.unread(f, failed)
	}
	return false, nil
}

func (s *search) unread(f logFile, err error) {
	s.found.Unread = append(s.found.Unread, UnreadFile{filepath.Base(f.path), err})
}

// mayHave reports whether a line is worth being parsed.
func (s *search) mayHave(line []byte) bool {
	return !slices.ContainsFunc(s.marks, func(mark []byte) bool { return !bytes.Contains(line, mark) }) &&
		(len(s.text) == 0 || bytes.Contains(bytes.ToLower(line), s.text))
}

// chunk is how much is read at a time, in bytes.
const chunk = 64 << 10

// backwards returns the lines before the end of a range, the last first, each
// with where it begins and without its line feed; it is valid until the next.
// What is behind the last line feed is no line yet. If reading fails, it sets
// failed and stops.
func backwards(r io.ReaderAt, end int64, failed *error) func(yield func(int64, []byte) bool) {
	return func(yield func(int64, []byte) bool) {
		var rest []byte // the beginning of what was read, whose line begins before
		whole := false  // rest ends with a line feed
		for pos := end; pos > 0; {
			n := min(pos, chunk)
			data := make([]byte, n, int(n)+len(rest))
			if _, err := r.ReadAt(data, pos-n); err != nil {
				*failed = fmt.Errorf("audit: %w", err)
				return
			}
			pos, data = pos-n, append(data, rest...)
			if !whole {
				data = data[:bytes.LastIndexByte(data, '\n')+1]
				whole = len(data) > 0
			}
			for len(data) > 0 {
				begin := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1
				if begin == 0 && pos > 0 {
					break
				}
				if !yield(pos+int64(begin), data[begin:len(data)-1]) {
					return
				}
				data = data[:begin]
			}
			if rest = data; len(rest) > maxLine {
				*failed = errors.New("audit: the line is too long")
				return
			}
		}
	}
}
