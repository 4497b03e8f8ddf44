package audit_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// holdLock locks the file as another process would.
func holdLock(t *testing.T, path string) (release func()) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	return func() { f.Close() }
}
