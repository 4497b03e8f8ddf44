package admin_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/audit"
)

type object = map[string]any

// The OpenAPI document is what the operations, their Go types and the comments
// there say.
func TestOpenAPIDocument(t *testing.T) {
	d := describer{comments: comments(t, "../..", "authserver/admin", "authserver/pages", "authserver/audit", "authserver"), schemas: object{}}
	want, err := json.MarshalIndent(d.document(), "", "  ")
	require.NoError(t, err)
	want = append(want, '\n')
	for _, file := range []string{"openapi.json", "../../docs/openapi.json"} {
		if os.Getenv("SNECK_UPDATE") != "" {
			require.NoError(t, os.WriteFile(file, want, 0o644))
		}
		have, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(have), "%s (hint: SNECK_UPDATE=1 go test -run TestOpenAPIDocument)", file)
	}
}

// Whoever may ask or not gets the document, and every operation in it is there,
// under its method only.
func TestOpenAPIPathsAreServed(t *testing.T) {
	w := newWorld(t)
	answer := w.ask(t, "", "GET", "openapi.json", "")
	assert.Equal(t, http.StatusOK, answer.Code)
	var document struct {
		Paths map[string]map[string]any
	}
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &document))
	operations := 0
	for path, methods := range document.Paths {
		filled := regexp.MustCompile(`\{[a-z_]+\}`).ReplaceAllString(strings.TrimPrefix(path, "/"), "x")
		for _, method := range []string{"GET", "PUT", "POST", "DELETE", "PATCH"} {
			status := w.ask(t, w.token(t), method, filled, "").Code
			if _, there := methods[strings.ToLower(method)]; there {
				operations++
				assert.NotEqual(t, http.StatusMethodNotAllowed, status, "%s %s", method, path)
			} else {
				assert.Equal(t, http.StatusMethodNotAllowed, status, "%s %s", method, path)
			}
		}
	}
	assert.Equal(t, len(admin.Routes()), operations)
}

// A describer makes the document.
type describer struct {
	comments map[string]string // by package and type, and field, with dots between
	schemas  object
}

func (d *describer) document() object {
	paths := object{}
	for _, r := range admin.Routes() {
		path, _ := paths["/"+r.Path].(object)
		if path == nil {
			path = object{}
			if parameters := pathParameters(r.Path); parameters != nil {
				path["parameters"] = parameters
			}
			paths["/"+r.Path] = path
		}
		path[strings.ToLower(r.Method)] = d.operation(r)
	}
	d.schema(reflect.TypeOf(admin.Problem), false)
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "sneck administration", "version": "1",
			"description": "Every operation needs a bearer token of the server itself with the scope sneck:admin, meant for the server's issuer. See docs/admin.md.",
		},
		"servers":    []any{object{"url": strings.TrimSuffix(admin.Path, "/")}},
		"security":   []any{object{"bearer": []any{}}},
		"paths":      paths,
		"components": object{"schemas": d.schemas, "securitySchemes": object{"bearer": object{"type": "http", "scheme": "bearer"}}},
	}
}

