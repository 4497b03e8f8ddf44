package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// A listing prints what there is: a JSON object to a line, or a table whose
// columns begin below one another.
type listing struct {
	con    *console
	json   bool
	header []string
	// paint may colour a cell, and must not change its width; nil leaves all
	// as it is.
	paint func(colours palette, column int, cell string) string

	rows   [][]string
	headed bool
}

// listPage is how many rows are kept before they are printed: so many have
// columns of the same width.
const listPage = 500

// add adds what is printed of one thing: the record in JSON, the cells in a
// table.
func (l *listing) add(record any, cells ...string) error {
	if l.json {
		return writeObject(l.con.out, record)
	}
	for i, cell := range cells {
		if cell == "" {
			cells[i] = "-"
		}
	}
	if l.rows = append(l.rows, cells); len(l.rows) < listPage {
		return nil
	}
	return l.end()
}

// end prints what is left.
func (l *listing) end() error {
	if l.json || len(l.rows) == 0 && l.headed {
		return nil
	}
	rows := l.rows
	if !l.headed {
		rows = append([][]string{l.header}, rows...)
	}
	first := !l.headed
	l.rows, l.headed = nil, true
	colours := paletteFor(l.con.out, l.con.env)
	return writeGrid(l.con.out, rows, func(row, column int, cell string) string {
		switch {
		case row == 0 && first:
			return colours.bold(cell)
		case l.paint != nil:
			return l.paint(colours, column, cell)
		}
		return cell
	})
}

// writeRecord prints one thing: the record in JSON, or else the table.
func writeRecord(con *console, asJSON bool, record any, text table) error {
	if asJSON {
		return writeObject(con.out, record)
	}
	return text.show(con)
}

// writeDone prints what was done: the record in JSON, or else the sentence.
func writeDone(con *console, asJSON bool, record any, sentence string) error {
	if asJSON {
		return writeObject(con.out, record)
	}
	_, err := io.WriteString(con.out, sentence+"\n")
	return err
}

// writeObject prints an object on a line of its own. JSON leaves some characters
// as they are that a terminal takes for commands, such as U+009B: they come from
// elsewhere, and are escaped.
func writeObject(w io.Writer, record any) error {
	var line bytes.Buffer
	out := json.NewEncoder(&line)
	out.SetEscapeHTML(false)
	if err := out.Encode(record); err != nil {
		return err
	}
	var b strings.Builder
	for _, r := range line.String() {
		if r >= 0x7f && r <= 0x9f {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
