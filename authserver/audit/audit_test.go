package audit_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
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

var at = time.Date(2030, 1, 2, 3, 4, 5, 678, time.UTC)

func event(n int) authserver.Event {
	return authserver.Event{Kind: authserver.EventTokenIssued, Time: at, Client: fmt.Sprint("c", n)}
}

func open(t *testing.T, path string) *audit.Log {
	t.Helper()
	l, err := audit.Open(audit.Config{Path: path})
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func record(t *testing.T, l *audit.Log, numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		require.NoError(t, l.Record(t.Context(), event(n)))
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

func verify(t *testing.T, text string) (audit.Report, error) {
	t.Helper()
	return audit.Verify(strings.NewReader(text), audit.Tip{}, audit.Tip{})
}

// The format is one that others read, so it stays.
func TestFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, path)
	require.NoError(t, l.Record(t.Context(), authserver.Event{
		Kind: authserver.EventTokenRevoked, Time: at, Client: "c", Subject: "s", Grant: "g", Scopes: scopes.Set{"a", "b"}, Audience: []string{"x"},
		Token: "t", Family: "f", Address: netip.MustParseAddr("2001:db8::1"), Reason: "r\n", Count: 2,
	}))
	require.NoError(t, l.Record(t.Context(), authserver.Event{Kind: authserver.EventSwept, Time: at}))
	assert.Equal(t, `{"seq":1,"prev":"","kind":"token_revoked","time":"2030-01-02T03:04:05.000000678Z","client":"c","subject":"s","grant":"g","scopes":["a","b"],"audience":["x"],"token":"t","family":"f","address":"2001:db8::1","reason":"r\n","count":2}
{"seq":2,"prev":"54fe8275d2f5d0b0f995bea3f0fd78cfc848120a80b285c61296738a4919df08","kind":"swept","time":"2030-01-02T03:04:05.000000678Z"}
`, content(t, path))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())

	var kinds []authserver.EventKind
	for e, err := range audit.Entries(strings.NewReader(content(t, path))) {
		require.NoError(t, err)
		kinds = append(kinds, e.Kind)
	}
	assert.Equal(t, []authserver.EventKind{"token_revoked", "swept"}, kinds)
}