func pathParameters(path string) (list []any) {
	for _, found := range regexp.MustCompile(`\{([a-z_]+)\}`).FindAllStringSubmatch(path, -1) {
		list = append(list, object{"name": found[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	return list
}

func (d *describer) operation(r admin.Route) object {
	success := object{"description": "It is done."}
	status := "204"
	if r.Result != nil {
		status = strconv.Itoa(r.Status)
		success["content"] = object{"application/json": object{"schema": d.schema(reflect.TypeOf(r.Result), false)}}
	}
	if r.Tagged {
		success["headers"] = object{"ETag": object{"description": "The version, in quotes.", "schema": object{"type": "string"}}}
	}
	operation := object{
		"operationId": r.ID, "summary": r.Summary,
		"responses": object{status: success, "default": object{
			"description": "It is refused, or could not be done.",
			"content":     object{"application/problem+json": object{"schema": object{"$ref": "#/components/schemas/Problem"}}},
		}},
	}
	if r.Body != nil {
		operation["requestBody"] = object{
			"required": true, "content": object{"application/json": object{"schema": d.schema(reflect.TypeOf(r.Body), true)}},
		}
	}
	var parameters []any
	for _, p := range r.Query {
		schema := object{"type": p.Kind}
		if p.Kind == "date-time" {
			schema = object{"type": "string", "format": p.Kind}
		}
		if p.Kind == "integer" {
			schema["minimum"], schema["maximum"] = 1, admin.MaxPage
		}
		if p.Repeated {
			schema = object{"type": "array", "items": schema}
		}
		parameters = append(parameters, object{"name": p.Name, "in": "query", "description": p.Text, "schema": schema})
	}
	if r.Versioned {
		parameters = append(parameters, object{
			"name": "If-Match", "in": "header", "required": true, "schema": object{"type": "string"},
			"description": "The ETag of what was read, or * to overwrite whatever is there.",
		})
	}
	if parameters != nil {
		operation["parameters"] = parameters
	}
	return operation
}

// schema describes a type. What is asked for must have no other members;
// answers may get some.
func (d *describer) schema(t reflect.Type, strict bool) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[json.RawMessage]():
		return object{"type": "object"}
	case reflect.TypeFor[netip.Addr](), reflect.TypeFor[audit.Hash]():
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.schema(t.Elem(), strict)
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Slice:
		return object{"type": "array", "items": d.schema(t.Elem(), strict)}
	case reflect.Struct:
		name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
		if d.schemas[name] == nil {
			d.schemas[name] = object{}
			d.schemas[name] = d.structure(t, strict)
		}
		return object{"$ref": "#/components/schemas/" + name}
	}
	panic("no schema for " + t.String())
}

func (d *describer) structure(t reflect.Type, strict bool) object {
	properties, required := object{}, []string{}
	for _, field := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous || name == "-" || name == "" {
			continue
		}
		owner := t
		for _, i := range field.Index[:len(field.Index)-1] {
			owner = owner.Field(i).Type
		}
		schema := d.schema(field.Type, strict)
		if text := d.comments[owner.PkgPath()+"."+owner.Name()+"."+field.Name]; text != "" {
			// The comments begin with the name in Go.
			if rest, ok := strings.CutPrefix(text, field.Name+" "); ok {
				text = name + " " + rest
			}
			schema["description"] = text
		}
		properties[name] = schema
		if options == "" {
			required = append(required, name)
		}
	}
	slices.Sort(required)
	s := object{"type": "object", "properties": properties, "required": required}
	if strict {
		s["additionalProperties"] = false
	}
	if text := d.comments[t.PkgPath()+"."+t.Name()]; text != "" {
		s["description"] = text
	}
	return s
}

// comments returns what is written above the types and fields of packages.
func comments(t *testing.T, root string, folders ...string) map[string]string {
	all := map[string]string{}
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			require.NoError(t, err)
			ast.Inspect(parsed, func(n ast.Node) bool {
				if decl, ok := n.(*ast.GenDecl); ok && !decl.Lparen.IsValid() && len(decl.Specs) == 1 {
					if spec, ok := decl.Specs[0].(*ast.TypeSpec); ok {
						spec.Doc = decl.Doc
					}
				}
				if spec, ok := n.(*ast.TypeSpec); ok {
					typeComments(all, "github.com/sneckauth/sneck/"+folder+"."+spec.Name.Name, spec)
				}
				return true
			})
		}
	}
	return all
}

func typeComments(all map[string]string, name string, spec *ast.TypeSpec) {
	structure, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	oneLine := func(g *ast.CommentGroup) string { return strings.Join(strings.Fields(g.Text()), " ") }
	all[name] = oneLine(spec.Doc)
	for _, field := range structure.Fields.List {
		for _, one := range field.Names {
			all[name+"."+one.Name] = oneLine(field.Doc)
		}
	}
}
