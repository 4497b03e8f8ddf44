package introspect

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	maxFileBytes = 64 << 10
	// settled is the age at which a file can not be written again within the
	// same tick of the clock of its file system.
	settled = 2 * time.Second
)

// A watched is a value that is read from a file, and read again when the file
// has changed.
type watched[T any] struct {
	path  string
	parse func([]byte) (T, error)

	mu    sync.Mutex
	value T
	info  os.FileInfo // of the file as it was read; nil if never
	late  bool        // info may belong to an earlier content
}

// get returns the value. If the file can not be read any more, or not be
// understood, the last value stays.
func (w *watched[T]) get() (T, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	info, err := os.Stat(w.path)
	if err == nil && w.info != nil && !w.late && same(w.info, info) {
		return w.value, nil
	}
	if err == nil {
		err = w.read(info)
	}
	if err != nil && w.info == nil {
		return w.value, fmt.Errorf("introspect: %w", err)
	}
	return w.value, nil
}

func (w *watched[T]) read(info os.FileInfo) error {
	f, err := os.Open(w.path)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return err
	}
	if len(data) > maxFileBytes {
		return errors.New(w.path + " is longer than 64 KiB")
	}
	value, err := w.parse(data)
	if err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	w.value, w.info = value, info
	w.late = time.Since(info.ModTime()) < settled
	return nil
}

func same(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
