package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sneckauth/sneck/authserver/audit"
)

// auditCommands are "sneck audit …".
type auditCommands struct {
	Show   showAuditCommand   `cmd:"" help:"Print what an audit log says."`
	Search searchAuditCommand `cmd:"" help:"Look for words in an audit log and what it was renamed to, the newest first."`
	Verify verifyAuditCommand `cmd:"" help:"Check that no line of an audit log was changed or taken out."`
}

// A showAuditCommand is "sneck audit show".
type showAuditCommand struct {
	Files []string `arg:"" name:"file" help:"Audit logs, the oldest first; - is the standard input."`
	auditQuery
	jsonFlag
}

// Help is printed below the flags.
func (*showAuditCommand) Help() string {
	return `The log is what "sneck serve --audit FILE" writes. Its chain is not looked at:
see "sneck audit verify".

Examples:

    sneck audit show audit.jsonl --since 24h
    sneck audit show audit.jsonl.1 audit.jsonl --client notes-api --kind authentication_failed
    sneck audit show audit.jsonl --json | jq .reason
`
}

// Run prints the entries.
func (c *showAuditCommand) Run(con *console) error {
	out := newAuditOutput(con, c.JSON)
	query, err := c.query(time.Now())
	if err != nil {
		return err
	}
	for _, file := range c.Files {
		err := withFile(con, file, func(r io.Reader) error {
			for e, err := range audit.Entries(r) {
				if err != nil {
					return err
				}
				if !query.Match(e) {
					continue
				}
				if err := out.print(e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return out.end(err)
		}
	}
	return out.end(nil)
}

// A verifyAuditCommand is "sneck audit verify".
type verifyAuditCommand struct {
	Files []string `arg:"" name:"file" help:"Audit logs, the oldest first; - is the standard input."`
	Tip   string   `placeholder:"TIP" help:"The end of the log that an earlier run has printed; it must be in there."`
	jsonFlag
}

// Help is printed below the flags.
func (*verifyAuditCommand) Help() string {
	return `Every line holds the digest of the line before, so what was changed, put in or
taken out is found. That the end was cut off shows only against a tip that was
noted before, somewhere else. Ends with 1 if the log is not what it was.

Examples:

    sneck audit verify audit.jsonl
    sneck audit verify audit.jsonl.2 audit.jsonl.1 audit.jsonl
    sneck audit verify audit.jsonl --tip 1203:5f2d…
`
}

// Run checks the chain through all files.
func (c *verifyAuditCommand) Run(con *console) error {
	var tip audit.Tip
	if c.Tip != "" {
		var err error
		if tip, err = audit.ParseTip(c.Tip); err != nil {
			return usageError(fmt.Errorf("--tip: %w", err), "what sneck audit verify has printed")
		}
	}
	var total uint64
	var last audit.Tip
	found := tip == audit.Tip{}
	for _, file := range c.Files {
		err := withFile(con, file, func(r io.Reader) error {
			report, err := audit.Verify(r, last, tip)
			total, last, found = total+report.Lines, report.Last, found || report.Found
			return err
		})
		if err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("the line of --tip %s is not there: the log was cut off or written anew", c.Tip)
	}
	return writeRecord(con, c.JSON, struct {
		Lines uint64 `json:"lines"`
		Tip   string `json:"tip"`
	}{total, last.String()}, table{{"lines", fmt.Sprint(total)}, {"tip", last.String()}})
}

// withFile reads a file, or the standard input.
func withFile(con *console, name string, f func(io.Reader) error) error {
	if name == "-" {
		return f(con.in)
	}
	file, err := os.Open(name)
	if err != nil {
		return hinted(err, "the FILE of sneck serve --audit FILE")
	}
	defer file.Close()
	if err := f(file); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// auditFlags are the flags of commands that write an audit log.
type auditFlags struct {
	Audit string `from:"SNECK_AUDIT" placeholder:"FILE" help:"Audit log to add to; it is made if there is none ($$SNECK_AUDIT)."`
}

// open opens the log, nil if there is none. The caller closes it.
func (f auditFlags) open() (*audit.Log, error) {
	if f.Audit == "" {
		return nil, nil
	}
	log, err := audit.Open(audit.Config{Path: f.Audit})
	if err != nil {
		return nil, hinted(err, "choose another file with --audit")
	}
	return log, nil
}

// reopenOnSignal has the log go on in a new file when the process gets SIGHUP,
// until ctx is done. Where there is none, the signal is no reason to end either.
func reopenOnSignal(ctx context.Context, log *audit.Log, logger *slog.Logger) {
	onHangup(ctx, func() {
		if log == nil {
			logger.Info("nothing is opened again on SIGHUP without an audit log (hint: settings are read at the start)")
		} else if err := log.Reopen(); err != nil {
			logger.Error("audit log not reopened, it goes on in the old file", "cause", err)
		}
	})
}

// onHangup has f called when the process gets SIGHUP, until ctx is done.
func onHangup(ctx context.Context, f func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
				f()
			}
		}
	}()
}
