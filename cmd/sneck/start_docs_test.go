package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A new user pastes what docs/start.md shows, block by block.
func TestDocsStart(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a program")
	}
	for _, tool := range []string{"sh", "curl", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			require.NotEqual(t, "true", os.Getenv("CI"), "%v", err)
			t.Skip("there is no ", tool)
		}
	}
	t.Parallel()
	docs, err := os.ReadFile("../../docs/start.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(docs), -1)
	require.Len(t, blocks, 5)
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	dir, server, api := t.TempDir(), freeAddress(t), freeAddress(t)
	here := strings.NewReplacer(
		"go build -o sneck ./cmd/sneck\n", "", "./sneck serve --data ./data &", "exec sneck serve --data ./data", "./sneck ", "sneck ",
		"go run ./examples/introspection &", "go build -C "+root+" -o "+dir+"/api ./examples/introspection\nexec ./api",
		"127.0.0.1:8080", server, "127.0.0.1:9000", api)
	sh := func(script string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "sh", "-euc", here.Replace(script))
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "SNECK_LISTEN="+server)
		return cmd
	}

	var serving, guarding background
	_, err = serving.start(sh(blocks[0][1]))
	require.NoError(t, err)
	defer serving.kill()
	guarding.cmd = sh(blocks[1][1])
	guarding.cmd.Stderr = &guarding.err
	require.NoError(t, guarding.cmd.Start())
	defer guarding.kill()
	require.Eventually(t, func() bool {
		conn, err := net.DialTimeout("tcp", api, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, time.Minute, 20*time.Millisecond, "the API does not listen")

	out, err := sh(blocks[2][1] + blocks[3][1] + blocks[4][1]).CombinedOutput()
	require.NoError(t, err, "%s\n%s", out, guarding.err.bytes())
	assert.Regexp(t, `(?s)^HTTP/1.1 200 OK.*hello app\n`+
		`HTTP/1.1 403 Forbidden.*scope="notes:write".*`+
		`\bactive\b.*`+
		`revoked 1 record\n$`, strings.ReplaceAll(string(out), "\r", ""))
	require.NoError(t, serving.stop(syscall.SIGTERM))
}
