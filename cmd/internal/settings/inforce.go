package settings

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/sneckauth/sneck/adapter/yaml"
)

// An InForce is what a setting is, and where that comes from.
type InForce struct {
	// Key is that of the setting; Value is text as on the command line, or a
	// number, true or false, or a list of these. There is no password in it,
	// and of a field with the tag secret:"true" only whether it is set.
	Key   string `json:"key"`
	Value any    `json:"value"`
	// From is where it was said, as [Loaded.From] returns it; "default" if it
	// was not.
	From string `json:"from"`
}

// InForce returns all settings of the struct that was loaded.
func (l *Loaded) InForce(v any) []InForce {
	var list []InForce
	for i := range l.settings {
		s := &l.settings[i]
		from := l.From(s.Key)
		if from == "" {
			from = "default"
		}
		list = append(list, InForce{s.Key, s.Value(v), from})
	}
	return list
}

// Value returns what a setting is in a struct, as in [InForce].
func (s *Setting) Value(v any) any {
	field := reflect.Indirect(reflect.ValueOf(v)).FieldByIndex(s.index)
	if s.field.Tag.Get("secret") == "true" && !field.IsZero() {
		return "xxxxx"
	}
	return s.plain(field)
}

func (s *Setting) plain(v reflect.Value) any {
	switch value := v.Interface().(type) {
	case time.Duration:
		if word := s.field.Tag.Get("word"); word != "" && value == yaml.Forever {
			return word
		}
		if strings.HasSuffix(s.Key, "_seconds") {
			return int64(value / time.Second)
		}
		return value.String()
	case yaml.Texts:
		list := []any{}
		for _, t := range value {
			list = append(list, t.Name+"="+t.Text)
		}
		return list
	case fmt.Stringer:
		return value.String()
	}
	switch v.Kind() {
	case reflect.Slice:
		list := []any{}
		for i := range v.Len() {
			list = append(list, s.plain(v.Index(i)))
		}
		return list
	case reflect.String:
		return withoutPassword(v.String())
	}
	return v.Interface()
}

// withoutPassword returns a text without the password of the URL that it is.
func withoutPassword(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return "(not a URL)"
	}
	_, hidden := u.User.Password()
	query := u.Query()
	for _, name := range []string{"password", "sslpassword"} {
		if query.Has(name) {
			query.Set(name, "xxxxx")
			hidden, u.RawQuery = true, query.Encode()
		}
	}
	if !hidden {
		return text
	}
	return u.Redacted()
}

// Text returns the value as one line; empty if there is none.
func Text(value any) string {
	list, ok := value.([]any)
	if !ok {
		return fmt.Sprint(value)
	}
	var texts []string
	for _, item := range list {
		texts = append(texts, fmt.Sprint(item))
	}
	return strings.Join(texts, ", ")
}
