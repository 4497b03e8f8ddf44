// Package audit keeps the events of an authorization server on record: a file
// of JSON lines, to which lines are only ever added.
//
//	log, err := audit.Open(audit.Config{Path: "audit.jsonl"})
//	…
//	server, err := authserver.New(authserver.Config{…, Audit: log.Record})
//
// # The chain
//
// Every line has a number and the SHA-256 digest of the line before it. So a
// line that was changed, taken out or put in later is noticed: see [Verify].
// What was cut off at the end, or written anew as a whole, is noticed by
// whoever knows a [Tip] from before; note one elsewhere from time to time.
//
// # Durability
//
// Record returns when the line is on disk. Those who wait at the same time
// share one sync, so that many of them do not take longer than one. When the
// disk is full, Record returns an error, and the server does as its
// AuditRequired says.
//
// # Rotation
//
// Rename the file and have the process call [Log.Reopen], as logrotate does
// with a signal: the chain goes on in the new file. Several processes may
// write to one file, where the system has flock; a rotation while none of them
// runs begins a new chain.
package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// Config configures a [Log].
type Config struct {
	// Path names the file; it is made if there is none, for its owner only.
	Path string
	// DangerouslySyncEvery has Record return when the line is written, but
	// not on disk yet; at least so often all is synced. A power failure can
	// take the lines of that time. Zero syncs before Record returns.
	DangerouslySyncEvery time.Duration
	// Timeout is how long Record waits for a disk; zero means 5 seconds.
	Timeout time.Duration
}

const (
	defaultTimeout = 5 * time.Second
	// maxPending bounds the events that wait for the disk.
	maxPending = 10000
	// yields is how often others may run before a batch is written.
	yields = 2
	// maxLine is the longest line that is written and read, in bytes.
	maxLine = 1 << 20
)

// A Log is an audit log that is open for writing. Make one with [Open]. It is
// safe for concurrent use.
type Log struct {
	cfg  Config
	wake chan struct{} // has one element if there is something to write
	quit chan struct{}
	done chan struct{}

	mu     sync.Mutex
	batch  *batch
	closed bool

	file  sync.Mutex // guards what is below
	f     *os.File
	tip   Tip
	size  int64
	dirty bool
	buf   []byte
	late  error // of a sync that nobody has waited for
}

// A batch is written and synced together.
type batch struct {
	events []authserver.Event
	late   *time.Timer // since there is one event
	end    sync.Once
	done   chan struct{}
	err    error // once done is closed
}

// finish tells those who wait, unless they were told before.
func (b *batch) finish(err error) {
	b.end.Do(func() {
		b.err = err
		close(b.done)
	})
}

// ErrClosed is returned by the methods of a Log after Close.
var ErrClosed = errors.New("audit: closed")

// Open opens the log, and mends its end if a process has died while it wrote
// a line. It must be closed.
func Open(cfg Config) (*Log, error) {
	if cfg.Path == "" || cfg.DangerouslySyncEvery < 0 || cfg.Timeout < 0 {
		return nil, errors.New("audit: Path is missing, or a time is negative")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	l := &Log{cfg: cfg, wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}), batch: newBatch()}
	if err := l.open(); err != nil {
		return nil, err
	}
	go l.run()
	return l, nil
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// Record adds a line for the event, and returns when it is durable. It does
// not wait for more than Timeout; the line may then still be written. It fits
// authserver.Config.Audit.
func (l *Log) Record(ctx context.Context, e authserver.Event) error {
	l.mu.Lock()
	b := l.batch
	switch {
	case l.closed:
		l.mu.Unlock()
		return ErrClosed
	case len(b.events) >= maxPending:
		l.mu.Unlock()
		return errors.New("audit: too many events wait for the disk")
	}
	if b.events = append(b.events, e); b.late == nil {
		b.late = time.AfterFunc(l.cfg.Timeout, func() {
			b.finish(fmt.Errorf("audit: the disk takes longer than %v", l.cfg.Timeout))
		})
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // it is awake
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return fmt.Errorf("audit: %w", ctx.Err())
	}
}

// Tip returns the end of the chain, as far as this process has written it.
func (l *Log) Tip() Tip {
	l.file.Lock()
	defer l.file.Unlock()
	return l.tip
}

// Reopen goes on in a new file, if the old one was renamed; the chain goes on
// with it. If that fails, the log goes on in the old one.
func (l *Log) Reopen() error {
	l.file.Lock()
	defer l.file.Unlock()
	if l.f == nil {
		return ErrClosed
	}
	// Others may have written to the old file last.
	unlock, err := lock(l.f)
	if err != nil {
		return fmt.Errorf("audit: lock the file: %w", err)
	}
	defer unlock()
	if err := errors.Join(l.sync(), l.adoptIfChanged()); err != nil {
		return err
	}
	old, tip := l.f, l.tip
	before, err := old.Stat()
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if now, err := os.Stat(l.cfg.Path); err == nil && os.SameFile(before, now) {
		return nil
	}
	f, err := openFile(l.cfg.Path)
	if err != nil {
		return err
	}
	l.f, l.size = f, 0
	if err := l.adoptLocked(); err != nil {
		l.f, l.size, l.tip = old, before.Size(), tip
		return errors.Join(err, f.Close())
	}
	if l.size == 0 {
		l.tip = tip
	}
	return old.Close()
}

