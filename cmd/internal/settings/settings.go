// Package settings fills the struct of a command's settings from a file, the
// environment and the command line. The struct is the one definition: keys,
// variables, flags, help, JSON Schema and documentation all come from its
// tags.
//
// Where a setting is said more than once, the flag counts before the variable,
// that before the file, and that before the default, which is what the struct
// holds before [Load]. All mistakes of all of them are reported at once, each
// with its place: file, line and column, or the name of the variable or flag.
package settings

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/sneckauth/sneck/adapter/yaml"
)

// A Setting is one value that a file, a variable and a flag can say.
type Setting struct {
	// Key is the name in a file, with dots between the keys of mappings in
	// one another. Also are its other names.
	Key  string
	Also []string
	// Variables are its names in the environment, and Flags those on the
	// command line, without dashes; the first is the one to use.
	Variables, Flags []string
	// Group, Doc, Placeholder and Go are the tags of these names: under which
	// heading the help has it, what it does, what its value is called, and
	// which field of the library it sets, behind that of the struct it is in.
	Group, Doc, Placeholder, Go string

	field reflect.StructField
	index []int
}

// Prefix begins the names of all variables.
const Prefix = "SNECK_"

// Of returns the settings of a struct, or a pointer to one, in their order. A
// field has the tags that [yaml.Decode] reads, but "required" only inside of
// lists; see [Setting] for others. The key "limits" with a struct that has
// the key "token" is the setting limits.token, $SNECK_LIMITS_TOKEN and
// --limits-token; its text begins with that of "limits". The tags "env" and "flag" add names to these, separated by
// commas, that were there before; a flag of theirs is the one to use.
//
// Of panics if the struct is no such one: that is a mistake in the program.
func Of(v any) []Setting {
	t := reflect.TypeOf(v)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return collect(t, nil, nil, "", "")
}

func collect(t reflect.Type, keys []string, index []int, group, in string) []Setting {
	var list []Setting
	for _, f := range reflect.VisibleFields(t) {
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" {
			continue
		}
		if option != "" {
			panic(fmt.Sprintf("settings: %s is %s (hint: check it when all is loaded)", name, option))
		}
		path := append(keys[:len(keys):len(keys)], name)
		at := append(index[:len(index):len(index)], f.Index...)
		heading := heading(t, f)
		if heading == "" {
			heading = group
		}
		field := f.Tag.Get("go")
		if in != "" && field != "" {
			field = in + "." + field
		}
		if isMapping(f.Type) {
			below := collect(f.Type, path, at, heading, field)
			for i := range below {
				below[i].Doc = strings.TrimLeft(f.Tag.Get("doc")+" "+below[i].Doc, " ")
			}
			list = append(list, below...)
			continue
		}
		list = append(list, setting(f, path, at, heading, field))
	}
	return list
}

// heading returns the group of a field: its own, or that of the embedded struct
// that has it.
func heading(t reflect.Type, f reflect.StructField) string {
	group := f.Tag.Get("group")
	for i := len(f.Index) - 1; i > 0 && group == ""; i-- {
		group = t.FieldByIndex(f.Index[:i]).Tag.Get("group")
	}
	return group
}

func setting(f reflect.StructField, path []string, index []int, group, goField string) Setting {
	s := Setting{
		Key: strings.Join(path, "."), Also: split(f.Tag.Get("also")), Variables: []string{variable(strings.Join(path, "_"))},
		Flags: split(f.Tag.Get("flag")),
		Group: group, Doc: f.Tag.Get("doc"), Placeholder: f.Tag.Get("placeholder"), Go: goField,
		field: f, index: index,
	}
	s.Flags = appendNew(s.Flags, flag(strings.Join(path, "-")))
	for _, other := range s.Also {
		s.Variables = appendNew(s.Variables, variable(other))
		s.Flags = appendNew(s.Flags, flag(other))
	}
	for _, other := range split(f.Tag.Get("env")) {
		s.Variables = appendNew(s.Variables, other)
	}
	return s
}

func variable(key string) string { return Prefix + strings.ToUpper(key) }

func flag(key string) string { return strings.ReplaceAll(key, "_", "-") }

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' || r == '\r' })
}

func appendNew(list []string, name string) []string {
	for _, known := range list {
		if known == name {
			return list
		}
	}
	return append(list, name)
}

var (
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	durationType    = reflect.TypeFor[time.Duration]()
	textsType       = reflect.TypeFor[yaml.Texts]()
)

// isMapping reports whether a type holds settings of its own.
func isMapping(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(textUnmarshaler)
}

// many reports whether a setting is a list or a mapping, whose flag may be
// repeated.
func (s *Setting) many() bool {
	t := s.field.Type
	return t.Kind() == reflect.Slice || t.Kind() == reflect.Map
}

func (s *Setting) isBool() bool { return s.field.Type.Kind() == reflect.Bool }

// path returns the keys as yaml.Source wants them.
func (s *Setting) path() []any {
	var path []any
	for _, key := range strings.Split(s.Key, ".") {
		path = append(path, key)
	}
	return path
}
