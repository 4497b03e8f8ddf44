package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// tokenCommands are "sneck token …". If only flags are given it is get.
type tokenCommands struct {
	Get    getTokenCommand     `cmd:"" help:"Get an access token, as a client."`
	List   listTokensCommand   `cmd:"" help:"List what was issued to a client or for somebody, without the tokens themselves."`
	Revoke revokeTokensCommand `cmd:"" help:"Revoke tokens."`
	Clear  clearTokensCommand  `cmd:"" help:"Delete tokens and other records that have expired."`
}

// A getTokenCommand is "sneck token get".
type getTokenCommand struct {
	URL string `required:"" from:"SNECK_TOKEN_URL" placeholder:"URL" help:"Token endpoint ($$SNECK_TOKEN_URL)."`
	clientFlags
	Scope    []string `sep:"none" placeholder:"SCOPE" help:"Scopes to ask for, separated by spaces or by repeating the flag."`
	Resource []string `sep:"none" placeholder:"URI" help:"API that the token is for (RFC 8707); may be repeated."`
	JSON     bool     `name:"json" help:"Print the whole answer, a JSON object."`
}

// Help is printed below the flags.
func (*getTokenCommand) Help() string {
	return `The token is the client's own (grant type client_credentials). It is all that
is printed, unless --json is given. "sneck token --url …" is the same.

Exit status: 0 if there is a token, 1 if it was refused, 2 for a wrong command
line, 3 if the server could not be asked.

Example:

    export SNECK_CLIENT_SECRET=...
    TOKEN=$(sneck token get --url https://auth.example.com/token --client app --scope notes:read)
`
}

// Run gets a token and prints it.
func (c *getTokenCommand) Run(ctx context.Context, con *console) error {
	if err := c.check(c.URL); err != nil {
		return err
	}
	secret, err := c.secret(con)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	client := newClient(1)
	defer client.CloseIdleConnections()
	form := url.Values{"grant_type": {"client_credentials"}}
	if len(c.Scope) > 0 {
		form.Set("scope", strings.Join(c.Scope, " "))
	}
	if len(c.Resource) > 0 {
		form["resource"] = c.Resource
	}
	a, err := client.post(ctx, c.URL, credentials{c.Client, secret}, form)
	if err != nil {
		return &exitError{exitUnknown, hinted(err, "is the server running, and --url right?")}
	}
	token, err := a.token()
	var refused *refusedError
	switch {
	case errors.As(err, &refused) && a.status < http.StatusInternalServerError:
		return fmt.Errorf("%s: %w", c.URL, err)
	case err != nil:
		return &exitError{exitUnknown, fmt.Errorf("%s: %w", c.URL, err)}
	case c.JSON:
		_, err := fmt.Fprintf(con.out, "%s\n", strings.TrimSpace(string(a.body)))
		return err
	}
	_, err = fmt.Fprintln(con.out, token.AccessToken)
	return err
}
