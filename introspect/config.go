package introspect

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"time"
)

// Config describes an authority and how to ask it. Endpoint and Credential
// are required; the zero value of every other field is the safe choice.
type Config struct {
	// Endpoint is the URL of the introspection endpoint (RFC 7662, section
	// 2).
	Endpoint string
	// Failover are further endpoints of the same authority, which know the
	// same tokens and take the same credentials. They are asked, in their
	// order, if those before them have failed or take more than half of the
	// Timeout to begin with an answer.
	Failover []string
	// Issuer is the issuer identifier of the authority. If it is set, an
	// answer that names another is refused (RFC 7662, section 4).
	Issuer string
	// Credential proves who is asking. An authority that answers anybody is
	// a token oracle (RFC 7662, section 4), so there is always one.
	Credential Credential

	// TokenTypeHint is sent as token_type_hint, such as "access_token", if
	// it is set (RFC 7662, section 2.1).
	TokenTypeHint string
	// Parameters are added to the form, and Header to the header, of every
	// request.
	Parameters url.Values
	Header     http.Header

	// Timeout bounds one question in all, from the wait for its turn to the
	// last byte of the answer; 2 s if zero. The deadline of the asker counts
	// if it is sooner.
	Timeout time.Duration
	// Concurrency is how many questions may be with the authority at the
	// same time; 64 if zero. Others wait, first come first served, within
	// their Timeout.
	Concurrency int
	// Rate is how many questions per second may be asked, and Burst how many
	// at once; a question above it is refused without a call, so that a flood
	// of forged tokens does not reach the authority. There is no limit if
	// Rate is zero; Burst is as many as Rate gives in a second if zero.
	// Without a cache around the Client every request is a question.
	Rate  float64
	Burst int
	// BreakAfter is how many calls in a row must fail (no answer, none in
	// time, or a status of 500 and more) for an endpoint to be left alone for
	// a second, twice as long after each probe that fails too, 30 s at most;
	// 10 if zero, never if negative.
	BreakAfter int

	// Recognize looks at the form of a token before it is shown to the
	// authority; nil shows every [sneck.ValidToken]. See [Recognizer].
	Recognize Recognizer
	// InvalidTokenOn400 takes every answer with status 400 that does not
	// blame our credentials for a refusal of the token, which some old
	// authorities mean by it. Otherwise only the error codes invalid_token
	// and unsupported_token_type are taken so, and any other 400 is a fault,
	// as RFC 7662, section 2.2, has an authority answer 200 for a bad token.
	InvalidTokenOn400 bool
	// NotBeforeLeeway is how far the authority's clock may be ahead of ours
	// for a token that begins now ("nbf"); 5 s if zero, none if negative, 1
	// min at most. There is none for "exp".
	NotBeforeLeeway time.Duration
	// ExpZone is for an authority that sends in "exp" the reading of a clock
	// on its wall as if it were UTC; nil is UTC, as it should be (RFC 7519,
	// section 2). A reading that the zone has twice means the earlier moment.
	ExpZone *time.Location

	// TLS is the client side of TLS: roots, the client certificate. It must
	// not be given together with Transport. TLS 1.2 is the least in any case.
	TLS *tls.Config
	// Transport carries the requests; nil makes one that keeps a connection
	// for each of the concurrent questions, bounds the header of an answer
	// and uses no proxy.
	Transport http.RoundTripper
	// InsecureHTTP allows an endpoint with the http scheme on another host
	// than this one, where tokens and secrets can be read by anybody on the
	// way.
	InsecureHTTP bool

	// Logger is told about faults that somebody should look at, without
	// tokens and secrets; nil is silent.
	Logger *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// A Recognizer looks at a token and says whether to ask about it: nil to ask,
// an error that wraps [sneck.ErrUnrecognized] if it is another authority's,
// [sneck.ErrInvalid] if it can be nobody's. Any other error means that it
// could not find out. The error must not contain the token.
//
// It is called for every question, so it should cost little, and must be safe
// for concurrent use.
type Recognizer func(token string) error

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
		fault("Config.Endpoint is missing")
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
