package yaml

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/sneckauth/sneck/middleware"
)

// A File is a table of routes that follows a file. It is safe for concurrent
// use.
type File struct {
	path   string
	routes *middleware.Routes
	logger *slog.Logger

	mu   sync.Mutex
	seen [sha256.Size]byte // the digest of what was tried last, good or bad
	last [sha256.Size]byte // the digest of what Watch read last
}

// Open reads the table in a file and returns it in force. The error joins all
// mistakes, each a [*Mistake], or says that the file can not be read. A nil
// logger is silent.
func Open(g *middleware.Guard, path string, logger *slog.Logger) (*File, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	f := &File{path: path, logger: logger}
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	t, err := Parse(path, data)
	if err != nil {
		return nil, err
	}
	f.seen = sha256.Sum256(data)
	f.routes, err = t.Guard(g)
	return f, err
}

// Wrap returns a handler that admits the requests that the table in force
// admits, like [middleware.Routes.Wrap].
func (f *File) Wrap(h http.Handler) http.Handler { return f.routes.Wrap(h) }

// Check decides about a request like [middleware.Routes.Check].
func (f *File) Check(r *http.Request) middleware.Decision { return f.routes.Check(r) }

// Reload reads the file again, such as on SIGHUP. If there is an error, which
// is like that of [Open], the table in force stays.
func (f *File) Reload() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, err := read(f.path)
	if err != nil {
		return err
	}
	f.seen = sha256.Sum256(data)
	return f.replace(data)
}

// Watch reads the file every so often until ctx is done, puts it into force
// when its content has changed, and logs that, or once what is wrong with it.
// Content that has changed is tried when it is the same twice in a row: half a
// file may be a good one, and its routes too generous without the rest.
func (f *File) Watch(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	missing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		changed, err := f.reloadIfChanged()
		unread := errors.Is(err, errUnread)
		switch {
		case unread && missing: // said already
		case err != nil:
			f.logger.Error("routes not replaced, the former ones are in force", "file", f.path, "error", err)
		case changed:
			f.logger.Info("routes replaced", "file", f.path)
		}
		missing = unread
	}
}

func (f *File) reloadIfChanged() (changed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, err := read(f.path)
	if err != nil {
		return false, err
	}
	digest := sha256.Sum256(data)
	settled := digest == f.last
	f.last = digest
	if digest == f.seen || !settled {
		return false, nil
	}
	f.seen = digest
	return true, f.replace(data)
}

func (f *File) replace(data []byte) error {
	t, err := Parse(f.path, data)
	if err != nil {
		return err
	}
	return t.Replace(f.routes)
}

var errUnread = errors.New("yaml: the file can not be read")

// read returns the content of a file, and a little of one that is too long.
func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnread, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnread, err)
	}
	return data, nil
}
