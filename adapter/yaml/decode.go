package yaml

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Decode reads the one document of a YAML file into the struct that into points
// to. Fields whose key is not in the file keep their value, so what is in the
// struct before is the default. The error is that of [Source.Err]; the Source is
// never nil. The file's name is for mistakes.
//
// A field that has a key names it in its tag; other fields are left alone,
// embedded structs excepted, whose fields count as the struct's own:
//
//	Listen   string        `yaml:"listen,required" doc:"address to listen on" example:"127.0.0.1:8080"`
//	TTL      time.Duration `yaml:"token_caching_seconds" min:"0"`
//	LogLevel string        `yaml:"log_level" enum:"debug,info,warn,error"`
//	Life     time.Duration `yaml:"life_seconds" also:"max_age_seconds" word:"never"`
//
// "also" names other keys of the same field, of which a file has one at most.
// "word" is what a Duration in seconds may be instead of a number, and stands
// for the longest that there is, [Forever].
//
// A field may be a string, a bool, a number, a [time.Duration], an
// [encoding.TextUnmarshaler], a [Texts], a struct, a slice, a map with text for keys, or a
// pointer to one of these. A Duration is a whole number of seconds if its key
// ends in "_seconds", and text such as "1m30s" otherwise. Texts are not empty,
// and no text is taken for a number, nor the other way round.
//
// Decode panics if into is something else, as that is a mistake in the program.
func Decode(file string, data []byte, into any) (*Source, error) {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("yaml: %T is not a pointer to a struct", into))
	}
	r := &reader{file: file, flawed: map[*yaml.Node]bool{}}
	s := &Source{reader: r, root: nowhere}
	if root := r.document(data); root != nil {
		s.root = root
		r.value(root, v.Elem(), key{})
	}
	return s, s.Err()
}

// A Source is where the values of a file stand. It collects the mistakes in
// them.
type Source struct {
	reader *reader
	root   *yaml.Node
}

// Wrong adds a mistake in the value at the path of keys and, in lists, of
// indices: Wrong("is no issuer", "issuers", 0, "url"). If there is no such value,
// the mistake is in the one that lacks it.
func (s *Source) Wrong(text string, path ...any) {
	s.reader.add(s.find(path...), dotted(path), "%s", oneLine(text))
}

// Has reports whether the file has a value at the path of keys and indices.
func (s *Source) Has(path ...any) bool {
	_, found := s.walk(path...)
	return found
}

// Flawed reports whether Decode has found a mistake in the value at the path of
// keys and indices, so that what follows from it need not be one, too.
func (s *Source) Flawed(path ...any) bool {
	n, found := s.walk(path...)
	return found && s.reader.flawed[n]
}

// Err returns all mistakes so far in the order of the file, as errors joined of
// which each is a [*Mistake], or nil.
func (s *Source) Err() error { return s.reader.err() }

// find returns the node at a path, or the last one on the way that there is.
func (s *Source) find(path ...any) *yaml.Node {
	n, _ := s.walk(path...)
	return n
}

// walk is find, and reports whether the path led to its end.
func (s *Source) walk(path ...any) (n *yaml.Node, found bool) {
	n = s.root
	for _, step := range path {
		var next *yaml.Node
		switch step := step.(type) {
		case int:
			if n.Kind == yaml.SequenceNode && step >= 0 && step < len(n.Content) {
				next = n.Content[step]
			}
		case string:
			if n.Kind == yaml.MappingNode {
				for i := 0; i+1 < len(n.Content) && next == nil; i += 2 {
					if n.Content[i].Value == step {
						next = n.Content[i+1]
					}
				}
			}
		default:
			panic(fmt.Sprintf("yaml: %T is neither a key nor an index", step))
		}
		if next == nil {
			return n, false
		}
		n = next
	}
	return n, n != nowhere
}

// A custom value reads itself.
type custom interface {
	decode(r *reader, n *yaml.Node)
	schema() object
}

// A key is what the tag of a struct's field says.
type key struct {
	name     string
	also     []string // other names
	required bool
	word     string
	doc      string
	example  string
	enum     []string
	min      int64
	index    []int
}

// seconds reports whether a value is a number of seconds.
func (k *key) seconds() bool { return strings.HasSuffix(k.name, "_seconds") }

// keys returns the keys of a struct, in order.
func keys(t reflect.Type) []key {
	var list []key
	for _, f := range reflect.VisibleFields(t) {
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" {
			continue
		}
		k := key{name: name, required: option == "required", doc: f.Tag.Get("doc"), example: f.Tag.Get("example"), index: f.Index}
		if also := f.Tag.Get("also"); also != "" {
			k.also = strings.Split(also, ",")
		}
		if k.word = f.Tag.Get("word"); k.word != "" && (f.Type != durationType || !k.seconds()) {
			panic(fmt.Sprintf("yaml: %s has a word, and is no number of seconds", name))
		}
		if enum := f.Tag.Get("enum"); enum != "" {
			k.enum = strings.Split(enum, ",")
		}
		if least := f.Tag.Get("min"); least != "" {
			var err error
			if k.min, err = strconv.ParseInt(least, 10, 64); err != nil {
				panic(fmt.Sprintf("yaml: the minimum of %s is no number", name))
			}
		} else if !k.seconds() {
			k.min = math.MinInt64
		}
		list = append(list, k)
	}
	return list
}

