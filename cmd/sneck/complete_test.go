package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCompletions(t *testing.T) {
	cli := newCommandLine()
	parser, err := newParser(&cli)
	require.NoError(t, err)
	for line, want := range map[string][]string{
		"cli":                           {"client"},
		"help":                          {"help"},
		"help client sh":                {"show"},
		"client s":                      {"show", "secret"},
		"clients secret ":               {"add", "list", "retire"},
		"client secret add app":         nil,
		"client nosuch s":               nil,
		"keys s":                        {"show"},
		"key show --j":                  {"--json"},
		"token --cl":                    {"--client"},
		"token revoke --y":              {"--yes"},
		"token list --client app --jt":  {"--jti"},
		"token list --client --jt":      nil,
		"client update x --no-d":        {"--no-dpop-bound"},
		"client update x --introspect ": nil,
		"client update --introspect x ": nil,
		"client list --data ":           {":dirs"},
		"client list --data = ./d":      {":dirs"},
		"client list --data =":          {":dirs"},
		"client list --data=./d":        {":dirs"},
		"client list --nosuch=./d":      nil,
		"client create --jwks ":         {":files"},
		"audit verify ":                 {":files"},
		"audit verify a b ":             {":files"},
		"audit verify -- --t":           {":files"},
		"audit show --kind client_d":    {"client_deleted"},
		"audit show --kind=swe":         {"--kind=swept"},
		"completion ":                   {"bash", "zsh", "fish"},
		"completion bash ":              nil,
		"version ":                      nil,
	} {
		var words []string
		for _, c := range completions(parser.Model.Node, strings.Split(line, " ")) {
			words = append(words, c.word)
		}
		assert.Equal(t, want, words, "%q", line)
	}
	all := completions(parser.Model.Node, nil)
	assert.Contains(t, all, completion{"version", "Print the version"})
	assert.Contains(t, all, completion{"client", "Register, show and change clients of the authorization server"})

	var out bytes.Buffer
	assert.Equal(t, exitOK, run(t.Context(), []string{completeArg, "vers"}, nil, nil, &out, &out))
	assert.Equal(t, "version\tPrint the version\n", out.String())
	assert.Equal(t, exitNo, run(t.Context(), []string{completeArg}, nil, nil, failingWriter{}, &out))
}

func TestNearest(t *testing.T) {
	names := []string{"app", "apple", "notes-api", "Notes-Web", "x"}
	for wrong, want := range map[string][]string{
		"ap":                      {"app", "apple"},
		"appl":                    {"app", "apple"},
		"noets-api":               {"notes-api"},
		"NOTES-API":               {"notes-api", "Notes-Web"},
		"notes":                   {"notes-api", "Notes-Web"},
		"zebra":                   nil,
		"":                        {"x"},
		strings.Repeat("a", 1000): nil,
	} {
		assert.Equal(t, want, nearest(wrong, names), "%q", wrong)
	}
	assert.Equal(t, 1, distance("ab", "ba"))
	assert.Equal(t, 3, distance("kitten", "sitting"))
	assert.Equal(t, 0, distance("", ""))
}
