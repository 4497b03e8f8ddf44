package main

import (
	"context"
	"fmt"

	"github.com/sneckauth/sneck/authserver/admin"
)

// userAdminCommands are "sneck user admin …".
type userAdminCommands struct {
	Add    addAdminCommand    `cmd:"" help:"Let somebody administer the server."`
	Remove removeAdminCommand `cmd:"" help:"Do not let somebody administer the server any more."`
}

// An addAdminCommand is "sneck user admin add".
type addAdminCommand struct{ accountFlags }

// Run lets the person administer the server.
func (c *addAdminCommand) Run(ctx context.Context, con *console) error {
	return c.setAdmin(ctx, con, true, "user %s may administer the server")
}

// A removeAdminCommand is "sneck user admin remove".
type removeAdminCommand struct{ accountFlags }

// Run does not let the person administer the server any more.
func (c *removeAdminCommand) Run(ctx context.Context, con *console) error {
	return c.setAdmin(ctx, con, false, "user %s may not administer the server")
}

// setAdmin says whether an account may administer the server.
func (f *accountFlags) setAdmin(ctx context.Context, con *console, is bool, sentence string) error {
	return f.of(ctx, con, func(o *operator, account *admin.Account) error {
		if err := o.SetAdmin(ctx, account.ID, is); err != nil {
			return err
		}
		account.Admin = is
		return writeDone(con, f.JSON, account, fmt.Sprintf(sentence, printable(account.Username)))
	})
}
