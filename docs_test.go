package sneck_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The program in the README is the one that the examples build and run.
func TestReadmeProgramIsTheExample(t *testing.T) {
	readme := read(t, "README.md")
	_, rest, found := strings.Cut(readme, "```go\n")
	require.True(t, found)
	program, _, found := strings.Cut(rest, "```\n")
	require.True(t, found)
	assert.Equal(t, read(t, "examples/introspection/main.go"), program)
}

// The commands of a first sign-in, which cmd/sneck runs, are in both texts.
func TestReadmeHasTheFirstSignIn(t *testing.T) {
	_, rest, found := strings.Cut(read(t, "docs/pages.md"), "```sh\n")
	require.True(t, found)
	commands, _, found := strings.Cut(rest, "```\n")
	require.True(t, found)
	assert.Contains(t, read(t, "README.md"), "```sh\n"+commands+"```\n")
}

// What the texts show is part of an example.
func TestTextsShowTheExamples(t *testing.T) {
	for text, programs := range map[string][]string{
		"docs/mcp.md": {"examples/mcp/main.go"},
		"docs/frameworks.md": {
			"examples/internal/songs/songs.go", "examples/servemux/main.go", "examples/chi/main.go", "examples/gin/main.go", "examples/echo/main.go", "examples/grpc/main.go",
		},
		"docs/observability.md": {"adapter/otel/example_test.go"},
	} {
		var shown strings.Builder
		for _, program := range programs {
			shown.WriteString(read(t, program))
		}
		blocks := regexp.MustCompile("(?s)```go\n(.*?)```\n").FindAllStringSubmatch(read(t, text), -1)
		require.NotEmpty(t, blocks)
		for _, block := range blocks {
			assert.Contains(t, shown.String(), block[1], text)
		}
	}
}

// Links lead to files, and what the texts call a test or benchmark is one.
func TestDocsNameWhatExists(t *testing.T) {
	texts, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	decisions, err := filepath.Glob("docs/decisions/*.md")
	require.NoError(t, err)
	tests := testNames(t)
	for _, text := range append(append(texts, decisions...), "README.md", "CONTRIBUTING.md", "SECURITY.md") {
		content := read(t, text)
		for _, link := range regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`).FindAllStringSubmatch(content, -1) {
			_, err := os.Stat(filepath.Join(filepath.Dir(text), link[1]))
			assert.NoError(t, err, "%s links to %s", text, link[1])
		}
		for _, name := range regexp.MustCompile("`((?:Test|Benchmark|Fuzz)[A-Z]\\w*)").FindAllStringSubmatch(content, -1) {
			assert.Contains(t, tests, name[1], "%s names a test that is not there", text)
		}
	}
}

func testNames(t *testing.T) map[string]bool {
	names := make(map[string]bool)
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz)\w*)\(`)
	err := filepath.WalkDir(".", func(file string, _ os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(file, "_test.go") {
			for _, name := range declared.FindAllStringSubmatch(read(t, file), -1) {
				names[name[1]] = true
			}
		}
		return err
	})
	require.NoError(t, err)
	return names
}

func read(t *testing.T, file string) string {
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(content)
}
