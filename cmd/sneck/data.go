package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/sneckauth/sneck/adapter/postgres"
	"github.com/sneckauth/sneck/adapter/sqlite"
	"github.com/sneckauth/sneck/authserver"
)

// A database is what the server keeps everything in.
type database interface {
	authserver.Lister
	authserver.ExpiredCounter
	authserver.ClientRegistry
	authserver.SecretUpgrader
	Close() error
}

// openData opens the database in a directory or at the URL of a PostgreSQL,
// and reports whether it made it. Unless create is set, there must be one in
// the directory.
func openData(ctx context.Context, data string, create bool) (_ database, created bool, err error) {
	if isURL(data) {
		// Whole partitions are dropped: that is quick at any size, and what
		// has expired may stay for a while.
		store, err := postgres.Open(ctx, data, postgres.Config{DropOnly: true})
		if err != nil {
			return nil, false, hinted(err, "look at --data and at the PostgreSQL server")
		}
		return store, false, nil
	}
	path := filepath.Join(data, "sneck.db")
	_, err = os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if !create {
			return nil, false, fmt.Errorf("there is no database in %s (hint: look at --data)", data)
		}
		created = true
		if err := os.MkdirAll(data, 0o700); err != nil {
			return nil, false, fmt.Errorf("%w (hint: choose another directory with --data)", err)
		}
	case err != nil:
		return nil, false, fmt.Errorf("%w (hint: choose another directory with --data)", err)
	}
	store, err := sqlite.Open(ctx, path)
	if err != nil {
		return nil, false, hinted(err, openHint(err))
	}
	return store, created, nil
}

// openHint says what to do about a file that can not be opened.
func openHint(err error) string {
	var result interface {
		error
		Code() int
	}
	if errors.As(err, &result) {
		// The low byte is the primary result code (sqlite.org/rescode.html).
		switch result.Code() & 0xFF {
		case sqliteBusy, sqliteLocked:
			return "another program has locked the file; try again when it has ended"
		case sqliteFull:
			return "make room on the disk"
		}
	}
	return "--data must be a directory of sneck that this user may write"
}

const (
	sqliteBusy   = 5
	sqliteLocked = 6
	sqliteFull   = 13
)

// isURL reports whether the data are in PostgreSQL.
func isURL(data string) bool {
	return strings.HasPrefix(data, "postgres://") || strings.HasPrefix(data, "postgresql://")
}

// hasPassword reports whether the URL of a PostgreSQL has a password in it.
func hasPassword(data string) bool {
	u, err := url.Parse(data)
	if err != nil || !isURL(data) {
		return false
	}
	_, has := u.User.Password()
	return has || u.Query().Has("password") || u.Query().Has("sslpassword")
}

// dataName is what may be said about where the data are: a URL without its
// password.
func dataName(data string) string {
	if !isURL(data) {
		return data
	}
	u, err := url.Parse(data)
	if err != nil {
		return "postgres"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
