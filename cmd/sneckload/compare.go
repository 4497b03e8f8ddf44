//go:build linux

package main

import (
	"context"
	"errors"
	"time"
)

// A compareCommand is "sneckload compare".
type compareCommand struct {
	Time        time.Duration `default:"5s" help:"How long each row is measured, and the empty handler beside it."`
	WarmUp      time.Duration `default:"300ms" help:"How long the load runs before, at each turn."`
	Turns       int           `default:"5" help:"How many parts the time is cut into; the empty handler has its turn before each."`
	Connections []int         `default:"32,256" help:"How many keep-alive connections."`
	Store       []string      `default:"sqlite,postgres" enum:"sqlite,postgres" help:"Which stores."`
	Endpoint    []string      `default:"introspection,token,jwt" enum:"introspection,token,jwt" help:"What is asked for."`
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

// Run measures all rows, each in turns with the empty handler: a machine that
// has other things to do is not equally fast all the time.
func (c *compareCommand) Run(ctx context.Context, b *bench) error {
	if c.Turns < 1 {
		return errors.New("--turns must be 1 or more (hint: 5)")
	}
	floor, err := startEmpty()
	if err != nil {
		return err
	}
	r := &race{compareCommand: c, b: b, floor: floor}
	for _, kind := range c.Store {
		if err == nil {
			err = b.with(ctx, kind, func(_ context.Context, d *deployment) error {
				return b.serving(d, func(t *target) error { return r.endpoints(ctx, t) })
			})
		}
	}
	if err = errors.Join(err, floor.stop()); err != nil {
		return err
	}
	return b.report(r.rows)
}

// endpoints measures those of a server.
func (r *race) endpoints(ctx context.Context, t *target) error {
	tokens, err := t.tokens(liveTokens)
	if err != nil {
		return err
	}
	for _, what := range r.Endpoint {
		switch what {
		case "introspection":
			err = r.measure(ctx, t, endpointIntrospect, t.introspections(tokens), `"active":true`)
		case "token":
			err = r.measure(ctx, t, endpointToken, [][]byte{t.tokenRequest()}, `"access_token":"sneck_at_`)
		default:
			if r.b.signs {
				err = r.measure(ctx, t, endpointJWT, [][]byte{t.tokenRequestOf(t.jwt)}, `"access_token":"eyJ`)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *target) introspections(tokens []string) [][]byte {
	requests := make([][]byte, len(tokens))
	for i, token := range tokens {
		requests[i] = t.post("/introspect", t.api, "token", token)
	}
	return requests
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
