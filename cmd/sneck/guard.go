package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/sneckauth/sneck/adapter/yaml"
	"github.com/sneckauth/sneck/cmd/internal/settings"
)

// A guardCommand is "sneck guard".
type guardCommand struct {
	Config string `from:"SNECK_CONFIG" placeholder:"FILE" help:"File with the settings ($$SNECK_CONFIG)."`
	kong.Plugins
	flags *settings.Flags
}

// newGuardCommand returns the command with a flag for each setting, but for
// the token, as others can read command lines.
func newGuardCommand() guardCommand {
	flags := settings.NewFlags(guardSettings{}, "resource-server-auth-token")
	return guardCommand{Plugins: kong.Plugins{flags.Plugin()}, flags: flags}
}

// Help is printed below the flags.
func (*guardCommand) Help() string {
	return `The guard stands in front of a service in any language, as a reverse proxy, or
behind a proxy such as nginx, Traefik, Envoy or Caddy that asks it. It lets a
request pass whose access token is good, is meant for the service and grants
what the route demands, and tells the service by X-Sneck-Subject and other
header fields who calls. What it knows it has asked an authorization server, or
read in a signed token. It logs to the standard error. On SIGHUP it reads the
file with routes again, which it follows in any case.

Each setting can be in the file, in the environment and on the command line,
which counts most.

Examples:

    sneck guard --config guard.yaml
    sneck guard --config guard.yaml --listen 127.0.0.1:9000 --no-access-log

with a guard.yaml such as

    upstream: http://127.0.0.1:3000
    audience: [https://notes.example.com]
    resource_server_introspection_url: https://auth.example.com/introspect
    resource_server_introspection_credentials: [notes-api, /run/secrets/notes-api]
`
}

// followRoutes is how often the file with routes is looked at.
const followRoutes = 2 * time.Second

// Run guards until it is told to end.
func (c *guardCommand) Run(ctx context.Context, con *console) error {
	set, loaded, err := c.load(con)
	if err != nil {
		return err
	}
	var handler slog.Handler = slog.NewTextHandler(con.err, nil)
	if set.LogJSON {
		handler = slog.NewJSONHandler(con.err, nil)
	}
	logger := slog.New(handler)
	b := &guardBuilder{guardSettings: set, mistake: loaded.Wrong, logger: logger}
	defer b.close()
	s, err := b.service()
	if err := errors.Join(loaded.Err(), err); err != nil {
		return settingsError(con, err)
	}

	l, err := listen(ctx, "listen", set.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	health, err := s.health(ctx, set.HealthListen, logger)
	if err != nil {
		return err
	}
	defer health.Close()
	if s.routes != nil {
		go s.routes.Watch(ctx, followRoutes)
		reloadOnSignal(ctx, s.routes, logger)
	}
	logger.Info("listening", "url", "http://"+l.Addr().String(), "mode", set.Mode, "upstream", set.Upstream)
	if err := s.serve(ctx, l, logger); err != nil {
		return err
	}
	if err := b.close(); err != nil {
		return err
	}
	logger.Info("stopped")
	return nil
}

// load reads the settings. Loaded says where each comes from; it already has
// what is wrong with their form.
func (c *guardCommand) load(con *console) (*guardSettings, *settings.Loaded, error) {
	sources := settings.Sources{File: c.Config, Env: con.env, Flags: c.flags.Said()}
	if c.Config != "" {
		var err error
		if sources.Data, err = os.ReadFile(c.Config); err != nil {
			return nil, nil, fmt.Errorf("%w (hint: look at --config)", err)
		}
	}
	s := newGuardSettings()
	loaded, _ := settings.Load(s, sources) // mistakes stay in there
	return s, loaded, nil
}

// checkGuard returns what is in force, and what is wrong with it, with its place,
// as far as that does not depend on the machine that it is for: no network is
// used and no secret read, but the file with routes is.
func checkGuard(sources settings.Sources) ([]settings.InForce, error) {
	s := newGuardSettings()
	loaded, _ := settings.Load(s, sources) // mistakes stay in there
	b := &guardBuilder{guardSettings: s, mistake: loaded.Wrong, offline: true, logger: slog.New(slog.DiscardHandler)}
	defer b.close()
	_, err := b.service()
	if mistakes := loaded.Err(); mistakes != nil {
		return loaded.InForce(s), mistakes
	}
	return loaded.InForce(s), err
}

// guardSchema is the JSON Schema of files for "sneck guard".
func guardSchema() []byte { return yaml.Schema(guardSettings{}) }

// settingsError prints all mistakes, each in a line that editors understand.
func settingsError(con *console, err error) error {
	fmt.Fprintln(con.err, err)
	return &exitError{exitUsage, nil}
}

// reloadOnSignal has the file with routes read again when the process gets
// SIGHUP, until ctx is done.
func reloadOnSignal(ctx context.Context, routes *yaml.File, logger *slog.Logger) {
	onHangup(ctx, func() {
		if err := routes.Reload(); err != nil {
			logger.Error("routes not replaced, the former ones are in force", "error", err)
		} else {
			logger.Info("routes replaced")
		}
	})
}
