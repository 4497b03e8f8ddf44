//go:build unix

package audit_test

import (
	"os"
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

// A file that can not be opened is named, and the others are searched.
func TestSearchBesideWhatCanNotBeRead(t *testing.T) {
	path := writeLog(t, 20, 2)
	require.NoError(t, os.Symlink(path+".0", path+".0"))
	for _, limit := range []int{7, 100} {
		found, err := audit.Search(t.Context(), path, audit.Query{}, "", limit)
		require.NoError(t, err)
		assert.Len(t, found.Entries, min(limit, 20))
		require.Len(t, found.Unread, 1)
		assert.Equal(t, "audit.jsonl.0", found.Unread[0].Name)
		require.ErrorIs(t, found.Unread[0].Err, syscall.ELOOP)
	}
	assert.Len(t, all(t, path, audit.Query{}, 7), 20)
}
