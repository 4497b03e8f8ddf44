package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A loginCommand is "sneck login".
type loginCommand struct {
	Issuer  string        `required:"" from:"SNECK_ISSUER" placeholder:"URL" help:"URL of the authorization server ($$SNECK_ISSUER)."`
	Client  string        `required:"" from:"SNECK_CLIENT" placeholder:"ID" help:"Client identifier: of a public client with the redirect URI http://127.0.0.1/callback ($$SNECK_CLIENT)."`
	Scope   []string      `sep:"none" placeholder:"SCOPE" help:"Scopes to ask for, separated by spaces or by repeating the flag."`
	Hint    string        `placeholder:"NAME" help:"Who is going to sign in."`
	Timeout time.Duration `default:"5m" help:"How long to wait for the browser."`
	JSON    bool          `name:"json" help:"Print the whole answer, a JSON object."`
}

// Help is printed below the flags.
func (*loginCommand) Help() string {
	return `Open the address that is printed in a browser on this machine, sign in and
decide. Then the token is printed, which acts for the user (RFC 8252, with
PKCE).

Example:

    TOKEN=$(sneck login --issuer https://auth.example.com --client notes-cli --scope notes:read)
`
}

// Run waits for a browser that comes back with a code, and prints the token.
func (c *loginCommand) Run(ctx context.Context, con *console) error {
	issuer, err := url.Parse(c.Issuer)
	if err != nil || issuer.Host == "" || issuer.Scheme != "https" && (issuer.Scheme != "http" || !isLoopback(issuer.Hostname())) {
		return usageError(fmt.Errorf("--issuer %q is not the URL of an authorization server", c.Issuer), "https, or http on this machine")
	}
	told := ctx
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	l, err := listen(ctx, "--listen", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()

	redirect, verifier := fmt.Sprintf("http://%s/callback", l.Addr()), rand.Text()+rand.Text()
	back := &callback{issuer: c.Issuer, state: rand.Text(), came: make(chan url.Values, 1)}
	if _, err := fmt.Fprintf(con.err, "Open this in your browser:\n\n  %s\n\n", c.address(redirect, verifier, back.state)); err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- serveUntil(serving, newHTTPServer(back, nil), l) }()
	var answer url.Values
	select {
	case answer = <-back.came:
	case <-ctx.Done():
	}
	stop()
	if err := <-served; err != nil {
		return err
	}
	switch {
	case answer == nil && told.Err() != nil:
		return errors.New("ended before anybody came back from the browser (hint: run it again; the address is of no use any more)")
	case answer == nil:
		return fmt.Errorf("nobody has come back from the browser in %v (hint: --timeout for longer; if the address did not open, is the server running, and --issuer right?)", c.Timeout)
	case answer.Get("error") != "":
		e := &refusedError{status: http.StatusSeeOther, Code: answer.Get("error"), Description: answer.Get("error_description")}
		return fmt.Errorf("%s/authorize: %w", c.Issuer, e)
	}
	return c.exchange(ctx, con, url.Values{
		"grant_type": {"authorization_code"}, "code": {answer.Get("code")}, "redirect_uri": {redirect},
		"code_verifier": {verifier}, "client_id": {c.Client},
	})
}

// address returns where the browser has to go.
func (c *loginCommand) address(redirect, verifier, state string) string {
	challenge := sha256.Sum256([]byte(verifier))
	params := url.Values{
		"response_type": {"code"}, "client_id": {c.Client}, "redirect_uri": {redirect}, "state": {state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	if len(c.Scope) > 0 {
		params.Set("scope", strings.Join(c.Scope, " "))
	}
	if c.Hint != "" {
		params.Set("login_hint", c.Hint)
	}
	return c.Issuer + "/authorize?" + params.Encode()
}

// exchange gets the token for a code, and prints it.
func (c *loginCommand) exchange(ctx context.Context, con *console, form url.Values) error {
	client := newClient(1)
	defer client.CloseIdleConnections()
	a, err := client.post(ctx, c.Issuer+"/token", credentials{}, form)
	if err != nil {
		return &exitError{exitUnknown, err}
	}
	token, err := a.token()
	switch {
	case err != nil:
		return fmt.Errorf("%s/token: %w", c.Issuer, err)
	case c.JSON:
		_, err = fmt.Fprintf(con.out, "%s\n", strings.TrimSpace(string(a.body)))
	default:
		_, err = fmt.Fprintln(con.out, token.AccessToken)
	}
	return err
}

// A callback is where the browser comes back to.
type callback struct {
	issuer, state string
	came          chan url.Values
}

func (c *callback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if r.URL.Path != "/callback" || query.Get("state") != c.state || query.Get("iss") != c.issuer ||
		query.Get("code") == "" && query.Get("error") == "" {
		http.Error(w, "This is not the answer that is waited for.", http.StatusBadRequest)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "Done. You can close this page and go back to the terminal.")
	select {
	case c.came <- query:
	default: // the first one counts
	}
}
