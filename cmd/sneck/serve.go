package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

// A serveCommand is "sneck serve".
type serveCommand struct {
	Data   string `required:"" from:"SNECK_DATA" placeholder:"DIR|URL" help:"Directory of the database, which is made if there is none, or URL of a PostgreSQL ($$SNECK_DATA)."`
	Listen string `default:"127.0.0.1:8080" from:"SNECK_LISTEN" placeholder:"ADDR" help:"Address to listen at, such as ${default}; port 0 is any free one ($$SNECK_LISTEN)."`
	Issuer string `from:"SNECK_ISSUER" placeholder:"URL" help:"URL under which clients reach the server; http and the address if that is of this machine only ($$SNECK_ISSUER)."`
	JSON   bool   `name:"log-json" help:"Log JSON objects."`
}

// Help is printed below the flags.
func (*serveCommand) Help() string {
	return `The server issues tokens at /token, answers at /introspect and /revoke, and
describes itself at /.well-known/oauth-authorization-server. It logs to the
standard error. Clients are registered with "sneck client create", also while
it runs. Without TLS of its own, it belongs behind a proxy that has it. Several
servers may share one PostgreSQL, whose password is best given by PGPASSWORD or
a passfile: a command line is for all to see.

Examples:

    sneck serve --data ./data
    sneck serve --data /var/lib/sneck --listen 127.0.0.1:9000 --issuer https://auth.example.com
    sneck serve --data postgres://sneck@db.example.com/sneck --issuer https://auth.example.com
`
}

// gcPercent is how much garbage there may be, by what is in use.
const gcPercent = 400

// sweepInterval is the time between two rounds of deleting what has expired.
const sweepInterval = time.Minute

// Run serves until it is told to end.
func (c *serveCommand) Run(ctx context.Context, con *console) error {
	var handler slog.Handler = slog.NewTextHandler(con.err, nil)
	if c.JSON {
		handler = slog.NewJSONHandler(con.err, nil)
	}
	logger := slog.New(handler)
	if con.env("GOGC") == "" {
		// What lives longer than a request is a few megabytes, which would be
		// looked through dozens of times a second.
		defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	}

	l, err := listen(ctx, "--listen", c.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	issuer := c.Issuer
	if issuer == "" {
		if !loopback(l) {
			return usageError(fmt.Errorf("--issuer is missing, and %s is not an address of this machine only", l.Addr()),
				"the URL under which clients reach the server, such as https://auth.example.com")
		}
		issuer = "http://" + l.Addr().String()
	}
	// What is wrong is said before there is a database.
	memory := authserver.NewMemory()
	config := authserver.Config{
		Issuer: issuer, Store: memory, Clients: memory, Scopes: registeredScopes{}, Logger: logger,
		Sweep: authserver.Sweep{Interval: sweepInterval},
	}
	if _, err := authserver.New(config); err != nil {
		return usageError(fmt.Errorf("--issuer: %w", err), "sneck serve --help")
	}
	store, _, err := openData(ctx, c.Data, true)
	if err != nil {
		return err
	}
	defer store.Close()
	config.Store, config.Clients = store, store
	server, err := authserver.New(config)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		_ = server.Run(ctx) // logs what it can not delete
	}()
	logger.Info("listening", "url", "http://"+l.Addr().String(), "issuer", issuer, "data", dataName(c.Data))
	err = serveUntil(ctx, newHTTPServer(server, logger), l)
	cancel()
	<-swept
	if err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return fmt.Errorf("close the database: %w", err)
	}
	logger.Info("stopped")
	return nil
}

// registeredScopes is the scope backend of a server that has no list of its
// own: what a client was registered with is what there is for it.
type registeredScopes struct{}

// All has no list to return.
func (registeredScopes) All(context.Context) ([]scopes.Described, error) { return nil, nil }

// Available returns the scopes in the client's record.
func (registeredScopes) Available(_ context.Context, r scopes.Request) (scopes.Set, error) {
	return r.Registered, nil
}

// Default leaves the choice to the client's record.
func (registeredScopes) Default(context.Context, scopes.Request) (scopes.Set, error) { return nil, nil }
