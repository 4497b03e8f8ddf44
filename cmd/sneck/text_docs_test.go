package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	// shownCommand is a command in a block of code, alone or as a part of others.
	shownCommand  = regexp.MustCompile(`(?m)(?:^ *(?:\w+=\S+ )?|[|(] ?)(?:\./)?sneck ((?:[^\n|&>)\\]|\\\n)+)`)
	inlineCommand = regexp.MustCompile("`sneck ([^`]+)`")
	commandWord   = regexp.MustCompile(`"[^"]*"|\S+`)
)

// words returns what a shell makes of a line, in the main.
func words(line string) (found []string) {
	line = strings.ReplaceAll(line, "\\\n", " ")
	for _, word := range commandWord.FindAllString(line, -1) {
		if strings.HasPrefix(word, "#") || strings.HasPrefix(word, "<") {
			break
		}
		found = append(found, strings.Trim(word, `"`))
	}
	return found
}

// codeOf returns the code blocks of a text in Markdown: those without a language
// or for a shell, and those that are indented.
func codeOf(text string) string {
	var code strings.Builder
	inside, shell := false, false
	for line := range strings.Lines(text) {
		language, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence:
			inside, shell = !inside, slices.Contains([]string{"", "sh"}, language)
		case inside && shell, !inside && strings.HasPrefix(line, "    "):
			code.WriteString(line)
		}
	}
	return code.String()
}

// Every command that a text or a help shows is one, and has the flags that it is
// shown with.
func TestDocsShowCommandsThatExist(t *testing.T) {
	texts, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	lines := make(map[string][]string)
	for _, file := range append(texts, "../../README.md", "../../CONTRIBUTING.md", "../../SECURITY.md") {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, shown := range shownCommand.FindAllStringSubmatch(codeOf(string(text)), -1) {
			lines[file] = append(lines[file], shown[1])
		}
		for _, shown := range inlineCommand.FindAllStringSubmatch(string(text), -1) {
			lines[file] = append(lines[file], shown[1])
		}
	}
	for name, leaf := range leaves(t) {
		for _, shown := range shownCommand.FindAllStringSubmatch(leaf.Detail, -1) {
			lines[name] = append(lines[name], shown[1])
		}
	}
	cli := newCommandLine()
	parser, err := newParser(&cli)
	require.NoError(t, err)
	count := 0
	for place, shown := range lines {
		for _, line := range shown {
			assert.Empty(t, unknownIn(parser.Model.Node, words(line)), "%s: sneck %s", place, line)
			count++
		}
	}
	assert.Greater(t, count, 100, "they are found")
	assert.Equal(t, "--scopes", unknownIn(parser.Model.Node, words(`client create --id app --scopes "a b"`)))
	assert.Equal(t, "clear", unknownIn(parser.Model.Node, words("client clear --data x")))
}

// unknownIn returns the first word of a command line that means nothing.
func unknownIn(node *kong.Node, line []string) string {
	if len(line) > 0 && line[0] == "help" {
		line = line[1:]
	}
	for _, word := range inFull(line) {
		name, _, _ := strings.Cut(word, "=")
		name = strings.TrimRight(name, ",.;:")
		switch {
		case word == "…" || word == "-" || word == "--help":
		case strings.HasPrefix(word, "-"):
			if flagOf(node, name) == nil && flagOf(node, "--"+strings.TrimPrefix(name, "--no-")) == nil {
				return word
			}
		case childOf(node, name) != nil:
			node = childOf(node, name)
		case len(node.Children) > 0 && node.Parent != nil:
			return word
		}
	}
	return ""
}

// What the texts show besides can be pasted, too: a command after the other, in a
// folder where there is what they are about.
func TestDocsCommandsInPassing(t *testing.T) {
	for _, test := range []struct {
		file, begin string
		before      []string // commands without output that matters
	}{
		{"pages.md", "    sneck user create", nil},
		{"durability.md", "sneck tokens clear", []string{"client create --data data --id app --scope a --audience b"}},
		{"settings.md", "sneck check", nil},
		{"audit.md", "sneck audit show", []string{"client create --data data --id app --scope a --audience b --audit audit.jsonl"}},
	} {
		t.Run(test.file, func(t *testing.T) {
			text, err := os.ReadFile("../../docs/" + test.file)
			require.NoError(t, err)
			t.Chdir(t.TempDir())
			_, settings, _ := strings.Cut(string(text), "```yaml\n")
			settings, _, _ = strings.Cut(settings, "```")
			require.NoError(t, os.WriteFile("sneck.yaml", []byte(settings), 0o600))
			for _, line := range test.before {
				status, _, stderr := inProcess(t, strings.Fields(line)...)
				require.Equal(t, exitOK, status, stderr)
			}
			_, block, found := strings.Cut(codeOf(string(text)), test.begin)
			require.True(t, found)
			ran := 0
			for line := range strings.Lines(test.begin + block) {
				command, ok := strings.CutPrefix(strings.TrimSpace(line), "sneck ")
				if !ok {
					break
				}
				status, stdout, stderr := inProcess(t, words(command)...)
				assert.Equal(t, exitOK, status, "%s: %s", line, stderr)
				assert.NotEmpty(t, stdout+stderr, line)
				ran++
			}
			assert.GreaterOrEqual(t, ran, 2)
		})
	}
}

// With what docs/start.md has begun, docs/guard.md guards a service.
func TestDocsGuardOnOneMachine(t *testing.T) {
	for _, tool := range []string{"sh", "curl", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			require.NotEqual(t, "true", os.Getenv("CI"), "%v", err)
			t.Skip("there is no ", tool)
		}
	}
	t.Parallel()
	var scripts []string
	for _, file := range []string{"start.md", "guard.md"} {
		text, err := os.ReadFile("../../docs/" + file)
		require.NoError(t, err)
		for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
			scripts = append(scripts, block[1])
		}
	}
	require.Len(t, scripts, 7)
	dir, server := t.TempDir(), freeAddress(t)
	here := strings.NewReplacer(
		"go build -o sneck ./cmd/sneck\n", "", "./sneck serve --data ./data &", "exec sneck serve --data ./data",
		"./sneck guard --config guard.yaml &", "exec sneck guard --config guard.yaml", "./sneck ", "sneck ",
		"127.0.0.1:8080", server, "127.0.0.1:8081", freeAddress(t), "http://127.0.0.1:3000", echoing(t))
	sh := func(script string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "sh", "-euc", here.Replace(script))
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "SNECK_LISTEN="+server)
		return cmd
	}
	var serving, guarding background
	_, err := serving.start(sh(scripts[0]))
	require.NoError(t, err)
	defer serving.kill()
	cmd := sh(scripts[5])
	cmd.Env = os.Environ()
	_, err = guarding.start(cmd)
	require.NoError(t, err)
	defer guarding.kill()
	out, err := sh(scripts[6]).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Regexp(t, `(?s)^HTTP/1.1 401 Unauthorized.*HTTP/1.1 200 OK.*"X-Sneck-Subject":\["app"\]`, string(out))
	require.NoError(t, guarding.stop(syscall.SIGTERM))
	require.NoError(t, serving.stop(syscall.SIGTERM))
}
