package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/sneckauth/sneck/adapter/webauthn"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
	"github.com/sneckauth/sneck/cmd/internal/settings"
)

// site lets people in: it adds what they see to the config, and returns it. Its
// events go to record.
func (s *serverSettings) site(config *authserver.Config, store authserver.Lister, record recordFunc) (*pages.Site, error) {
	site, err := pages.New(s.pagesAt(config.Issuer, config, store, record))
	if err != nil {
		return nil, err
	}
	config.Login, config.Pages, config.Hooks.Subject = site.Login, site.Pages(), site.Subject
	return site, nil
}

// pagesAt returns how pages look and let people in that are at the URL.
func (s *serverSettings) pagesAt(at string, config *authserver.Config, store authserver.Lister, record recordFunc) pages.Config {
	c := pages.Config{
		Issuer: at, Store: store, Clients: config.Clients, Title: s.Title, Logger: config.Logger,
		Address: config.Proxies.Address, SessionIdle: s.SessionIdle, SessionLife: s.SessionLife, Hasher: s.hasher,
		Record: record, Limits: s.Limits.SignIn.pages(config.Limits.Limiter),
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

// checkPages checks what pages are made from. Whatever is wrong with a template,
// its pages say when they are made.
func (s *serverSettings) checkPages(l *settings.Loaded) {
	if s.PagesDir == "" {
		return
	}
	switch info, err := os.Stat(s.PagesDir); {
	case s.gone(err):
	case err != nil:
		l.Wrong("pages_dir", "%v (hint: a directory with templates or texts; see docs/pages.md)", err)
	case !info.IsDir():
		l.Wrong("pages_dir", "%s is no directory (hint: that of the templates or texts; see docs/pages.md)", s.PagesDir)
	}
}

// passwords makes what hashes passwords.
func (s *serverSettings) passwords(l *settings.Loaded) {
	const key = "password_peppers_file"
	peppers := s.keyFile(l, key, s.PasswordPeppersFile)
	if len(peppers) == 0 {
		return
	}
	var err error
	if s.hasher, err = hasherOf(peppers); err != nil {
		l.Wrong(key, "%v", err)
	}
}

// hasherOf returns what hashes passwords with peppers. An error does not say
// which field of Go it is about.
func hasherOf(peppers [][]byte) (authserver.SecretHasher, error) {
	hasher, err := authserver.NewPepperedHasher(peppers)
	if err != nil {
		return nil, errors.New("a key " + ofField.ReplaceAllString(err.Error(), "$3"))
	}
	return hasher, nil
}

// accountsIn returns the accounts in a store. If hasher is nil, passwords have
// no peppers.
func accountsIn(store authserver.Lister, hasher authserver.SecretHasher) (*pages.Accounts, error) {
	accounts, err := pages.NewAccounts(store, nil)
	if err != nil || hasher == nil {
		return accounts, err
	}
	return accounts.Hashing(hasher)
}

// signInWith checks passwords of accounts for the grant of the past that wants
// them.
func signInWith(accounts *pages.Accounts) func(context.Context, string, string) (*authserver.Approval, error) {
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
