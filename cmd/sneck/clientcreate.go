package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
)

// A createClientCommand is "sneck client create".
type createClientCommand struct {
	operatorFlags
	ID     string `placeholder:"ID" help:"Client identifier; made up if left out."`
	Device bool   `help:"The client is a device without a browser, which acts for the people who connect it."`
	Public bool   `help:"The client runs where it can keep no secret, such as in a browser or on a phone."`
	clientFields
	secretFlags
}

// Help is printed below the flags.
func (*createClientCommand) Help() string {
	return `An application gets scopes and the audience of its tokens, an API the right to
introspect the tokens that are meant for it. The server need not be running,
and may be. The secret is printed once; the database has only its digest. How
it and the ID are made up, and which redirect URIs there can be, the settings of
the server say: give it the same --config and environment.

Examples:

    sneck client create --data ./data --id app --scope "notes:read notes:write" --audience https://notes.example
    sneck client create --data ./data --id notes-api --introspect --serves https://notes.example
    sneck client create --data ./data --id signer --scope notes:read --audience https://notes.example \
        --auth-method private_key_jwt --jwks keys.json --token-format jwt
    sneck client create --data ./data --id notes-cli --public --redirect-uri http://127.0.0.1/callback \
        --scope "notes:read notes:write" --audience https://notes.example
`
}

// Run registers the client.
func (c *createClientCommand) Run(ctx context.Context, con *console) error {
	client := admin.NewClient{ID: c.ID, Public: c.Public}
	if err := c.apply(&client.ClientSettings); err != nil {
		return err
	}
	s := &client.ClientSettings
	switch {
	case s.Scope == "" && !s.Introspect:
		return usageError(errors.New("the client could do nothing"), "--scope and --audience for an application, --introspect for an API")
	case s.Scope != "" && len(s.Audience) == 0:
		return usageError(errors.New("--audience is missing: a token is meant for somebody"), "the API's identifier, such as --audience https://notes.example")
	case c.Public && len(s.RedirectURIs) == 0 && !c.Device:
		return usageError(errors.New("a public client can not act for itself"), "--redirect-uri or --device, or leave out --public")
	}
	if s.Scope != "" && s.Grants == nil {
		s.Grants = c.grants(s)
	}
	err := c.check(con, func(o *admin.Operations) error {
		_, err := o.CreateClient(ctx, client)
		return err
	})
	if err != nil {
		return err
	}
	return c.do(ctx, con, true, func(o *operator) error {
		created, err := o.CreateClient(ctx, client)
		if errors.Is(err, admin.ErrExists) {
			return fmt.Errorf("client %q exists already (hint: choose another --id, or sneck client delete %[1]s)", c.ID)
		}
		if created == nil {
			return err
		}
		// One that is not on record works all the same.
		if printed := writeRecord(con, c.JSON, created, clientTable(created)); printed != nil {
			// A client whose secret nobody has seen is of no use.
			_, undo := o.DeleteClient(context.WithoutCancel(ctx), created.ID)
			return errors.Join(fmt.Errorf("print the secret: %w (hint: the client was not registered)", printed), undo, err)
		}
		if !c.JSON && created.Secret != "" {
			fmt.Fprintln(con.err, "sneck: the secret is not stored and not shown again")
		}
		return err
	})
}

// grants returns how the client gets tokens: for the people who use it, or for
// itself.
func (c *createClientCommand) grants(s *admin.ClientSettings) []string {
	var grants []string
	if len(s.RedirectURIs) > 0 {
		grants = append(grants, authserver.GrantAuthorizationCode)
	}
	if c.Device {
		grants = append(grants, authserver.GrantDeviceCode)
	}
	if len(grants) == 0 {
		return []string{authserver.GrantClientCredentials}
	}
	return append(grants, authserver.GrantRefreshToken)
}
