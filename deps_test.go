package sneck_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/sneckauth/sneck"

// imports says which packages of this module a folder's packages may import;
// "." is the root package. The directions are argued in the package docs: a
// verifier says what a token is, the guard says whether it may pass, and
// neither knows the other. A folder that is not listed may import nothing.
var imports = map[string][]string{
	".":          {"scopes"},
	"scopes":     {},
	"internal":   {".", "scopes", "internal"},
	"introspect": {".", "scopes", "internal"},
	"jwt":        {".", "scopes", "internal"},
	"cache":      {".", "cache"},
	"middleware": {".", "scopes", "internal"},
	"authserver": {".", "scopes", "internal", "authserver"},
	"authtest":   {"*"},
	"adapter":    {".", "scopes", "introspect", "jwt", "cache", "middleware", "authserver", "authtest", "adapter"},
	"cmd":        {"*"},
	"examples":   {".", "scopes", "introspect", "jwt", "cache", "middleware", "authserver", "authtest", "adapter", "examples"},
}

// required are the modules that the root module may need by itself, with what
// each is for. Heavier ones live in modules of their own below adapter and cmd.
var required = map[string]string{
	"github.com/dgraph-io/ristretto/v2":     "cache",
	"github.com/hashicorp/go-retryablehttp": "introspect",
	"github.com/go-json-experiment/json":    "strict JSON from the network",
	"github.com/go-jose/go-jose/v4":         "JWE, signing, and an oracle for tests",
	"golang.org/x/crypto":                   "argon2id",
	"github.com/stretchr/testify":           "tests",
}

func TestImportDirections(t *testing.T) {
	eachImport(t, func(file, name string) {
		folder := top(path.Dir(file))
		allowed, listed := imports[folder]
		assert.True(t, listed, "%s: the folder %s has no entry in the table of imports", file, folder)
		if !strings.HasPrefix(name+"/", module+"/") || slices.Contains(allowed, "*") {
			return
		}
		to := top(strings.TrimPrefix(strings.TrimPrefix(name, module), "/"))
		assert.Contains(t, allowed, to, "%s imports %s (hint: see the table in deps_test.go)", file, name)
	})
}

// Nothing that a user compiles into a server imports the testing package;
// only the kits for tests do.
func TestNoTestCodeInProduction(t *testing.T) {
	eachImport(t, func(file, name string) {
		if isKit(file) {
			return
		}
		assert.False(t, name == "testing" || strings.HasPrefix(name, "github.com/stretchr/testify") || name == module+"/authtest",
			"%s imports %s", file, name)
	})
}

// eachImport calls f for every import of every Go file but those of tests.
func eachImport(t *testing.T, f func(file, name string)) {
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && file != ".":
			return filepath.SkipDir
		case d.IsDir(), !strings.HasSuffix(file, ".go"), strings.HasSuffix(file, "_test.go"):
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range parsed.Imports {
			f(filepath.ToSlash(file), strings.Trim(spec.Path.Value, `"`))
		}
		return nil
	})
	require.NoError(t, err)
}

// top returns the first element of a slash-separated path, "." for none.
func top(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	return path.Clean(first)
}

func TestRootModuleStaysLight(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	direct := 0
	for _, line := range regexp.MustCompile(`(?m)^\s*(?:require )?(\S+) v\S+( // indirect)?$`).FindAllStringSubmatch(string(mod), -1) {
		if line[2] != "" {
			continue
		}
		direct++
		assert.Contains(t, required, line[1], "go.mod requires a module that is not in the list of deps_test.go")
	}
	assert.NotZero(t, direct)
	assert.NotContains(t, string(mod), "replace ")
}

// isKit reports whether the file belongs to a kit for tests or to an example.
func isKit(file string) bool {
	folder := path.Base(path.Dir(file))
	return top(file) == "examples" || strings.HasSuffix(folder, "test") || folder == "lyingserver"
}
