package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/alecthomas/kong"

	"github.com/sneckauth/sneck/adapter/yaml"
	"github.com/sneckauth/sneck/cmd/internal/settings"
)

// A guardCommand is "sneck guard".
type guardCommand struct {
	configFlag
	kong.Plugins // the flags of the settings

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
read in a signed token. With --tls-cert and --tls-key it speaks TLS and HTTP/2,
and takes renewed certificates as they come. It logs to the standard error. On
SIGHUP it reads the file with routes again, which it follows in any case; without
one it goes on.

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
	sources, err := c.sources(con.env, c.flags)
	if err != nil {
		return err
	}
	set := newGuardSettings()
	loaded, _ := settings.Load(set, sources) // mistakes stay in there
	var handler slog.Handler = slog.NewTextHandler(con.err, nil)
	if set.LogJSON {
		handler = slog.NewJSONHandler(con.err, nil)
	}
	logger := slog.New(handler)
	b := &guardBuilder{guardSettings: set, mistake: loaded.Wrong, logger: logger}
	defer b.close()
	s, err := b.service()
	if err := allMistakes(loaded, err); err != nil {
		return mistakenError(err)
	}

	l, err := listen(ctx, "listen", set.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	health, err := beside(ctx, "health_listen", set.HealthListen, "health", s.health(), logger)
	if err != nil {
		return err
	}
	defer health.Close()
	metrics, err := beside(ctx, "metrics_listen", set.MetricsListen, "metrics", s.metrics.handler(), logger)
	if err != nil {
		return err
	}
	defer metrics.Close()
	if s.routes != nil {
		go s.routes.Watch(ctx, followRoutes)
	}
	reloadOnSignal(ctx, s.routes, logger)
	logger.Info("listening", "url", s.url(l), "mode", set.Mode, "upstream", set.Upstream)
	if err := s.serve(ctx, l, logger); err != nil {
		return err
	}
	if err := b.close(); err != nil {
		return err
	}
	logger.Info("stopped")
	return nil
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
	return loaded.InForce(s), allMistakes(loaded, err)
}

// allMistakes returns those in settings and those in the file with routes as
// one error; nil if there are none.
func allMistakes(loaded *settings.Loaded, routes error) error {
	var all settings.Mistakes
	for _, err := range []error{loaded.Err(), routes} {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			all = append(all, joined.Unwrap()...)
		} else if err != nil {
			all = append(all, err)
		}
	}
	if all == nil {
		return nil
	}
	return all
}

// guardSchema is the JSON Schema of files for "sneck guard".
func guardSchema() []byte { return yaml.Schema(guardSettings{}) }

// reloadOnSignal has the file with routes read again when the process gets
// SIGHUP, until ctx is done. Where there is none, the signal is no reason to end
// either: who renews a certificate may send it to everything that serves.
func reloadOnSignal(ctx context.Context, routes *yaml.File, logger *slog.Logger) {
	onHangup(ctx, func() {
		if routes == nil {
			logger.Info("nothing is read again on SIGHUP without a file with routes (hint: certificates and secrets are followed as they are)")
		} else if err := routes.Reload(); err != nil {
			logger.Error("routes not replaced, the former ones are in force", "error", err)
		} else {
			logger.Info("routes replaced")
		}
	})
}
