package yaml

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

const (
	// maxBytes is the size of the longest file that is read.
	maxBytes = 4 << 20
	// maxMistakes is how many mistakes are reported at once.
	maxMistakes = 100
	// maxText is how many bytes are said of one.
	maxText = 1000
)

// A Mistake is something wrong in a file.
type Mistake struct {
	File         string
	Line, Column int // from 1; zero if it is in no certain place
	Text         string
}

// Error returns the mistake in the form that editors understand:
// "routes.yaml:3:5: what is wrong (hint: what to do)".
func (m *Mistake) Error() string {
	if m.Line == 0 {
		return m.File + ": " + m.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", m.File, m.Line, m.Column, m.Text)
}

// A reader collects the mistakes in one file.
type reader struct {
	file     string
	mistakes []*Mistake
	flawed   map[*yaml.Node]bool // those with a mistake somewhere in them
}

func (r *reader) wrong(n *yaml.Node, format string, args ...any) {
	if len(r.mistakes) >= maxMistakes {
		args, format = nil, "" // only counted
	}
	text := fmt.Sprintf(format, args...)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	r.mistakes = append(r.mistakes, &Mistake{r.file, n.Line, n.Column, text})
}

// err returns the mistakes in the order of the file, or nil.
func (r *reader) err() error {
	slices.SortStableFunc(r.mistakes, func(a, b *Mistake) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	errs := make([]error, min(len(r.mistakes), maxMistakes))
	for i := range errs {
		errs[i] = r.mistakes[i]
	}
	if more := len(r.mistakes) - len(errs); more > 0 {
		errs = append(errs, &Mistake{File: r.file, Text: fmt.Sprintf("has %d more mistakes", more)})
	}
	return errors.Join(errs...)
}

// document returns the root of the one document of a file, or nil.
func (r *reader) document(data []byte) (root *yaml.Node) {
	if len(data) > maxBytes {
		r.wrong(nowhere, "is longer than %d bytes", maxBytes)
		return nil
	}
	defer func() { // by what a parser of others might do to a hostile file
		if v := recover(); v != nil {
			r.wrong(nowhere, "is not YAML")
			root = nil
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	switch err := d.Decode(&first); {
	case err != nil && !errors.Is(err, io.EOF):
		r.syntax(err)
		return nil
	case first.Kind != yaml.DocumentNode || len(first.Content) != 1:
		r.wrong(nowhere, "is empty")
		return nil
	}
	switch err := d.Decode(&second); {
	case err == nil:
		r.wrong(&second, "begins another document (hint: remove what begins with ---)")
		return nil
	case !errors.Is(err, io.EOF):
		r.syntax(err)
		return nil
	}
	return first.Content[0]
}

// nowhere is the place of mistakes that are in no certain place.
var nowhere = &yaml.Node{}

// syntax reports what the parser says.
func (r *reader) syntax(err error) {
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		r.wrong(nowhere, "is not YAML: %s", oneLine(err.Error()))
		return
	}
	r.wrong(&yaml.Node{Line: e.Mark.Line, Column: e.Mark.Column}, "is not YAML: %s", oneLine(e.Message))
}

// quoted returns what the file says, or the beginning of it, in one line.
func quoted(text string) string {
	const most = 80
	if len(text) > most {
		return strconv.Quote(text[:most]) + "…"
	}
	return strconv.Quote(text)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// kindOf returns what people call the kind of a value.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.ShortTag() {
	case "!!str":
		return "text"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	case "!!merge":
		return "a merge of another mapping"
	}
	return "a value of type " + quoted(n.ShortTag())
}

// is reports whether a value is of the kind that is wanted. Aliases are none:
// they make small files large, and people look for what a route demands where
// it stands.
func (r *reader) is(n *yaml.Node, kind yaml.Kind, tag, wanted string) bool {
	if n.Kind == kind && (tag == "" || n.ShortTag() == tag) {
		return true
	}
	hint := ""
	switch {
	case n.Kind != yaml.ScalarNode:
	case n.ShortTag() == "!!null":
		hint = " (hint: give it a value, or leave it out)"
	case n.ShortTag() == "!!merge":
		hint = " (hint: write its keys out)"
	case tag == "!!str":
		hint = " (hint: put it in quotes)"
	}
	r.wrong(n, "is %s, but should be %s%s", kindOf(n), wanted, hint)
	return false
}

// entries calls f with each key of a mapping, which is text and there once.
func (r *reader) entries(n *yaml.Node, f func(key, value *yaml.Node)) {
	if !r.is(n, yaml.MappingNode, "", "a mapping") {
		return
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !r.is(key, yaml.ScalarNode, "!!str", "a key") {
			continue
		}
		if first, again := lines[key.Value]; again {
			r.wrong(key, "key %s is in line %d already", quoted(key.Value), first)
			continue
		}
		lines[key.Value] = key.Line
		f(key, value)
	}
}

func (r *reader) list(n *yaml.Node, f func(*yaml.Node)) {
	if r.is(n, yaml.SequenceNode, "", "a list") {
		for _, item := range n.Content {
			f(item)
		}
	}
}

func (r *reader) text(n *yaml.Node) string {
	if !r.is(n, yaml.ScalarNode, "!!str", "text") {
		return ""
	}
	if n.Value == "" {
		r.wrong(n, "is empty")
	}
	return n.Value
}

// whole reads a whole number, in the decimal digits in which people mean it.
func (r *reader) whole(n *yaml.Node, least, most int64, wanted string) int64 {
	if !r.is(n, yaml.ScalarNode, "!!int", wanted) {
		return 0
	}
	number, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil || number < least || number > most || n.Value != strconv.FormatInt(number, 10) {
		r.wrong(n, "is not %s from %d to %d", wanted, least, most)
		return 0
	}
	return number
}

// nearest returns the key that is most like the word, if one is.
func nearest(word string, keys []string) string {
	best, fewest := "", 1+min(len(word), 40)/3
	for _, key := range keys {
		if n := distance(word, key); n <= fewest && (best == "" || n < fewest) {
			best, fewest = key, n
		}
	}
	return best
}

// distance counts the letters to add, leave out or change (Levenshtein).
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
