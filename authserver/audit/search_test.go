package audit_test

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/audit"
	"github.com/sneckauth/sneck/scopes"
)

var searchEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// writeLog writes n events, one a minute, over several files, and returns the
// path. The client of event i is "client-i%7", its subject "person i".
func writeLog(t *testing.T, n, files int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	log, err := audit.Open(audit.Config{Path: path, DangerouslySyncEvery: time.Hour})
	require.NoError(t, err)
	for i := range n {
		if files > 1 && i > 0 && i%(n/files) == 0 && i/(n/files) < files {
			require.NoError(t, os.Rename(path, fmt.Sprintf("%s.%d", path, files-i/(n/files))))
			require.NoError(t, log.Reopen())
		}
		kind := authserver.EventTokenIssued
		if i%3 == 0 {
			kind = authserver.EventClientChanged
		}
		require.NoError(t, log.Record(t.Context(), authserver.Event{
			Kind: kind, Time: searchEpoch.Add(time.Duration(i) * time.Minute), Client: fmt.Sprintf("client-%d", i%7), Subject: fmt.Sprintf("person %d", i),
			Token: fmt.Sprintf("jti-%d", i), Family: fmt.Sprintf("family-%d", i%5), By: fmt.Sprintf("olga-%d", i%2),
			Scopes: scopes.Set{"notes:read"}, Audience: []string{"https://Notes.example"}, Reason: strings.Repeat("é", i%90),
			Address: netip.MustParseAddr("192.0.2.7"),
		}))
	}
	require.NoError(t, log.Close())
	return path
}

// all searches to the end, page by page, and returns the numbers of the
// entries.
func all(t *testing.T, path string, q audit.Query, limit int) (seqs []int) {
	t.Helper()
	seqs = []int{}
	for next := ""; ; {
		found, err := audit.Search(t.Context(), path, q, next, limit)
		require.NoError(t, err)
		for _, e := range found.Entries {
			seqs = append(seqs, int(e.Seq))
		}
		assert.LessOrEqual(t, len(found.Entries), limit)
		if next = found.Next; next == "" {
			return seqs
		}
	}
}

func TestSearch(t *testing.T) {
	const n = 300 // a hundred kilobytes: one line lies across chunks
	at := func(minutes int) time.Time { return searchEpoch.Add(time.Duration(minutes) * time.Minute) }
	for _, files := range []int{1, 4} {
		path := writeLog(t, n, files)
		for name, test := range map[string]struct {
			query audit.Query
			want  func(i int) bool
		}{
			"everything":  {audit.Query{}, func(int) bool { return true }},
			"kind":        {audit.Query{Kinds: []authserver.EventKind{"client_changed", "swept"}}, func(i int) bool { return i%3 == 0 }},
			"client":      {audit.Query{Client: "client-3"}, func(i int) bool { return i%7 == 3 }},
			"no client":   {audit.Query{Client: "client"}, func(int) bool { return false }},
			"subject":     {audit.Query{Subject: "person 77"}, func(i int) bool { return i == 77 }},
			"token":       {audit.Query{Token: "jti-5"}, func(i int) bool { return i == 5 }},
			"family":      {audit.Query{Family: "family-2", Client: "client-1"}, func(i int) bool { return i%5 == 2 && i%7 == 1 }},
			"by":          {audit.Query{By: "olga-1"}, func(i int) bool { return i%2 == 1 }},
			"since":       {audit.Query{Since: at(280)}, func(i int) bool { return i >= 280 }},
			"until":       {audit.Query{Until: at(30)}, func(i int) bool { return i < 30 }},
			"both":        {audit.Query{Since: at(100), Until: at(103)}, func(i int) bool { return i >= 100 && i < 103 }},
			"text":        {audit.Query{Text: "PERSON 89"}, func(i int) bool { return i == 89 }},
			"no text":     {audit.Query{Text: "nobody"}, func(int) bool { return false }},
			"in audience": {audit.Query{Text: "https://notes.EXAMPLE", Since: at(299)}, func(i int) bool { return i == 299 }},
			"address":     {audit.Query{Text: "192.0.2.7", Until: at(1)}, func(i int) bool { return i == 0 }},
		} {
			t.Run(fmt.Sprintf("%s in %d files", name, files), func(t *testing.T) {
				want := []int{}
				for i := range n {
					if test.want(i) {
						want = append(want, i+1)
					}
				}
				slices.Reverse(want)
				for _, limit := range []int{7, 200} {
					assert.Equal(t, want, all(t, path, test.query, limit), "limit %d", limit)
				}
			})
		}
	}
}

