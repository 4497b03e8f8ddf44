package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/cmd/internal/settings"
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
	Redirect   []string `json:"redirect_uris,omitempty"`
	Scope      string   `json:"scope,omitempty"`
	Default    string   `json:"default_scope,omitempty"`
	Require    string   `json:"required_scope,omitempty"`
	Audience   []string `json:"audience,omitempty"`
	Introspect bool     `json:"introspect"`
	Serves     []string `json:"serves,omitempty"`
	TokenTTL   int64    `json:"access_token_expire_seconds,omitempty"`
	Format     string   `json:"access_token_format,omitempty"`
	AuthMethod string   `json:"token_endpoint_auth_method,omitempty"`
	JWKSURI    string   `json:"jwks_uri,omitempty"`

	JWKS json.RawMessage `json:"jwks,omitempty"`
}

func recordOf(c *authserver.Client, secret string) clientRecord {
	return clientRecord{
		ID: c.ID, Secret: secret, Name: c.Name, Grants: c.Grants, Redirect: c.RedirectURIs,
		Scope: c.Scopes.String(), Default: c.DefaultScopes.String(), Require: c.RequiredScopes.String(),
		Audience: c.Audience, Introspect: c.Introspect, Serves: c.Serves, TokenTTL: int64(c.AccessTokenTTL / time.Second),
		Format: string(c.AccessTokenFormat), AuthMethod: c.AuthMethod, JWKS: c.JWKS, JWKSURI: c.JWKSURI,
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
	t.add("back to", strings.Join(r.Redirect, " "))
	t.add("scopes", r.Scope)
	t.add("by default", r.Default)
	t.add("required", r.Require)
	t.add("audience", strings.Join(r.Audience, " "))
	if r.Introspect {
		t.add("introspects", "tokens for "+strings.Join(append([]string{r.ID}, r.Serves...), ", "))
	}
	if r.TokenTTL > 0 {
		t.add("token life", (time.Duration(r.TokenTTL) * time.Second).String())
	}
	t.add("token format", r.Format)
	t.add("authenticates", r.AuthMethod)
	t.add("keys", r.JWKSURI)
	t.add("keys", string(r.JWKS))
	return t.write(w)
}

// A createClientCommand is "sneck client create".
type createClientCommand struct {
	Data       string        `required:"" from:"SNECK_DATA" placeholder:"DIR|URL" help:"Directory of the server's database, or URL of a PostgreSQL ($$SNECK_DATA)."`
	ID         string        `placeholder:"ID" help:"Client identifier; made up if left out."`
	Name       string        `placeholder:"TEXT" help:"Name for people."`
	Scope      []string      `sep:"none" placeholder:"SCOPE" help:"Scopes that the client may get tokens for, separated by spaces or by repeating the flag."`
	Audience   []string      `sep:"none" placeholder:"AUD" help:"API that the client's tokens are meant for; may be repeated."`
	Redirect   []string      `name:"redirect-uri" sep:"none" placeholder:"URI" help:"Where people come back to who have signed in: the client then acts for them, not for itself; may be repeated."`
	Device     bool          `help:"The client is a device without a browser, which acts for the people who connect it."`
	Public     bool          `help:"The client runs where it can keep no secret, such as in a browser or on a phone."`
	Require    []string      `sep:"none" placeholder:"SCOPE" help:"Scope that people can not leave out, of those of --scope; may be repeated."`
	Introspect bool          `help:"Allow the client, an API, to introspect tokens."`
	Serves     []string      `sep:"none" placeholder:"AUD" help:"Audience whose tokens it may introspect, besides its own ID; may be repeated."`
	TokenTTL   time.Duration `name:"token-ttl" placeholder:"DURATION" help:"Life of the client's access tokens, such as 15m; the server's default if left out."`
	Format     string        `name:"token-format" placeholder:"FORMAT" help:"Form of the client's access tokens, opaque or jwt; the server's default if left out."`
	AuthMethod string        `placeholder:"METHOD" help:"How the client authenticates: client_secret_basic, client_secret_post, client_secret_jwt or private_key_jwt; either of the first two if left out."`
	JWKS       string        `name:"jwks" placeholder:"FILE" help:"File with the client's public keys, a JWK Set, for private_key_jwt."`
	JWKSURI    string        `name:"jwks-uri" placeholder:"URL" help:"Where these can be had instead."`
	JSON       bool          `name:"json" help:"Print a JSON object."`

	configFlag
	sealFlags
	auditFlags
	kong.Plugins // the flags of the settings for clients

	flags *settings.Flags
}

// newCreateClientCommand returns a command that has flags.
func newCreateClientCommand() createClientCommand {
	c := createClientCommand{flags: settings.NewFlags(defaultSettings().clientSettings, "sealing-key")}
	c.Plugins = kong.Plugins{c.flags.Plugin()}
	return c
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
	case c.Public && len(c.Redirect) == 0 && !c.Device:
		return usageError(errors.New("a public client can not act for itself"), "--redirect-uri or --device, or leave out --public")
	}
	client := authserver.Client{
		ID: c.ID, Name: c.Name, Scopes: set, Audience: c.Audience,
		Introspect: c.Introspect, Serves: c.Serves, AccessTokenTTL: c.TokenTTL,
		AccessTokenFormat: authserver.TokenFormat(c.Format), AuthMethod: c.AuthMethod, JWKSURI: c.JWKSURI,
		RedirectURIs: c.Redirect, RedirectSchemes: ownSchemes(c.Redirect), RequiredScopes: c.Require,
	}
	if c.JWKS != "" {
		if client.JWKS, err = readFile(c.JWKS); err != nil {
			return fmt.Errorf("%w (hint: look at --jwks)", err)
		}
	}
	described := []scopes.Described{}
	for _, name := range set {
		described = append(described, scopes.Described{Name: name})
	}
	if len(set) > 0 {
		client.Grants = c.grants()
	}

	// What is wrong is said before there is a database.
	server, err := c.registrar(con, described)
	if err != nil {
		return err
	}
	complete, secret, err := server.NewClient(ctx, client, !c.Public && c.AuthMethod != "private_key_jwt")
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
	log, err := c.auditFlags.open()
	if err != nil {
		return err
	}
	if log != nil {
		defer log.Close()
	}
	clients := observed(store, log)
	switch err := clients.CreateClient(ctx, complete); {
	case errors.Is(err, authserver.ErrExists):
		return fmt.Errorf("client %q exists already (hint: choose another --id, or sneck client delete %[1]s)", complete.ID)
	case err != nil:
		// It may be registered and not be on record.
		return errors.Join(err, store.DeleteClient(context.WithoutCancel(ctx), complete.ID))
	}
	if err := recordOf(complete, secret).write(con.out, c.JSON); err != nil {
		// A client whose secret nobody has seen is of no use.
		return errors.Join(fmt.Errorf("print the secret: %w (hint: the client was not registered)", err),
			clients.DeleteClient(context.WithoutCancel(ctx), complete.ID))
	}
	if !c.JSON && secret != "" {
		fmt.Fprintln(con.err, "sneck: the secret is not stored and not shown again")
	}
	return store.Close()
}

