package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
	"github.com/sneckauth/sneck/cmd/internal/settings"
)

// loadServer reads the settings of a server: file, environment and flags.
func loadServer(s settings.Sources) (*serverSettings, authserver.Config, error) {
	set := defaultSettings()
	config, _, err := set.load(s)
	return &set, config, err
}

// load reads all that is said, and returns every mistake: if there is no error,
// open will find nothing wrong either.
func (s *serverSettings) load(from settings.Sources) (authserver.Config, *settings.Loaded, error) {
	l, _ := settings.Load(s, from) // mistakes stay in there
	config := s.config(l)
	s.tryOut(l, config)
	return config, l, l.Err()
}

// tryOut makes a server and pages that are never used, and adds what is wrong
// to l.
func (s *serverSettings) tryOut(l *settings.Loaded, c authserver.Config) {
	memory := authserver.NewMemory()
	c.Store, c.Clients, c.Logger = memory, memory, slog.New(slog.DiscardHandler)
	c.Audit = func(context.Context, authserver.Event) error { return nil }
	_, key, _ := ed25519.GenerateKey(rand.Reader) // never fails
	c.Keys, _ = authserver.StaticKeys(authserver.SigningKey{Signer: key})
	s.checkGrants(l)
	c.Grants = s.grants()
	if s.asks() {
		c.Login = func(http.ResponseWriter, *http.Request, *authserver.AuthorizationRequest) (*authserver.Approval, error) {
			return nil, authserver.ErrAccessDenied
		}
	}
	_, err := authserver.New(c)
	s.attribute(l, err)
	if s.asks() && (err == nil || !strings.Contains(err.Error(), "authserver: Issuer")) {
		_, err := s.site(&c, memory, nil)
		s.attribute(l, err)
	}
}

// ofField is how an error begins that is about a field of a Config.
var ofField = regexp.MustCompile(`^(authserver|pages): ([A-Z][A-Za-z]*(?:\.[A-Z][A-Za-z]*)*)(?:\[\d+\])?:? (.+)$`)

// attribute says which settings the mistakes are in that an error joins.
func (s *serverSettings) attribute(l *settings.Loaded, err error) {
	if err == nil {
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		key, text := "issuer", withoutPrefix(errors.New(line)) // which is what everything is about
		if parts := ofField.FindStringSubmatch(line); parts != nil {
			field := parts[2]
			if parts[1] == "pages" {
				field = "pages.Config." + field
			}
			if found := keyOf(l, s, field); found != "" {
				key, text = found, parts[3]
			}
		}
		l.Wrong(key, "%s", text)
	}
}

// keyOf returns the key of the setting that sets a field: of several, one that
// somebody has said.
func keyOf(l *settings.Loaded, v any, field string) string {
	var keys []string
	for _, setting := range settings.Of(v) {
		if setting.Go == field || strings.HasPrefix(setting.Go, field+".") || setting.Go != "" && strings.HasPrefix(field, setting.Go+".") {
			keys = append(keys, setting.Key)
		}
	}
	if len(keys) == 0 {
		return ""
	}
	return keys[max(slices.IndexFunc(keys, l.Said), 0)]
}

// interactive are the grants that people decide over.
var interactive = []string{"authorization_code", "device_code", "legacy_implicit"}

// asks reports whether people are asked for anything.
func (s *serverSettings) asks() bool {
	return s.Pages && (s.Grants == nil || slices.ContainsFunc(s.Grants, func(g string) bool { return slices.Contains(interactive, g) }))
}

// checkGrants finds contradictions.
func (s *serverSettings) checkGrants(l *settings.Loaded) {
	if s.Grants == nil {
		return
	}
	if len(s.Grants) == 0 {
		l.Wrong("grants", "has none in it, so nobody would get a token")
	}
	for _, g := range s.Grants {
		switch {
		case !s.Pages && (slices.Contains(interactive, g) || g == "legacy_password"):
			l.Wrong("grants", "has %s, for which people have to sign in (hint: pages: true)", g)
		case g == "refresh_token" && s.RefreshLife == 0:
			l.Wrong("grants", "has refresh_token, of which none are issued (hint: refresh_token_expire_seconds)")
		}
	}
	if l.Said("pages") && s.Pages && !s.asks() {
		l.Wrong("pages", "has no effect, as no grant asks people (hint: grants)")
	}
}

// grants returns those that are named, nil if none are; but not those for which
// there are no pages, as checkGrants has said, and not that of passwords, which
// needs the accounts.
func (s *serverSettings) grants() []authserver.Grant {
	if s.Grants == nil {
		return nil
	}
	list := []authserver.Grant{}
	for _, name := range s.Grants {
		switch {
		case name == "client_credentials":
			list = append(list, authserver.ClientCredentials())
		case name == "refresh_token":
			list = append(list, authserver.RefreshToken())
		case !s.Pages:
		case name == "authorization_code":
			list = append(list, authserver.AuthorizationCode())
		case name == "device_code":
			list = append(list, authserver.DeviceCode())
		case name == "legacy_implicit":
			list = append(list, authserver.LegacyImplicit())
		}
	}
	return list
}

// open returns the server on a store, and the handler with what people see of
// it.
func (s *serverSettings) open(config *authserver.Config, store authserver.Lister, record recordFunc) (*authserver.Server, http.Handler, error) {
	var site *pages.Site
	if s.asks() {
		var err error
		if site, err = s.site(config, store, record); err != nil {
			return nil, nil, err
		}
	}
	config.Grants = s.grants()
	if slices.Contains(s.Grants, "legacy_password") {
		accounts, err := accountsIn(store, s.hasher)
		if err != nil {
			return nil, nil, err
		}
		config.Grants = append(config.Grants, authserver.LegacyPassword(signInWith(accounts)))
	}
	server, err := authserver.New(*config)
	switch {
	case err != nil:
		return nil, nil, err
	case site == nil:
		return server, server, nil
	}
	return server, fromRoot(config.Issuer, site.Handler(server)), nil
}

// fromRoot sends whoever opens the URL of the issuer in a browser to their
// account: there is no other page for that.
func fromRoot(issuer string, next http.Handler) http.Handler {
	at := "/"
	if u, err := url.Parse(issuer); err == nil { // a proxy may leave the path away
		at = strings.TrimSuffix(u.Path, "/") + "/"
	}
	account := strings.TrimSuffix(issuer, "/") + "/account"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path := r.URL.Path; (r.Method == http.MethodGet || r.Method == http.MethodHead) && (path == "/" || path == at || path+"/" == at) {
			http.Redirect(w, r, account, http.StatusSeeOther)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// neverRotate keeps refresh tokens.
func neverRotate(context.Context, authserver.Record) bool { return false }
