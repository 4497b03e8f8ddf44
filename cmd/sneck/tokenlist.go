package main

import (
	"context"
	"errors"
)

// A listTokensCommand is "sneck token list".
type listTokensCommand struct {
	operatorFlags
	tokenSelection
}

// Help is printed below the flags.
func (*listTokensCommand) Help() string {
	return `Only tokens that are still good are listed, in no order. Say whose: --jti alone
is not enough, as no token is looked for among those of all.

Examples:

    sneck token list --data ./data --client app
    sneck token list --data ./data --user alice --json
`
}

// Run prints the tokens, without themselves.
func (c *listTokensCommand) Run(ctx context.Context, con *console) error {
	return c.do(ctx, con, false, func(o *operator) error {
		which, err := c.of(ctx, o)
		if err != nil {
			return err
		}
		if which.Client+which.Subject+which.Family == "" {
			return usageError(errors.New("--jti alone does not say whose tokens to list"), "--client, --user, --subject or --family")
		}
		out := listing{con: con, json: c.JSON, header: []string{"KIND", "JTI", "CLIENT", "SUBJECT", "SCOPES", "EXPIRES", "FAMILY"}}
		found := false
		for after := ""; ; {
			page, next, err := o.Tokens(ctx, which, after, 0)
			if err != nil {
				return err
			}
			for _, t := range page {
				found = true
				if err := out.add(t, t.Kind, t.ID, t.Client, t.Subject, t.Scope, utc(t.Expires), t.Family); err != nil {
					return err
				}
			}
			if after = next; after == "" {
				break
			}
		}
		if !found {
			if err := c.near(ctx, o); err != nil {
				return err
			}
		}
		return out.end()
	})
}
