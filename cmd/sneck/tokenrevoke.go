package main

import "context"

// A revokeTokensCommand is "sneck token revoke".
type revokeTokensCommand struct {
	operatorFlags
	tokenSelection
	yesFlag
}

// Help is printed below the flags.
func (*revokeTokensCommand) Help() string {
	return `What is revoked is dead at once for this server; an API that remembers answers
refuses it when it has forgotten them. What was allowed to the client or by the
user is taken back, too. Of --jti it is that one token, and of a refresh token
all that came of its approval.

Examples:

    sneck token revoke --data ./data --client app --user alice
    sneck token revoke --data ./data --jti 6wYbRxV… --yes
`
}

// Run revokes the tokens.
func (c *revokeTokensCommand) Run(ctx context.Context, con *console) error {
	return c.do(ctx, con, false, func(o *operator) error {
		which, err := c.of(ctx, o)
		if err != nil {
			return err
		}
		tokens := "the token " + printable(which.ID)
		if which.ID == "" {
			if tokens, err = o.countTokens(ctx, which); err != nil {
				return err
			}
		}
		what := "This revokes " + tokens
		if whose := c.whose(); whose != "" {
			what += " of " + whose
		}
		if which.ID == "" {
			what += ", with what was allowed"
		}
		if err := c.confirm(ctx, con, what); err != nil {
			return err
		}
		n, err := o.RevokeTokens(ctx, which)
		if err == nil && n == 0 {
			err = c.near(ctx, o)
		}
		if err != nil {
			return err
		}
		return writeDone(con, c.JSON, struct {
			Revoked int64 `json:"revoked"`
		}{n}, "revoked "+counted(int(n), "record"))
	})
}
