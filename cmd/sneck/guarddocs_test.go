package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/cmd/internal/settings"
)

// The files that docs/guard.md and the help show can be used as they are.
func TestGuardDocs(t *testing.T) {
	docs, err := os.ReadFile("../../docs/guard.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(docs), -1)
	require.Len(t, blocks, 3)
	for _, block := range blocks {
		_, err := checkGuard(settings.Sources{File: "docs/guard.md", Data: []byte(block[1])})
		require.NoError(t, err)
	}
	_, shown, found := strings.Cut((&guardCommand{}).Help(), "with a guard.yaml such as\n")
	require.True(t, found)
	_, err = checkGuard(settings.Sources{File: "help", Data: []byte(strings.ReplaceAll(shown, "\n    ", "\n"))})
	require.NoError(t, err)

	var keys []string
	for _, key := range regexp.MustCompile("`([a-z]+_[a-z_]+)`").FindAllStringSubmatch(string(docs), -1) {
		keys = append(keys, key[1])
	}
	schema := string(guardSchema())
	for _, key := range keys {
		switch {
		case slices.Contains([]string{"auth_request", "error_page", "proxy_pass", "underscores_in_headers"}, key): // of nginx
		case strings.HasPrefix(key, "sneck_"): // a metric
		default:
			assert.Contains(t, schema, `"`+key+`"`)
		}
	}
	status, help, _ := inProcess(t, "guard", "--help")
	assert.Equal(t, exitOK, status)
	assert.NotContains(t, help, "resource-server-auth-token=", "others can read command lines")
	assert.Contains(t, help, "--upstream")
}
