package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sneckauth/sneck/authserver/admin"
)

// clientSecretCommands are "sneck client secret …".
type clientSecretCommands struct {
	Add    addSecretCommand    `cmd:"" help:"Make a further secret, and print it once."`
	List   listSecretsCommand  `cmd:"" help:"List the secrets of a client, without themselves."`
	Retire retireSecretCommand `cmd:"" help:"End a secret, at once or later."`
}

// secretEnd says how long a secret is good.
func secretEnd(s admin.Secret) string {
	switch {
	case s.Expired:
		return "expired " + utc(s.Expires)
	case s.Expires.IsZero():
		return "does not expire"
	}
	return "until " + utc(s.Expires)
}

// An addSecretCommand is "sneck client secret add".
type addSecretCommand struct {
	oneClientFlags
	Expires      time.Duration `placeholder:"DURATION" help:"How long the secret is good, such as 2160h; for ever if left out."`
	RetireOthers time.Duration `placeholder:"DURATION" help:"How long the others are still good, such as 24h; as long as before if left out."`
	secretFlags
}

// Help is printed below the flags.
func (*addSecretCommand) Help() string {
	return `A client authenticates with any of its secrets. So it gets another one without
ever being without one that works: add it, give it to the client, and have the
old one end when the client has it.

Example:

    sneck client secret add app --data ./data --retire-others 24h
`
}

// Run makes the secret. Others are retired when it was printed.
func (c *addSecretCommand) Run(ctx context.Context, con *console) error {
	if c.Expires < 0 || c.RetireOthers < 0 {
		return usageError(errors.New("a time that is over can not be given"), "such as 24h")
	}
	return c.of(ctx, con, func(o *operator, _ *admin.Client) error {
		now := time.Now().Truncate(time.Second)
		var expires time.Time
		if c.Expires > 0 {
			expires = now.Add(c.Expires)
		}
		made, err := o.AddSecret(ctx, c.ID, expires)
		if made == nil {
			return err
		}
		// One that is not on record works all the same.
		printed := c.print(con, made)
		if printed != nil {
			_, undo := o.RetireSecret(context.WithoutCancel(ctx), c.ID, made.ID, time.Time{})
			return errors.Join(fmt.Errorf("print the secret: %w (hint: it was not added)", printed), undo, err)
		}
		if c.RetireOthers == 0 {
			return err
		}
		_, retired := o.RetireOtherSecrets(ctx, c.ID, made.ID, now.Add(c.RetireOthers))
		if retired != nil {
			retired = fmt.Errorf("retire the other secrets: %w", retired)
		}
		return errors.Join(err, retired)
	})
}

func (c *addSecretCommand) print(con *console, made *admin.NewSecret) error {
	err := writeRecord(con, c.JSON, struct {
		Client string `json:"client_id"`
		*admin.NewSecret
	}{c.ID, made}, table{{"client", c.ID}, {"secret", made.Value}, {"id", made.ID}, {"good", secretEnd(made.Secret)}})
	if err == nil && !c.JSON {
		fmt.Fprintln(con.err, "sneck: the secret is not stored and not shown again")
	}
	return err
}

// A listSecretsCommand is "sneck client secret list".
type listSecretsCommand struct {
	oneClientFlags
}

// Run prints the secrets.
func (c *listSecretsCommand) Run(ctx context.Context, con *console) error {
	return c.of(ctx, con, func(o *operator, client *admin.Client) error {
		out := listing{con: con, json: c.JSON, header: []string{"SECRET", "GOOD"}}
		for _, s := range client.Secrets {
			if err := out.add(s, s.ID, secretEnd(s)); err != nil {
				return err
			}
		}
		return out.end()
	})
}

// A retireSecretCommand is "sneck client secret retire".
type retireSecretCommand struct {
	oneClientFlags
	Secret string        `arg:"" help:"ID of the secret, as \"sneck client secret list\" prints it."`
	In     time.Duration `placeholder:"DURATION" help:"How long it is still good, such as 24h; not at all if left out."`
	yesFlag
}

// Run ends the secret. The last one can not be ended at once.
func (c *retireSecretCommand) Run(ctx context.Context, con *console) error {
	if c.In < 0 {
		return usageError(errors.New("a time that is over can not be given"), "such as --in 24h")
	}
	return c.of(ctx, con, func(o *operator, _ *admin.Client) error {
		var at time.Time
		when := "at once"
		if c.In > 0 {
			at = time.Now().Add(c.In).Truncate(time.Second)
			when = "at " + utc(at.UTC())
		}
		what := fmt.Sprintf("This ends secret %s of client %s %s", printable(c.Secret), printable(c.ID), when)
		if err := c.confirm(ctx, con, what); err != nil {
			return err
		}
		client, err := o.RetireSecret(ctx, c.ID, c.Secret, at)
		if errors.Is(err, admin.ErrNotFound) {
			return fmt.Errorf("client %q has no secret %q (hint: sneck client secret list %[1]s)", c.ID, c.Secret)
		}
		if err != nil {
			return err
		}
		for _, s := range client.Secrets {
			if s.ID == c.Secret { // which may have had a sooner end
				when = "at " + utc(s.Expires)
			}
		}
		return writeDone(con, c.JSON, client, fmt.Sprintf("secret %s of client %s ends %s", printable(c.Secret), printable(c.ID), when))
	})
}
