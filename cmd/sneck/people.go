package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/sneckauth/sneck/adapter/webauthn"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
)

// site lets people in: it adds what they see to the config, and returns it. Its
// events go to record.
func (s *pageSettings) site(config *authserver.Config, store authserver.Lister, record recordFunc) (*pages.Site, error) {
	site, err := pages.New(s.config(config.Issuer, config, store, record))
	if err != nil {
		return nil, err
	}
	config.Login, config.Pages, config.Hooks.Subject = site.Login, site.Pages(), site.Subject
	return site, nil
}

// config returns how pages look and let people in that are at the URL.
func (s *pageSettings) config(at string, config *authserver.Config, store authserver.Lister, record recordFunc) pages.Config {
	c := pages.Config{
		Issuer: at, Store: store, Clients: config.Clients, Title: s.Title, Logger: config.Logger,
		Address: config.Proxies.Address, SessionIdle: s.SessionIdle, SessionLife: s.SessionLife,
		Record: record, Limits: pages.Limits{Limiter: config.Limits.Limiter},
		// No such URL is for anything but this machine.
		InsecureHTTP: strings.HasPrefix(at, "http://"),
	}
	if passkeys, err := webauthn.New(webauthn.Config{Issuer: at, Name: s.Title}); err == nil {
		c.Passkeys = passkeys
	} else {
		config.Logger.Info("there are no passkeys", "url", at, "cause", err)
	}
	if s.PagesDir != "" {
		c.Files = os.DirFS(s.PagesDir)
	}
	return c
}

// passwords checks passwords of accounts for the grant of the past that wants
// them.
func passwords(accounts *pages.Accounts) func(context.Context, string, string) (*authserver.Approval, error) {
	return func(ctx context.Context, username, password string) (*authserver.Approval, error) {
		account, err := accounts.SignIn(ctx, username, password)
		switch {
		case errors.Is(err, pages.ErrWrongPassword):
			return nil, authserver.ErrAccessDenied
		case err != nil:
			return nil, err
		}
		return &authserver.Approval{Subject: account.ID}, nil
	}
}
