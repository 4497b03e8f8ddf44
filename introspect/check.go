package introspect

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/textproto"
	"net/url"
	"slices"
	"time"
)

const (
	defaultTimeout     = 2 * time.Second
	defaultConcurrency = 64
	defaultLeeway      = 5 * time.Second
	maxLeeway          = time.Minute
	minRate, maxRate   = 0.001, 1e6
)

// reserved form parameters and headers belong to the protocol.
var (
	reservedParameters = []string{"token", "token_type_hint", "client_id", "client_secret", "client_assertion", "client_assertion_type"}
	reservedHeaders    = []string{"Authorization", "Accept", "Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Cookie", "Expect", "Host", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}
)

// check returns every mistake.
func (cfg *Config) check() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("introspect: "+format, args...)) }

	if cfg.Endpoint == "" {
		errs = append(errs, cfg.checkIssuer())
	} else if _, err := parseURL(cfg.Endpoint, cfg.InsecureHTTP); err != nil {
		fault("Config.Endpoint %w", err)
	}
	for i, raw := range cfg.Failover {
		if _, err := parseURL(raw, cfg.InsecureHTTP); err != nil {
			fault("Config.Failover[%d] %w", i, err)
		}
	}
	if cfg.Credential == nil {
		fault("Config.Credential is missing (hint: Basic(id, secret) or Bearer(token))")
	} else if c, ok := cfg.Credential.(checker); ok {
		errs = append(errs, c.check(cfg))
	}
	if cfg.Signed != nil {
		errs = append(errs, cfg.Signed.check(cfg))
		if cfg.Endpoint != "" && cfg.Signed.JWKS == "" {
			errs = append(errs, cfg.checkIssuer())
		}
	}
	for name := range cfg.Parameters {
		if slices.Contains(reservedParameters, name) {
			fault("Config.Parameters must not set %q", name)
		}
	}
	for name := range cfg.Header {
		if slices.Contains(reservedHeaders, textproto.CanonicalMIMEHeaderKey(name)) {
			fault("Config.Header must not set %q", name)
		}
	}
	if cfg.Timeout < 0 {
		fault("Config.Timeout is negative")
	}
	if cfg.Concurrency < 0 {
		fault("Config.Concurrency is negative")
	}
	if cfg.Rate != 0 && !(cfg.Rate >= minRate && cfg.Rate <= maxRate) {
		fault("Config.Rate is not between %g and %g", minRate, maxRate)
	}
	if cfg.Burst < 0 || cfg.Burst > maxRate {
		fault("Config.Burst is not between 0 and %g", maxRate)
	}
	if cfg.NotBeforeLeeway > maxLeeway {
		fault("Config.NotBeforeLeeway is more than %v", maxLeeway)
	}
	if cfg.TLS != nil && cfg.Transport != nil {
		fault("Config.TLS has no effect on Config.Transport (hint: set only one)")
	}
	return errors.Join(errs...)
}

// checkIssuer returns the mistakes of an issuer whose metadata are needed.
func (cfg *Config) checkIssuer() error {
	if cfg.Issuer == "" {
		return errors.New("introspect: Config.Endpoint is missing (hint: or Config.Issuer, to discover it)")
	}
	u, err := parseURL(cfg.Issuer, cfg.InsecureHTTP)
	if err != nil {
		return fmt.Errorf("introspect: Config.Issuer %w", err)
	}
	if u.RawQuery != "" || u.ForceQuery {
		return errors.New("introspect: Config.Issuer must not have a query")
	}
	if len(cfg.Failover) > 0 && cfg.Endpoint == "" {
		return errors.New("introspect: Config.Failover needs Config.Endpoint")
	}
	return nil
}

// endpoints returns the configured ones.
func (cfg *Config) endpoints() []string {
	if cfg.Endpoint == "" {
		return nil
	}
	return append([]string{cfg.Endpoint}, cfg.Failover...)
}

func (cfg *Config) mediaType() string {
	if cfg.Signed != nil {
		return signedType
	}
	return "application/json"
}

// A checker is a credential that can find its own mistakes before it is used.
type checker interface{ check(*Config) error }

// parseURL returns an absolute URL that tokens and secrets may be sent to.
func parseURL(raw string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("is not a URL")
	case u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("is not an absolute URL")
	case u.User != nil:
		return nil, errors.New("must not hold credentials (hint: they go into Config.Credential)")
	case u.Fragment != "":
		return nil, errors.New("must not have a fragment")
	case u.Scheme == "https", u.Scheme == "http" && (insecure || loopback(u.Hostname())):
		return u, nil
	case u.Scheme == "http":
		return nil, errors.New("must begin with https:// (hint: plain http is for this host only, unless InsecureHTTP is set)")
	}
	return nil, errors.New("must begin with https://")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (cfg *Config) timeout() time.Duration {
	if cfg.Timeout == 0 {
		return defaultTimeout
	}
	return cfg.Timeout
}

func (cfg *Config) concurrency() int {
	if cfg.Concurrency == 0 {
		return defaultConcurrency
	}
	return cfg.Concurrency
}

func (cfg *Config) burst() int {
	if cfg.Burst == 0 {
		return int(math.Ceil(cfg.Rate))
	}
	return cfg.Burst
}

func (cfg *Config) breakAfter() int {
	if cfg.BreakAfter == 0 {
		return defaultBreakAfter
	}
	return cfg.BreakAfter
}

func (cfg *Config) leeway() time.Duration {
	if cfg.NotBeforeLeeway == 0 {
		return defaultLeeway
	}
	return max(cfg.NotBeforeLeeway, 0)
}

func (cfg *Config) clock() func() time.Time {
	if cfg.Now == nil {
		return time.Now
	}
	return cfg.Now
}
