package main

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/cmd/internal/settings"
	"github.com/sneckauth/sneck/scopes"
)

// config returns what the settings are for the server, without store, keys and
// pages. It reads the files that they name, and adds every mistake to l.
func (s *serverSettings) config(l *settings.Loaded) authserver.Config {
	c := authserver.Config{
		AccessTokenTTL: s.Life, AccessTokenFormat: authserver.TokenFormat(s.Format), Audience: s.Audience,
		AuthorizationCodeTTL: s.CodeLife, DeviceCodeTTL: s.DeviceLife,
		InsecureAllowPlainPKCE: s.PlainPKCE, RedirectSchemes: s.RedirectSchemes, InsecureHTTPRedirects: s.HTTPRedirects,
		RefreshTokenIdle: s.RefreshIdle, RefreshGrace: s.Grace, DefaultScopes: s.DefaultScopes,
		Sweep:         authserver.Sweep{Interval: s.SweepInterval, BatchSize: s.SweepBatch, Pause: max(s.SweepPause, 1), Retain: max(s.SweepRetain, 1)},
		AuditRequired: s.AuditRequired, ObserveIntrospections: s.AuditAsked,
	}
	s.reach(l, &c)
	s.records(l)
	s.tokens(&c)
	s.refresh(&c)
	c.Scopes = s.backend(l)
	s.clients(l, &c)
	s.bindings(l, &c)
	s.limits(l, &c)
	s.keys(l)
	s.passwords(l)
	s.checkPages(l)
	s.adminSettings.check(l)
	if s.SweepBatch > authserver.MaxSweepBatch {
		l.Wrong("clear_expired_tokens_batch_size", "is more than %d", authserver.MaxSweepBatch)
	}
	return c
}

// checkData refuses a password in a file, which is for more people to read.
func (s *serverSettings) checkData(l *settings.Loaded) {
	if l.InFile("data") && hasPassword(s.Data) {
		l.Wrong("data", "has a password in it (hint: PGPASSWORD, or a passfile)")
	}
}

// reach checks where the server is, and from where it is asked.
func (s *serverSettings) reach(l *settings.Loaded, c *authserver.Config) {
	if s.Data == "" {
		l.Missing("data", "DIR")
	}
	s.checkData(l)
	c.Issuer = s.Issuer
	host, _, err := net.SplitHostPort(s.Listen)
	switch {
	case err != nil:
		l.Wrong("listen", "%q is not an address (hint: host:port, such as 127.0.0.1:8080)", s.Listen)
	case s.Issuer == "" && !isLoopback(host):
		l.Wrong("issuer", "is missing, and %s is not an address of this machine only (hint: the URL under which clients reach the server, such as --issuer https://auth.example.com)", s.Listen)
	}
	if c.Issuer == "" {
		c.Issuer = "http://localhost" // until the port is known
	}
	c.Proxies.Header = s.ProxyHeader
	for _, text := range s.TrustedProxies {
		prefix, err := parsePrefix(text)
		if err != nil {
			l.Wrong("trusted_proxies", "%q is neither an address nor a prefix (hint: such as 127.0.0.1 or 10.0.0.0/8)", text)
			continue
		}
		c.Proxies.Trusted = append(c.Proxies.Trusted, prefix)
	}
	if l.Said("trusted_proxy_header") && len(s.TrustedProxies) == 0 {
		l.Wrong("trusted_proxy_header", "has no effect without proxies that are trusted (hint: trusted_proxies)")
	}
	if s.Decoder == "json" {
		c.Decoder = authserver.DecodeJSON
	}
}

// parsePrefix reads an address or a prefix of a network.
func parsePrefix(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		return address.Prefix(address.BitLen())
	}
	return netip.ParsePrefix(text)
}

func (s *serverSettings) records(l *settings.Loaded) {
	for key, said := range map[string]bool{"audit_required": s.AuditRequired, "audit_introspections": s.AuditAsked} {
		if said && s.Audit == "" {
			l.Wrong(key, "has no effect without an audit log (hint: --audit FILE)")
		}
	}
}

func (s *serverSettings) tokens(c *authserver.Config) {
	c.AccessToken, c.RecognizeToken = s.Generator.token()
	if !s.PKCE {
		c.PKCERequired = func(string) bool { return false }
	}
	if s.Prompt == "auto" {
		c.ApprovalPrompt = authserver.PromptAuto
	}
}

func (s *serverSettings) refresh(c *authserver.Config) {
	c.RefreshToken, _ = s.RefreshGenerator.token()
	switch s.RefreshLife {
	case 0:
		c.RefreshTokenTTL = authserver.NoRefreshTokens
	default:
		c.RefreshTokenTTL = s.RefreshLife // forever is authserver.Never
	}
	if !s.Rotate {
		c.RotateRefreshToken = neverRotate
	}
	if !s.ReuseProtection {
		c.RefreshReuse = authserver.InsecureRefuseOnly
	}
}

// backend returns where scopes come from.
func (s *serverSettings) backend(l *settings.Loaded) scopes.Backend {
	var list []scopes.Described
	for _, t := range s.Scopes {
		list = append(list, scopes.Described{Name: t.Name, Text: t.Text})
	}
	if err := scopes.CheckDescribed(list); err != nil {
		l.Wrong("scopes", "%s", withoutPrefix(err))
		list = nil
	}
	if s.ScopeBackend != "static" {
		for _, key := range []string{"read_scope", "write_scope"} {
			if l.Said(key) {
				l.Wrong(key, "has no effect, as clients have the scopes that they are registered with (hint: scopes_backend: static)")
			}
		}
		return registeredScopes{list}
	}
	static := scopes.Static{List: list, Read: s.ReadScope, Write: s.WriteScope}
	for key, name := range map[string]string{"read_scope": s.ReadScope, "write_scope": s.WriteScope} {
		switch {
		case scopes.Check(name) != nil:
			l.Wrong(key, "%q is no scope", name)
		case l.Said(key) && list != nil && !slices.ContainsFunc(list, func(d scopes.Described) bool { return d.Name == name }):
			l.Wrong(key, "%q is not among the scopes", name)
		}
	}
	return static
}

// clients sets what is about clients and their secrets.
func (s *serverSettings) clients(l *settings.Loaded, c *authserver.Config) {
	c.ClientID = s.IDGenerator.text()
	if s.IDGenerator == checksummed {
		l.Wrong("client_id_generator", "is for tokens (hint: such as base62-32)")
	}
	c.ClientSecretLength = s.SecretLength
	if least := minRandom[s.SecretGenerator]; s.SecretGenerator != "base62" {
		if s.SecretLength < least {
			l.Wrong("client_secret_generator_length", "is less than %d, which have 128 random bits", least)
		}
		c.ClientSecret = func() string { return randomText(alphabets[s.SecretGenerator], s.SecretLength) }
	}
	c.SecretPeppers = s.keyFile(l, "client_secret_peppers_file", s.PeppersFile)
	var err error
	if c.Sealer, err = readSealer(s.SealingKeyFile); err != nil && !s.gone(err) {
		l.Wrong("sealing_key_file", "%v", withoutPrefix(err))
	}
}

// withoutPrefix returns what an error of a package says, in one line.
func withoutPrefix(err error) string {
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		for _, name := range []string{"authserver: ", "scopes: ", "redis: ", "pages: "} {
			line = strings.TrimPrefix(line, name)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}

// mistakenError says what is wrong with the settings, a line for each mistake.
func mistakenError(mistakes error) error { return &exitError{exitUsage, mistakes} }
