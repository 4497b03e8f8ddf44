package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

// clientCommands are "sneck client …".
type clientCommands struct {
	Create createClientCommand `cmd:"" help:"Register a client, and print its secret once."`
	List   listClientsCommand  `cmd:"" help:"List the clients."`
	Show   showClientCommand   `cmd:"" help:"Print what is registered of a client."`
	Delete deleteClientCommand `cmd:"" help:"Delete a client, and revoke what was issued to it."`
}

// A clientRecord is what is printed of a client. Its names are those of RFC
// 7591, section 2, as far as there are any.
type clientRecord struct {
	ID         string   `json:"client_id"`
	Secret     string   `json:"client_secret,omitempty"`
	Name       string   `json:"client_name,omitempty"`
	Grants     []string `json:"grant_types,omitempty"`
	Scope      string   `json:"scope,omitempty"`
	Default    string   `json:"default_scope,omitempty"`
	Audience   []string `json:"audience,omitempty"`
	Introspect bool     `json:"introspect"`
	Serves     []string `json:"serves,omitempty"`
	TokenTTL   int64    `json:"access_token_expire_seconds,omitempty"`
}

func recordOf(c *authserver.Client, secret string) clientRecord {
	return clientRecord{
		ID: c.ID, Secret: secret, Name: c.Name, Grants: c.Grants, Scope: c.Scopes.String(), Default: c.DefaultScopes.String(),
		Audience: c.Audience, Introspect: c.Introspect, Serves: c.Serves, TokenTTL: int64(c.AccessTokenTTL / time.Second),
	}
}

func (r clientRecord) write(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	var t table
	t.add("client", r.ID)
	t.add("secret", r.Secret)
	t.add("name", r.Name)
	t.add("grants", strings.Join(r.Grants, " "))
	t.add("scopes", r.Scope)
	t.add("by default", r.Default)
	t.add("audience", strings.Join(r.Audience, " "))
	if r.Introspect {
		t.add("introspects", "tokens for "+strings.Join(append([]string{r.ID}, r.Serves...), ", "))
	}
	if r.TokenTTL > 0 {
		t.add("token life", (time.Duration(r.TokenTTL) * time.Second).String())
	}
	return t.write(w)
}

// A createClientCommand is "sneck client create".
type createClientCommand struct {
	Data       string        `required:"" from:"SNECK_DATA" placeholder:"DIR|URL" help:"Directory of the server's database, or URL of a PostgreSQL ($$SNECK_DATA)."`
	ID         string        `placeholder:"ID" help:"Client identifier; made up if left out."`
	Name       string        `placeholder:"TEXT" help:"Name for people."`
	Scope      []string      `sep:"none" placeholder:"SCOPE" help:"Scopes that the client may get tokens for, separated by spaces or by repeating the flag."`
	Audience   []string      `sep:"none" placeholder:"AUD" help:"API that the client's tokens are meant for; may be repeated."`
	Introspect bool          `help:"Allow the client, an API, to introspect tokens."`
	Serves     []string      `sep:"none" placeholder:"AUD" help:"Audience whose tokens it may introspect, besides its own ID; may be repeated."`
	TokenTTL   time.Duration `name:"token-ttl" placeholder:"DURATION" help:"Life of the client's access tokens, such as 15m; the server's default if left out."`
	JSON       bool          `name:"json" help:"Print a JSON object."`
}

// Help is printed below the flags.
func (*createClientCommand) Help() string {
	return `An application gets scopes and the audience of its tokens, an API the right to
introspect the tokens that are meant for it. The server need not be running,
and may be. The secret is printed once; the database has only its digest.

Examples:

    sneck client create --data ./data --id app --scope "notes:read notes:write" --audience https://notes.example
    sneck client create --data ./data --id notes-api --introspect --serves https://notes.example
`
}

// Run registers the client.
func (c *createClientCommand) Run(ctx context.Context, con *console) error {
	const help = "sneck client create --help"
	set, err := scopes.Parse(strings.Join(c.Scope, " "))
	if err != nil {
		return usageError(err, help)
	}
	switch {
	case len(set) == 0 && !c.Introspect:
		return usageError(errors.New("the client could do nothing"), "--scope and --audience for an application, --introspect for an API")
	case len(set) > 0 && len(c.Audience) == 0:
		return usageError(errors.New("--audience is missing: a token is meant for somebody"), "the API's identifier, such as --audience https://notes.example")
	case len(c.Serves) > 0 && !c.Introspect:
		return usageError(errors.New("--serves without --introspect has no effect"), "add --introspect")
	}
	client := authserver.Client{
		ID: c.ID, Name: c.Name, Scopes: set, Audience: c.Audience,
		Introspect: c.Introspect, Serves: c.Serves, AccessTokenTTL: c.TokenTTL,
	}
	described := []scopes.Described{}
	for _, name := range set {
		described = append(described, scopes.Described{Name: name})
	}
	if len(set) > 0 {
		client.Grants = []string{authserver.GrantClientCredentials}
	}

	// What is wrong is said before there is a database.
	memory := authserver.NewMemory()
	server, err := authserver.New(authserver.Config{
		Issuer: "https://localhost", Store: memory, Clients: memory, Scopes: scopes.Static{List: described},
	})
	if err != nil {
		return err
	}
	complete, secret, err := server.NewClient(ctx, client, true)
	if err != nil {
		return usageError(err, help)
	}

	store, created, err := openData(ctx, c.Data, true)
	if err != nil {
		return err
	}
	defer store.Close()
	if created {
		fmt.Fprintf(con.err, "sneck: made a new database in %s\n", c.Data)
	}
	err = store.CreateClient(ctx, complete)
	if errors.Is(err, authserver.ErrExists) {
		return fmt.Errorf("client %q exists already (hint: choose another --id, or sneck client delete %[1]s)", complete.ID)
	}
	if err != nil {
		return err
	}
	if err := recordOf(complete, secret).write(con.out, c.JSON); err != nil {
		// A client whose secret nobody has seen is of no use.
		return errors.Join(fmt.Errorf("print the secret: %w (hint: the client was not registered)", err),
			store.DeleteClient(context.WithoutCancel(ctx), complete.ID))
	}
	if !c.JSON {
		fmt.Fprintln(con.err, "sneck: the secret is not stored and not shown again")
	}
	return store.Close()
}

