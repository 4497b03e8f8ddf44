package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/sneckauth/sneck/adapter/redis"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/audit"
)

// A serverService is a server with all that it listens at and writes to.
type serverService struct {
	set    *serverSettings
	config authserver.Config

	listener       net.Listener
	administration *administration // nil if there is none
	audit          *audit.Log      // nil if there is none
	store          database
	shared         *redis.Redis // nil if the server counts alone
	events         recorder

	server  *authserver.Server
	handler http.Handler // the server, and what people see of it
}

// open opens everything, that which is most likely to fail first. What is open
// is closed by close, also after an error.
func (s *serverService) open(ctx context.Context) (err error) {
	if s.listener, err = listen(ctx, "--listen", s.set.Listen); err != nil {
		return err
	}
	if s.set.Issuer == "" {
		s.config.Issuer = "http://" + s.listener.Addr().String()
	}
	if s.administration, err = s.set.adminSettings.open(ctx); err != nil {
		return err
	}
	if s.audit, err = (auditFlags{s.set.Audit}).open(); err != nil {
		return err
	}
	if s.audit != nil {
		s.config.Audit = s.audit.Record
	}
	if s.store, _, err = openData(ctx, s.set.Data, true); err != nil {
		return err
	}
	s.config.Store, s.config.Clients = s.store, s.store
	s.config.Keys, err = s.set.source(ctx, authserver.KeyRingConfig{
		Store: s.store, Sealer: s.config.Sealer, Logger: s.config.Logger, Record: s.events.record,
	})
	if err != nil || s.set.Redis.URL == "" {
		return err
	}
	if s.shared, err = s.set.Redis.open(s.config.Logger); err != nil {
		return err
	}
	s.config.Limits.Limiter = s.shared.Limiter(0)
	return nil
}

// assemble makes the server of what is open, and tells it what has happened.
func (s *serverService) assemble(ctx context.Context) (err error) {
	s.server, s.handler, err = s.set.open(&s.config, s.store, s.events.record)
	if err == nil {
		err = s.events.use(ctx, s.server)
	}
	if err != nil {
		return usageError(err, "sneck serve --help")
	}
	return s.administration.attach(s)
}

// serve serves and cleans up until ctx is done.
func (s *serverService) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	reopenOnSignal(ctx, s.audit, s.config.Logger)
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		_ = s.server.Run(ctx) // logs what it can not delete
	}()
	defer func() {
		cancel()
		<-swept
	}()
	logger := s.config.Logger
	logger.Info("listening", "url", "http://"+s.listener.Addr().String(), "issuer", s.config.Issuer, "data", dataName(s.set.Data))
	return s.administration.serveWith(ctx, newAnsweringServer(s.handler, logger), s.listener, logger)
}

// close closes what is open, and does nothing the second time. Only what is
// written to can fail.
func (s *serverService) close() error {
	if s.listener != nil {
		s.listener.Close()
	}
	s.administration.Close()
	if s.shared != nil {
		s.shared.Close()
	}
	var errs []error
	if s.store != nil {
		errs = append(errs, wrapped("close the database", s.store.Close()))
	}
	if s.audit != nil {
		errs = append(errs, wrapped("close the audit log", s.audit.Close()))
	}
	return errors.Join(errs...)
}

// wrapped says what an error is about, if there is one.
func wrapped(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
