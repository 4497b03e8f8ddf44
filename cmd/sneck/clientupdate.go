package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/sneckauth/sneck/authserver/admin"
)

// An updateClientCommand is "sneck client update".
type updateClientCommand struct {
	oneClientFlags
	clientFields
	secretFlags
}

// Help is printed below the flags.
func (*updateClientCommand) Help() string {
	return `What is given replaces what there was, lists as a whole; what is empty is taken
away. Secrets stay as they are, see "sneck client secret", unless the client
authenticates by something else from now on: then they end. A client without
secrets gets one, which is printed once, if --auth-method names a method that
needs it; its keys end then. A running server notices at once. Tokens that were issued already stay as they are.

Examples:

    sneck client update app --data ./data --scope "notes:read notes:write" --token-ttl 5m
    sneck client update app --data ./data --name "" --no-dpop-bound
    sneck client update app --data ./data --grant client_credentials --grant refresh_token
    sneck client update app --data ./data --auth-method private_key_jwt --jwks keys.json
    sneck client update app --data ./data --auth-method client_secret_basic
`
}

const (
	// maxTries is how often a client is changed if others do so all the time.
	maxTries = 20
	// retryPause is how long others may have the time to finish, at least.
	// Stores answer with what they have read for a tenth of a second.
	retryPause = 120 * time.Millisecond
)

// Run changes the client. If somebody else has done so meanwhile, what is said
// is applied to what they have made of it.
func (c *updateClientCommand) Run(ctx context.Context, con *console) error {
	if reflect.ValueOf(c.clientFields).IsZero() {
		return usageError(errors.New("nothing is to be changed"), "sneck client update --help lists what can be")
	}
	return c.of(ctx, con, func(o *operator, client *admin.Client) error {
		for try := 1; ; try++ {
			settings := client.ClientSettings
			if err := c.apply(&settings); err != nil {
				return err
			}
			changed, err := o.ChangeClient(ctx, c.ID, client.Version, settings)
			switch {
			case err == nil, changed != nil && errors.Is(err, admin.ErrNotRecorded):
				return errors.Join(c.print(con, changed), err)
			case !errors.Is(err, admin.ErrChanged) || try == maxTries:
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(retryPause + rand.N(retryPause)):
			}
			if client, err = o.client(ctx, c.ID); err != nil {
				return err
			}
		}
	})
}

func (c *updateClientCommand) print(con *console, changed *admin.Client) error {
	err := writeRecord(con, c.JSON, changed, clientTable(changed))
	switch {
	case changed.Secret == "":
	case err != nil:
		return fmt.Errorf("print the secret: %w (hint: the client was changed; sneck client secret add makes another one)", err)
	case !c.JSON:
		fmt.Fprintln(con.err, "sneck: the secret is not stored and not shown again")
	}
	return err
}
