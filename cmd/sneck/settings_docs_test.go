package main

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/cmd/internal/settings"
	"github.com/sneckauth/sneck/introspect"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// goOnly are the rows of the list of settings that take an implementation or a
// function, and which field of Go that is.
var goOnly = [][3]string{
	{"access_token_model, refresh_token_model", "Store", "where tokens are kept: any implementation that passes authserver/storetest"},
	{"application_model", "Clients", "where clients are known: one method"},
	{"access_token_generator", "AccessToken", "a function that makes up opaque access tokens; RecognizeToken tells which are its own"},
	{"refresh_token_generator", "RefreshToken", "the same for refresh tokens"},
	{"client_id_generator_class", "ClientID", "a function that makes up client identifiers"},
	{"client_secret_generator_class", "ClientSecret", "a function that makes up client secrets"},
	{"client_secret_hasher", "SecretHasher", "what stores client secrets, and takes over hashes of others"},
	{"extra_server_kwargs", "TokenExpiresIn", "a function that decides over the life of each token by its request, as AccessToken and RefreshToken do over the token"},
	{"oauth2_server_class", "Grants", "grant types, own ones among them"},
	{"oauth2_validator_class", "Hooks", "functions that are called at each step"},
	{"oauth2_backend_class", "Decoder", "a function that reads a request"},
	{"pkce_required", "PKCERequired", "a function of the client identifier"},
	{"rotate_refresh_token", "RotateRefreshToken", "a function of the refresh token"},
	{"scopes_backend_class", "Scopes", "where scopes come from: all, those of a client, those by default"},
}

// protecting are the fields of Go for the guard's rows of the list of settings.
var protecting = [][2]string{
	{"resource_server_introspection_url", "introspect.Config.Endpoint"},
	{"resource_server_auth_token", "introspect.Bearer"},
	{"resource_server_introspection_credentials", "introspect.Basic"},
	{"resource_server_token_caching_seconds", "cache.Config.TTL"},
	{"error_response_with_scopes", "middleware.Config.ErrorWithScopes"},
	{"read_scope", "scopes.ReadWrite.Read"},
	{"write_scope", "scopes.ReadWrite.Write"},
	{"authentication_server_exp_time_zone", "introspect.Config.ExpZone"},
}

// goTypes are those that names of fields begin with; others are of
// authserver.Config.
var goTypes = map[string]reflect.Type{
	"pages.Config": reflect.TypeFor[pages.Config](), "scopes.Static": reflect.TypeFor[scopes.Static](),
	"introspect.Config": reflect.TypeFor[introspect.Config](), "cache.Config": reflect.TypeFor[cache.Config](),
	"middleware.Config": reflect.TypeFor[middleware.Config](), "scopes.ReadWrite": reflect.TypeFor[scopes.ReadWrite](),
}

var goFunctions = map[string]any{"introspect.Bearer": introspect.Bearer, "introspect.Basic": introspect.Basic}

// checkField fails if there is no such field or function in Go.
func checkField(t *testing.T, name string) {
	t.Helper()
	if goFunctions[name] != nil {
		return
	}
	at := reflect.TypeFor[authserver.Config]()
	for prefix, of := range goTypes {
		if rest, ok := strings.CutPrefix(name, prefix+"."); ok {
			at, name = of, rest
		}
	}
	for part := range strings.SplitSeq(name, ".") {
		if at.Kind() == reflect.Pointer {
			at = at.Elem()
		}
		require.Equal(t, reflect.Struct, at.Kind(), name)
		f, found := at.FieldByName(part)
		require.True(t, found, "%s has no field %s", at, part)
		at = f.Type
	}
}

// goName returns a field as the documentation has it.
func goName(name string) string {
	if name == "" {
		return ""
	}
	if strings.Contains(name, "Config.") || strings.HasPrefix(name, "scopes.") || strings.HasPrefix(name, "introspect.") {
		return "`" + name + "`"
	}
	return "`authserver.Config." + name + "`"
}

// tableOf returns the table of all settings of a command.
func tableOf(t *testing.T, defaults any, fields map[string]string) string {
	var b strings.Builder
	group := ""
	for _, s := range settings.Of(defaults) {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(&b, "\n### %s\n\n| key | default | environment and flag | Go | what it does |\n| --- | --- | --- | --- | --- |\n", group)
		}
		field := s.Go
		if field == "" {
			field = fields[s.Key]
		}
		if field != "" {
			checkField(t, field)
		}
		names := "`" + s.Key + "`"
		for _, also := range s.Also {
			names += ", `" + also + "`"
		}
		standard := settings.Text(s.Value(defaults))
		if standard != "" {
			standard = "`" + standard + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | `$%s` `--%s` | %s | %s |\n", names, standard, s.Variables[0], s.Flags[0], goName(field), s.Doc)
	}
	return b.String()
}

// generated returns what is between the marks of a name in the documentation.
func generated(t *testing.T, name, want string) {
	const file = "../../docs/settings.md"
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->\n"
	before, rest, found := strings.Cut(string(data), begin)
	got, after, closed := strings.Cut(rest, end)
	require.True(t, found && closed, name)
	if os.Getenv("SNECK_UPDATE") != "" {
		require.NoError(t, os.WriteFile(file, []byte(before+begin+want+end+after), 0o644))
		return
	}
	assert.Equal(t, want, got, "hint: SNECK_UPDATE=1 go test -run TestDocsSettings ./cmd/sneck")
}

// The tables in docs/settings.md are made from the Go definitions.
func TestDocsSettings(t *testing.T) {
	generated(t, "server", tableOf(t, defaultSettings(), nil))
	fields := map[string]string{}
	for _, row := range protecting {
		fields[row[0]] = row[1]
	}
	generated(t, "guard", tableOf(t, *newGuardSettings(), fields))
	var b strings.Builder
	b.WriteString("\n| setting | Go | what it takes |\n| --- | --- | --- |\n")
	for _, row := range goOnly {
		checkField(t, row[1])
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.ReplaceAll(row[0], ", ", "`, `"), goName(row[1]), row[2])
	}
	generated(t, "go", b.String())
}

// The files that editors are told of are the schemas.
func TestDocsSchemas(t *testing.T) {
	for _, kind := range fileKinds() {
		file := "../../docs/" + kind.name + ".schema.json"
		if os.Getenv("SNECK_UPDATE") != "" {
			require.NoError(t, os.WriteFile(file, kind.schema(), 0o644))
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, string(kind.schema()), string(text), "hint: SNECK_UPDATE=1 go test -run TestDocsSchemas ./cmd/sneck")
		status, out, _ := inProcess(t, "check", "--schema", kind.name)
		assert.Equal(t, exitOK, status)
		assert.Equal(t, string(text), out)
	}
}

// The files in the documentation are right.
func TestDocsFiles(t *testing.T) {
	for _, text := range []string{"settings.md", "routes.md"} {
		data, err := os.ReadFile("../../docs/" + text)
		require.NoError(t, err)
		blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(data), -1)
		require.NotEmpty(t, blocks, text)
		for _, block := range blocks {
			file := t.TempDir() + "/file.yaml"
			require.NoError(t, os.WriteFile(file, []byte(block[1]), 0o600))
			status, out, stderr := inProcess(t, "check", file)
			assert.Equal(t, exitOK, status, "%s\n%s%s", block[1], out, stderr)
		}
	}
}
