package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sneckauth/sneck/adapter/yaml"
)

// A guardCommand is "sneck guard".
type guardCommand struct {
	Config string `from:"SNECK_CONFIG" placeholder:"FILE" help:"File with the settings ($$SNECK_CONFIG)."`
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

Examples:

    sneck guard --config guard.yaml

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
	settings, source, err := c.load(con)
	if err != nil {
		return err
	}
	var handler slog.Handler = slog.NewTextHandler(con.err, nil)
	if settings.LogJSON {
		handler = slog.NewJSONHandler(con.err, nil)
	}
	logger := slog.New(handler)
	b := &guardBuilder{guardSettings: settings, mistake: source.Wrong, logger: logger}
	defer b.close()
	s, err := b.service()
	if err := errors.Join(source.Err(), err); err != nil {
		return settingsError(con, err)
	}

	l, err := listen(ctx, "listen", settings.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	health, err := s.health(ctx, settings.HealthListen, logger)
	if err != nil {
		return err
	}
	defer health.Close()
	if s.routes != nil {
		go s.routes.Watch(ctx, followRoutes)
		reloadOnSignal(ctx, s.routes, logger)
	}
	logger.Info("listening", "url", "http://"+l.Addr().String(), "mode", settings.Mode, "upstream", settings.Upstream)
	if err := s.serve(ctx, l, logger); err != nil {
		return err
	}
	if err := b.close(); err != nil {
		return err
	}
	logger.Info("stopped")
	return nil
}

// load reads the settings. The source says where they stand; it already has
// what is wrong with their form.
func (c *guardCommand) load(con *console) (*guardSettings, *yaml.Source, error) {
	if c.Config == "" {
		return nil, nil, usageError(errors.New("--config is missing"), "sneck guard --config guard.yaml")
	}
	data, err := os.ReadFile(c.Config)
	if err != nil {
		return nil, nil, fmt.Errorf("%w (hint: look at --config)", err)
	}
	settings := newGuardSettings()
	source, _ := yaml.Decode(c.Config, data, settings) // mistakes stay in the source
	return settings, source, nil
}

// settingsError prints all mistakes, each in a line that editors understand.
func settingsError(con *console, err error) error {
	fmt.Fprintln(con.err, err)
	return &exitError{exitUsage, nil}
}

// reloadOnSignal has the file with routes read again when the process gets
// SIGHUP, until ctx is done.
func reloadOnSignal(ctx context.Context, routes *yaml.File, logger *slog.Logger) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
			}
			if err := routes.Reload(); err != nil {
				logger.Error("routes not replaced, the former ones are in force", "error", err)
			} else {
				logger.Info("routes replaced")
			}
		}
	}()
}
