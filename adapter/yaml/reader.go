package yaml

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

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
	// Key is that of the value, with all that it is in: "routes[0].scopes", where
	// lists count from 0. It is empty if the mistake is in the file as a whole.
	Key  string
	Text string

	node *yaml.Node // the value, until its Key is known
}

// Error returns the mistake in the form that editors understand:
// "routes.yaml:3:5: routes[0].scopes: what is wrong (hint: what to do)".
func (m *Mistake) Error() string {
	text := m.Text
	if m.Key != "" {
		text = m.Key + ": " + text
	}
	if m.Line == 0 {
		return m.File + ": " + text
	}
	return fmt.Sprintf("%s:%d:%d: %s", m.File, m.Line, m.Column, text)
}

// A reader collects the mistakes in one file.
type reader struct {
	file     string
	root     *yaml.Node
	mistakes []*Mistake
	flawed   map[*yaml.Node]bool // those with a mistake somewhere in them
}

// wrong adds a mistake in a value, or in a key.
func (r *reader) wrong(n *yaml.Node, format string, args ...any) {
	r.add(n, "", format, args...).node = n
}

// add adds a mistake at the place of a value.
func (r *reader) add(n *yaml.Node, key, format string, args ...any) *Mistake {
	if len(r.mistakes) >= maxMistakes {
		args, format = nil, "" // only counted
	}
	text := fmt.Sprintf(format, args...)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	m := &Mistake{File: r.file, Line: n.Line, Column: n.Column, Key: key, Text: text}
	r.mistakes = append(r.mistakes, m)
	return m
}

// name gives mistakes their keys. That takes one way through the file, where
// carrying the keys along would be in the way of every value that is right.
func (r *reader) name() {
	unnamed := map[*yaml.Node][]*Mistake{}
	for _, m := range r.mistakes {
		if m.node != nil {
			unnamed[m.node] = append(unnamed[m.node], m)
		}
	}
	if len(unnamed) == 0 || r.root == nil {
		return
	}
	var walk func(n *yaml.Node, path []any)
	found := func(n *yaml.Node, path []any) {
		for _, m := range unnamed[n] {
			m.Key, m.node = join(dotted(path), m.Key), nil
		}
	}
	walk = func(n *yaml.Node, path []any) {
		found(n, path)
		switch n.Kind {
		case yaml.SequenceNode:
			for i, item := range n.Content {
				walk(item, append(path, i))
			}
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				step := "?" // as YAML marks keys that are no scalars
				if n.Content[i].Kind == yaml.ScalarNode {
					step = n.Content[i].Value
				}
				at := append(path, step)
				found(n.Content[i], at)
				walk(n.Content[i+1], at)
			}
		}
	}
	walk(r.root, nil)
}

// dotted returns a path of keys and indices as people write it. A key that would
// be hard to tell from its neighbours is in quotes.
func dotted(path []any) (text string) {
	for _, step := range path {
		switch step := step.(type) {
		case int:
			text += fmt.Sprintf("[%d]", step)
		case string:
			if !plainKey.MatchString(step) {
				step = quoted(step)
			}
			text = join(text, step)
		}
	}
	return text
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_/?<:-]{1,80}$`)

func join(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}

// err returns the mistakes in the order of the file, or nil.
func (r *reader) err() error {
	r.name()
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
	r.root = first.Content[0]
	return r.root
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

// shortened returns a number as the file has it.
func shortened(number string) string {
	const most = 40
	if len(number) > most {
		return number[:most] + "…"
	}
	return number
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
	what := kindOf(n)
	if kind == yaml.ScalarNode && tag != "!!str" { // otherwise it may be a secret
		what = found(n)
	}
	r.wrong(n, "is %s, but should be %s (hint: %s)", what, wanted, hintFor(n, kind, tag, wanted))
	return false
}

// found returns what a file has instead of a number or the like.
func found(n *yaml.Node) string {
	switch tag := n.ShortTag(); {
	case n.Kind != yaml.ScalarNode:
	case tag == "!!str":
		return "the text " + quoted(n.Value)
	case tag == "!!int", tag == "!!float":
		return shortened(n.Value)
	}
	return kindOf(n)
}

// hintFor says what to do with a value that is of another kind.
func hintFor(n *yaml.Node, kind yaml.Kind, tag, wanted string) string {
	found := n.ShortTag()
	switch {
	case n.Kind == yaml.AliasNode:
		return "write out what it stands for"
	case n.Kind == yaml.ScalarNode && found == "!!null":
		return "give it a value, or leave it out"
	case n.Kind == yaml.ScalarNode && found == "!!merge":
		return "write its keys out"
	case kind == yaml.SequenceNode:
		return "put it in [ ]"
	case kind == yaml.MappingNode:
		return "such as {key: value}"
	case n.Kind == yaml.SequenceNode:
		return "one value, without [ ]"
	case n.Kind == yaml.MappingNode:
		return "one value, without keys in it"
	case tag == "!!str":
		return "put it in quotes"
	case tag == "!!bool" && slices.Contains([]string{"true", "yes", "on"}, strings.ToLower(n.Value)):
		return "true, without quotes"
	case tag == "!!bool" && slices.Contains([]string{"false", "no", "off"}, strings.ToLower(n.Value)):
		return "false, without quotes"
	case tag == "!!bool":
		return "leave it out to have the default"
	case digits.MatchString(n.Value):
		return "leave out the quotes"
	case wanted == ofSeconds:
		if d, err := time.ParseDuration(n.Value); err == nil && d >= time.Second && d <= maxSeconds*time.Second {
			return strconv.Itoa(int(d / time.Second))
		}
	}
	return "such as 60"
}

var digits = regexp.MustCompile(`^-?[0-9]{1,19}$`)

// ofSeconds is what is wanted of a time whose key ends in "_seconds".
const ofSeconds = "a number of seconds"

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
			r.wrong(key, "is in line %d already", first)
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
		r.wrong(n, "is empty (hint: give it a value, or leave it out)")
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
		r.wrong(n, "is %s, but should be %s from %d to %d", shortened(n.Value), wanted, least, most)
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