// What is in the folder besides is left out, and what is damaged is counted.
func TestSearchInDisorder(t *testing.T) {
	path := writeLog(t, 20, 2)
	for name, content := range map[string]string{".2.gz": "\x1f\x8b…\n", "-notes": "Dear diary\n", ".3": "", "x": "other"} {
		require.NoError(t, os.WriteFile(path+name, []byte(content), 0o600))
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.SplitAfter(string(text), "\n")
	lines[3] = "no entry\n"
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "")+`{"seq":21,"pre`), 0o600))

	found, err := audit.Search(t.Context(), path, audit.Query{}, "", 100)
	require.NoError(t, err)
	assert.Len(t, found.Entries, 19)
	assert.Equal(t, uint64(20), found.Entries[0].Seq)
	assert.Equal(t, 1, found.Damaged)
	assert.Equal(t, []string{"audit.jsonl-notes", "audit.jsonl.2.gz"}, found.LeftOut)
	assert.Empty(t, found.Next)

	// A search goes on in a file that was renamed meanwhile, and ends if that
	// is gone.
	found, err = audit.Search(t.Context(), path, audit.Query{}, "", 5)
	require.NoError(t, err)
	require.NoError(t, os.Rename(path, path+".0"))
	more, err := audit.Search(t.Context(), path, audit.Query{}, found.Next, 1)
	require.NoError(t, err)
	assert.Equal(t, uint64(15), more.Entries[0].Seq)
	require.NoError(t, os.Remove(path+".0"))
	_, err = audit.Search(t.Context(), path, audit.Query{}, found.Next, 1)
	require.ErrorIs(t, err, audit.ErrNext)
	for _, bad := range []string{"x", "x.1", "x.-1", "."} {
		_, err = audit.Search(t.Context(), path, audit.Query{}, bad, 1)
		require.ErrorIs(t, err, audit.ErrNext, bad)
	}
	_, err = audit.Search(t.Context(), filepath.Join(path, "nowhere"), audit.Query{}, "", 1)
	require.Error(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = audit.Search(ctx, path, audit.Query{}, "", 1)
	require.ErrorIs(t, err, context.Canceled)
}

// Of a file that is there twice, such as before and after it was renamed, or as
// a copy that somebody has made, the longer one counts.
func TestSearchInCopies(t *testing.T) {
	path := writeLog(t, 20, 2)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	half := text[:strings.Index(string(text), `"seq":16,`)-1] // the lines 11 to 15
	for name, content := range map[string][]byte{"-backup": half, ".0": text, ".00": half, ".z": text} {
		require.NoError(t, os.WriteFile(path+name, content, 0o600))
	}
	want := []int{}
	for seq := 20; seq > 0; seq-- {
		want = append(want, seq)
	}
	for _, limit := range []int{3, 100} {
		assert.Equal(t, want, all(t, path, audit.Query{}, limit), "limit %d", limit)
	}
}

// A search looks only into files that can have something of the time it is
// about: all others here have something that it would tell of.
func TestSearchLeavesOtherTimes(t *testing.T) {
	path := writeLog(t, 30, 3) // of 10 minutes each
	at := func(minutes int) time.Time { return searchEpoch.Add(time.Duration(minutes) * time.Minute) }
	for name, end := range map[string]time.Time{".2": at(9), ".1": at(19), "": at(29)} {
		text, err := os.ReadFile(path + name)
		require.NoError(t, err)
		lines := strings.SplitAfter(string(text), "\n")
		lines[len(lines)-3] = "no entry\n"
		require.NoError(t, os.WriteFile(path+name, []byte(strings.Join(lines, "")), 0o600))
		require.NoError(t, os.Chtimes(path+name, end, end))
	}
	require.NoError(t, os.WriteFile(path+".3.gz", []byte("\x1f\x8b…\n"), 0o600))
	require.NoError(t, os.Chtimes(path+".3.gz", at(0), at(0)))
	compressed := []string{"audit.jsonl.3.gz"}
	for name, test := range map[string]struct {
		query audit.Query
		want  audit.Found
	}{
		"all":             {audit.Query{}, audit.Found{Damaged: 3, LeftOut: compressed}},
		"since":           {audit.Query{Since: at(12)}, audit.Found{Damaged: 2}},
		"until":           {audit.Query{Until: at(9)}, audit.Found{Damaged: 1, LeftOut: compressed}},
		"both":            {audit.Query{Since: at(12), Until: at(18)}, audit.Found{Damaged: 1}},
		"written a while": {audit.Query{Since: at(20)}, audit.Found{Damaged: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			test.query.Client = "nobody here"
			got, err := audit.Search(t.Context(), path, test.query, "", 100)
			require.NoError(t, err)
			assert.Equal(t, &test.want, got)
		})
	}
}

