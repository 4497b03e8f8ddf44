package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// leaves returns all commands, by what is typed for them.
func leaves(t *testing.T) map[string]*kong.Node {
	cli := newCommandLine()
	parser, err := newParser(&cli)
	require.NoError(t, err)
	found := make(map[string]*kong.Node)
	for _, leaf := range parser.Model.Leaves(true) {
		found[leaf.FullPath()] = leaf
	}
	return found
}

// What prints something prints it as JSON, too, and says it the same way.
func TestEveryCommandHasJSON(t *testing.T) {
	without := map[string]string{
		"sneck serve":      "prints nothing: its log is JSON with --log-json",
		"sneck guard":      "likewise",
		"sneck completion": "prints a program for a shell",
	}
	for name, leaf := range leaves(t) {
		has := slices.ContainsFunc(leaf.Flags, func(f *kong.Flag) bool { return f.Name == "json" && f.IsBool() })
		_, argued := without[name]
		assert.NotEqual(t, argued, has, "%s: either --json, or a reason why not", name)
		delete(without, name)
	}
	assert.Empty(t, without, "there are no such commands")
}

// What can not be undone asks, and can be told not to.
func TestWhatDestroysAsks(t *testing.T) {
	destroys := []string{"delete", "retire", "revoke", "clear", "end"}
	asks := 0
	for name, leaf := range leaves(t) {
		has := slices.ContainsFunc(leaf.Flags, func(f *kong.Flag) bool { return f.Name == "yes" && f.Short == 'y' })
		assert.Equal(t, slices.Contains(destroys, leaf.Name), has, name)
		if has {
			asks++
		}
	}
	assert.Equal(t, 7, asks)
}

// The table in docs/commands.md is what the program has. With UPDATE_DOCS set
// it is written anew.
func TestDocsListTheCommands(t *testing.T) {
	const path, begin, end = "../../docs/commands.md", "| command", "\n\n"
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(data), begin)
	require.True(t, found)
	_, after, found := strings.Cut(rest, end)
	require.True(t, found)

	cli := newCommandLine()
	parser, err := newParser(&cli)
	require.NoError(t, err)
	rows := [][2]string{{"command", "what it does"}}
	for _, leaf := range parser.Model.Leaves(true) {
		help := strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(leaf.Help)
		rows = append(rows, [2]string{"`" + strings.TrimSuffix(leaf.FullPath(), " ") + "`", help})
	}
	width, textWidth := 0, 0
	for _, row := range rows {
		width, textWidth = max(width, len(row[0])), max(textWidth, len(row[1]))
	}
	rows = slices.Insert(rows, 1, [2]string{strings.Repeat("-", width), strings.Repeat("-", textWidth)})
	var table strings.Builder
	for _, row := range rows {
		fmt.Fprintf(&table, "| %-*s | %-*s |\n", width, row[0], textWidth, row[1])
	}
	want := before + table.String() + "\n" + after
	if os.Getenv("UPDATE_DOCS") != "" {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
	}
	assert.Equal(t, want, string(data), "hint: UPDATE_DOCS=1 go test -run TestDocsListTheCommands ./cmd/sneck")
}

// The commands in docs/commands.md do what they say, one after the other.
func TestDocsCommands(t *testing.T) {
	docs, err := os.ReadFile("../../docs/commands.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(docs), -1)
	require.Len(t, blocks, 3)
	t.Chdir(t.TempDir())
	for _, block := range blocks[:2] {
		for line := range strings.Lines(block[1]) {
			args := strings.Fields(strings.TrimPrefix(line, "sneck "))
			if args[0] == "audit" {
				status, _, stderr := inProcess(t, "client", "update", "app", "--data", "data", "--name", "App", "--audit", "audit.jsonl")
				require.Equal(t, exitOK, status, stderr)
			}
			status, stdout, stderr := inProcess(t, args...)
			assert.Equal(t, exitOK, status, "%s: %s", line, stderr)
			assert.NotEmpty(t, stdout, line)
		}
	}
	assert.Equal(t, "source <(sneck completion bash)\n", blocks[2][1], "what the completion script runs in a shell")
}
