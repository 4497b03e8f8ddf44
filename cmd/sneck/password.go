package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
)

// A passwordFlags says where a password comes from.
type passwordFlags struct {
	Stdin bool `name:"password-stdin" help:"Read the password from the standard input, twice and without an echo on a terminal; else one is made up and printed."`

	PasswordPeppersFile string `from:"SNECK_PASSWORD_PEPPERS_FILE" placeholder:"FILE" help:"File with keys for the hashes of passwords, that of the server ($$SNECK_PASSWORD_PEPPERS_FILE)."`
}

// password returns the password, or none if one is to be made up.
func (f *passwordFlags) password(ctx context.Context, con *console) (string, error) {
	if !f.Stdin {
		return "", nil
	}
	password, err := f.read(ctx, con)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	if err := pages.CheckPassword(password); err != nil {
		return "", err
	}
	return password, nil
}

// hasher returns what hashes the password, nil without peppers.
func (f *passwordFlags) hasher() (authserver.SecretHasher, error) {
	if f.PasswordPeppersFile == "" {
		return nil, nil
	}
	peppers, err := readKeys(f.PasswordPeppersFile)
	if err != nil {
		return nil, hinted(err, "look at --password-peppers-file")
	}
	return hasherOf(peppers)
}

func (f *passwordFlags) read(ctx context.Context, con *console) (string, error) {
	terminal := con.terminal()
	if terminal == nil {
		password, err := readLine(con.in)
		if err != nil {
			err = hinted(err, "one line on the standard input, with the password alone")
		}
		return password, err
	}
	password, err := readHidden(ctx, con, terminal, "Password: ")
	if err != nil {
		return "", err
	}
	again, err := readHidden(ctx, con, terminal, "The same again: ")
	if err == nil && again != password {
		err = errors.New("it was not the same again")
	}
	return password, err
}

// readHidden reads what is typed without an echo. The echo is back whatever
// happens.
func readHidden(ctx context.Context, con *console, terminal *os.File, prompt string) (string, error) {
	fd := int(terminal.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	defer func() { _ = term.Restore(fd, state) }() // nothing else can be done
	fmt.Fprint(con.err, prompt)
	defer fmt.Fprintln(con.err)
	return interruptible(ctx, func() (string, error) {
		typed, err := term.ReadPassword(fd)
		return string(typed), err
	})
}

// remind says that nobody can see a made-up password again.
func (f *passwordFlags) remind(con *console, asJSON bool) {
	if !f.Stdin && !asJSON {
		fmt.Fprintln(con.err, "sneck: the password is not stored and not shown again")
	}
}
