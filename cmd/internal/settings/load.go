package settings

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/sneckauth/sneck/adapter/yaml"
)

// Sources are where the settings are said.
type Sources struct {
	// File is the name of the file, for mistakes, and Data what it holds; a
	// nil Data means that there is none.
	File string
	Data []byte
	// Env are the variables of the environment; one that is empty says nothing.
	Env map[string]string
	// Flags are those of the command line, by their names without dashes. A
	// flag that is repeated has several values.
	Flags map[string][]string
	// Mistakes are those that were found before.
	Mistakes []error
}

// A Loaded says where each setting comes from, and collects mistakes.
type Loaded struct {
	settings []Setting
	file     *yaml.Source
	name     string
	from     map[string]string // the variable or flag that has said a key
	unread   map[string]bool   // keys of which a variable or flag can not be read
	mistakes []error
}

// Load fills the struct that into points to. Its error is that of [Loaded.Err];
// the Loaded is never nil, so that more can be found wrong.
func Load(into any, s Sources) (*Loaded, error) {
	l := &Loaded{settings: Of(into), name: s.File, from: map[string]string{}, unread: map[string]bool{}, mistakes: slices.Clone(s.Mistakes)}
	if s.Data != nil {
		l.file, _ = yaml.Decode(s.File, s.Data, into) // mistakes stay in there
	}
	v := reflect.ValueOf(into).Elem()
	for i := range l.settings {
		setting := &l.settings[i]
		if name, text := variableOf(setting, s.Env); name != "" {
			l.set(v, setting, "$"+name, []string{text})
		}
		if name, texts := flagOf(setting, s.Flags); name != "" {
			l.set(v, setting, "--"+name, texts)
		}
	}
	return l, l.Err()
}

// variableOf returns the variable that says a setting, and what it says. The
// names are of one meaning, so the first that is set counts.
func variableOf(s *Setting, env map[string]string) (name, text string) {
	for _, name := range s.Variables {
		if text := env[name]; text != "" {
			return name, text
		}
	}
	return "", ""
}

func flagOf(s *Setting, flags map[string][]string) (name string, texts []string) {
	for _, name := range s.Flags {
		if texts, said := flags[name]; said {
			return name, texts
		}
	}
	return "", nil
}

// set reads texts into the field of a setting.
func (l *Loaded) set(v reflect.Value, s *Setting, from string, texts []string) {
	value, mistakes := s.read(from, texts)
	for _, text := range mistakes {
		l.mistakes = append(l.mistakes, errors.New(from+text))
	}
	if len(mistakes) > 0 {
		l.unread[s.Key] = true
		return
	}
	v.FieldByIndex(s.index).Set(value)
	l.from[s.Key] = from
}

// Wrong adds a mistake in the setting of a key, at the place that has said it.
// The text goes on after the name: Wrong("issuer", "is no URL"). If nobody has
// said it, the name is that of the key. Of a setting that is Flawed, it is not
// one more.
func (l *Loaded) Wrong(key, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s := l.find(key)
	if l.Flawed(key) {
		return
	}
	switch from := l.from[key]; {
	case from != "":
		l.mistakes = append(l.mistakes, fmt.Errorf("%s %s", from, text))
	case l.inFile(s):
		l.file.Wrong(text, l.pathInFile(s)...)
	default:
		l.mistakes = append(l.mistakes, fmt.Errorf("%s %s", key, text))
	}
}

// Missing adds the mistake that a setting is nowhere, unless it is Flawed.
func (l *Loaded) Missing(key, example string) {
	s := l.find(key)
	if l.Flawed(key) {
		return
	}
	l.mistakes = append(l.mistakes, fmt.Errorf("%s is missing (hint: --%s %s, $%s, or %s: in the file of --config)", key, s.Flags[0], example, s.Variables[0], key))
}

// From returns where a setting comes from: "--listen", "$SNECK_LISTEN",
// "sneck.yaml", or "" for the default.
func (l *Loaded) From(key string) string {
	if from := l.from[key]; from != "" {
		return from
	}
	if l.inFile(l.find(key)) {
		return l.name
	}
	return ""
}

// Said reports whether a setting is more than its default.
func (l *Loaded) Said(key string) bool { return l.From(key) != "" }

// Flawed reports whether Load could not read what is said of a setting.
func (l *Loaded) Flawed(key string) bool {
	s := l.find(key)
	return l.unread[key] || l.from[key] == "" && l.inFile(s) && l.file.Flawed(l.pathInFile(s)...)
}

// InFile reports whether what counts is what the file says.
func (l *Loaded) InFile(key string) bool { return l.from[key] == "" && l.inFile(l.find(key)) }

// Err returns all mistakes so far, those in the file first, as a [Mistakes]; or
// nil.
func (l *Loaded) Err() error {
	var all Mistakes
	if l.file != nil {
		if joined, ok := l.file.Err().(interface{ Unwrap() []error }); ok {
			all = append(all, joined.Unwrap()...)
		}
	}
	if all = append(all, l.mistakes...); len(all) == 0 {
		return nil
	}
	return all
}

// Mistakes are what is wrong with settings.
type Mistakes []error

// Error has a line for each.
func (m Mistakes) Error() string { return errors.Join(m...).Error() }

func (m Mistakes) Unwrap() []error { return m }

func (l *Loaded) inFile(s *Setting) bool { return l.file != nil && l.pathInFile(s) != nil }

// pathInFile returns where a file has a setting, under whichever of its names.
func (l *Loaded) pathInFile(s *Setting) []any {
	path := s.path()
	for _, name := range append([]string{path[len(path)-1].(string)}, s.Also...) {
		path[len(path)-1] = name
		if l.file.Has(path...) {
			return path
		}
	}
	return nil
}

func (l *Loaded) find(key string) *Setting {
	for i := range l.settings {
		if l.settings[i].Key == key {
			return &l.settings[i]
		}
	}
	panic(fmt.Sprintf("settings: there is no key %s", strings.TrimSpace(key)))
}
