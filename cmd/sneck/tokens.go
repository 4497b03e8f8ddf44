package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// A clearTokensCommand is "sneck tokens clear".
type clearTokensCommand struct {
	dataFlags
	DryRun    bool          `help:"Only say how many would be deleted."`
	Retain    time.Duration `default:"1h" from:"SNECK_CLEAR_EXPIRED_TOKENS_RETAIN" placeholder:"DURATION" help:"Keep what has expired more recently than this: the reuse of what is still there is noticed. ${default} if left out."`
	BatchSize int           `default:"10000" from:"SNECK_CLEAR_EXPIRED_TOKENS_BATCH_SIZE" placeholder:"N" help:"How many are deleted at a time; ${default} if left out."`
	configFlag
	jsonFlag
	yesFlag
}

// Help is printed below the flags.
func (*clearTokensCommand) Help() string {
	return `A running server does this by itself every minute. The command does it at once,
also while the server runs, which hardly notices; without a terminal it wants
--yes. In PostgreSQL whole partitions
are emptied, and what has expired in one of them stays until all of it has.

Examples:

    sneck tokens clear --data ./data --dry-run
    sneck tokens clear --data postgres://sneck@db.example.com/sneck --retain 24h --yes
`
}

// cleared is what "sneck tokens clear" prints.
type cleared struct {
	Expired int64 `json:"expired"`
	Deleted int64 `json:"deleted"`
	DryRun  bool  `json:"dry_run"`
}

// Run deletes, and reports what it has deleted also if it could not do all.
func (c *clearTokensCommand) Run(ctx context.Context, con *console) error {
	const help = "sneck tokens clear --help"
	sweep := authserver.Sweep{BatchSize: c.BatchSize, Retain: max(c.Retain, 1)}
	switch {
	case c.Retain < 0:
		return usageError(fmt.Errorf("--retain %v is negative", c.Retain), help)
	case c.BatchSize < 1 || c.BatchSize > authserver.MaxSweepBatch:
		return usageError(fmt.Errorf("--batch-size %d is not in 1 to %d", c.BatchSize, authserver.MaxSweepBatch), help)
	}
	store, err := c.open(ctx, con, false)
	if err != nil {
		return err
	}
	defer store.Close()
	server, err := authserver.New(authserver.Config{Issuer: "https://localhost", Store: store, Clients: store, Sweep: sweep})
	if err != nil {
		return err
	}
	result := cleared{DryRun: c.DryRun}
	if result.Expired, err = server.CountExpired(ctx); err != nil {
		return err
	}
	if !c.DryRun {
		if err := c.agree(ctx, con, result.Expired); err != nil {
			return err
		}
		bar := progress{w: con.err, terminal: isTerminal(con.err), total: result.Expired}
		result.Deleted, err = server.DeleteExpired(ctx, bar.show)
		bar.end()
		if err != nil {
			return fmt.Errorf("%w (hint: %d records were deleted; repeat the command for the others)", err, result.Deleted)
		}
	}
	text := fmt.Sprintf("deleted %d expired records", result.Deleted)
	if c.DryRun {
		text = fmt.Sprintf("%d expired records would be deleted", result.Expired)
	}
	if err := writeDone(con, c.JSON, result, text); err != nil {
		return err
	}
	return store.Close()
}

// agree asks whether to delete so many. Of none, nobody on a terminal is asked.
func (c *clearTokensCommand) agree(ctx context.Context, con *console, n int64) error {
	if n == 0 && con.terminal() != nil {
		return nil
	}
	return c.confirm(ctx, con, fmt.Sprintf("This deletes %d records that have expired", n))
}

// A progress says how far something is: by a bar on a terminal, and else by a
// line for each tenth.
type progress struct {
	w        io.Writer
	terminal bool
	total    int64
	tenths   int64 // that were told
	drawn    bool
}

const barWidth = 40

// show says that so many are done. More may be done than were counted.
func (p *progress) show(done int64) {
	total := max(p.total, done, 1)
	if p.terminal {
		full := int(done * barWidth / total)
		fmt.Fprintf(p.w, "\r[%s%s] %d of %d", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), done, total)
		p.drawn = true
		return
	}
	if tenths := done * 10 / total; tenths > p.tenths {
		p.tenths = tenths
		fmt.Fprintf(p.w, "sneck: deleted %d of %d\n", done, total)
	}
}

// end makes room for what follows.
func (p *progress) end() {
	if p.drawn {
		fmt.Fprintln(p.w)
	}
}
