package main

import (
	"context"
	"io"
	"log/slog"
	"runtime/debug"

	"github.com/alecthomas/kong"

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
	config.Logger = set.logger(con.err)
	s := &serverService{set: set, config: config}
	defer s.close()
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.assemble(ctx); err != nil {
		return err
	}
	if err := s.serve(ctx); err != nil {
		return err
	}
	if err := s.close(); err != nil {
		return err
	}
	config.Logger.Info("stopped")
	return nil
}

// logger returns what logs to w.
func (s *recordSettings) logger(w io.Writer) *slog.Logger {
	if s.LogJSON {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}
