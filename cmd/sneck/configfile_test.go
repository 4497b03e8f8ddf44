package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A command takes what it needs from a file with settings, whatever else is
// wrong in there; but never does without what it can not read.
func TestConfigOfCommands(t *testing.T) {
	const line = "token revoke --client app --yes"
	data := t.TempDir()
	status, _, stderr := inProcess(t, "client", "create", "--data", data, "--id=app", "--scope=read", "--audience=https://api.example")
	require.Equal(t, exitOK, status, stderr)
	noKey := writeFile(t, "short.key", "c2hvcnQ=\n")
	const hint = " (hint: look at --config, or do without it: SNECK_CONFIG= sneck …)\n"
	for name, test := range map[string]struct {
		config, line string
		status       int
		stderr       string
	}{
		"a mistake elsewhere":  {"data: " + data + "\naccess_token_expire_seconds: soon\nlimits: 5\n", line, exitOK, ""},
		"the file of a guard":  {guardInOrder, line + " --data " + data, exitOK, ""},
		"what it needs counts": {"data: " + data + "\nsealing_key_file: " + noKey + "\nscope: x\n", line, exitNo, "sneck: " + noKey + ": "},
		"a mistake in what it needs": {"data: " + data + "\naudit: [5]\n", line, exitUsage,
			"FILE:2:8: audit: is a list, but should be text (hint: one value, without [ ])\n"},
		"no YAML":             {"data: [\n", line + " --data " + data, exitUsage, "sneck: --sealing-key: FILE:2:1: is not YAML: "},
		"no YAML, not needed": {"data: [\n", line + " --data " + data + " --sealing-key= --audit=", exitOK, ""},
		"no YAML, and a hint": {"", line + " --data " + data, exitUsage, "sneck: --sealing-key: FILE: is empty" + hint},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeFile(t, "sneck.yaml", test.config)
			var out, stderr bytes.Buffer
			got := run(t.Context(), strings.Fields(test.line), map[string]string{"SNECK_CONFIG": file}, nil, &out, &stderr)
			said := strings.ReplaceAll(stderr.String(), file, "FILE")
			assert.Equal(t, test.status, got, said)
			if test.stderr == "" {
				assert.Empty(t, said)
			}
			assert.True(t, strings.HasPrefix(said, test.stderr), said)
		})
	}
}
