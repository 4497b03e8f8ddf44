package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/audit"
)

// An auditOutput prints entries of an audit log.
type auditOutput struct {
	*bufio.Writer
	json    bool
	colours palette
	headed  bool
}

// newAuditOutput returns one that has printed nothing. The caller ends it.
func newAuditOutput(con *console, asJSON bool) *auditOutput {
	return &auditOutput{Writer: bufio.NewWriter(con.out), json: asJSON, colours: paletteFor(con.out, con.env)}
}

// head prints the head of the table, once.
func (o *auditOutput) head() {
	if !o.json && !o.headed {
		fmt.Fprintln(o, o.colours.bold(auditRow("TIME", "EVENT", "CLIENT", "SUBJECT", "ADDRESS", "ABOUT")))
	}
	o.headed = true
}

// end prints what is left: the head alone, if there were no entries. Of an error
// there is no table.
func (o *auditOutput) end(err error) error {
	if err == nil {
		o.head()
	}
	return errors.Join(o.Flush(), err)
}

func (o *auditOutput) print(e audit.Entry) error {
	o.head()
	if o.json {
		return writeObject(o, e)
	}
	address := ""
	if e.Address.IsValid() {
		address = e.Address.String()
	}
	row := auditRow(e.Time.UTC().Format(time.RFC3339), string(e.Kind), e.Client, e.Subject, address, about(e.Event))
	if alarming(e.Kind) {
		row = o.colours.red(row)
	}
	_, err := fmt.Fprintln(o, row)
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
