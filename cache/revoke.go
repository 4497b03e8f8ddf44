package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sneckauth/sneck"
)

// A Revocation names tokens by exactly one of Subject, ClientID, TokenID and
// Token.
type Revocation struct {
	// Issuer limits Subject, ClientID and TokenID to the tokens of one
	// authority; empty means of any. Tokens whose issuer is not known match
	// every Issuer.
	Issuer string

	Subject  string // all tokens of a resource owner ("sub")
	ClientID string // all tokens of a client ("client_id")
	TokenID  string // the token with this identifier ("jti")
	Token    string // the token itself

	// Before voids only what was asked about before it; zero, or a moment in
	// the future, means now.
	Before time.Time
}

// Revoke makes every remembered answer void that matches r and was asked for
// before r.Before: the next request asks anew. It holds for questions that
// are under way, and for other processes that share a [Bus].
//
// This process obeys at once, whatever is returned: the error says that r is
// malformed, or that the others could not be told.
func (c *Cache) Revoke(ctx context.Context, r Revocation) error {
	n, err := c.notice(r)
	if err != nil {
		return err
	}
	c.apply(n, r.Before)
	if err := c.send(ctx, n); err != nil {
		return fmt.Errorf("cache: revoked in this process only: %w", err)
	}
	return nil
}

// Forget makes this process ask anew about the token. Unlike [Cache.Revoke]
// it tells no other.
func (c *Cache) Forget(token string) {
	if n, err := c.notice(Revocation{Token: token}); err == nil {
		c.apply(n, time.Time{})
	}
}

// A notice is a Revocation as it travels: the token is named by a hash. One
// that names nothing is a greeting, by which a process finds out that it has
// received all from before it.
type notice struct {
	Issuer, Subject, ClientID, TokenID, Ref string
	Origin                                  uint64
}

func (n notice) greets() bool { return n == notice{Origin: n.Origin} }

func (c *Cache) notice(r Revocation) (notice, error) {
	n := notice{Issuer: r.Issuer, Subject: r.Subject, ClientID: r.ClientID, TokenID: r.TokenID, Origin: c.origin}
	named := 0
	for _, s := range []string{r.Subject, r.ClientID, r.TokenID, r.Token} {
		if s != "" {
			named++
		}
	}
	if named != 1 {
		return n, fmt.Errorf("cache: a revocation names %d of Subject, ClientID, TokenID and Token (hint: name exactly one)", named)
	}
	if r.Token != "" {
		if len(r.Token) > sneck.MaxTokenBytes {
			return n, errors.New("cache: the token to revoke is too long to be one")
		}
		n.Ref = c.ref(c.tagger.tag(r.Token), r.Token)
	}
	return n, nil
}

// apply sets the watermark.
func (c *Cache) apply(n notice, before time.Time) {
	c.counters.revocations.Add(1)
	now := c.clock()
	limit := now.mono
	if !before.IsZero() {
		limit -= int64(max(time.Unix(0, now.wall).Sub(before), 0))
	}
	m := mark{issuer: n.Issuer}
	switch {
	case n.Ref != "":
		m = mark{markToken, "", n.Ref}
	case n.Subject != "":
		m.kind, m.value = markSubject, n.Subject
	case n.ClientID != "":
		m.kind, m.value = markClient, n.ClientID
	default:
		m.kind, m.value = markID, n.TokenID
	}
	c.marks.add(m, limit, now.mono)
}

// send tells the other processes.
func (c *Cache) send(ctx context.Context, n notice) error {
	if c.sealer == nil || c.cfg.Shared.Bus == nil {
		return nil
	}
	message, err := c.sealer.sealMessage(n)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Shared.Timeout)
	defer cancel()
	if err := c.cfg.Shared.Bus.Publish(ctx, message); err != nil {
		c.counters.sharedErrors.Add(1)
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

// publish is send for what this process found out by itself.
func (c *Cache) publish(n notice) {
	n.Origin = c.origin
	if err := c.send(c.ctx, n); err != nil {
		c.cfg.Logger.Warn("could not spread a refusal", "error", err)
	}
}

// listen applies what other processes revoke. The time that counts is that of
// arrival, by this process's own clock: the message is as old at least.
func (c *Cache) listen() {
	defer c.flights.group.Done()
	receive := func(message []byte) {
		n, ok := c.sealer.openMessage(message)
		if !ok {
			c.counters.sharedForged.Add(1)
			return
		}
		switch {
		case n.greets() && n.Origin == c.origin:
			c.present.Store(true)
		case !n.greets() && n.Origin != c.origin:
			c.apply(n, time.Time{})
		}
	}
	lost := func() { c.marks.addAll(c.clock().mono) }
	if err := c.cfg.Shared.Bus.Subscribe(c.ctx, receive, lost); err != nil && c.ctx.Err() == nil {
		c.cfg.Logger.Error("revocations of other processes do not arrive", "error", err)
	}
}

// greet sends a greeting until one has come back through the bus.
func (c *Cache) greet() {
	defer c.flights.group.Done()
	for pause := firstGreeting; !c.present.Load(); pause = min(2*pause, lastGreeting) {
		if err := c.send(c.ctx, notice{Origin: c.origin}); err != nil && c.ctx.Err() == nil {
			c.cfg.Logger.Warn("the bus can not be joined yet; answers of other processes are not used", "error", err)
		}
		select {
		case <-c.ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// Within the pause after it a greeting usually is back.
const firstGreeting, lastGreeting = 50 * time.Millisecond, 5 * time.Second
