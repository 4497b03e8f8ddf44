package sneck_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// settings are the rows of the two lists of settings, of the issuing and the
// protecting side, that the product answers to.
var settings = strings.Fields(`
	access_token_expire_seconds access_token_model access_token_generator allowed_redirect_uri_schemes application_model
	authorization_code_expire_seconds client_id_generator_class client_secret_generator_class client_secret_generator_length
	extra_server_kwargs oauth2_server_class oauth2_validator_class oauth2_backend_class refresh_token_expire_seconds
	refresh_token_idle_seconds refresh_token_grace_period_seconds refresh_token_model rotate_refresh_token refresh_token_generator
	refresh_token_reuse_protection request_approval_prompt scopes_backend_class scopes default_scopes read_scope write_scope
	pkce_required client_secret_hasher clear_expired_tokens_batch_size clear_expired_tokens_interval

	resource_server_introspection_url resource_server_auth_token resource_server_introspection_credentials
	resource_server_token_caching_seconds error_response_with_scopes authentication_server_exp_time_zone
`)

// Every setting has a subtest TestSettings/NAME somewhere, and a row in the
// documentation.
func TestEverySettingHasATestAndARow(t *testing.T) {
	tested := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(file, "_test.go") {
			addSubtests(t, file, tested)
		}
		return err
	})
	require.NoError(t, err)
	docs := read(t, "docs/settings.md")
	for _, name := range settings {
		assert.True(t, tested[name], "there is no TestSettings/%s", name)
		assert.Contains(t, docs, "`"+name+"`", "docs/settings.md has no row")
	}
}

// addSubtests adds the names of the subtests of the TestSettings in a file: the
// texts with which it calls t.Run, and the keys of tables of tests.
func addSubtests(t *testing.T, file string, tested map[string]bool) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	if !declares(parsed, "TestSettings") {
		return
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		var name ast.Expr
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			name = n.Key
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Run" && len(n.Args) == 2 {
				name = n.Args[0]
			}
		}
		if literal, ok := name.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			text, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			for part := range strings.SplitSeq(text, ", ") {
				tested[part] = true
			}
		}
		return true
	})
}

func declares(file *ast.File, name string) bool {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == name && f.Recv == nil {
			return true
		}
	}
	return false
}
