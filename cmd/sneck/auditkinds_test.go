package main

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The kinds that can be asked for are those that there are.
func TestEventKinds(t *testing.T) {
	source, err := os.ReadFile("../../authserver/event.go")
	require.NoError(t, err)
	var names []string
	for _, constant := range regexp.MustCompile(`EventKind = "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		names = append(names, constant[1])
	}
	assert.ElementsMatch(t, names, eventKinds())
}
