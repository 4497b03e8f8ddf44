package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/pages"
)

// userCommands are "sneck user …".
type userCommands struct {
	Create  createUserCommand   `cmd:"" help:"Make an account, and print its password once."`
	List    listUsersCommand    `cmd:"" help:"List the accounts."`
	Show    showUserCommand     `cmd:"" help:"Print what is known of an account."`
	Passwd  passwdCommand       `cmd:"" help:"Give an account another password, and sign it out everywhere."`
	Admin   userAdminCommands   `cmd:"" help:"Say who may administer the server."`
	Session userSessionCommands `cmd:"" help:"List and end the sessions of somebody."`
	Delete  deleteUserCommand   `cmd:"" help:"Delete an account, and revoke what was issued for it."`
}

// accountFlags are the flags of commands about one account.
type accountFlags struct {
	Username string `arg:"" help:"Name of the account."`
	operatorFlags
}

// of does something with the account, which must be there.
func (f *accountFlags) of(ctx context.Context, con *console, what func(*operator, *admin.Account) error) error {
	return f.do(ctx, con, false, func(o *operator) error {
		account, err := o.account(ctx, f.Username)
		if err != nil {
			return err
		}
		return what(o, account)
	})
}

// userTable is what people are shown of an account.
func userTable(a *admin.Account) table {
	var t table
	t.add("user", a.Username)
	t.add("subject", a.ID)
	t.add("password", a.Password)
	t.add("created", a.Created.Format(time.RFC3339))
	if a.Admin {
		t.add("admin", "yes")
	}
	return t
}

// A createUserCommand is "sneck user create".
type createUserCommand struct {
	Username string `arg:"" help:"Name to sign in with."`
	operatorFlags
	passwordFlags
	Admin bool `help:"Let the person administer the server."`
}

// Help is printed below the flags.
func (*createUserCommand) Help() string {
	return `The server need not be running, and may be. A password that is made up is
printed once; the database has only its hash.

Examples:

    sneck user create alice --data ./data
    sneck user create alice --data ./data --password-stdin <password.txt
`
}

// Run makes the account.
func (c *createUserCommand) Run(ctx context.Context, con *console) error {
	password, err := c.password(ctx, con)
	if err != nil {
		return err
	}
	if c.passwords, err = c.hasher(); err != nil {
		return err
	}
	// What is wrong is said before there is a database.
	if err := pages.CheckUsername(c.Username); err != nil {
		return usageError(err, "sneck user create alice")
	}
	return c.do(ctx, con, true, func(o *operator) error {
		account, err := o.CreateAccount(ctx, admin.NewAccount{Username: c.Username, Password: password, Admin: c.Admin})
		if errors.Is(err, admin.ErrExists) {
			return fmt.Errorf("user %q exists already (hint: sneck user passwd %[1]s)", c.Username)
		}
		if account == nil {
			return err
		}
		// One that is not on record works all the same.
		if printed := writeRecord(con, c.JSON, account, userTable(account)); printed != nil {
			return errors.Join(fmt.Errorf("print the password: %w (hint: the account was not made)", printed),
				o.DeleteAccount(context.WithoutCancel(ctx), account.ID), err)
		}
		c.remind(con, c.JSON)
		return err
	})
}

// A listUsersCommand is "sneck user list".
type listUsersCommand struct {
	operatorFlags
	Search string `placeholder:"TEXT" help:"Only those with this in their name or subject."`
	Admin  bool   `help:"Only those who may administer the server."`
}

// Run prints the accounts in the order of their names.
func (c *listUsersCommand) Run(ctx context.Context, con *console) error {
	return c.do(ctx, con, false, func(o *operator) error {
		var all []*admin.Account
		for after, more := "", true; more; more = after != "" {
			page, next, err := o.Accounts(ctx, c.Search, after, 0)
			if err != nil {
				return err
			}
			all, after = append(all, page...), next
		}
		slices.SortFunc(all, func(a, b *admin.Account) int {
			return cmp.Compare(strings.ToLower(a.Username), strings.ToLower(b.Username))
		})
		out := listing{con: con, json: c.JSON, header: []string{"USER", "SUBJECT", "CREATED", "ADMIN"}}
		for _, a := range all {
			if c.Admin && !a.Admin {
				continue
			}
			is := ""
			if a.Admin {
				is = "yes"
			}
			if err := out.add(a, a.Username, a.ID, a.Created.Format(time.DateOnly), is); err != nil {
				return err
			}
		}
		return out.end()
	})
}

// A showUserCommand is "sneck user show".
type showUserCommand struct {
	accountFlags
}

// Run prints the account.
func (c *showUserCommand) Run(ctx context.Context, con *console) error {
	return c.of(ctx, con, func(o *operator, account *admin.Account) error {
		return writeRecord(con, c.JSON, account, userTable(account))
	})
}

// A passwdCommand is "sneck user passwd".
type passwdCommand struct {
	accountFlags
	passwordFlags
}

// Run changes the password.
func (c *passwdCommand) Run(ctx context.Context, con *console) error {
	password, err := c.password(ctx, con)
	if err != nil {
		return err
	}
	if c.passwords, err = c.hasher(); err != nil {
		return err
	}
	return c.of(ctx, con, func(o *operator, account *admin.Account) error {
		account.Password, err = o.SetPassword(ctx, account.ID, password)
		if err != nil && !errors.Is(err, admin.ErrNotRecorded) {
			return err
		}
		if printed := writeRecord(con, c.JSON, account, userTable(account)); printed != nil {
			return errors.Join(fmt.Errorf("print the password: %w (hint: it was changed; do it again)", printed), err)
		}
		c.remind(con, c.JSON)
		return err
	})
}

// A deleteUserCommand is "sneck user delete".
type deleteUserCommand struct {
	accountFlags
	yesFlag
}

// Run deletes the account.
func (c *deleteUserCommand) Run(ctx context.Context, con *console) error {
	return c.of(ctx, con, func(o *operator, account *admin.Account) error {
		sessions, err := o.Sessions(ctx, account.ID)
		if err != nil {
			return err
		}
		tokens, err := o.countTokens(ctx, admin.TokenSelector{Subject: account.ID})
		if err != nil {
			return err
		}
		what := fmt.Sprintf("This deletes user %s, with %s, and revokes all that was issued for them, %s",
			printable(account.Username), counted(len(sessions), "session"), tokens)
		if err := c.confirmName(ctx, con, what, account.Username); err != nil {
			return err
		}
		if err := o.DeleteAccount(ctx, account.ID); err != nil {
			return err
		}
		return writeDone(con, c.JSON, account, fmt.Sprintf("deleted user %s and what was issued for them", printable(account.Username)))
	})
}
