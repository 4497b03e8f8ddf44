package main

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/adapter/yaml"
	"github.com/sneckauth/sneck/cmd/internal/proxy"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// guardTable is what requests demand, by their routes.
type guardTable interface {
	Check(*http.Request) middleware.Decision
	Wrap(http.Handler) http.Handler
}

// guard returns who decides, or nil after a mistake.
func (b *guardBuilder) guard(v sneck.Verifier, share *guardShare, proxies []netip.Prefix) *middleware.Guard {
	cfg := middleware.Config{
		Verifier: v, Audience: b.Audience, DangerouslyAnyAudience: b.DangerouslyAnyone,
		DPoP: b.dpop(share), MTLS: middleware.MTLS{Mode: middleware.Mode(b.MTLS), Header: b.MTLSHeader},
		Metadata: b.metadata(), AllowPreflight: b.AllowPreflight, Realm: b.Realm, RetryAfter: b.RetryAfter,
		ErrorWithScopes: b.ErrorWithScopes, ScopesInChallenges: b.ScopesInChallenges,
		Logger: b.logger, Observe: proxy.Observe,
	}
	if b.MTLSHeader != "" {
		cfg.MTLS.TrustedProxies = proxies
	}
	if b.metrics != nil {
		cfg.Observe = b.metrics.observe
	}
	g, err := middleware.New(cfg)
	b.locate(err, "audience")
	return g
}

// metadata tells clients where to get tokens, or returns nil.
func (b *guardBuilder) metadata() *middleware.Metadata {
	if b.Resource == "" {
		b.useless("without metadata_resource", map[string]bool{
			"metadata_authorization_servers": b.Servers != nil, "metadata_scopes": b.Scopes != nil,
			"metadata_name": b.Name != "", "metadata_documentation": b.Documentation != "",
		})
		return nil
	}
	servers := b.Servers
	if servers == nil && b.Issuer != "" {
		servers = []string{b.Issuer}
	}
	return &middleware.Metadata{
		Resource: b.Resource, AuthorizationServers: servers, Scopes: b.Scopes, Name: b.Name, Documentation: b.Documentation,
	}
}

// table returns what requests demand, and the file that it follows if there is
// one. Both are nil after a mistake, of which those in the file itself are the
// error.
func (b *guardBuilder) table(g *middleware.Guard) (guardTable, *yaml.File, error) {
	if b.RoutesFile == "" {
		req := scopes.ReadWrite{Read: b.ReadScope, Write: b.WriteScope}.Required()
		if b.AnyToken {
			req = scopes.AnyToken()
		}
		if err := req.Check(); err != nil {
			b.locate(err, "read_scope")
			return nil, nil, nil
		}
		if g == nil {
			return nil, nil, nil
		}
		rules, err := g.Routes([]middleware.Route{{Pattern: "/", Policy: middleware.Policy{Scopes: req}}})
		if err != nil {
			b.locate(err, "read_scope")
			return nil, nil, nil
		}
		return rules, nil, nil
	}
	defaults := newGuardSettings()
	b.useless("beside routes_file, where each route says what it demands", map[string]bool{
		"read_scope": b.ReadScope != defaults.ReadScope, "write_scope": b.WriteScope != defaults.WriteScope, "any_token": b.AnyToken,
	})
	if g == nil { // what does not depend on it is worth knowing all the same
		data, err := os.ReadFile(b.RoutesFile)
		if err == nil {
			_, err = yaml.Parse(b.RoutesFile, data)
		}
		return nil, nil, b.inRoutes(err)
	}
	file, err := yaml.Open(g, b.RoutesFile, b.logger)
	if err != nil {
		return nil, nil, b.inRoutes(err)
	}
	return file, file, nil
}

// inRoutes returns the mistakes in the file with routes. That there is no such
// file is one in the setting that names it.
func (b *guardBuilder) inRoutes(err error) error {
	var mistake *yaml.Mistake
	if err == nil || errors.As(err, &mistake) {
		return err
	}
	b.wrong("can not be read: "+err.Error(), "routes_file")
	return nil
}

// trusted returns the proxies in front.
func (b *guardBuilder) trusted() []netip.Prefix {
	var prefixes []netip.Prefix
	for _, text := range b.Proxies {
		prefix, err := netip.ParsePrefix(text)
		if address, addressErr := netip.ParseAddr(text); addressErr == nil {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		switch {
		case err != nil:
			b.wrong(strconv.Quote(text)+" is neither an address nor a prefix (hint: such as 127.0.0.1 or 10.0.0.0/8)", "trusted_proxies")
		case prefix.Bits() == 0:
			b.wrong(text+" is everybody: then anybody may say who asks for what (hint: name the proxies)", "trusted_proxies")
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes
}

// upstream returns where requests go; nil after a mistake.
func (b *guardBuilder) upstream() *url.URL {
	u, err := url.Parse(b.Upstream)
	if err == nil {
		err = proxy.CheckUpstream(u)
	} else {
		err = errors.New("is no URL")
	}
	if err != nil {
		b.wrong(err.Error(), "upstream")
		return nil
	}
	return u
}
