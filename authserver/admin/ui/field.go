package ui

import (
	"slices"
	"strings"
)

// A field is one of a form.
type field struct {
	// Name is that of the parameter; the text is Label, and Hint says more.
	Name, Label, Hint string
	// Type is "text", "search", "number", "date", "lines", "check", "checks" or
	// "select".
	Type    string
	Value   string
	Checked bool
	// Choices are those of "checks" and "select".
	Choices  []choice
	Required bool
	// Focus says that it is where to begin.
	Focus bool
}

// A choice is something to choose.
type choice struct {
	Value, Text string
	Checked     bool
}

// ID returns the identifier of the element.
func (f field) ID() string { return "f-" + strings.ReplaceAll(f.Name, "_", "-") }

// A form is what the page "admin-form" is about.
type form struct {
	Title, Lead string
	Groups      []group
	Button      string
	// Back is where to go without doing anything.
	Back string
	// Version belongs into the field "version", or is "".
	Version string
	// Detail says what is wrong, in English.
	Detail string
}

// A group is fields that belong together. Those with a title can be folded.
type group struct {
	Title  string
	Open   bool
	Fields []field
}

// choose returns choices, of which some are made; those that were unknown are
// added.
func choose(texts func(value string) string, chosen []string, values ...string) (list []choice) {
	for _, c := range chosen {
		if !slices.Contains(values, c) {
			values = append(values, c)
		}
	}
	for _, value := range values {
		list = append(list, choice{value, texts(value), slices.Contains(chosen, value)})
	}
	return list
}

// lines returns the lines of a text field.
func lines(text string) (list []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}
