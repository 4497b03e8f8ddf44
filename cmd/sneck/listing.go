package main

import (
	"encoding/json"
	"io"
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

// writeObject prints an object on a line of its own.
func writeObject(w io.Writer, record any) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	return out.Encode(record)
}
