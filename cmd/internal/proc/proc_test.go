//go:build linux

package proc

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseStat(t *testing.T) {
	const rest = " S 7 8 9 0 -1 4194560 1 2 3 4 100 20 3000 400 20 0 1 0 5 6 7\n"
	want := stat{parent: 7, cpu: 1200 * time.Millisecond, childrens: 34 * time.Second}
	for _, name := range []string{"sneck", "a b", "a) R 1 (", "(", ")"} {
		got, err := parseStat([]byte("42 (" + name + ")" + rest))
		require.NoError(t, err, name)
		assert.Equal(t, want, got, name)
	}
	for _, wrong := range []string{"", "42", "42 (sneck)", "42 (sneck) S 7", "42 (sneck) S x 8 9 0 -1 4194560 1 2 3 4 100 20 3000 400"} {
		_, err := parseStat([]byte(wrong))
		assert.Error(t, err, wrong)
	}
}

func TestThisProcess(t *testing.T) {
	n, err := Memory(os.Getpid())
	require.NoError(t, err)
	assert.Greater(t, n, int64(1<<20))
	before, err := CPU(os.Getpid())
	require.NoError(t, err)
	for {
		after, err := CPU(os.Getpid())
		require.NoError(t, err)
		if after > before {
			break
		}
	}
	_, err = CPU(1 << 30)
	require.Error(t, err)
	_, err = Memory(1 << 30)
	require.Error(t, err)
}
