package cache

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// fromShared returns a usable verdict of the shared tier whose question was
// asked after since, or nil.
func (c *Cache) fromShared(ctx context.Context, token, ref string, since int64) *verdict {
	if c.sealer == nil {
		return nil
	}
	if !c.informed(c.clock()) {
		c.counters.sharedBehind.Add(1)
		return nil
	}
	var sealed []byte
	if !c.shared(ctx, func(ctx context.Context) (err error) {
		sealed, err = c.cfg.Shared.Store.Get(ctx, c.sealer.key(ref))
		return err
	}) || sealed == nil {
		return nil
	}
	now := c.clock()
	v, err := c.sealer.open(token, ref, sealed, now)
	if err != nil {
		if errors.Is(err, errForged) {
			c.counters.sharedForged.Add(1)
		}
		return nil
	}
	v.hard = min(v.hard, c.limit(v))
	if v.asked.mono <= since || !v.fresh(now, forever) || !c.informed(now) || !c.marks.pass(v) {
		return nil
	}
	c.counters.sharedHits.Add(1)
	return v
}

// toShared shares a verdict that was asked for here.
func (c *Cache) toShared(token string, v *verdict) {
	if c.sealer == nil || v.imported {
		return
	}
	sealed, err := c.sealer.close(token, v)
	if err != nil || len(sealed) > maxSealed {
		return
	}
	ttl := v.hard - c.clock().since(v.asked)
	if ttl < time.Second {
		return
	}
	c.shared(c.ctx, func(ctx context.Context) error {
		return c.cfg.Shared.Store.Set(ctx, c.sealer.key(v.ref), sealed, ttl)
	})
}

// dropShared removes a verdict that turned out void.
func (c *Cache) dropShared(ref string) {
	c.shared(c.ctx, func(ctx context.Context) error {
		return c.cfg.Shared.Store.Delete(ctx, c.sealer.key(ref))
	})
}

// shared runs one operation on the shared tier within its own deadline, and
// reports whether it succeeded. What fails is counted and logged, and after a
// few failures not tried for a while.
func (c *Cache) shared(ctx context.Context, op func(context.Context) error) bool {
	if c.sealer == nil {
		return false
	}
	if !c.breaker.allow(c.clock().mono) {
		c.counters.sharedSkipped.Add(1)
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Shared.Timeout)
	defer cancel()
	err := attempt(ctx, op)
	c.breaker.report(c.clock().mono, err)
	if err != nil {
		c.counters.sharedErrors.Add(1)
		c.cfg.Logger.Warn("the shared cache failed; going on without it", "error", err)
		return false
	}
	return true
}

// attempt turns a panic of the shared tier into an error: it is no reason to end
// the process, as it would in the background.
func attempt(ctx context.Context, op func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("cache: the shared tier panicked: %s", panicked(r))
		}
	}()
	return op(ctx)
}