// What the log writes is what encoding/json would, whatever there is in it.
func TestEncoding(t *testing.T) {
	texts := []string{"", "a", `"\`, "<&>", "a\x00\n\u2028ü", "\xff", strings.Repeat("x", 1000)}
	var events []authserver.Event
	for i, text := range texts {
		e := authserver.Event{Time: at.In(time.FixedZone("", 3600*i)).Add(time.Duration(i) * time.Millisecond)}
		v := reflect.ValueOf(&e).Elem()
		for j := range v.NumField() {
			switch f := v.Field(j); f.Kind() {
			case reflect.String:
				f.SetString(text)
			case reflect.Slice:
				f.Set(reflect.ValueOf(texts[:i]).Convert(f.Type()))
			case reflect.Int64:
				f.SetInt(int64(i - 1))
			}
		}
		if e.Kind == "" {
			e.Kind = "k"
		}
		events = append(events, e)
		for _, address := range []string{"192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "fe80::1%e<h"} {
			e.Address = netip.MustParseAddr(address)
			events = append(events, e)
		}
	}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, path)
	var want []byte
	var tip audit.Tip
	for _, e := range events {
		require.NoError(t, l.Record(t.Context(), e))
		line, err := json.Marshal(audit.Entry{Seq: tip.Seq + 1, Prev: tip.Hash, Event: e})
		require.NoError(t, err)
		want = append(append(want, line...), '\n')
		tip = l.Tip()
	}
	assert.Equal(t, string(want), content(t, path))
	assert.Error(t, l.Record(t.Context(), authserver.Event{Kind: "k", Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}))
	assert.Equal(t, tip, l.Tip())
}

func TestChainGoesOnAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, path)
	record(t, l, 1, 2)
	tip := l.Tip()
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Record(t.Context(), event(3)), audit.ErrClosed)
	require.ErrorIs(t, l.Reopen(), audit.ErrClosed)

	l = open(t, path)
	assert.Equal(t, tip, l.Tip())
	record(t, l, 3)
	report, err := audit.Verify(strings.NewReader(content(t, path)), audit.Tip{}, tip)
	require.NoError(t, err)
	assert.Equal(t, audit.Report{Lines: 3, Last: l.Tip(), Found: true}, report)
}

// Whatever is done to the lines is noticed.
func TestVerify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, path)
	record(t, l, 1, 2, 3, 4)
	line := strings.SplitAfter(content(t, path), "\n")
	other := filepath.Join(t.TempDir(), "audit.jsonl")
	forged := open(t, other)
	record(t, forged, 1, 7, 3, 4)
	written := strings.SplitAfter(content(t, other), "\n")

	for _, test := range []struct {
		name  string
		text  string
		lines uint64
		want  string
	}{
		{"as it is", strings.Join(line, ""), 4, ""},
		{"empty", "", 0, ""},
		{"one taken out", line[0] + line[2] + line[3], 1, "line 2: audit: 1 lines are missing before number 3"},
		{"two taken out", line[0] + line[3], 1, "line 2: audit: 2 lines are missing before number 4"},
		{"changed", line[0] + strings.Replace(line[1], "c2", "c9", 1) + line[2], 2, "line 3: audit: the line before number 3 was changed"},
		{"put in", line[0] + line[1] + written[1] + line[2], 2, "line 3: audit: number 2 comes after number 2"},
		{"exchanged", line[0] + line[2] + line[1], 1, "line 2: audit: 1 lines are missing before number 3"},
		{"taken from another", line[0] + written[1] + line[2], 2, "line 3: audit: the line before number 3 was changed"},
		{"another after it", line[0] + line[1] + written[0], 2, "line 3: audit: a new chain begins (hint: lines before it are gone, or the file was rotated while nothing ran)"},
		{"cut in a line", line[0] + line[1][:20], 1, "line 2: audit: the last line is not complete (hint: the server mends it when it starts)"},
		{"garbage", line[0] + "garbage\n" + line[1], 1, "line 2: audit: the line is not an entry"},
		{"empty line", line[0] + "\n" + line[1], 1, "line 2: audit: the line is not an entry"},
		{"endless line", line[0] + strings.Repeat("x", 2<<20), 1, "line 2: audit: the line is too long"},
		{"the end cut off", line[0] + line[1], 2, ""},
		{"the beginning cut off", line[2] + line[3], 2, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			report, err := verify(t, test.text)
			assert.Equal(t, test.lines, report.Lines)
			if test.want == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, test.want)
			}
		})
	}

	// Who has noted a tip notices the rest.
	for text, found := range map[string]bool{
		strings.Join(line, ""): true, line[0] + line[1]: false, strings.Join(written, ""): false, line[3]: true,
	} {
		report, err := audit.Verify(strings.NewReader(text), audit.Tip{}, l.Tip())
		require.NoError(t, err)
		assert.Equal(t, found, report.Found, text)
	}
	// And who has the file before, too.
	first, err := verify(t, line[0]+line[1])
	require.NoError(t, err)
	second, err := audit.Verify(strings.NewReader(line[2]+line[3]), first.Last, first.Last)
	require.NoError(t, err)
	assert.Equal(t, audit.Report{Lines: 2, First: first.Last, Last: l.Tip(), Found: true}, second)
	_, err = audit.Verify(strings.NewReader(line[3]), first.Last, audit.Tip{})
	require.EqualError(t, err, "line 1: audit: 1 lines are missing before number 4")
}

func TestTip(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "a"))
	record(t, l, 1)
	for _, tip := range []audit.Tip{{}, l.Tip()} {
		got, err := audit.ParseTip(tip.String())
		require.NoError(t, err)
		assert.Equal(t, tip, got)
	}
	for _, bad := range []string{"", ":", "1", "x:", "01:", "1:ab", "-1:", "1:" + strings.Repeat("A", 64), "1:" + strings.Repeat("00", 32)} {
		_, err := audit.ParseTip(bad)
		require.Error(t, err, bad)
	}
}

// Part of a line that a process has left when it died is taken away.
func TestTornLineIsMended(t *testing.T) {
	for _, torn := range []string{`{"seq":3,"pre`, "x"} {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		l := open(t, path)
		record(t, l, 1, 2)
		appendTo(t, path, torn)
		record(t, l, 3) // by another process, while this one runs
		require.NoError(t, l.Close())
		appendTo(t, path, torn)
		l = open(t, path)
		record(t, l, 4)
		report, err := verify(t, content(t, path))
		require.NoError(t, err)
		assert.Equal(t, audit.Report{Lines: 4, Last: l.Tip(), Found: true}, report)
	}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	appendTo(t, path, `{"seq":1,`)
	l := open(t, path)
	record(t, l, 1)
	_, err := verify(t, content(t, path))
	require.NoError(t, err)
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	require.NoError(t, err)
	_, err = f.WriteString(text)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// What is no audit log is not touched.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "notes.txt")
	for text, want := range map[string]string{
		"dear diary\n":             "audit: the line is not an entry (hint: is " + path + " an audit log?)",
		"{}\n":                     "audit: the line is not an entry (hint: is " + path + " an audit log?)",
		strings.Repeat("x", 3<<20): "audit: the last line is too long",
		"a\n" + strings.Repeat("x", 3<<20) + "\n": "audit: the last line is too long",
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := audit.Open(audit.Config{Path: path})
		require.EqualError(t, err, want)
		assert.Equal(t, text, content(t, path))
	}
	for _, cfg := range []audit.Config{{}, {Path: dir}, {Path: filepath.Join(dir, "no", "x")}, {Path: path, Timeout: -1}, {Path: path, DangerouslySyncEvery: -1}} {
		_, err := audit.Open(cfg)
		require.Error(t, err, cfg)
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.jsonl")
	l := open(t, path)
	other := open(t, path)
	record(t, l, 1)
	require.NoError(t, l.Reopen(), "nothing has changed")
	record(t, l, 2)
	require.NoError(t, os.Rename(path, path+".1"))
	record(t, other, 3) // still in the old one, by another process
	require.NoError(t, l.Reopen())
	record(t, l, 4, 5)

	old, err := verify(t, content(t, path+".1"))
	require.NoError(t, err)
	assert.EqualValues(t, 3, old.Lines)
	fresh, err := audit.Verify(strings.NewReader(content(t, path)), old.Last, audit.Tip{})
	require.NoError(t, err)
	assert.Equal(t, audit.Report{Lines: 2, First: old.Last, Last: l.Tip(), Found: true}, fresh)

	// If there can be no new one, the old one goes on.
	require.NoError(t, os.Rename(path, path+".2"))
	require.NoError(t, os.WriteFile(path, []byte("dear diary\n"), 0o600))
	require.ErrorContains(t, l.Reopen(), "is "+path+" an audit log?")
	record(t, l, 6)
	fresh, err = audit.Verify(strings.NewReader(content(t, path+".2")), old.Last, audit.Tip{})
	require.NoError(t, err)
	assert.EqualValues(t, 3, fresh.Lines)
}

// Many who write at once share syncs, and every line is there once. Several
// logs on one file, as in several processes, write one chain.
func TestConcurrently(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	logs := []*audit.Log{open(t, path), open(t, path)}
	const workers, each = 32, 25
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for i := range each {
				assert.NoError(t, logs[worker%len(logs)].Record(context.Background(), event(worker*each+i)))
			}
		})
	}
	wg.Wait()
	report, err := verify(t, content(t, path))
	require.NoError(t, err)
	assert.EqualValues(t, workers*each, report.Lines)
	seen := map[string]int{}
	for e, err := range audit.Entries(strings.NewReader(content(t, path))) {
		require.NoError(t, err)
		seen[e.Client]++
	}
	assert.Len(t, seen, workers*each)
}

