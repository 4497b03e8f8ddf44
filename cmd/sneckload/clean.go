//go:build linux

package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	_ "github.com/sneckauth/sneck/adapter/sqlite" // for its driver
)

// A cleanCommand is "sneckload clean".
type cleanCommand struct {
	Store       string        `default:"postgres" enum:"sqlite,postgres" help:"Which store: sqlite or postgres."`
	Expired     int64         `default:"1000000" help:"How many tokens have expired."`
	Connections int           `default:"32" help:"How many keep-alive connections."`
	Time        time.Duration `default:"30s" help:"How long it is measured without clean-up; less than the minute after which a server begins with it."`
	Patience    time.Duration `default:"10m" help:"How long the clean-up may take."`
}

// cleanReport is what "sneckload clean" prints.
type cleanReport struct {
	Store       string  `json:"store"`
	Expired     int64   `json:"expired"`
	Deleted     int64   `json:"deleted"`
	Seconds     float64 `json:"clean_up_seconds"`
	Connections int     `json:"connections"`
	Without     phase   `json:"without_clean_up"`
	With        phase   `json:"with_clean_up"`
	Ratio       float64 `json:"p99_ratio"`
}

type phase struct {
	PerSecond float64 `json:"requests_per_second"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	Most      float64 `json:"max_ms"`
}

func phaseOf(w window) phase {
	return phase{PerSecond: w.perSecond(), P50: millis(w.percentile(50)), P99: millis(w.percentile(99)), Most: millis(w.percentile(100))}
}

// leastWindow is the shortest time over which the clean-up is measured, so that
// there are enough requests for a percentile.
const leastWindow = 5 * time.Second

// Run fills a database with tokens that have expired, starts the server, and
// measures its token endpoint before and during the first round of its own
// clean-up.
func (c *cleanCommand) Run(ctx context.Context, b *bench) error {
	return b.with(ctx, c.Store, func(ctx context.Context, d *deployment) error {
		b.say("writing %d tokens that have expired", c.Expired)
		if err := c.fill(ctx, d); err != nil {
			return err
		}
		return b.serving(d, func(t *target) error {
			r, err := c.measure(ctx, b, t)
			if err != nil {
				return err
			}
			return r.write(b)
		})
	})
}

var swept = regexp.MustCompile(`msg=swept deleted=([0-9]+)`)

func (c *cleanCommand) measure(ctx context.Context, b *bench, t *target) (*cleanReport, error) {
	r := &cleanReport{Store: t.name, Expired: c.Expired, Connections: c.Connections}
	l := &load{address: t.address, connections: c.Connections, requests: [][]byte{t.tokenRequest()}, expect: []byte(`"access_token":"`)}
	started := time.Now() // and a round of clean-up every minute from then on
	err := l.run(ctx, func(ctx context.Context, look func(from, to time.Time) window) error {
		b.say("measuring without clean-up")
		if err := wait(ctx, 5*time.Second); err != nil { // caches fill
			return err
		}
		from := time.Now()
		if err := wait(ctx, c.Time); err != nil {
			return err
		}
		r.Without = phaseOf(look(from, time.Now()))
		if err := wait(ctx, time.Until(started.Add(59*time.Second))); err != nil {
			return err
		}
		b.say("waiting for the clean-up")
		begun := time.Now()
		for {
			if err := wait(ctx, 100*time.Millisecond); err != nil {
				return err
			}
			line, at := t.logged.find("msg=swept")
			if m := swept.FindStringSubmatch(line); m != nil {
				n, err := strconv.ParseInt(m[1], 10, 64)
				if err != nil {
					return err
				}
				r.Deleted, r.Seconds = n, at.Sub(begun).Seconds()
				break
			}
			if time.Since(begun) > c.Patience {
				return errors.New("nothing was swept")
			}
		}
		if err := wait(ctx, time.Until(begun.Add(leastWindow))); err != nil {
			return err
		}
		r.With = phaseOf(look(begun, time.Now()))
		r.Ratio = r.With.P99 / r.Without.P99
		return nil
	})
	return r, err
}

// fill writes tokens that expired hours ago, past the server: it would take
// long to issue so many, and longer to wait.
func (c *cleanCommand) fill(ctx context.Context, d *deployment) error {
	if d.pg != nil {
		return c.fillPostgres(ctx, d)
	}
	db, err := sql.Open("sqlite", filepath.Join(d.data, "sneck.db"))
	if err != nil {
		return err
	}
	end := time.Now().Add(-2 * time.Hour).UnixMicro()
	_, err = db.ExecContext(ctx, `
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO records (key, kind, client, subject, scopes, audience, issued, expires)
		SELECT randomblob(32), 'access', 'app', 'app', 'read', '["https://api.example.com"]', ?2 - 3600000000 - i, ?2 - i FROM n`,
		c.Expired, end)
	return errors.Join(err, db.Close())
}

// turn is what each of the server's partitions for short lives spans, and turns
// are these: see docs/decisions/0005.
const turn = time.Hour

var turns = []int16{1, 2, 3, 7, 8, 9}

// fillPostgres puts the tokens where the server would have: one half into the
// partition whose turn was three hours ago, the other into that before.
func (c *cleanCommand) fillPostgres(ctx context.Context, d *deployment) (err error) {
	conn, err := pgx.Connect(ctx, d.pg.URL())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.Background())) }()
	span := turn.Microseconds()
	hour := time.Now().UnixMicro()/span - 3
	const part = 500_000
	for done := int64(0); done < c.Expired; done += part {
		before := hour - 2*done/c.Expired
		_, err := conn.Exec(ctx, `
			INSERT INTO sneck.records (key, slot, kind, client, subject, scopes, audience, issued, expires)
			SELECT sha256(int8send(i) || 'sneckload'), $1, 'access', 'app', 'app', 'read', '["https://api.example.com"]',
				$2::bigint - 3600000000 + i, $2::bigint + i FROM generate_series($3::bigint, $4::bigint) i`,
			turns[before%int64(len(turns))], before*span, done+1, min(done+part, c.Expired))
		if err != nil {
			return err
		}
	}
	// What a server that has run for long has behind it.
	_, err = conn.Exec(ctx, `VACUUM ANALYZE`)
	if err == nil {
		_, err = conn.Exec(ctx, `CHECKPOINT`)
	}
	return err
}

func (r *cleanReport) write(b *bench) error {
	if b.JSON {
		return json.NewEncoder(b.out).Encode(r)
	}
	fmt.Fprintf(b.out, "%s: %d of %d expired tokens deleted within %.1f s, %d connections\n\n", r.Store, r.Deleted, r.Expired, r.Seconds, r.Connections)
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "clean-up\trequests/s\tp50 ms\tp99 ms\tmax ms\t")
	for _, p := range []struct {
		name string
		phase
	}{{"none", r.Without}, {"under way", r.With}} {
		fmt.Fprintf(w, "%s\t%.0f\t%.2f\t%.2f\t%.2f\t\n", p.name, p.PerSecond, p.P50, p.P99, p.Most)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(b.out, "\np99 is %.2f times what it was (goal ≤ 2)\n", r.Ratio)
	return err
}

// serving runs f with a server.
func (b *bench) serving(d *deployment, f func(*target) error) error {
	t, err := b.serve(d)
	if err != nil {
		return err
	}
	return errors.Join(f(t), t.stop())
}

// with runs f with a new database.
func (b *bench) with(ctx context.Context, kind string, f func(context.Context, *deployment) error) (err error) {
	d, err := b.deploy(ctx, kind)
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, d), d.close())
}
