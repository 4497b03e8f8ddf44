package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/cmd/internal/settings"
)

// An adminSettings says where a server can be administered over HTTP.
type adminSettings struct {
	AdminListen         string `yaml:"admin_listen" placeholder:"ADDR" doc:"address of this machine only to administer the server at; port 0 is any free one; without it, that is not possible over HTTP" example:"127.0.0.1:8081"`
	InsecureAdminListen bool   `yaml:"insecure_admin_listen" doc:"let admin_listen be an address that other machines reach, without TLS: for a network of its own, or behind a proxy that has TLS"`
	AdminURL            string `yaml:"admin_url" placeholder:"URL" doc:"URL under which browsers reach the pages at admin_listen; http and the address if that is of this machine only" example:"https://admin.example.com"`
}

// check adds what is wrong to l.
func (s *adminSettings) check(l *settings.Loaded) {
	if s.AdminListen == "" {
		for key, said := range map[string]bool{"insecure_admin_listen": s.InsecureAdminListen, "admin_url": s.AdminURL != ""} {
			if said {
				l.Wrong(key, "has no effect without an address (hint: admin_listen)")
			}
		}
		return
	}
	host, _, err := net.SplitHostPort(s.AdminListen)
	switch {
	case err != nil:
		l.Wrong("admin_listen", "%q is not an address (hint: host:port, such as 127.0.0.1:8081)", s.AdminListen)
	case !s.InsecureAdminListen && !isLoopback(host):
		l.Wrong("admin_listen", "%s is not an address of this machine only (hint: 127.0.0.1:8081, or --insecure-admin-listen)", s.AdminListen)
	}
	if wrong := wrongPagesURL(s.AdminURL); wrong != "" {
		l.Wrong("admin_url", "%s", wrong)
	}
}

// An administration is where the server is administered; nil if nowhere.
type administration struct {
	listener net.Listener
	handler  http.Handler
	ops      *admin.Operations
	pages    string // the URL of the pages, or ""
}

// open opens the listener, and returns nil if there is to be none. The caller
// closes it.
func (s *adminSettings) open(ctx context.Context) (*administration, error) {
	if s.AdminListen == "" {
		return nil, nil
	}
	l, err := listen(ctx, "--admin-listen", s.AdminListen)
	if err != nil {
		return nil, err
	}
	return &administration{listener: l}, nil
}

// Close closes the listener, if it was not by serving.
func (a *administration) Close() error {
	if a == nil {
		return nil
	}
	return a.listener.Close()
}

// attach makes what answers there, for a server that is assembled.
func (a *administration) attach(s *serverService) error {
	if a == nil {
		return nil
	}
	accounts, err := accountsIn(s.store, s.set.hasher)
	if err != nil {
		return err
	}
	config := admin.Config{Server: s.server, Store: s.store, Clients: s.store, Accounts: accounts, AuditPath: s.set.Audit}
	if ring, ok := s.config.Keys.(*authserver.KeyRing); ok {
		config.Keys = ring
	}
	if a.ops, err = admin.New(config); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(admin.Path, admin.NewAPI(a.ops, s.config.Logger))
	a.handler = mux
	return a.attachPages(s, mux)
}

// serveWith serves both until ctx is done; when one of them fails, the other
// ends as well.
func (a *administration) serveWith(ctx context.Context, s *http.Server, l net.Listener, logger *slog.Logger) error {
	if a == nil {
		return serveUntil(ctx, s, l)
	}
	logger.Info("administration", "url", "http://"+a.listener.Addr().String()+admin.Path, "pages", a.pages)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- serveUntil(ctx, newHTTPServer(a.handler, logger), a.listener)
	}()
	err := serveUntil(ctx, s, l)
	cancel()
	return errors.Join(err, <-ended)
}
