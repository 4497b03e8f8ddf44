package yaml

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"time"
)

// Schema returns the JSON Schema (draft 2020-12) of files that [Decode] reads
// into a struct like v, with which editors complete and check them. What a
// program demands besides is not in it.
func Schema(v any) []byte {
	t := reflect.TypeOf(v)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	schema := schemaOf(t, key{})
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		panic(err) // it is made of maps and texts
	}
	return append(text, '\n')
}

// RoutesSchema is the [Schema] of files with a table of routes.
func RoutesSchema() []byte { return Schema(tableFile{}) }

// An object is one of JSON.
type object = map[string]any

var (
	customType          = reflect.TypeFor[custom]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	durationType        = reflect.TypeFor[time.Duration]()
)

// schemaOf returns the schema of values of type t that stand under a key.
func schemaOf(t reflect.Type, k key) object {
	if pointer := reflect.PointerTo(t); pointer.Implements(customType) {
		return reflect.New(t).Interface().(custom).schema()
	} else if t != durationType && pointer.Implements(textUnmarshalerType) {
		return text()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), k)
	case reflect.Struct:
		return structSchema(t)
	case reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem(), k)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schemaOf(t.Elem(), k)}
	}
	return scalarSchema(t, k)
}

func text() object { return object{"type": "string", "minLength": 1} }

func scalarSchema(t reflect.Type, k key) object {
	var s object
	switch {
	case t == durationType && k.seconds():
		s = object{"type": "integer", "minimum": k.min, "maximum": int64(maxSeconds)}
		if k.word != "" {
			return object{"anyOf": []object{s, {"const": k.word}}}
		}
		return s
	case t == durationType || t.Kind() == reflect.String:
		s = text()
	case t.Kind() == reflect.Bool:
		s = object{"type": "boolean"}
	case reflect.Int <= t.Kind() && t.Kind() <= reflect.Uint64:
		s = object{"type": "integer"}
		if least := k.min; least != math.MinInt64 {
			s["minimum"] = least
		} else if t.Kind() >= reflect.Uint {
			s["minimum"] = 0
		}
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		s = object{"type": "number"}
	default:
		panic(fmt.Sprintf("yaml: the type of %s, %s, is not known", k.name, t))
	}
	if k.enum != nil && t.Kind() == reflect.Bool {
		s["const"] = k.enum[0] == "true"
	} else if k.enum != nil {
		s["enum"] = k.enum
	}
	return s
}

func structSchema(t reflect.Type) object {
	properties, required := object{}, []string{}
	for _, k := range keys(t) {
		property := schemaOf(t.FieldByIndex(k.index).Type, k)
		if k.doc != "" {
			property["description"] = k.doc
		}
		if k.example != "" {
			property["examples"] = []string{k.example}
		}
		if k.required {
			required = append(required, k.name)
		}
		properties[k.name] = property
		for _, also := range k.also {
			other := maps.Clone(property)
			other["description"] = "another name of " + k.name
			properties[also] = other
		}
	}
	s := object{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}
