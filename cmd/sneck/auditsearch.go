package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver/audit"
)

// An auditQuery says which entries are wanted: those that have all of what is
// said.
type auditQuery struct {
	Kind    []string      `placeholder:"KIND" help:"Only events of this kind, such as token_issued; may be repeated."`
	Client  string        `placeholder:"ID" help:"Only what is about this client."`
	Subject string        `placeholder:"ID" help:"Only what is about this user."`
	Token   string        `placeholder:"JTI" help:"Only what is about this token, by the jti that introspection reports."`
	Family  string        `placeholder:"ID" help:"Only what came of this approval."`
	By      string        `placeholder:"ID" help:"Only what this administrator has done."`
	Since   time.Duration `placeholder:"DURATION" help:"Only what has happened in this time, such as 24h."`
}

func (q *auditQuery) query(now time.Time) (audit.Query, error) {
	query := audit.Query{Client: q.Client, Subject: q.Subject, Token: q.Token, Family: q.Family, By: q.By}
	for _, name := range q.Kind {
		kind, err := eventKind(name)
		if err != nil {
			return query, err
		}
		query.Kinds = append(query.Kinds, kind)
	}
	if q.Since > 0 {
		query.Since = now.Add(-q.Since)
	}
	return query, nil
}

// A searchAuditCommand is "sneck audit search".
type searchAuditCommand struct {
	File  string   `arg:"" name:"file" help:"Audit log; files with its name and more behind it are searched, too."`
	Words []string `arg:"" optional:"" help:"What is somewhere in an entry, whatever the case of letters: all of it, with one space between."`
	auditQuery
	Limit int `default:"100" placeholder:"N" help:"How many entries to print at the most; ${default} if left out."`
	jsonFlag
}

// Help is printed below the flags.
func (*searchAuditCommand) Help() string {
	return `Files are read from their end, so what has just happened is found at once. Like
"sneck audit show" it does not look at the chain.

Examples:

    sneck audit search audit.jsonl alice --since 24h
    sneck audit search audit.jsonl --kind reuse_detected --limit 1 --json
`
}

// Run prints what is found.
func (c *searchAuditCommand) Run(ctx context.Context, con *console) error {
	if c.Limit < 1 {
		return usageError(fmt.Errorf("--limit %d is not positive", c.Limit), "--limit 100")
	}
	query, err := c.query(time.Now())
	if err != nil {
		return err
	}
	query.Text = strings.Join(c.Words, " ")
	if _, err := os.Stat(c.File); err != nil {
		return hinted(err, "the FILE of sneck serve --audit FILE")
	}
	out := newAuditOutput(con, c.JSON)
	var damaged int
	var leftOut []string
	unread := map[string]error{} // by name: each page says it again
	for after, left := "", c.Limit; left > 0; {
		found, err := audit.Search(ctx, c.File, query, after, left)
		if err != nil {
			return out.end(err)
		}
		damaged, leftOut = damaged+found.Damaged, found.LeftOut
		for _, f := range found.Unread {
			unread[f.Name] = f.Err
		}
		for _, e := range found.Entries {
			if err := out.print(e); err != nil {
				return err
			}
		}
		left -= len(found.Entries)
		if after = found.Next; after == "" {
			break
		}
	}
	if err := out.end(nil); err != nil {
		return err
	}
	c.warn(con, damaged, leftOut, unread)
	return nil
}

// warn says what could not be searched.
func (c *searchAuditCommand) warn(con *console, damaged int, leftOut []string, unread map[string]error) {
	if damaged > 0 {
		fmt.Fprintf(con.err, "sneck: %d lines are no entries (hint: sneck audit verify)\n", damaged)
	}
	for _, name := range leftOut {
		fmt.Fprintf(con.err, "sneck: %s was not searched, as it is no log or compressed\n", printable(name))
	}
	for _, name := range slices.Sorted(maps.Keys(unread)) {
		fmt.Fprintf(con.err, "sneck: %s could not be read, so something may be missing: %s\n",
			printable(name), printable(strings.TrimPrefix(unread[name].Error(), "audit: ")))
	}
}
