package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/cmd/internal/settings"
)

// clientCommands are "sneck client …".
type clientCommands struct {
	Create createClientCommand  `cmd:"" help:"Register a client, and print its secret once."`
	List   listClientsCommand   `cmd:"" help:"List the clients."`
	Show   showClientCommand    `cmd:"" help:"Print what is registered of a client."`
	Update updateClientCommand  `cmd:"" help:"Change what is registered of a client."`
	Secret clientSecretCommands `cmd:"" help:"Renew the secrets of a client."`
	Delete deleteClientCommand  `cmd:"" help:"Delete a client, and revoke what was issued to it."`
}

// newClientCommands returns commands that have all their flags.
func newClientCommands() clientCommands {
	var c clientCommands
	c.Create.secretFlags, c.Create.settings = newSecretFlags("sealing-key")
	c.Secret.Add.secretFlags, c.Secret.Add.settings = newSecretFlags("sealing-key", "client-id-generator")
	c.Update.secretFlags, c.Update.settings = newSecretFlags("sealing-key", "client-id-generator")
	return c
}

// secretFlags are the flags of commands that make up secrets: those of the
// server's settings that say how, but for those that a command has itself.
type secretFlags struct{ kong.Plugins }

func newSecretFlags(others ...string) (secretFlags, *settings.Flags) {
	flags := settings.NewFlags(defaultSettings().clientSettings, others...)
	return secretFlags{kong.Plugins{flags.Plugin()}}, flags
}

// oneClientFlags are the flags of commands about one client.
type oneClientFlags struct {
	ID string `arg:"" help:"Client identifier."`
	operatorFlags
}

// of does something with the client, which must be there.
func (f *oneClientFlags) of(ctx context.Context, con *console, what func(*operator, *admin.Client) error) error {
	return f.do(ctx, con, false, func(o *operator) error {
		client, err := o.client(ctx, f.ID)
		if err != nil {
			return err
		}
		return what(o, client)
	})
}

// clientTable is what people are shown of a client.
func clientTable(c *admin.Client) table {
	var t table
	t.add("client", c.ID)
	t.add("secret", c.Secret)
	t.add("name", c.Name)
	if c.Public {
		t.add("public", "yes")
	}
	if c.SecretsEnded > 0 {
		t.add("ended", fmt.Sprintf("%d of its secrets, all that it had", c.SecretsEnded))
	}
	t.add("grants", strings.Join(c.Grants, " "))
	t.add("back to", strings.Join(c.RedirectURIs, " "))
	t.add("schemes", strings.Join(c.RedirectSchemes, " "))
	t.add("scopes", c.Scope)
	t.add("by default", c.DefaultScope)
	t.add("required", c.RequiredScope)
	t.add("audience", strings.Join(c.Audience, " "))
	t.add("may ask for", strings.Join(c.Resources, " "))
	if c.Introspect {
		t.add("introspects", "tokens for "+strings.Join(append([]string{c.ID}, c.Serves...), ", "))
	}
	if c.TokenTTL > 0 {
		t.add("token life", (time.Duration(c.TokenTTL) * time.Second).String())
	}
	t.add("token format", c.TokenFormat)
	if !c.Public {
		t.add("authenticates", strings.TrimSpace(c.AuthMethod+" "+c.AuthAlgorithm))
	}
	t.add("keys", c.JWKSURI)
	var keys bytes.Buffer
	_ = json.Compact(&keys, c.JWKS) // there may be none
	t.add("keys", keys.String())
	for _, certificate := range [][2]string{
		{"subject", c.CertificateSubject}, {"DNS", c.CertificateDNS}, {"URI", c.CertificateURI},
		{"IP", c.CertificateIP}, {"email", c.CertificateEmail},
	} {
		if certificate[1] != "" {
			t.add("certificate", certificate[0]+" "+certificate[1])
		}
	}
	if c.CertificateBound {
		t.add("tokens", "bound to the certificate")
	}
	if c.DPoPBound {
		t.add("tokens", "bound to a DPoP key")
	}
	if c.Secret == "" {
		for _, s := range c.Secrets {
			t.add("secret", s.ID+", "+secretEnd(s))
		}
	}
	return t
}

// A listClientsCommand is "sneck client list".
type listClientsCommand struct {
	operatorFlags
	Search string `placeholder:"TEXT" help:"Only those with this in their ID, name or scopes."`
}

// Run prints the clients in the order of their identifiers.
func (c *listClientsCommand) Run(ctx context.Context, con *console) error {
	return c.do(ctx, con, false, func(o *operator) error {
		out := listing{con: con, json: c.JSON, header: []string{"CLIENT", "NAME", "GETS", "IS"}}
		for after := ""; ; {
			page, next, err := o.Clients(ctx, c.Search, after, 0)
			if err != nil {
				return err
			}
			for _, client := range page {
				if err := out.add(client, client.ID, client.Name, client.Scope, clientKind(client)); err != nil {
					return err
				}
			}
			if after = next; after == "" {
				return out.end()
			}
		}
	})
}

// clientKind says in a few words what a client is.
func clientKind(c *admin.Client) string {
	var parts []string
	if c.Public {
		parts = append(parts, "public")
	}
	for _, kind := range [][2]string{
		{"client_credentials", "acts for itself"}, {"authorization_code", "acts for people"},
		{"urn:ietf:params:oauth:grant-type:device_code", "a device"},
	} {
		if slices.Contains(c.Grants, kind[0]) {
			parts = append(parts, kind[1])
		}
	}
	if c.Introspect {
		parts = append(parts, "introspects")
	}
	return strings.Join(parts, ", ")
}

// A showClientCommand is "sneck client show".
type showClientCommand struct {
	oneClientFlags
}

// Run prints the client.
func (c *showClientCommand) Run(ctx context.Context, con *console) error {
	return c.of(ctx, con, func(o *operator, client *admin.Client) error {
		return writeRecord(con, c.JSON, client, clientTable(client))
	})
}

// A deleteClientCommand is "sneck client delete".
type deleteClientCommand struct {
	oneClientFlags
	yesFlag
}

// Run deletes the client first, so that nothing more is issued to it, and
// then revokes.
func (c *deleteClientCommand) Run(ctx context.Context, con *console) error {
	return c.of(ctx, con, func(o *operator, _ *admin.Client) error {
		tokens, err := o.countTokens(ctx, admin.TokenSelector{Client: c.ID})
		if err != nil {
			return err
		}
		what := fmt.Sprintf("This deletes client %s and revokes all that was issued to it, %s", printable(c.ID), tokens)
		if err := c.confirmName(ctx, con, what, c.ID); err != nil {
			return err
		}
		revoked, err := o.DeleteClient(ctx, c.ID)
		if err != nil {
			return err
		}
		return writeDone(con, c.JSON, struct {
			ID      string `json:"client_id"`
			Revoked int64  `json:"revoked"`
		}{c.ID, revoked}, fmt.Sprintf("deleted client %s and %d records of what was issued to it", printable(c.ID), revoked))
	})
}
