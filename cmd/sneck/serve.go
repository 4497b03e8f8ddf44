package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/cmd/internal/settings"
)

// A serveCommand is "sneck serve".
type serveCommand struct {
	configFlag
	kong.Plugins // the flags of the settings

	flags *settings.Flags
}

// newServeCommand returns a command that has flags.
func newServeCommand() serveCommand {
	c := serveCommand{flags: settings.NewFlags(defaultSettings())}
	c.Plugins = kong.Plugins{c.flags.Plugin()}
	return c
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

All below can be said in three places: on the command line, in the environment
(--data as $SNECK_DATA, and so on), and in a YAML file, whose keys are like the
flags with _ for -; the first of these that says something counts. "sneck check"
tells whether a file is right, and docs/settings.md what each setting does. Lists
have commas or spaces between their items; --scope can be repeated, and has ; in
the environment. Keys and passwords are always in files of their own.

With --audit, all that happens is added to a file: see "sneck audit". To rotate
it, rename the file and send SIGHUP. With --admin-listen, the server can be
administered at a second address: see docs/admin.md.

Examples:

    sneck serve --data ./data
    sneck serve --data /var/lib/sneck --listen 127.0.0.1:9000 --issuer https://auth.example.com \
        --trusted-proxy 127.0.0.1 --audit /var/log/sneck/audit.jsonl \
        --scope notes:read="Read your notes" --approval-prompt auto
    sneck serve --config /etc/sneck.yaml
    sneck serve --data postgres://sneck@db.example.com/sneck --issuer https://auth.example.com
`
}

// gcPercent is how much garbage there may be, by what is in use.
const gcPercent = 400

// maxRate is the highest rate that can be asked for: as good as none.
const maxRate = 10_000_000

// Run serves until it is told to end.
func (c *serveCommand) Run(ctx context.Context, con *console) error {
	if con.env["GOGC"] == "" {
		// What lives longer than a request is a few megabytes, which would be
		// looked through dozens of times a second.
		defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	}

	sources, err := c.sources(con.env, c.flags)
	if err != nil {
		return err
	}
	// What is wrong is said before there is a database.
	set, config, err := loadServer(sources)
	if err != nil {
		return mistakenError(err)
	}
	handler := slog.Handler(slog.NewTextHandler(con.err, nil))
	if set.LogJSON {
		handler = slog.NewJSONHandler(con.err, nil)
	}
	logger := slog.New(handler)
	l, err := listen(ctx, "--listen", set.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	administration, err := set.adminSettings.open(ctx)
	if err != nil {
		return err
	}
	defer administration.Close()
	if set.Issuer == "" {
		config.Issuer = "http://" + l.Addr().String()
	}
	auditLog, err := auditFlags{set.Audit}.open()
	if err != nil {
		return err
	}
	if auditLog != nil {
		defer auditLog.Close()
		config.Audit = auditLog.Record
	}
	store, _, err := openData(ctx, set.Data, true)
	if err != nil {
		return err
	}
	defer store.Close()
	config.Store, config.Clients, config.Logger = store, store, logger
	events := new(recorder)
	config.Keys, err = set.source(ctx, authserver.KeyRingConfig{Store: store, Sealer: config.Sealer, Logger: logger, Record: events.record})
	if err != nil {
		return err
	}
	if set.Redis.URL != "" {
		shared, err := set.Redis.open(logger)
		if err != nil {
			return err
		}
		defer shared.Close()
		config.Limits.Limiter = shared.Limiter(0)
	}
	server, everything, err := set.open(config, store, events.record)
	if err == nil {
		err = events.use(ctx, server)
	}
	if err != nil {
		return usageError(err, "sneck serve --help")
	}
	if err := administration.attach(server, store, config.Keys, set.Audit, logger); err != nil {
		return err
	}
	if err := administration.attachPages(set, &config, store, events.record); err != nil {
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
	logger.Info("listening", "url", "http://"+l.Addr().String(), "issuer", config.Issuer, "data", dataName(set.Data))
	err = administration.serveWith(ctx, newHTTPServer(everything, logger), l, logger)
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
