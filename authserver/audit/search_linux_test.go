package audit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver/audit"
)

// However many files a log has, one is open at a time, and none afterwards.
func TestSearchOpensOneFileAtATime(t *testing.T) {
	path := writeLog(t, 60, 6)
	open := func() (n int) {
		list, err := os.ReadDir("/proc/self/fd")
		assert.NoError(t, err)
		for _, entry := range list {
			// It may be gone: the list itself is.
			if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && strings.HasPrefix(target, filepath.Dir(path)) {
				n++
			}
		}
		return n
	}
	most := 0
	found, err := audit.Search(watching{t.Context(), func() { most = max(most, open()) }}, path, audit.Query{}, "", 100)
	require.NoError(t, err)
	assert.Len(t, found.Entries, 60)
	assert.Equal(t, []int{1, 0}, []int{most, open()})
}