// Close writes what is waiting and closes the file. Further calls do nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	was := l.closed
	l.closed = true
	l.mu.Unlock()
	if was {
		return nil
	}
	close(l.quit)
	<-l.done
	l.file.Lock()
	defer l.file.Unlock()
	err := errors.Join(l.late, l.f.Close())
	l.f = nil
	return err
}

// run writes batches until the log is closed.
func (l *Log) run() {
	defer close(l.done)
	var tick <-chan time.Time
	if l.cfg.DangerouslySyncEvery > 0 {
		ticker := time.NewTicker(l.cfg.DangerouslySyncEvery)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-l.wake:
			// Whoever can run at the moment may be about to record something,
			// such as all whose records one commit has written. To let them
			// costs nothing if there is nobody, and makes batches larger.
			for range yields {
				runtime.Gosched()
			}
			l.flush(tick == nil)
		case <-tick:
			l.syncLate()
		case <-l.quit:
			l.flush(true)
			l.syncLate()
			return
		}
	}
}

// flush writes all that waits.
func (l *Log) flush(sync bool) {
	l.mu.Lock()
	b := l.batch
	l.batch = newBatch()
	l.batch.events = make([]authserver.Event, 0, len(b.events)) // as many as last time, likely
	l.mu.Unlock()
	var err error
	if len(b.events) > 0 {
		err = l.write(b.events, sync)
		b.late.Stop()
	}
	b.finish(err)
}

func (l *Log) syncLate() {
	l.file.Lock()
	defer l.file.Unlock()
	if err := l.sync(); err != nil {
		l.late = err // the next one who comes is told
	}
}

func (l *Log) sync() error {
	if !l.dirty {
		return nil
	}
	l.dirty = false
	if err := l.f.Sync(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// write adds the lines of a batch, all or none of them.
func (l *Log) write(events []authserver.Event, sync bool) (err error) {
	l.file.Lock()
	defer l.file.Unlock()
	if l.late != nil {
		err, l.late = l.late, nil
		return err
	}
	unlock, err := lock(l.f)
	if err != nil {
		return fmt.Errorf("audit: lock the file: %w", err)
	}
	defer unlock()
	if err := l.adoptIfChanged(); err != nil {
		return err
	}
	tip, size := l.tip, l.size
	data := l.buf[:0]
	for _, e := range events {
		if data, tip, err = appendLine(data, tip, e); err != nil {
			return err
		}
	}
	_, err = l.f.Write(data)
	l.dirty = true
	if err == nil && sync {
		err = l.sync()
	}
	if err != nil {
		// What was written of it is taken back, so that the chain goes on from
		// where it was; if that fails too, the next one mends it.
		_ = l.f.Truncate(size)
		return fmt.Errorf("audit: %w", err)
	}
	l.tip, l.size = tip, size+int64(len(data))
	if cap(data) <= maxLine {
		l.buf = data
	}
	return nil
}

func appendLine(data []byte, tip Tip, e authserver.Event) ([]byte, Tip, error) {
	entry := Entry{Seq: tip.Seq + 1, Prev: tip.Hash, Event: e}
	start := len(data)
	data, err := appendEntry(data, entry)
	if err != nil {
		return data, tip, fmt.Errorf("audit: %w", err)
	}
	line := data[start:]
	if len(line) >= maxLine {
		return data, tip, errors.New("audit: the event is too long")
	}
	return append(data, '\n'), tipOf(entry.Seq, line), nil
}

func (l *Log) open() error {
	f, err := openFile(l.cfg.Path)
	if err != nil {
		return err
	}
	l.f = f
	if err := l.adoptLocked(); err != nil {
		return errors.Join(err, f.Close())
	}
	return nil
}

// adoptLocked adopts while nobody else writes.
func (l *Log) adoptLocked() error {
	unlock, err := lock(l.f)
	if err != nil {
		return fmt.Errorf("audit: lock the file: %w", err)
	}
	defer unlock()
	return l.adopt()
}

func openFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	// The name has to be on disk, too. Not every system can sync a folder.
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync()
		_ = dir.Close()
	}
	return f, nil
}

// adoptIfChanged goes on from what others have written.
func (l *Log) adoptIfChanged() error {
	info, err := l.f.Stat()
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if info.Size() == l.size {
		return nil
	}
	return l.adopt()
}

// adopt reads the end of the file. What a process left there that died while
// it wrote, part of a line, is taken away: nobody was told that it is on
// record.
func (l *Log) adopt() error {
	info, err := l.f.Stat()
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		l.size = 0
		return nil
	}
	data := make([]byte, min(info.Size(), 2*maxLine))
	start := info.Size() - int64(len(data))
	if _, err := l.f.ReadAt(data, start); err != nil && err != io.EOF {
		return fmt.Errorf("audit: %w", err)
	}
	line, end, err := lastLine(data, start == 0)
	if err != nil {
		return err
	}
	size := start + int64(end)
	if size < info.Size() {
		if err := l.f.Truncate(size); err != nil {
			return fmt.Errorf("audit: take away part of a line: %w", err)
		}
	}
	if l.tip, l.size = (Tip{}), size; size > 0 {
		entry, err := parseEntry(line)
		if err != nil {
			return fmt.Errorf("%w (hint: is %s an audit log?)", err, l.cfg.Path)
		}
		l.tip = tipOf(entry.Seq, line)
	}
	return nil
}