// A listClientsCommand is "sneck client list".
type listClientsCommand struct {
	Data string `required:"" from:"SNECK_DATA" placeholder:"DIR|URL" help:"Directory of the server's database, or URL of a PostgreSQL ($$SNECK_DATA)."`
	JSON bool   `name:"json" help:"Print a JSON object for each client, one to a line."`
}

// listPage is how many clients are read at a time.
const listPage = 500

// Run prints the clients in the order of their identifiers.
func (c *listClientsCommand) Run(ctx context.Context, con *console) error {
	store, _, err := openData(ctx, c.Data, false)
	if err != nil {
		return err
	}
	defer store.Close()
	for after, more := "", true; more; {
		page, err := store.ListClients(ctx, after, listPage)
		if err != nil {
			return err
		}
		var t table
		for _, client := range page {
			after = client.ID
			if !c.JSON {
				t.add(printable(client.ID), summary(client))
			} else if err := recordOf(client, "").write(con.out, true); err != nil {
				return err
			}
		}
		if err := t.write(con.out); err != nil {
			return err
		}
		more = len(page) == listPage
	}
	return store.Close()
}

// summary says in a line what a client is.
func summary(c *authserver.Client) string {
	var parts []string
	if c.Name != "" {
		parts = append(parts, c.Name)
	}
	if len(c.Scopes) > 0 {
		parts = append(parts, "gets "+c.Scopes.String())
	}
	if c.Introspect {
		parts = append(parts, "introspects")
	}
	if c.Public() {
		parts = append(parts, "public")
	}
	if len(parts) == 0 {
		return "gets nothing"
	}
	return strings.Join(parts, "; ")
}

// A showClientCommand is "sneck client show".
type showClientCommand struct {
	ID   string `arg:"" help:"Client identifier."`
	Data string `required:"" from:"SNECK_DATA" placeholder:"DIR|URL" help:"Directory of the server's database, or URL of a PostgreSQL ($$SNECK_DATA)."`
	JSON bool   `name:"json" help:"Print a JSON object."`
}

// Run prints the client.
func (c *showClientCommand) Run(ctx context.Context, con *console) error {
	store, _, err := openData(ctx, c.Data, false)
	if err != nil {
		return err
	}
	defer store.Close()
	client, err := findClient(ctx, store, c.ID, c.Data)
	if err != nil {
		return err
	}
	return recordOf(client, "").write(con.out, c.JSON)
}

// A deleteClientCommand is "sneck client delete".
type deleteClientCommand struct {
	ID   string `arg:"" help:"Client identifier."`
	Data string `required:"" from:"SNECK_DATA" placeholder:"DIR|URL" help:"Directory of the server's database, or URL of a PostgreSQL ($$SNECK_DATA)."`
}

// Run deletes the client first, so that nothing more is issued to it, and
// then revokes.
func (c *deleteClientCommand) Run(ctx context.Context, con *console) error {
	store, _, err := openData(ctx, c.Data, false)
	if err != nil {
		return err
	}
	defer store.Close()
	if _, err := findClient(ctx, store, c.ID, c.Data); err != nil {
		return err
	}
	if err := store.DeleteClient(ctx, c.ID); err != nil {
		return err
	}
	n, err := store.Revoke(ctx, authserver.Selector{Client: c.ID})
	if err != nil {
		return fmt.Errorf("the client is deleted, but its tokens are not revoked: %w", err)
	}
	if _, err := fmt.Fprintf(con.out, "deleted client %s and %d records of what was issued to it\n", printable(c.ID), n); err != nil {
		return err
	}
	return store.Close()
}

func findClient(ctx context.Context, clients authserver.Clients, id, dir string) (*authserver.Client, error) {
	client, err := clients.Client(ctx, id)
	if errors.Is(err, authserver.ErrNotFound) {
		return nil, fmt.Errorf("there is no client %q in %s (hint: look at the spelling and at --data)", id, dataName(dir))
	}
	return client, err
}