// value reads a node into v. The key is that under which the value stands, or
// the list that has it.
func (r *reader) value(n *yaml.Node, v reflect.Value, k key) {
	before := len(r.mistakes)
	defer func() {
		if len(r.mistakes) > before {
			r.flawed[n] = true
		}
	}()
	switch into := v.Addr().Interface().(type) {
	case custom:
		into.decode(r, n)
		return
	case *time.Duration:
		*into = r.duration(n, k)
		return
	case encoding.TextUnmarshaler:
		if text := r.text(n); text != "" {
			if err := into.UnmarshalText([]byte(text)); err != nil {
				r.wrong(n, "%s", oneLine(err.Error()))
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.value(n, v.Elem(), k)
	case reflect.Struct:
		r.structure(n, v)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, len(n.Content)))
		r.list(n, func(item *yaml.Node) {
			element := reflect.New(v.Type().Elem()).Elem()
			r.value(item, element, k)
			v.Set(reflect.Append(v, element))
		})
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		r.entries(n, func(name, item *yaml.Node) {
			element := reflect.New(v.Type().Elem()).Elem()
			r.value(item, element, k)
			v.SetMapIndex(reflect.ValueOf(name.Value).Convert(v.Type().Key()), element)
		})
	default:
		r.scalar(n, v, k)
	}
}

// scalar reads a node into a value that has no parts.
func (r *reader) scalar(n *yaml.Node, v reflect.Value, k key) {
	switch v.Kind() {
	case reflect.String:
		if text := r.text(n); text != "" && r.among(n, text, k) {
			v.SetString(text)
		}
	case reflect.Bool:
		truth := strings.ToLower(n.Value)
		if r.is(n, yaml.ScalarNode, "!!bool", "true or false") && r.among(n, truth, k) {
			v.SetBool(truth == "true")
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		most := int64(math.MaxInt64) >> (64 - v.Type().Bits())
		v.SetInt(r.whole(n, max(k.min, -most-1), most, "a whole number"))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		most := min(uint64(math.MaxUint64)>>(64-v.Type().Bits()), math.MaxInt64)
		v.SetUint(uint64(r.whole(n, max(k.min, 0), int64(most), "a whole number")))
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, v.Type().Bits())
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" && n.ShortTag() != "!!float" || err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			r.wrong(n, "is %s, but should be a number (hint: such as 0.5)", found(n))
			return
		}
		v.SetFloat(f)
	default:
		panic(fmt.Sprintf("yaml: the type of %s, %s, is not known", k.name, v.Type()))
	}
}

// among reports whether a value is one of those that a key may have.
func (r *reader) among(n *yaml.Node, value string, k key) bool {
	switch {
	case k.enum == nil || slices.Contains(k.enum, value):
		return true
	case len(k.enum) == 1:
		r.wrong(n, "can only be %s (hint: leave it out)", k.enum[0])
	default:
		hint := ""
		if near := nearest(value, k.enum); near != "" {
			hint = " (hint: did you mean " + near + "?)"
		}
		r.wrong(n, "%s is none of %s%s", quoted(value), strings.Join(k.enum, ", "), hint)
	}
	return false
}

// maxSeconds is a hundred years.
const maxSeconds = 100 * 365 * 24 * 3600

// Forever is the Duration that the word of its key stands for.
const Forever time.Duration = math.MaxInt64

func (r *reader) duration(n *yaml.Node, k key) time.Duration {
	if k.seconds() && k.word != "" && n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		if n.Value != k.word {
			r.wrong(n, "is the text %s, but should be a number of seconds, or %s", quoted(n.Value), k.word)
		}
		return Forever
	}
	if k.seconds() {
		return time.Duration(r.whole(n, k.min, maxSeconds, ofSeconds)) * time.Second
	}
	d, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" || err != nil || d < 0 || d > maxSeconds*time.Second {
		r.wrong(n, "is %s, but should be a time (hint: such as 1m30s)", found(n))
		return 0
	}
	return d
}

func (r *reader) structure(n *yaml.Node, v reflect.Value) {
	known := keys(v.Type())
	seen := map[string]bool{}
	r.entries(n, func(name, item *yaml.Node) {
		i := slices.IndexFunc(known, func(k key) bool { return k.name == name.Value || slices.Contains(k.also, name.Value) })
		if i < 0 {
			r.unknown(name, known)
			return
		}
		if seen[known[i].name] {
			r.wrong(name, "is another name of what is there already (hint: %s)", known[i].name)
			return
		}
		seen[known[i].name] = true
		r.value(item, v.FieldByIndex(known[i].index), known[i])
	})
	for _, k := range known {
		if !k.required || seen[k.name] || n.Kind != yaml.MappingNode {
			continue
		}
		hint := ""
		if k.example != "" {
			hint = fmt.Sprintf(" (hint: %s: %s)", k.name, k.example)
		}
		r.add(n, k.name, "is missing%s", hint).node = n
	}
}

func (r *reader) unknown(name *yaml.Node, known []key) {
	var names []string
	for _, k := range known {
		names = append(append(names, k.name), k.also...)
	}
	slices.Sort(names)
	hint := "the keys are " + strings.Join(names, ", ")
	if len(names) > 30 { // nobody reads them all
		hint = fmt.Sprintf("it is like none of the %d keys", len(names))
	}
	if near := nearest(name.Value, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	r.wrong(name, "is an unknown key (hint: %s)", hint)
}