// registrar returns a server that checks and completes clients, and no more.
func (c *createClientCommand) registrar(con *console, described []scopes.Described) (*authserver.Server, error) {
	sources, err := c.sources(con.env, c.flags)
	if err != nil {
		return nil, err
	}
	sources.Flags["data"] = []string{c.Data}
	for name, path := range map[string]string{"sealing-key": c.SealingKey, "audit": c.Audit} {
		if path != "" {
			sources.Flags[name] = []string{path}
		}
	}
	set, like, err := loadServer(sources)
	if err != nil {
		return nil, mistakenError(err)
	}
	// The keys are those of the server that will run.
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	keys, err := authserver.StaticKeys(authserver.SigningKey{Signer: key})
	if err != nil {
		return nil, err
	}
	memory := authserver.NewMemory()
	config := authserver.Config{
		Issuer: "https://localhost", Store: memory, Clients: memory, Scopes: scopes.Static{List: described},
		Sealer: like.Sealer, Keys: keys, RedirectSchemes: like.RedirectSchemes, InsecureHTTPRedirects: like.InsecureHTTPRedirects,
		ClientID: like.ClientID, ClientSecret: like.ClientSecret, ClientSecretLength: like.ClientSecretLength, SecretPeppers: like.SecretPeppers,
	}
	if set.ScopeBackend == "static" {
		config.Scopes = like.Scopes
	}
	return authserver.New(config)
}

// grants returns how the client gets tokens: for the people who use it, or for
// itself.
func (c *createClientCommand) grants() []string {
	var grants []string
	if len(c.Redirect) > 0 {
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

// ownSchemes returns the schemes of the URIs, if one is an application's own;
// else the server's list is good enough.
func ownSchemes(uris []string) []string {
	var schemes []string
	own := false
	for _, uri := range uris {
		scheme, _, _ := strings.Cut(strings.ToLower(uri), ":")
		own = own || scheme != "http" && scheme != "https"
		if !slices.Contains(schemes, scheme) {
			schemes = append(schemes, scheme)
		}
	}
	if !own {
		return nil
	}
	return schemes
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

	auditFlags
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
	log, err := c.auditFlags.open()
	if err != nil {
		return err
	}
	if log != nil {
		defer log.Close()
	}
	if err := observed(store, log).DeleteClient(ctx, c.ID); err != nil {
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
