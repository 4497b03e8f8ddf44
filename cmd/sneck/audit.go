package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/audit"
)

// auditCommands are "sneck audit …".
type auditCommands struct {
	Show   showAuditCommand   `cmd:"" help:"Print what an audit log says."`
	Verify verifyAuditCommand `cmd:"" help:"Check that no line of an audit log was changed or taken out."`
}

// A showAuditCommand is "sneck audit show".
type showAuditCommand struct {
	Files   []string      `arg:"" name:"file" help:"Audit logs, the oldest first; - is the standard input."`
	Kind    []string      `placeholder:"KIND" help:"Only events of this kind, such as token_issued; may be repeated."`
	Client  string        `placeholder:"ID" help:"Only what is about this client."`
	Subject string        `placeholder:"ID" help:"Only what is about this user."`
	Token   string        `placeholder:"JTI" help:"Only what is about this token, by the jti that introspection reports."`
	Family  string        `placeholder:"ID" help:"Only what came of this approval."`
	Since   time.Duration `placeholder:"DURATION" help:"Only what has happened in this time, such as 24h."`
	JSON    bool          `name:"json" help:"Print the lines as they are."`
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
	out := bufio.NewWriter(con.out)
	since := time.Now().Add(-c.Since)
	colour := paletteFor(con.out, con.env)
	if !c.JSON {
		fmt.Fprintln(out, colour.faint(auditRow("TIME", "EVENT", "CLIENT", "SUBJECT", "ADDRESS", "ABOUT")))
	}
	for _, file := range c.Files {
		err := withFile(con, file, func(r io.Reader) error {
			for e, err := range audit.Entries(r) {
				if err != nil {
					return err
				}
				if !c.wants(e) || c.Since > 0 && e.Time.Before(since) {
					continue
				}
				if err := c.print(out, colour, e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
	}
	return out.Flush()
}

func (c *showAuditCommand) wants(e audit.Entry) bool {
	return (len(c.Kind) == 0 || slices.Contains(c.Kind, string(e.Kind))) &&
		(c.Client == "" || c.Client == e.Client) && (c.Subject == "" || c.Subject == e.Subject) &&
		(c.Token == "" || c.Token == e.Token) && (c.Family == "" || c.Family == e.Family)
}

func (c *showAuditCommand) print(out io.Writer, colour palette, e audit.Entry) error {
	if c.JSON {
		return json.NewEncoder(out).Encode(e)
	}
	address := ""
	if e.Address.IsValid() {
		address = e.Address.String()
	}
	row := auditRow(e.Time.UTC().Format(time.RFC3339), string(e.Kind), e.Client, e.Subject, address, about(e.Event))
	if alarming(e.Kind) {
		row = colour.red(row)
	}
	_, err := fmt.Fprintln(out, row)
	return err
}

// alarming reports whether somebody should look at an event.
func alarming(kind authserver.EventKind) bool {
	switch kind {
	case authserver.EventReuseDetected, authserver.EventAuthenticationFailed, authserver.EventSignInFailed, authserver.EventRateLimited, authserver.EventAuditLost:
		return true
	}
	return false
}

// about says in a few words what else an event has.
func about(e authserver.Event) string {
	var parts []string
	add := func(format, value string) {
		if value != "" {
			parts = append(parts, fmt.Sprintf(format, value))
		}
	}
	add("%s", e.Grant)
	add("scope %s", e.Scopes.String())
	add("for %s", strings.Join(e.Audience, " "))
	add("%s", e.Reason)
	if e.Count > 0 {
		add("%s records", fmt.Sprint(e.Count))
	}
	add("token %s", e.Token)
	add("by %s", e.By)
	return strings.Join(parts, ", ")
}

// auditRow lays out a line. Short columns are padded, long ones push the rest
// away rather than lose an end.
func auditRow(columns ...string) string {
	widths := []int{20, 22, 20, 16, 15, 0}
	var b strings.Builder
	for i, column := range columns {
		if column == "" {
			column = "-"
		}
		column = printable(column)
		b.WriteString(column)
		if i < len(columns)-1 {
			b.WriteString(strings.Repeat(" ", max(widths[i]-utf8.RuneCountInString(column), 0)+2))
		}
	}
	return b.String()
}

// A verifyAuditCommand is "sneck audit verify".
type verifyAuditCommand struct {
	Files []string `arg:"" name:"file" help:"Audit logs, the oldest first; - is the standard input."`
	Tip   string   `placeholder:"TIP" help:"The end of the log that an earlier run has printed; it must be in there."`
	JSON  bool     `name:"json" help:"Print a JSON object."`
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
	if c.JSON {
		return json.NewEncoder(con.out).Encode(struct {
			Lines uint64 `json:"lines"`
			Tip   string `json:"tip"`
		}{total, last.String()})
	}
	var t table
	t.add("lines", fmt.Sprint(total))
	t.add("tip", last.String())
	return t.write(con.out)
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

// observed returns the clients whose changes by a command are recorded, if
// there is a log.
func observed(clients authserver.ClientRegistry, log *audit.Log, command string) authserver.ClientRegistry {
	if log == nil {
		return clients
	}
	return authserver.ObserveClients(clients, recordAs(log, command))
}

// recordAs returns what records the doings of a command, if there is a log.
func recordAs(log *audit.Log, command string) recordFunc {
	return func(ctx context.Context, e authserver.Event) error {
		if log == nil {
			return nil
		}
		e.Time, e.By = time.Now().UTC(), "sneck "+command
		if err := log.Record(context.WithoutCancel(ctx), e); err != nil {
			return fmt.Errorf("not on record: %w (hint: look at --audit)", err)
		}
		return nil
	}
}

// A recordFunc puts an event on record.
type recordFunc = func(context.Context, authserver.Event) error

// A recorder hands events on to a server that is made later, because what
// reports them is a part of it.
type recorder struct {
	server *authserver.Server
	early  []authserver.Event
}

// record keeps an event until there is a server. The server is set before
// anything runs at the same time.
func (r *recorder) record(ctx context.Context, e authserver.Event) error {
	if r.server == nil {
		r.early = append(r.early, e)
		return nil
	}
	return r.server.Record(ctx, e)
}

// use hands on what has happened before.
func (r *recorder) use(ctx context.Context, s *authserver.Server) error {
	r.server = s
	for _, e := range r.early {
		if err := s.Record(ctx, e); err != nil {
			return hinted(err, "look at --audit")
		}
	}
	return nil
}

// reopenOnSignal has the log go on in a new file when the process gets SIGHUP,
// until ctx is done.
func reopenOnSignal(ctx context.Context, log *audit.Log, failed func(error)) {
	onHangup(ctx, func() {
		if err := log.Reopen(); err != nil {
			failed(err)
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
