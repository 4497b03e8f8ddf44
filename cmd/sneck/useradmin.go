package main

import (
	"context"
	"fmt"
)

// userAdminCommands are "sneck user admin …".
type userAdminCommands struct {
	Add    addAdminCommand    `cmd:"" help:"Let somebody administer the server."`
	Remove removeAdminCommand `cmd:"" help:"Do not let somebody administer the server any more."`
}

// adminFor says whether an account may administer the server.
type adminFor struct {
	Username string `arg:"" help:"Name of the account."`
	operatorFlags
}

func (c *adminFor) set(ctx context.Context, con *console, o *operator, is bool, sentence string) error {
	account, err := o.account(ctx, c.Username)
	if err != nil {
		return err
	}
	if err := o.SetAdmin(ctx, account.ID, is); err != nil {
		return err
	}
	account.Admin = is
	return writeDone(con, c.JSON, account, fmt.Sprintf(sentence, printable(account.Username)))
}

// An addAdminCommand is "sneck user admin add".
type addAdminCommand struct{ adminFor }

// Run lets the person administer the server.
func (c *addAdminCommand) Run(ctx context.Context, con *console) error {
	return c.do(ctx, con, false, func(o *operator) error {
		return c.set(ctx, con, o, true, "user %s may administer the server")
	})
}

// A removeAdminCommand is "sneck user admin remove".
type removeAdminCommand struct{ adminFor }

// Run does not let the person administer the server any more.
func (c *removeAdminCommand) Run(ctx context.Context, con *console) error {
	return c.do(ctx, con, false, func(o *operator) error {
		return c.set(ctx, con, o, false, "user %s may not administer the server")
	})
}