// A search stops after so many bytes, whatever it has found, and goes on there.
func TestSearchIsBounded(t *testing.T) {
	path := writeLog(t, 3, 1)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	first, rest, _ := strings.Cut(string(text), "\n")
	// Megabytes of lines between the first and the others.
	line := strings.Replace(first, "person 0", strings.Repeat("x", 500_000), 1) + "\n"
	f, err := os.Create(path)
	require.NoError(t, err)
	_, err = f.WriteString(first + "\n")
	require.NoError(t, err)
	for range 5 {
		_, err = f.WriteString(line)
		require.NoError(t, err)
	}
	_, err = f.WriteString(rest)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	q := audit.Query{Token: "jti-0", Subject: "person 0", Scan: 900_000}
	for next, calls := "", 1; ; calls++ {
		found, err := audit.Search(t.Context(), path, q, next, 10)
		require.NoError(t, err)
		if next = found.Next; next == "" {
			require.Len(t, found.Entries, 1)
			assert.Equal(t, uint64(1), found.Entries[0].Seq)
			assert.Equal(t, 3, calls)
			break
		}
		assert.Empty(t, found.Entries)
	}
}

// However little one call may look at, the next goes on behind it.
func TestSearchMakesProgress(t *testing.T) {
	path := writeLog(t, 3, 1)
	var seqs []int
	next := ""
	for range 3 {
		found, err := audit.Search(t.Context(), path, audit.Query{Scan: 1}, next, 10)
		require.NoError(t, err)
		for _, e := range found.Entries {
			seqs = append(seqs, int(e.Seq))
		}
		next = found.Next
	}
	assert.Equal(t, []int{3, 2, 1}, seqs)
	assert.Empty(t, next)
}

// A watching context has something done whenever it is asked, which a search
// does for every line.
type watching struct {
	context.Context
	asked func()
}

func (w watching) Err() error {
	w.asked()
	return w.Context.Err()
}

// A file that is renamed while others are searched is found by its new name.
func TestSearchWhileAFileIsRenamed(t *testing.T) {
	path := writeLog(t, 30, 3)
	var once sync.Once
	ctx := watching{t.Context(), func() {
		once.Do(func() {
			assert.NoError(t, os.Rename(path+".2", path+".3"))
			assert.NoError(t, os.Rename(path+".1", path+".2"))
		})
	}}
	found, err := audit.Search(ctx, path, audit.Query{}, "", 100)
	require.NoError(t, err)
	assert.Len(t, found.Entries, 30)
	assert.Empty(t, found.Unread)
}

// What goes while it is to be searched is named, and the rest is found.
func TestSearchWhileAFileGoes(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(path string) error
		want  audit.UnreadFile
		least int
	}{
		"deleted": {
			func(path string) error { return os.Remove(path + ".1") },
			audit.UnreadFile{Name: "audit.jsonl.1", Err: os.ErrNotExist}, 600,
		},
		"another one": {
			func(path string) error { return os.WriteFile(path+".1", []byte("Dear diary\n"), 0o600) },
			audit.UnreadFile{Name: "audit.jsonl.1"}, 600,
		},
		"shorter": {
			func(path string) error { return os.Truncate(path, 100) },
			audit.UnreadFile{Name: "audit.jsonl", Err: io.EOF}, 601,
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeLog(t, 900, 3) // a hundred kilobytes each
			var once sync.Once
			ctx := watching{t.Context(), func() { once.Do(func() { assert.NoError(t, test.spoil(path)) }) }}
			found, err := audit.Search(ctx, path, audit.Query{}, "", 1000)
			require.NoError(t, err)
			assert.GreaterOrEqual(t, len(found.Entries), test.least)
			assert.Less(t, len(found.Entries), 900)
			assert.Equal(t, uint64(1), found.Entries[len(found.Entries)-1].Seq)
			require.Len(t, found.Unread, 1)
			assert.Equal(t, test.want.Name, found.Unread[0].Name)
			if test.want.Err != nil {
				require.ErrorIs(t, found.Unread[0].Err, test.want.Err)
			}
		})
	}
}
