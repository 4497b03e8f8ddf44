package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A tokenCommand is "sneck token".
type tokenCommand struct {
	URL string `required:"" from:"SNECK_TOKEN_URL" placeholder:"URL" help:"Token endpoint ($$SNECK_TOKEN_URL)."`
	clientFlags
	Scope    []string      `sep:"none" placeholder:"SCOPE" help:"Scopes to ask for, separated by spaces or by repeating the flag."`
	Resource []string      `sep:"none" placeholder:"URI" help:"API that the token is for (RFC 8707); may be repeated."`
	Timeout  time.Duration `default:"10s" help:"How long to wait for the answer."`
	JSON     bool          `name:"json" help:"Print the whole answer, a JSON object."`
}

// Help is printed below the flags.
func (*tokenCommand) Help() string {
	return `The token is the client's own (grant type client_credentials). It is all that
is printed, unless --json is given.

Exit status: 0 if there is a token, 1 if it was refused, 2 for a wrong command
line, 3 if the server could not be asked.

Example:

    export SNECK_CLIENT_SECRET=...
    TOKEN=$(sneck token --url https://auth.example.com/token --client app --scope notes:read)
`
}

// Run gets a token and prints it.
func (c *tokenCommand) Run(ctx context.Context, con *console) error {
	if err := checkURL(c.URL, c.InsecureHTTP); err != nil {
		return usageError(fmt.Errorf("--url %w", err), "the token endpoint, such as https://auth.example.com/token")
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
		return &exitError{exitUnknown, err}
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

// checkURL refuses what a secret must not be sent to.
func checkURL(raw string, insecure bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "":
		return errors.New("is not the URL of an endpoint")
	case u.Scheme == "https", u.Scheme == "http" && (insecure || isLoopback(u.Hostname())):
		return nil
	case u.Scheme == "http":
		return errors.New("must begin with https://, unless it is on this machine or --insecure-http is given")
	}
	return errors.New("must begin with https://")
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
