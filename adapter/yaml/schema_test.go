package yaml_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	goyaml "go.yaml.in/yaml/v4"

	"github.com/sneckauth/sneck/adapter/yaml"
)

// validate checks a file against a schema, as an editor does.
func validate(t *testing.T, schema []byte, file string) error {
	t.Helper()
	var s jsonschema.Schema
	require.NoError(t, json.Unmarshal(schema, &s))
	resolved, err := s.Resolve(nil)
	require.NoError(t, err)
	var plain any
	require.NoError(t, goyaml.Unmarshal([]byte(file), &plain))
	text, err := json.Marshal(plain)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &plain))
	return resolved.Validate(plain)
}

// The file that editors are told of is the schema.
func TestRoutesSchemaIsInDocs(t *testing.T) {
	const file = "../../docs/routes.schema.json"
	if os.Getenv("SNECK_UPDATE") != "" {
		require.NoError(t, os.WriteFile(file, yaml.RoutesSchema(), 0o644))
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(yaml.RoutesSchema()), string(text), "hint: SNECK_UPDATE=1 go test -run TestRoutesSchemaIsInDocs")
}

// An editor finds the mistakes that are mistakes without a program.
func TestRoutesSchema(t *testing.T) {
	good := strings.Join([]string{
		"{route: GET /a, scopes: [a, b]}", "{route: /b, scopes: [[a, b], [c]]}", "{route: /c, read_write: {read: a, write: b}}", "{route: /c, read_write: {}}",
		"{route: /d, resources: [a]}", "{route: /e, methods: {GET HEAD: [a], PUT: [[a], [b]]}}", "{route: /f, any_token: true, optional: true, name: f}",
		"{route: /g, public: true}", "{route: /h, any_token: true, audience: [a], max_staleness_seconds: 1, acr_values: [a], max_age_seconds: 1}",
	}, ", ")
	require.NoError(t, validate(t, yaml.RoutesSchema(), "hierarchy: {a: [b]}\nroutes: ["+good+"]"))
	for _, bad := range []string{
		"[]", "{}", "{routes: {}}", "{routes: [], colour: red}", "{hierarchy: {a: b}, routes: []}",
		"{routes: [{}]}", "{routes: [{route: 7}]}", "{routes: [{route: ''}]}", "{routes: [{route: /a, colour: red}]}",
		"{routes: [{route: /a, any_token: false}]}", "{routes: [{route: /a, scopes: a}]}", "{routes: [{route: /a, scopes: []}]}", "{routes: [{route: /a, scopes: [[]]}]}",
		"{routes: [{route: /a, max_age_seconds: 0}]}", "{routes: [{route: /a, max_age_seconds: 1h}]}", "{routes: [{route: /a, methods: {GET: a}}]}",
		"{routes: [{route: /a, read_write: {reed: a}}]}", "{routes: [{route: /a, public: 1}]}",
	} {
		assert.Error(t, validate(t, yaml.RoutesSchema(), bad), bad)
		_, err := yaml.Parse("f", []byte(bad))
		assert.Error(t, err, bad)
	}
}

// The schema has every kind of field.
func TestSchema(t *testing.T) {
	schema := yaml.Schema(&config{})
	for _, file := range []string{
		"name: a",
		"{name: a, token_caching_seconds: 0, life_seconds: 1, wait: 1s, on: true, mode: off, port: 1, small: -3, ratio: 1.5, level: WARN, names: [], modes: [off], texts: {a: b}, store: {path: x}, clients: [{path: x, size: 1}], ordered: {a: b}, rest_seconds: never}",
		"{name: a, pause_seconds: 3}",
	} {
		require.NoError(t, validate(t, schema, file))
		_, err := yaml.Decode("f", []byte(file), new(config))
		require.NoError(t, err)
	}
	for _, bad := range []string{
		"token_caching_seconds: -1", "life_seconds: 0", "wait: 1", "on: 1", "mode: of", "port: 0", "small: x", "ratio: x", "level: ''", "names: a", "modes: [of]",
		"texts: [a]", "store: {}", "clients: [{}]", "Ignored: a", "common: {}", "name: a\nlife_seconds: 3153600001", "rest_seconds: ever", "break_seconds: -1", "ordered: [a]", "ordered: {a: 1}",
	} {
		file := bad
		if !strings.HasPrefix(bad, "name") {
			file = "name: a\n" + bad
		}
		assert.Error(t, validate(t, schema, file), bad)
		_, err := yaml.Decode("f", []byte(file), new(config))
		assert.Error(t, err, bad)
	}
	assert.Panics(t, func() {
		yaml.Schema(struct {
			C chan int `yaml:"c"`
		}{})
	})
	assert.Contains(t, string(schema), `"description": "what it is called"`)
	assert.Contains(t, string(schema), `"songs"`)
}
