//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// A compareCommand is "sneckload compare".
type compareCommand struct {
	Time        time.Duration `default:"5s" help:"How long each row is measured."`
	WarmUp      time.Duration `default:"1s" help:"How long each row runs before."`
	Connections []int         `default:"32,256" help:"How many keep-alive connections."`
	Store       []string      `default:"sqlite,postgres" enum:"sqlite,postgres" help:"Which stores."`
}

// A row is what one endpoint did under one load.
type row struct {
	Target      string  `json:"target"`
	Endpoint    string  `json:"endpoint"`
	Connections int     `json:"connections"`
	PerSecond   float64 `json:"requests_per_second"`
	P50         float64 `json:"p50_ms"`
	P99         float64 `json:"p99_ms"`
	// The microseconds of processors per request, of the server and of its
	// database.
	ServerCPU   float64 `json:"server_cpu_us"`
	DatabaseCPU float64 `json:"database_cpu_us"`
	// Ratio is both, by the time of the empty handler under the same load, and
	// Goal the most that it ought to be.
	Ratio          float64 `json:"ratio"`
	Goal           float64 `json:"goal,omitempty"`
	ServerMemory   int64   `json:"server_memory_bytes"`
	DatabaseMemory int64   `json:"database_memory_bytes,omitempty"`
}

const (
	endpointToken      = "client_credentials"
	endpointJWT        = "client_credentials, JWT"
	endpointIntrospect = "introspection"
)

var goals = map[[2]string]float64{
	{"sqlite", endpointToken}:        6,
	{"postgres", endpointToken}:      6,
	{"sqlite", endpointJWT}:          7,
	{"postgres", endpointJWT}:        7,
	{"sqlite", endpointIntrospect}:   4,
	{"postgres", endpointIntrospect}: 7,
}

// liveTokens is how many tokens are introspected in turn.
const liveTokens = 2000

// Run measures all rows.
func (c *compareCommand) Run(ctx context.Context, b *bench) error {
	var rows []row
	empty := map[[2]any]float64{} // the microseconds of the empty handler
	measure := func(t *target, endpoint string, requests [][]byte, expect string) error {
		for _, n := range c.Connections {
			b.say("%s, %s, %d connections", t.name, endpoint, n)
			l := &load{address: t.address, connections: n, requests: requests, expect: []byte(expect)}
			r, err := c.measure(ctx, t, l)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", t.name, endpoint, err)
			}
			r.Endpoint = endpoint
			// What a handler does not read makes no difference to it.
			key := [2]any{endpoint == endpointIntrospect, n}
			if t.app.ID == "" {
				empty[key] = r.ServerCPU
			}
			r.Ratio = (r.ServerCPU + r.DatabaseCPU) / empty[key]
			r.Goal = goals[[2]string{t.name, endpoint}]
			rows = append(rows, r)
		}
		return nil
	}

	// The empty handler gets the very requests that the others get.
	var tokenRequests, introspections [][]byte
	err := b.with(ctx, c.Store[0], func(_ context.Context, d *deployment) error {
		return b.serving(d, func(t *target) error {
			tokens, err := t.tokens(liveTokens)
			tokenRequests, introspections = [][]byte{t.tokenRequest()}, t.introspections(tokens)
			return err
		})
	})
	if err != nil {
		return err
	}
	floor, err := startEmpty()
	if err != nil {
		return err
	}
	err = errors.Join(
		measure(floor, endpointToken, tokenRequests, ""),
		measure(floor, endpointIntrospect, introspections, ""),
		floor.stop(),
	)
	if err != nil {
		return err
	}
	for _, kind := range c.Store {
		err := b.with(ctx, kind, func(_ context.Context, d *deployment) error {
			return b.serving(d, func(t *target) error {
				tokens, err := t.tokens(liveTokens)
				if err != nil {
					return err
				}
				if err := measure(t, endpointIntrospect, t.introspections(tokens), `"active":true`); err != nil {
					return err
				}
				if err := measure(t, endpointToken, [][]byte{t.tokenRequest()}, `"access_token":"sneck_at_`); err != nil || !b.signs {
					return err
				}
				return measure(t, endpointJWT, [][]byte{t.tokenRequestOf(t.jwt)}, `"access_token":"eyJ`)
			})
		})
		if err != nil {
			return err
		}
	}
	return b.report(rows)
}

func (t *target) introspections(tokens []string) [][]byte {
	requests := make([][]byte, len(tokens))
	for i, token := range tokens {
		requests[i] = t.post("/introspect", t.api, "token", token)
	}
	return requests
}

func (c *compareCommand) measure(ctx context.Context, t *target, l *load) (r row, err error) {
	err = l.run(ctx, func(ctx context.Context, look func(from, to time.Time) window) error {
		if err := wait(ctx, c.WarmUp); err != nil {
			return err
		}
		from := time.Now()
		before, err := t.usage()
		if err != nil {
			return err
		}
		if err := wait(ctx, c.Time); err != nil {
			return err
		}
		after, err := t.usage()
		if err != nil {
			return err
		}
		w := look(from, time.Now())
		if w.requests == 0 {
			return errors.New("nothing was answered")
		}
		each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(w.requests) }
		r = row{
			Target: t.name, Connections: l.connections, PerSecond: w.perSecond(), P50: millis(w.p50), P99: millis(w.p99),
			ServerCPU: each(after.server - before.server), DatabaseCPU: each(after.database - before.database),
		}
		r.ServerMemory, r.DatabaseMemory, err = t.memory()
		return err
	})
	return r, err
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// An emptyCommand is the server to compare with.
type emptyCommand struct{}

// Run serves until it is told to end.
func (*emptyCommand) Run(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "http://%s\n", l.Addr())
	s := &http.Server{
		Handler:           http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	context.AfterFunc(ctx, func() { s.Close() })
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
