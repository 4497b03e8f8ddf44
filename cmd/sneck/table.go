package main

import (
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// A table is a list of names and values.
type table [][2]string

// add adds a row, unless the value is empty.
func (t *table) add(name, value string) {
	if value != "" {
		*t = append(*t, [2]string{name, value})
	}
}

// show prints the values below one another.
func (t table) show(con *console) error {
	colours := paletteFor(con.out, con.env)
	width := 0
	for _, row := range t {
		width = max(width, utf8.RuneCountInString(row[0]))
	}
	var b strings.Builder
	for _, row := range t {
		b.WriteString(colours.faint(pad(row[0], width+2)))
		b.WriteString(printable(row[1]))
		b.WriteByte('\n')
	}
	_, err := io.WriteString(con.out, b.String())
	return err
}

// writeGrid prints rows whose columns begin below one another. paint may colour
// a cell, and must not change its width.
func writeGrid(w io.Writer, rows [][]string, paint func(row, column int, text string) string) error {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(printable(cell)))
		}
	}
	var b strings.Builder
	for i, row := range rows {
		for j, cell := range row {
			cell = printable(cell)
			if j < len(row)-1 {
				cell = pad(cell, widths[j]+2)
			}
			b.WriteString(paint(i, j, cell))
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// pad returns s with spaces behind it, up to the width in characters.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0))
}

// printable returns s, quoted if it has something in it that a terminal might
// take for a command: it comes from elsewhere.
func printable(s string) string {
	if utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	return strconv.QuoteToASCII(s)
}

// A palette colours text, or leaves it alone.
type palette bool

// paletteFor returns colours for a terminal, unless its user does not want any
// (no-color.org).
func paletteFor(w io.Writer, env map[string]string) palette {
	return palette(isTerminal(w) && env["NO_COLOR"] == "" && env["TERM"] != "dumb")
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (p palette) green(s string) string { return p.paint("32", s) }
func (p palette) red(s string) string   { return p.paint("1;31", s) }
func (p palette) faint(s string) string { return p.paint("2", s) }
func (p palette) bold(s string) string  { return p.paint("1", s) }

func (p palette) paint(code, s string) string {
	if !p || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
