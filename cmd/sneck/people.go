package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/sneckauth/sneck/adapter/webauthn"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
	"github.com/sneckauth/sneck/scopes"
)

// A peopleFlags says what people see of a server.
type peopleFlags struct {
	Pages    bool     `default:"true" negatable:"" help:"Let people sign in and decide: with pages at /authorize, /device and /account."`
	Title    string   `placeholder:"TEXT" help:"Name above the pages; the host of the issuer if left out."`
	PagesDir string   `name:"pages-dir" type:"path" placeholder:"DIR" help:"Directory with files that replace those of the pages, or add a language."`
	Scope    []string `sep:"none" placeholder:"NAME=TEXT" help:"What people are told that a scope allows; may be repeated."`
	Approval string   `name:"approval-prompt" enum:"force,auto" default:"force" help:"When to ask people for consent: force for every time, auto for what they have not consented to yet."`
}

// describe returns the scopes of the flags.
func (f *peopleFlags) describe() ([]scopes.Described, error) {
	var list []scopes.Described
	for _, pair := range f.Scope {
		name, text, ok := strings.Cut(pair, "=")
		if !ok || text == "" {
			return nil, usageError(fmt.Errorf("--scope %q has no text", pair), `--scope notes:read="Read your notes"`)
		}
		list = append(list, scopes.Described{Name: name, Text: text})
	}
	if err := scopes.CheckDescribed(list); err != nil {
		return nil, usageError(fmt.Errorf("--scope: %w", err), `--scope notes:read="Read your notes"`)
	}
	return list, nil
}

// open lets people in: it adds what they see to the config, and returns the
// site, or nil if there are to be no pages.
func (f *peopleFlags) open(config *authserver.Config, store authserver.Lister, record recordFunc) (*pages.Site, error) {
	if f.Approval == "auto" {
		config.ApprovalPrompt = authserver.PromptAuto
	}
	if !f.Pages {
		return nil, nil
	}
	c := pages.Config{
		Issuer: config.Issuer, Store: store, Clients: config.Clients, Title: f.Title, Logger: config.Logger,
		Address: config.Proxies.Address, Record: record,
		// The server has no such issuer but for this machine.
		InsecureHTTP: strings.HasPrefix(config.Issuer, "http://"),
	}
	if passkeys, err := webauthn.New(webauthn.Config{Issuer: config.Issuer, Name: f.Title}); err == nil {
		c.Passkeys = passkeys
	} else {
		config.Logger.Info("there are no passkeys", "cause", err)
	}
	if f.PagesDir != "" {
		c.Files = os.DirFS(f.PagesDir)
	}
	site, err := pages.New(c)
	if err != nil {
		return nil, usageError(err, "sneck serve --help")
	}
	config.Login, config.Pages, config.Hooks.Subject = site.Login, site.Pages(), site.Subject
	return site, nil
}
