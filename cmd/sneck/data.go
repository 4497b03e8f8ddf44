package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sneckauth/sneck/adapter/sqlite"
)

// openData opens the database in a directory, and reports whether it made it.
// Unless create is set, there must be one.
func openData(ctx context.Context, dir string, create bool) (_ *sqlite.Store, created bool, err error) {
	path := filepath.Join(dir, "sneck.db")
	_, err = os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if !create {
			return nil, false, fmt.Errorf("there is no database in %s (hint: look at --data)", dir)
		}
		created = true
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, false, fmt.Errorf("%w (hint: choose another directory with --data)", err)
		}
	case err != nil:
		return nil, false, fmt.Errorf("%w (hint: choose another directory with --data)", err)
	}
	store, err := sqlite.Open(ctx, path)
	if err != nil {
		return nil, false, fmt.Errorf("%w (hint: --data must be a directory of sneck that this user may write)", err)
	}
	return store, created, nil
}
