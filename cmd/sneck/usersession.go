package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/sneckauth/sneck/authserver/admin"
)

// userSessionCommands are "sneck user session …".
type userSessionCommands struct {
	List listSessionsCommand `cmd:"" help:"List where somebody is signed in."`
	End  endSessionsCommand  `cmd:"" help:"Sign somebody out."`
}

// A listSessionsCommand is "sneck user session list".
type listSessionsCommand struct {
	accountFlags
}

// Run prints the sessions, the one that was used last first.
func (c *listSessionsCommand) Run(ctx context.Context, con *console) error {
	return c.of(ctx, con, func(o *operator, account *admin.Account) error {
		sessions, err := o.Sessions(ctx, account.ID)
		if err != nil {
			return err
		}
		out := listing{con: con, json: c.JSON, header: []string{"SESSION", "SINCE", "SEEN", "BROWSER"}}
		for _, s := range sessions {
			if err := out.add(s, s.Ref, utc(s.Since), utc(s.Seen), s.Agent); err != nil {
				return err
			}
		}
		return out.end()
	})
}

// An endSessionsCommand is "sneck user session end".
type endSessionsCommand struct {
	accountFlags
	Session []string `arg:"" optional:"" help:"IDs of the sessions, as \"sneck user session list\" prints them."`
	All     bool     `help:"End all sessions."`
	yesFlag
}

// Run ends the sessions. What applications were allowed stays.
func (c *endSessionsCommand) Run(ctx context.Context, con *console) error {
	if c.All == (len(c.Session) > 0) {
		return usageError(errors.New("which sessions is not said"), "their IDs, or --all")
	}
	return c.of(ctx, con, func(o *operator, account *admin.Account) error {
		sessions, err := o.Sessions(ctx, account.ID)
		if err != nil {
			return err
		}
		n := len(sessions)
		if !c.All {
			n = len(c.Session)
		}
		what := fmt.Sprintf("This ends %s of user %s", counted(n, "session"), printable(account.Username))
		if err := c.confirm(ctx, con, what); err != nil {
			return err
		}
		ended, err := c.end(ctx, o, account)
		if err != nil {
			return err
		}
		return writeDone(con, c.JSON, struct {
			*admin.Account
			Ended int `json:"ended"`
		}{account, ended}, fmt.Sprintf("ended %s of user %s", counted(ended, "session"), printable(account.Username)))
	})
}

func (c *endSessionsCommand) end(ctx context.Context, o *operator, account *admin.Account) (ended int, err error) {
	if c.All {
		return o.EndSessions(ctx, account.ID)
	}
	for _, ref := range c.Session {
		err := o.EndSession(ctx, account.ID, ref)
		if errors.Is(err, admin.ErrNotFound) {
			return ended, fmt.Errorf("user %q has no session %q (hint: sneck user session list %[1]s; %s ended before)",
				account.Username, ref, counted(ended, "session"))
		}
		if err != nil {
			return ended, err
		}
		ended++
	}
	return ended, nil
}
