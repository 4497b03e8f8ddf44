package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
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

	keysFlags
	auditFlags
	AuditRequired bool     `from:"SNECK_AUDIT_REQUIRED" help:"Refuse what can not be recorded, such as when the disk is full ($$SNECK_AUDIT_REQUIRED)."`
	TokenRate     int      `default:"1000" from:"SNECK_TOKEN_RATE" placeholder:"N" help:"How many tokens a client may ask for in a second, and revoke, ${default} if not said; after a burst of five times as many ($$SNECK_TOKEN_RATE)."`
	QuestionRate  int      `name:"introspection-rate" default:"10000" from:"SNECK_INTROSPECTION_RATE" placeholder:"N" help:"The same for introspections; ${default} ($$SNECK_INTROSPECTION_RATE)."`
	TrustedProxy  []string `from:"SNECK_TRUSTED_PROXY" placeholder:"PREFIX" help:"Addresses of the proxies in front, such as 10.0.0.0/8: their X-Forwarded-For says who asks; may be repeated ($$SNECK_TRUSTED_PROXY)."`

	peopleFlags
}

// Help is printed below the flags.
func (*serveCommand) Help() string {
	return `The server issues tokens at /token, answers at /introspect and /revoke, and
describes itself at /.well-known/oauth-authorization-server. People sign in at
/authorize, connect devices at /device, and take back at /account what they have
allowed. It logs to the standard error. Clients are registered with "sneck client
create" and accounts with "sneck user create", also while it runs. With
--sealing-key it signs JWTs for those that are to have them, with keys that it
makes and replaces by itself, and publishes them at /jwks. Without TLS of its
own, it belongs behind a proxy that has it: name it with --trusted-proxy, as
clients and addresses that ask too often are refused. Several servers may share
one PostgreSQL, whose password is best given by PGPASSWORD or a passfile: a
command line is for all to see.

With --audit, all that happens is added to a file: see "sneck audit". To rotate
it, rename the file and send SIGHUP.

Examples:

    sneck serve --data ./data
    sneck serve --data /var/lib/sneck --listen 127.0.0.1:9000 --issuer https://auth.example.com \
        --trusted-proxy 127.0.0.1 --audit /var/log/sneck/audit.jsonl \
        --scope notes:read="Read your notes" --approval-prompt auto
    sneck serve --data postgres://sneck@db.example.com/sneck --issuer https://auth.example.com
`
}

// gcPercent is how much garbage there may be, by what is in use.
const gcPercent = 400

// maxRate is the highest rate that can be asked for: as good as none.
const maxRate = 10_000_000

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
	sealer, err := c.sealer()
	if err != nil {
		return err
	}
	// What is wrong is said before there is a database.
	memory := authserver.NewMemory()
	config := authserver.Config{
		Issuer: issuer, Store: memory, Clients: memory, Logger: slog.New(slog.DiscardHandler), Sealer: sealer,
		Sweep: authserver.Sweep{Interval: sweepInterval}, Proxies: authserver.Proxies{Header: "X-Forwarded-For"},
	}
	for flag, n := range map[string]int{"--token-rate": c.TokenRate, "--introspection-rate": c.QuestionRate} {
		if n < 1 || n > maxRate {
			return usageError(fmt.Errorf("%s %d is not between 1 and %d", flag, n, maxRate), "sneck serve --help")
		}
	}
	config.Limits.Token, config.Limits.Introspect = authserver.PerSecond(c.TokenRate), authserver.PerSecond(c.QuestionRate)
	config.Limits.Revoke = config.Limits.Token
	if config.Proxies.Trusted, err = parsePrefixes(c.TrustedProxy); err != nil {
		return err
	}
	if c.AuditRequired && c.Audit == "" {
		return usageError(errors.New("--audit-required without --audit"), "sneck serve --help")
	}
	if _, _, err := c.server(config, memory, nil); err != nil {
		return err
	}
	auditLog, err := c.auditFlags.open()
	if err != nil {
		return err
	}
	if auditLog != nil {
		defer auditLog.Close()
		config.Audit, config.AuditRequired = auditLog.Record, c.AuditRequired
	}
	store, _, err := openData(ctx, c.Data, true)
	if err != nil {
		return err
	}
	defer store.Close()
	config.Store, config.Clients, config.Logger = store, store, logger
	events := new(recorder)
	config.Keys, err = c.source(ctx, authserver.KeyRingConfig{Store: store, Sealer: sealer, Logger: logger, Record: events.record})
	if err != nil {
		return err
	}
	server, everything, err := c.server(config, store, events.record)
	if err == nil {
		err = events.use(ctx, server)
	}
	if err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	if auditLog != nil {
		reopenOnSignal(ctx, auditLog, func(err error) {
			logger.Error("audit log not reopened, it goes on in the old file", "cause", err)
		})
	}
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		_ = server.Run(ctx) // logs what it can not delete
	}()
	logger.Info("listening", "url", "http://"+l.Addr().String(), "issuer", issuer, "data", dataName(c.Data))
	err = serveUntil(ctx, newHTTPServer(everything, logger), l)
	cancel()
	<-swept
	if err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return fmt.Errorf("close the database: %w", err)
	}
	if auditLog != nil {
		if err := auditLog.Close(); err != nil {
			return fmt.Errorf("close the audit log: %w", err)
		}
	}
	logger.Info("stopped")
	return nil
}

// server returns the server on a store, and the handler with what people see
// of it, whose events go to record.
func (c *serveCommand) server(config authserver.Config, store authserver.Lister, record recordFunc) (*authserver.Server, http.Handler, error) {
	described, err := c.describe()
	if err != nil {
		return nil, nil, err
	}
	config.Scopes = registeredScopes{described}
	site, err := c.peopleFlags.open(&config, store, record)
	if err != nil {
		return nil, nil, err
	}
	server, err := authserver.New(config)
	switch {
	case err != nil:
		return nil, nil, usageError(fmt.Errorf("--issuer: %w", err), "sneck serve --help")
	case site == nil:
		return server, server, nil
	}
	return server, site.Handler(server), nil
}

// parsePrefixes reads addresses and prefixes of networks.
func parsePrefixes(list []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, text := range list {
		prefix, err := netip.ParsePrefix(text)
		if address, addressErr := netip.ParseAddr(text); addressErr == nil {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, usageError(fmt.Errorf("--trusted-proxy %q is neither an address nor a prefix", text), "such as 127.0.0.1 or 10.0.0.0/8")
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, nil
}

// registeredScopes is the scope backend of a server that has no list of its
// own: what a client was registered with is what there is for it.
type registeredScopes struct{ texts []scopes.Described }

// All returns the scopes that there is a text for.
func (b registeredScopes) All(context.Context) ([]scopes.Described, error) { return b.texts, nil }

// Available returns the scopes in the client's record.
func (registeredScopes) Available(_ context.Context, r scopes.Request) (scopes.Set, error) {
	return r.Registered, nil
}

// Default leaves the choice to the client's record.
func (registeredScopes) Default(context.Context, scopes.Request) (scopes.Set, error) { return nil, nil }
