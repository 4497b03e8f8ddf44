package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/introspect"
)

// An introspectCommand is "sneck introspect".
type introspectCommand struct {
	Token string `arg:"" help:"The token, or - to read it from the standard input, since others can read command lines."`
	URL   string `required:"" from:"SNECK_INTROSPECTION_URL" placeholder:"URL" help:"Introspection endpoint ($$SNECK_INTROSPECTION_URL)."`
	clientFlags
	JSON bool `name:"json" help:"Print a JSON object: the answer, if the token is active."`
}

// Help is printed below the flags.
func (*introspectCommand) Help() string {
	return `Exit status: 0 if the token is active, 1 if it is not, 2 for a wrong command
line, 3 if it could not be found out.

Examples:

    sneck introspect - --url https://auth.example.com/introspect --client notes-api --secret-file secret <token
    SNECK_CLIENT_SECRET=... sneck introspect - --json --url http://127.0.0.1:8080/introspect --client notes-api <token
`
}

// Run asks about the token and prints the answer.
func (c *introspectCommand) Run(ctx context.Context, con *console) error {
	if err := c.check(c.URL); err != nil {
		return err
	}
	token := c.Token
	if token == "-" {
		var err error
		if token, err = readLine(con.in); err != nil {
			return usageError(fmt.Errorf("read the token from the standard input: %w", err), "sneck introspect - <FILE")
		}
	}
	secret, err := c.secret(con)
	if err != nil {
		return err
	}
	client, err := introspect.New(introspect.Config{
		Endpoint: c.URL, Credential: introspect.Basic(c.Client, secret), Timeout: c.Timeout, InsecureHTTP: c.InsecureHTTP,
	})
	if err != nil {
		return usageError(err, "sneck introspect --help")
	}
	defer client.Close()

	answer, err := client.Verify(ctx, token)
	switch {
	case errors.Is(err, sneck.ErrInvalid):
		if err := c.writeInactive(con, err); err != nil {
			return err
		}
		return &exitError{exitNo, nil}
	case err != nil:
		return &exitError{exitUnknown, fmt.Errorf("%s: %w", c.URL, hinted(cause(err), "is the server running, and --url right?"))}
	case c.JSON:
		_, err := fmt.Fprintf(con.out, "%s\n", answer.RawClaims)
		return err
	}
	return describe(answer).show(con)
}

func (c *introspectCommand) writeInactive(con *console, reason error) error {
	if c.JSON {
		return json.NewEncoder(con.out).Encode(map[string]bool{"active": false})
	}
	text := strings.TrimSuffix(reason.Error(), ": "+sneck.ErrInvalid.Error())
	return table{{"active", "no"}, {"reason", strings.TrimPrefix(text, "introspect: ")}}.show(con)
}

// cause returns what kept the answer away.
func cause(err error) error {
	var unavailable *sneck.UnavailableError
	if errors.As(err, &unavailable) {
		return unavailable.Err
	}
	return err
}

// describe returns what is known of an active token.
func describe(t *sneck.Token) table {
	out := table{{"active", "yes"}}
	out.add("issuer", t.Issuer)
	out.add("subject", t.Subject)
	out.add("username", t.Username)
	out.add("client", t.ClientID)
	out.add("audience", strings.Join(t.Audience, " "))
	out.add("scopes", t.Scopes.String())
	out.add("type", t.Type)
	out.add("id", t.ID)
	out.add("issued", moment(t.IssuedAt, t.VerifiedAt))
	out.add("not before", moment(t.NotBefore, t.VerifiedAt))
	out.add("expires", moment(t.Expires, t.VerifiedAt))
	out.add("signed in", moment(t.AuthTime, t.VerifiedAt))
	out.add("acr", t.ACR)
	if t.Confirmation != nil {
		out.add("bound to", strings.TrimSpace(t.Confirmation.JKT+" "+t.Confirmation.X5TS256))
	}
	return out
}

// moment prints a time, and how far from now it is.
func moment(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	distance := t.Sub(now).Round(time.Second)
	if distance <= 0 {
		return fmt.Sprintf("%s (%v ago)", t.UTC().Format(time.RFC3339), -distance)
	}
	return fmt.Sprintf("%s (in %v)", t.UTC().Format(time.RFC3339), distance)
}