func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "%v", err)
		t.Skip("there is no /dev/full here")
	}
	l := open(t, "/dev/full")
	for range 3 {
		require.ErrorContains(t, l.Record(t.Context(), event(1)), "no space left on device")
	}
	assert.Equal(t, audit.Tip{}, l.Tip(), "nothing is on record")
}

func TestSyncEvery(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := audit.Open(audit.Config{Path: path, DangerouslySyncEvery: time.Hour})
	require.NoError(t, err)
	record(t, l, 1)
	assert.Contains(t, content(t, path), `"client":"c1"`, "written, if not synced")
	require.NoError(t, l.Close())
	report, err := verify(t, content(t, path))
	require.NoError(t, err)
	assert.EqualValues(t, 1, report.Lines)
}

func TestRecordDoesNotWaitForEver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Record(ctx, event(1)); err != nil { // it may have been quick
		require.ErrorIs(t, err, context.Canceled)
	}
	// The file is locked by somebody who does not let go.
	hasty, err := audit.Open(audit.Config{Path: path + ".2", Timeout: time.Millisecond})
	require.NoError(t, err)
	defer hasty.Close()
	release := holdLock(t, path+".2")
	require.EqualError(t, hasty.Record(t.Context(), event(1)), "audit: the disk takes longer than 1ms")
	release()
}

