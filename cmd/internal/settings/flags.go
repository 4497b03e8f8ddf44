package settings

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Flags are the flags of a command for its settings: a value for the field of
// type [kong.Plugins] that its struct embeds.
type Flags struct {
	settings []Setting
	values   reflect.Value // a pointer to a struct with a field for each
}

// NewFlags returns flags for the settings of a struct, which holds the defaults.
// Those whose first flag is among the others are left out: the command has them
// itself. The help tells the name of a variable only where it does not follow
// from that of the flag.
func NewFlags(v any, others ...string) *Flags {
	f := &Flags{}
	var fields []reflect.StructField
	for _, s := range Of(v) {
		if len(appendNew(others, s.Flags[0])) == len(others) {
			continue
		}
		f.settings = append(f.settings, s)
		fields = append(fields, reflect.StructField{
			Name: fmt.Sprintf("F%d", len(fields)), Type: s.flagType(), Tag: reflect.StructTag(s.flagTag(Text(s.Value(v)))),
		})
	}
	f.values = reflect.New(reflect.StructOf(fields))
	return f
}

// Plugin returns the pointer to a struct that is for the parser.
func (f *Flags) Plugin() any { return f.values.Interface() }

// Said returns what the command line has said, by the names of the flags.
func (f *Flags) Said() map[string][]string {
	said := map[string][]string{}
	for i, s := range f.settings {
		switch value := f.values.Elem().Field(i).Interface().(type) {
		case []string:
			if value != nil {
				said[s.Flags[0]] = value
			}
		case *string:
			if value != nil {
				said[s.Flags[0]] = []string{*value}
			}
		case *bool:
			if value != nil {
				said[s.Flags[0]] = []string{strconv.FormatBool(*value)}
			}
		}
	}
	return said
}

func (s *Setting) flagType() reflect.Type {
	switch {
	case s.isBool():
		return reflect.TypeFor[*bool]()
	case s.many():
		return reflect.TypeFor[[]string]()
	}
	return reflect.TypeFor[*string]()
}

// flagTag returns what the parser wants to know of a flag.
func (s *Setting) flagTag(standard string) string {
	var b strings.Builder
	add := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s:%s ", key, strconv.Quote(value))
		}
	}
	add("name", s.Flags[0])
	add("aliases", strings.Join(s.Flags[1:], ","))
	if s.Group != "" {
		add("group", s.Group+":")
	}
	add("placeholder", s.value())
	help := sentence(s.Doc)
	if standard != "" && standard != "false" {
		help += " (default " + standard + ")"
	}
	if s.Variables[0] != variable(strings.ReplaceAll(s.Flags[0], "-", "_")) {
		help += " ($" + s.Variables[0] + ")"
	}
	add("help", strings.ReplaceAll(help+".", "$", "$$"))
	if s.isBool() {
		b.WriteString(`negatable:"" `)
	} else if s.many() {
		add("sep", "none")
	}
	return b.String()
}

// value returns what the value of a setting is called.
func (s *Setting) value() string {
	switch {
	case s.Placeholder != "":
		return s.Placeholder
	case s.isBool():
		return ""
	case s.field.Tag.Get("enum") != "" && !s.many():
		return strings.ReplaceAll(s.field.Tag.Get("enum"), ",", "|")
	case s.field.Type == textsType:
		return "NAME=TEXT"
	case strings.HasSuffix(s.Key, "_seconds"):
		return "SECONDS"
	case s.field.Type == durationType:
		return "DURATION"
	case strings.HasSuffix(s.Key, "_file"):
		return "FILE"
	case s.field.Type.Kind() == reflect.String, s.many():
		return "TEXT"
	}
	return "N"
}

// sentence returns a text that begins with a capital letter.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
