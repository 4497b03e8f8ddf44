//go:build linux

// Command sneckload measures what the authorization server costs, with real
// server processes, durable commits and full checks, on this machine and
// beside an HTTP handler that does nothing:
//
//	go run ./cmd/sneckload compare
//	go run ./cmd/sneckload clean --store postgres --expired 10000000
//
// Throughput is worth something on a machine that does nothing else; the time
// of processors per request also on one that does. The load comes from the
// same processors.
//
// It needs the go command for building the server, or --sneck, and the binaries
// of PostgreSQL on the path; it starts a database of its own with them, as it
// comes: fsync on. It reads /proc, and so runs on Linux.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"

	"github.com/alecthomas/kong"
)

// A bench is what all commands share.
type bench struct {
	Sneck   string   `placeholder:"FILE" help:"The sneck to measure; built from this repository if left out."`
	Setting []string `placeholder:"NAME=VALUE" help:"Setting of PostgreSQL besides its defaults; may be repeated."`
	JSON    bool     `help:"Print JSON."`

	dir string
	out io.Writer
	// signs is whether the server can sign JWTs, and audits whether it can
	// write an audit log.
	signs, audits bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sneckload:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var cli struct {
		bench
		Compare compareCommand `cmd:"" help:"Compare the endpoints with a handler that does nothing."`
		Clean   cleanCommand   `cmd:"" help:"Measure the token endpoint while what has expired is deleted."`
		Empty   emptyCommand   `cmd:"" hidden:""`
	}
	parser, err := kong.New(&cli, kong.Name("sneckload"), kong.Description("Measure what the authorization server costs."))
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	if err != nil {
		return fmt.Errorf("%w (hint: sneckload --help)", err)
	}
	command.BindTo(ctx, (*context.Context)(nil))
	b := &cli.bench
	b.out = out
	if command.Command() != "empty" {
		if err := b.prepare(ctx); err != nil {
			return err
		}
		defer os.RemoveAll(b.dir)
	}
	return command.Run(b)
}

// prepare makes a directory, and the server unless there is one.
func (b *bench) prepare(ctx context.Context) (err error) {
	if b.dir, err = os.MkdirTemp("", "sneckload"); err != nil {
		return err
	}
	if b.Sneck == "" {
		b.Sneck = filepath.Join(b.dir, "sneck")
		build := exec.CommandContext(ctx, "go", "build", "-o", b.Sneck, "github.com/sneckauth/sneck/cmd/sneck")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build sneck: %w (hint: run it in the repository, or set --sneck)", err)
		}
	}
	if b.Sneck, err = filepath.Abs(b.Sneck); err != nil {
		return err
	}
	help, err := exec.CommandContext(ctx, b.Sneck, "serve", "--help").Output()
	if err != nil {
		return fmt.Errorf("%s serve --help: %w", b.Sneck, err)
	}
	b.audits = bytes.Contains(help, []byte("--audit"))
	if b.signs = bytes.Contains(help, []byte("--sealing-key")); b.signs {
		var key [32]byte
		rand.Read(key[:])
		return os.WriteFile(b.sealingKey(), []byte(base64.StdEncoding.EncodeToString(key[:])), 0o600)
	}
	return nil
}

func (b *bench) sealingKey() string { return filepath.Join(b.dir, "sealing-key") }

// say says what is being done.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

// report prints the rows of a comparison.
func (b *bench) report(rows []row) error {
	if b.JSON {
		return json.NewEncoder(b.out).Encode(rows)
	}
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "target\tendpoint\tconnections\trequests/s\tp50 ms\tp99 ms\tserver µs\tdatabase µs\tratio\tgoal\tmemory MiB\t")
	for _, r := range rows {
		goal := ""
		if r.Goal > 0 {
			goal = fmt.Sprintf("≤ %g", r.Goal)
		}
		memory := fmt.Sprint(r.ServerMemory >> 20)
		if r.DatabaseMemory > 0 {
			memory += fmt.Sprintf(" + %d", r.DatabaseMemory>>20)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%.2f\t%.2f\t%.1f\t%.1f\t%.2f\t%s\t%s\t\n", r.Target, r.Endpoint, r.Connections,
			r.PerSecond, r.P50, r.P99, r.ServerCPU, r.DatabaseCPU, r.Ratio, goal, memory)
	}
	return w.Flush()
}