// All that Record has returned for is there after kill -9.
func TestKill(t *testing.T) {
	if path := os.Getenv("SNECK_AUDIT_TEST"); path != "" {
		writeForEver(path)
	}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	total := 0
	for range 5 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), "SNECK_AUDIT_TEST="+path)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		in := bufio.NewReader(out)
		for range 100 {
			_, err := in.ReadString('\n')
			require.NoError(t, err)
			total++
		}
		require.NoError(t, cmd.Process.Kill())
		rest, err := io.ReadAll(in)
		require.NoError(t, err)
		total += bytes.Count(rest, []byte("\n"))
		_ = cmd.Wait()
	}
	l := open(t, path)
	report, err := verify(t, content(t, path))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, report.Lines, uint64(total))
	assert.Equal(t, l.Tip(), report.Last)
}

func writeForEver(path string) {
	l, err := audit.Open(audit.Config{Path: path})
	if err != nil {
		panic(err)
	}
	var mu sync.Mutex
	for worker := range 8 {
		go func() {
			for {
				if err := l.Record(context.Background(), event(worker)); err != nil {
					panic(err)
				}
				mu.Lock()
				fmt.Println("done")
				mu.Unlock()
			}
		}()
	}
	select {}
}

// Whatever is in the file, reading it ends with an error or tells the truth.
func FuzzVerify(f *testing.F) {
	first, err := json.Marshal(audit.Entry{Seq: 1, Event: event(1)})
	require.NoError(f, err)
	f.Add(append(first, '\n'))
	f.Add([]byte(`{"seq":2,"prev":"","kind":"x"}` + "\n"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		report, err := audit.Verify(bytes.NewReader(data), audit.Tip{}, audit.Tip{})
		lines := bytes.SplitAfter(data, []byte("\n"))
		assert.LessOrEqual(t, report.Lines, uint64(len(lines)))
		if err == nil {
			assert.EqualValues(t, bytes.Count(data, []byte("\n")), report.Lines)
			again, err := audit.Verify(bytes.NewReader(data), report.First, report.Last)
			assert.NoError(t, err)
			assert.Equal(t, report, again)
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	for _, parallel := range []int{1, 16, 128} { // times GOMAXPROCS
		b.Run(fmt.Sprint(parallel), func(b *testing.B) {
			l, err := audit.Open(audit.Config{Path: filepath.Join(b.TempDir(), "audit.jsonl")})
			require.NoError(b, err)
			defer l.Close()
			e := authserver.Event{
				Kind: authserver.EventTokenIssued, Time: at, Client: "0123456789abcdefghijklmnopqrstuv", Subject: "0123456789abcdefghijklmnopqrstuv",
				Grant: "client_credentials", Scopes: scopes.Set{"read", "write"}, Audience: []string{"https://api.example.com"},
				Token: "0123456789abcdefghijkl", Address: netip.MustParseAddr("192.0.2.1"),
			}
			b.SetParallelism(parallel)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := l.Record(b.Context(), e); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
