package introspect

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/jws"
)

// A Client asks one authority about tokens. It is a [sneck.Verifier], safe
// for concurrent use. Make one with [New], and keep it: it owns connections.
type Client struct {
	cfg     Config
	timeout time.Duration
	leeway  time.Duration
	now     func() time.Time
	log     *slog.Logger

	// Whom to ask.
	static     []*endpoint      // as configured
	authority  fresh[authority] // or as discovered
	discovered []*endpoint      // belongs to the fetch of authority
	keys       fresh[[]jws.Key]

	// How to ask.
	header  http.Header // of every question, without the proof
	http    *http.Client
	fetcher fetcher
	idle    func() // closes idle connections

	// Whether to ask.
	turns  chan struct{} // blocked senders are served in their order
	rate   rate
	budget budget

	counters         counters
	credentialsAlarm alarm
	discoveryAlarm   alarm
}

var _ sneck.Verifier = (*Client)(nil)

// New returns a Client, or every mistake in the configuration. It does not
// talk to the authority.
func New(cfg Config) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c := &Client{
		cfg:     cfg,
		timeout: cfg.timeout(),
		leeway:  cfg.leeway(),
		now:     cfg.clock(),
		log:     cfg.Logger,
		turns:   make(chan struct{}, cfg.concurrency()),
		rate:    newRate(cfg.Rate, cfg.burst()),
		idle:    func() {},
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	for _, raw := range cfg.endpoints() {
		u, _ := parseURL(raw, cfg.InsecureHTTP)
		c.static = append(c.static, newEndpoint(u, cfg.breakAfter()))
	}
	c.cfg.Parameters = cloneValues(cfg.Parameters)
	if cfg.Signed != nil {
		signed := *cfg.Signed
		signed.Algorithms = slices.Clone(signed.Algorithms)
		c.cfg.Signed = &signed
	}
	c.header = cfg.Header.Clone()
	if c.header == nil {
		c.header = http.Header{}
	}
	c.header.Set("Accept", cfg.mediaType())
	c.header.Set("Accept-Encoding", "identity")
	c.header.Set("Content-Type", "application/x-www-form-urlencoded")

	transport := cfg.Transport
	if transport == nil {
		own := newTransport(cfg.TLS, cfg.concurrency())
		transport, c.idle = own, own.CloseIdleConnections
	}
	if cfg.WrapTransport != nil {
		transport = cfg.WrapTransport(transport)
	}
	w := wire{next: transport, tries: &c.counters.tries}
	if len(c.static) > 1 {
		w.patience = c.timeout / 2
	}
	c.http = newHTTPClient(w)
	c.fetcher = newFetcher(transport)
	c.authority = fresh[authority]{fetch: c.discover, timeout: fetchTimeout, now: c.now}
	c.keys = fresh[[]jws.Key]{fetch: c.fetchKeys, timeout: fetchTimeout, settle: unknownPause, now: c.now}
	return c, nil
}

func cloneValues(values url.Values) url.Values {
	return url.Values(http.Header(values).Clone())
}

// Close ends what the Client does in the background and closes idle
// connections. Questions in progress are not disturbed.
func (c *Client) Close() error {
	c.keys.close()
	c.authority.close()
	c.idle()
	return nil
}

// Verify asks the authority about the token, or refuses it without a call if
// it is not a [sneck.ValidToken] or [Config.Recognize] says so. It returns
// within [Config.Timeout], with a Token that is active, within its times, and
// of the configured issuer, or with one of the three kinds of "no". The
// VerifiedAt of the Token is when Verify was called, before the question was
// sent. If the answer has no "iss", its Issuer is the configured one.
func (c *Client) Verify(ctx context.Context, token string) (*sneck.Token, error) {
	t, err := c.verify(ctx, token)
	n := &c.counters
	switch {
	case err == nil:
		n.active.Add(1)
	case errors.Is(err, errMalformed):
		n.malformed.Add(1)
	case errors.Is(err, sneck.ErrUnrecognized):
		n.unrecognized.Add(1)
	case errors.Is(err, sneck.ErrInvalid):
		n.invalid.Add(1)
	case ctx.Err() != nil:
		n.withdrawn.Add(1)
	default:
		n.unavailable.Add(1)
		if errors.Is(err, context.DeadlineExceeded) {
			n.timeouts.Add(1)
		}
	}
	return t, err
}

func (c *Client) verify(ctx context.Context, token string) (*sneck.Token, error) {
	if !sneck.ValidToken(token) {
		return nil, errMalformed
	}
	asked := c.now()
	if err := c.recognize(token); err != nil {
		return nil, err
	}
	if !sneck.Known(ctx) {
		if wait := c.rate.take(asked); wait > 0 {
			c.counters.limited.Add(1)
			return nil, unavailable(wait, errRate)
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, errDeadline)
	defer cancel()
	select {
	case c.turns <- struct{}{}:
		defer func() { <-c.turns }()
	case <-ctx.Done():
		return nil, unavailable(0, describe(ctx.Err()))
	}
	body, err := c.ask(ctx, token)
	if err != nil {
		return nil, err
	}
	if c.cfg.Signed != nil {
		if body, err = c.open(ctx, body, asked); err != nil {
			return nil, err
		}
	}
	return c.read(body, asked)
}

var errRate = &exchangeError{"more questions than Config.Rate allows", nil}

// recognize asks Config.Recognize, whose "no" is counted as malformed unless
// the token is another's.
func (c *Client) recognize(token string) error {
	if c.cfg.Recognize == nil {
		return nil
	}
	err := c.cfg.Recognize(token)
	switch {
	case err == nil, errors.Is(err, sneck.ErrUnrecognized):
		return err
	case errors.Is(err, sneck.ErrInvalid):
		return &malformed{err}
	}
	return unavailable(0, err)
}

// A malformed error is a Recognizer's ErrInvalid.
type malformed struct{ error }

func (e *malformed) Unwrap() error        { return e.error }
func (e *malformed) Is(target error) bool { return target == errMalformed }
