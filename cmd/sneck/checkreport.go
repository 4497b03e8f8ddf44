package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/sneckauth/sneck/adapter/yaml"
	"github.com/sneckauth/sneck/cmd/internal/settings"
)

// A checked is what "sneck check" prints.
type checked struct {
	File     string             `json:"file"`
	Kind     string             `json:"kind"`
	OK       bool               `json:"ok"`
	Mistakes []mistake          `json:"mistakes"`
	Settings []settings.InForce `json:"settings,omitempty"`
}

// A mistake is something wrong, with its place in the file if it is there.
type mistake struct {
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Key    string `json:"key,omitempty"`
	Text   string `json:"text"`
	Hint   string `json:"hint,omitempty"`

	line string // as editors understand it
}

var withHint = regexp.MustCompile(`^(.*) \(hint: (.*)\)$`)

// located returns the mistakes that an error joins.
func located(err error) []mistake {
	list := []mistake{}
	if err == nil {
		return list
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for _, e := range all {
		m := mistake{Text: e.Error(), line: e.Error()}
		var inFile *yaml.Mistake
		if errors.As(e, &inFile) {
			m.Line, m.Column, m.Key, m.Text = inFile.Line, inFile.Column, inFile.Key, inFile.Text
		}
		if parts := withHint.FindStringSubmatch(m.Text); parts != nil {
			m.Text, m.Hint = parts[1], parts[2]
		}
		list = append(list, m)
	}
	return list
}

// write prints tables on a terminal, and else lines that programs can read.
func (c checked) write(con *console, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(con.out).Encode(c)
	}
	terminal := isTerminal(con.out)
	if !c.OK && !terminal {
		for _, m := range c.Mistakes {
			if _, err := fmt.Fprintln(con.out, m.line); err != nil {
				return err
			}
		}
		return nil
	}
	colour := paletteFor(con.out, con.env)
	var rows [][]string
	switch {
	case !c.OK:
		fmt.Fprintln(con.out, colour.red(fmt.Sprintf("%s is wrong (%s)", c.File, c.Kind)))
		rows = [][]string{{"LINE", "KEY", "MISTAKE", "HINT"}}
		for _, m := range c.Mistakes {
			rows = append(rows, []string{m.place(), m.Key, m.Text, m.Hint})
		}
	case len(c.Settings) == 0:
		_, err := fmt.Fprintf(con.out, "%s is right (%s)\n", c.File, c.Kind)
		return err
	default:
		if terminal {
			rows = [][]string{{"SETTING", "VALUE", "FROM"}}
		}
		for _, s := range c.Settings {
			rows = append(rows, []string{s.Key, settings.Text(s.Value), s.From})
		}
	}
	if !terminal {
		return writeTabs(con, rows)
	}
	return writeGrid(con.out, rows, func(row, _ int, text string) string {
		if row == 0 {
			return colour.faint(text)
		}
		return text
	})
}

func (m mistake) place() string {
	if m.Line == 0 {
		return "-"
	}
	return fmt.Sprintf("%d:%d", m.Line, m.Column)
}

// writeTabs prints rows with a tab between their cells.
func writeTabs(con *console, rows [][]string) error {
	for _, row := range rows {
		for i := range row {
			row[i] = printable(row[i])
		}
		if _, err := fmt.Fprintln(con.out, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return nil
}
