package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/sneckauth/sneck/adapter/yaml"
)

// read returns the value that texts of the environment or the command line
// stand for, or what is wrong with them, to go on after the name. They are read as a file is, with the
// quotes and brackets that people leave out there.
func (s *Setting) read(from string, texts []string) (reflect.Value, []string) {
	document, err := s.document(texts)
	if err != nil {
		return reflect.Value{}, []string{" " + err.Error()}
	}
	into := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "Value", Type: s.field.Type, Tag: s.field.Tag}}))
	if _, err := yaml.Decode(from, []byte(document), into.Interface()); err != nil {
		return reflect.Value{}, s.textsOf(err)
	}
	return into.Elem().Field(0), nil
}

// textsOf returns what mistakes say, without a line and a column, of which
// there are none here, and with what their keys have behind that of the setting:
// "[0].id is missing" goes on after the name of a variable.
func (s *Setting) textsOf(err error) []string {
	var texts []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		var mistake *yaml.Mistake
		if !errors.As(e, &mistake) {
			texts = append(texts, " "+e.Error())
			continue
		}
		_, below, _ := strings.Cut(mistake.Key, s.name())
		texts = append(texts, below+" "+mistake.Text)
	}
	return texts
}

// document returns the file that says the same as the texts.
func (s *Setting) document(texts []string) (string, error) {
	t := s.field.Type
	var value string
	var err error
	switch {
	case !utf8.ValidString(strings.Join(texts, "")):
		err = errors.New("is not UTF-8")
	case t == textsType || t.Kind() == reflect.Map && t.Elem().Kind() == reflect.String:
		value, err = pairs(texts)
	case t.Kind() == reflect.Slice && isScalar(t.Elem()):
		var items []string
		for _, text := range texts {
			for _, item := range split(text) {
				items = append(items, s.scalar(t.Elem(), item))
			}
		}
		value = "[" + strings.Join(items, ", ") + "]"
	case isScalar(t):
		value = s.scalar(t, texts[len(texts)-1])
	default:
		if value = texts[len(texts)-1]; strings.ContainsAny(value, "\r\n") {
			err = errors.New("has more than one line (hint: lists and mappings go in [ ] and { } there)")
		}
	}
	return s.name() + ": " + value, err
}

// name is the last part of the key.
func (s *Setting) name() string {
	name, _, _ := strings.Cut(s.field.Tag.Get("yaml"), ",")
	return name
}

func isScalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct, reflect.Slice, reflect.Map, reflect.Pointer, reflect.Array:
		return reflect.PointerTo(t).Implements(textUnmarshaler)
	}
	return true
}

var number = regexp.MustCompile(`^[-+]?[0-9][0-9.eE+-]{0,40}$`)

// scalar returns a text as a file has it. What is to be a number and is none is
// put in quotes, and refused as the text that it is.
func (s *Setting) scalar(t reflect.Type, text string) string {
	quoted, _ := json.Marshal(text) // every text can be
	switch {
	case t == durationType && !strings.HasSuffix(s.Key, "_seconds"), t.Kind() == reflect.String,
		reflect.PointerTo(t).Implements(textUnmarshaler) && t != durationType:
		return string(quoted)
	case t.Kind() == reflect.Bool:
		switch strings.ToLower(text) {
		case "true", "1", "yes", "on":
			return "true"
		case "false", "0", "no", "off":
			return "false"
		}
	case number.MatchString(text):
		return text
	}
	return string(quoted)
}

// pairs returns the mapping that texts such as "read=Read your data" stand for.
// Several in one text have a semicolon or a line's end between them.
func pairs(texts []string) (string, error) {
	var list []string
	for _, text := range texts {
		for _, pair := range strings.FieldsFunc(text, func(r rune) bool { return r == ';' || r == '\n' || r == '\r' }) {
			name, value, found := strings.Cut(strings.TrimSpace(pair), "=")
			if !found || name == "" || value == "" {
				return "", fmt.Errorf("%q is not NAME=TEXT (hint: such as read=\"Read your data\"; several with ; between them)", strings.TrimSpace(pair))
			}
			quotedName, _ := json.Marshal(name)
			quotedValue, _ := json.Marshal(value)
			list = append(list, fmt.Sprintf("? %s : %s", quotedName, quotedValue))
		}
	}
	return "{" + strings.Join(list, ", ") + "}", nil
}
