//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A race measures servers, each in turns with the empty handler.
type race struct {
	*compareCommand
	b     *bench
	floor *target
	rows  []row
}

// A total is what somebody has done in all of their turns.
type total struct {
	window
	usage
}

// measure adds the rows of an endpoint: for each number of connections that of
// the empty handler, which is sent the very same, and that of the server; for
// JWTs also that of a signature, without which there is none.
func (r *race) measure(ctx context.Context, t *target, endpoint string, requests [][]byte, expect string) error {
	for _, n := range r.Connections {
		r.b.say("%s, %s, %d connections", t.name, endpoint, n)
		l := load{connections: n, requests: requests}
		floor, own := row{Target: r.floor.name}, row{Target: t.name, Goal: goals[[2]string{t.name, endpoint}]}
		alone := row{Target: "signature alone"}
		var floorSum, ownSum, aloneSum total
		for range r.Turns {
			l.expect = nil
			err := r.turn(ctx, r.floor, l, &floorSum)
			if err == nil {
				l.expect = []byte(expect)
				err = r.turn(ctx, t, l, &ownSum)
			}
			if err == nil && endpoint == endpointJWT {
				err = signFor(r.Time/time.Duration(r.Turns)/10, &aloneSum)
			}
			if err != nil {
				return fmt.Errorf("%s, %s: %w", t.name, endpoint, err)
			}
		}
		floor.fill(floorSum, floorSum)
		own.fill(ownSum, floorSum)
		rows := []*row{&floor, &own}
		if endpoint == endpointJWT {
			alone.fill(aloneSum, floorSum)
			rows = []*row{&floor, &alone, &own}
		}
		var err error
		if own.ServerMemory, own.DatabaseMemory, err = t.memory(); err == nil {
			floor.ServerMemory, _, err = r.floor.memory()
		}
		if err != nil {
			return err
		}
		for _, row := range rows {
			row.Endpoint, row.Connections = endpoint, n
			r.rows = append(r.rows, *row)
		}
	}
	return nil
}

// fill puts down what was done, and what it cost by the empty handler.
func (r *row) fill(did, floor total) {
	each := func(t total) (server, database float64) {
		n := float64(t.requests())
		return float64(t.server.Microseconds()) / n, float64(t.database.Microseconds()) / n
	}
	r.PerSecond, r.P50, r.P99 = did.perSecond(), millis(did.percentile(50)), millis(did.percentile(99))
	r.ServerCPU, r.DatabaseCPU = each(did)
	base, _ := each(floor)
	r.Ratio = (r.ServerCPU + r.DatabaseCPU) / base
}

// turn adds what a server does in one part of the time.
func (r *race) turn(ctx context.Context, t *target, l load, sum *total) error {
	l.address = t.address
	return l.run(ctx, func(ctx context.Context, look func(from, to time.Time) window) error {
		if err := wait(ctx, r.WarmUp); err != nil {
			return err
		}
		from := time.Now()
		before, err := t.usage()
		if err != nil {
			return err
		}
		if err := wait(ctx, r.Time/time.Duration(r.Turns)); err != nil {
			return err
		}
		after, err := t.usage()
		if err != nil {
			return err
		}
		w := look(from, time.Now())
		if w.requests() == 0 {
			return errors.New("nothing was answered (hint: a longer --time)")
		}
		sum.window = sum.merge(w)
		sum.server += after.server - before.server
		sum.database += after.database - before.database
		return nil
	})
}
