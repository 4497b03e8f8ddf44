//go:build unix

package audit_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver/audit"
)

// A search does not wait for a pipe that nobody writes to.
func TestSearchBesideAPipe(t *testing.T) {
	path := writeLog(t, 1, 1)
	require.NoError(t, syscall.Mkfifo(path+".pipe", 0o600))
	found, err := audit.Search(t.Context(), path, audit.Query{}, "", 10)
	require.NoError(t, err)
	assert.Len(t, found.Entries, 1)
	assert.Equal(t, []string{"audit.jsonl.pipe"}, found.LeftOut)
}
