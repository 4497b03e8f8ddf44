package cache

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// A Bus carries revocations between processes, and remembers the recent ones
// for those who were cut off and those who start later. Package cachetest has
// the conformance kit.
//
// Methods return soon after ctx is done and are safe for concurrent use.
type Bus interface {
	// Publish sends a message to every subscriber: those that are cut off at
	// the moment, and those that join within the Retention, included.
	Publish(ctx context.Context, message []byte) error
	// Subscribe tells s what the Bus carries until ctx is done. It mends lost
	// connections itself and then delivers what was missed. It returns an
	// error only if it can never succeed.
	Subscribe(ctx context.Context, s Subscriber) error
	// Retention is how long a message is remembered, unless an accident comes
	// in between.
	Retention() time.Duration
}

// A Subscriber is told what a [Bus] carries. A Bus calls its functions one at
// a time. None of them may be nil.
type Subscriber struct {
	// Receive is called for every message, those of before Subscribe that the
	// Bus remembers included, in any order, and maybe twice.
	Receive func(message []byte)
	// Current says that Receive was called for every message that was
	// published after since, up to the time of the call but for what the
	// network is just carrying: at the first call, for every message whose
	// Publish returned before Subscribe was called.
	//
	// A Bus calls it as soon as it is true, and again every two seconds at
	// the latest while it stays true. Where messages may have been lost,
	// since rises beyond the loss; a Bus that remembers nothing begins with
	// the moment of joining, and one that has forgotten nothing with the zero
	// time. What was asked about before since counts for nothing from then
	// on, so what the Bus forgot before its time costs questions.
	Current func(since time.Time)
	// Behind says that messages do not arrive for the moment. The next call
	// of Current ends that.
	Behind func()
}

// busLease is how long after a call of Current this process counts as
// informed. It covers what a Bus does not notice itself: a connection that
// hangs, and a machine that was asleep.
const busLease = 5 * time.Second

// A link is what this process knows about its Bus.
type link struct {
	heard atomic.Pointer[moment] // the last call of Current; nil while behind
	since time.Time              // the last that Current was called with
}

// informed reports whether revocations arrive, those from before the start of
// this process included. While they do not, an answer of the shared tier may be
// one that every other process knows to be void.
func (c *Cache) informed(now moment) bool {
	if c.sealer == nil {
		return false
	}
	if c.cfg.Shared.Bus == nil {
		return true
	}
	heard := c.link.heard.Load()
	return heard != nil && now.since(*heard) < busLease
}

// listen applies what other processes revoke. The time that counts is that of
// arrival, by this process's own clock: the message is as old at least.
func (c *Cache) listen() {
	defer c.flights.group.Done()
	err := c.cfg.Shared.Bus.Subscribe(c.ctx, Subscriber{
		Receive: c.receive,
		Current: c.current,
		Behind:  func() { c.link.heard.Store(nil) },
	})
	c.link.heard.Store(nil)
	if err != nil && c.ctx.Err() == nil {
		c.cfg.Logger.Error("revocations of other processes do not arrive", "error", err)
	}
}

func (c *Cache) receive(message []byte) {
	n, ok := c.sealer.openMessage(message)
	if !ok {
		c.counters.sharedForged.Add(1)
		return
	}
	if n.Origin != c.origin {
		c.apply(n, time.Time{})
	}
}

func (c *Cache) current(since time.Time) {
	now := c.clock()
	if since.After(c.link.since) {
		c.link.since = since
		c.marks.addAll(now.mono-int64(max(time.Since(since), 0)), now.mono)
	}
	c.link.heard.Store(&now)
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
	publish := func(ctx context.Context) error { return c.cfg.Shared.Bus.Publish(ctx, message) }
	if err := attempt(ctx, publish); err != nil {
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
