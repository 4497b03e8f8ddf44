package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The story is played over real sockets, in real time.
func TestDemoOnce(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	status, stdout, stderr := inProcess(t, "demo", "--once", "--json")
	require.Equal(t, exitOK, status, "%s%s", stdout, stderr)
	assert.Empty(t, stderr)

	got := map[string]line{}
	var steps []string
	for text := range strings.Lines(stdout) {
		var l line
		require.NoError(t, json.Unmarshal([]byte(text), &l))
		assert.True(t, l.OK, text)
		steps = append(steps, l.Step)
		got[l.Step] = l
	}
	assert.Equal(t, []string{
		"token issued", "GET with notes:read", "GET again, from the cache", "POST without notes:write", "POST with notes:write",
		"GET without a token", "GET with garbage", "GET with two tokens", "1000 GETs at once, one cold token",
		"GET with a revoked token", "server stopped, cold token", "server stopped, warm token", "server stopped, token forgotten",
	}, steps)

	crowd := got["1000 GETs at once, one cold token"]
	assert.Equal(t, "1000 x 200, 1 introspection", crowd.Got)
	assert.EqualValues(t, 1, *crowd.Introspections)
	assert.Equal(t, 1000, crowd.Requests)
	assert.Less(t, *got["GET with a revoked token"].Last200, 2000.0)
	assert.Positive(t, got["server stopped, cold token"].RetryAfter)
	assert.GreaterOrEqual(t, *got["server stopped, token forgotten"].Refused, 2000.0)

	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	assert.Empty(t, left, "the temporary directory is removed")
}

// The story tells what it measures: where the API does not remember, or for
// longer than it says, the steps that this spoils fail, and no others.
func TestDemoTellsTheTruth(t *testing.T) {
	t.Parallel()
	scene, err := startScene(t.Context(), "127.0.0.1:0", nil,
		apiConfig{listen: "127.0.0.1:0", ttl: 0, timeout: patience},
		apiConfig{listen: "127.0.0.1:0", ttl: 2 * time.Second, timeout: patience})
	require.NoError(t, err)
	defer func() { assert.NoError(t, scene.close()) }()
	scene.apis[1].ttl = 50 * time.Millisecond // what it claims from now on

	failed := map[string]string{}
	good, all, err := newStory(scene).play(t.Context(), func(l line) error {
		if !l.OK {
			failed[l.Step] = l.Got
		}
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, all-len(failed), good)
	assert.Equal(t, "200, 1 introspection", failed["GET again, from the cache"])
	assert.Equal(t, "1000 x 200, 1000 introspections", failed["1000 GETs at once, one cold token"])
	assert.Contains(t, failed["GET with a revoked token"], "401, invalid_token, last 200 after 1.")
	assert.Equal(t, "503", failed["server stopped, warm token"])
	assert.Contains(t, failed["server stopped, token forgotten"], "503, with Retry-After, after 2.")
	assert.Len(t, failed, 5)
}

// With nobody to ask from the start, no step but those without a token, and
// those about an outage, can be as it should.
func TestDemoFails(t *testing.T) {
	scene, err := startScene(t.Context(), "127.0.0.1:0", nil,
		apiConfig{listen: "127.0.0.1:0", ttl: longTTL}, apiConfig{listen: "127.0.0.1:0", ttl: shortTTL})
	require.NoError(t, err)
	defer func() { assert.NoError(t, scene.close()) }()
	require.NoError(t, scene.authority.stop())
	var out bytes.Buffer
	good, all, err := newStory(scene).play(t.Context(), func(l line) error { return l.write(&out, false) })
	require.NoError(t, err)
	assert.Less(t, good, all)
	assert.Contains(t, out.String(), "FAIL  token issued")
	assert.Contains(t, out.String(), "connection refused")
	assert.Contains(t, out.String(), "should be: 200, Bearer, notes:read, for 1h0m0s")
}

func TestDemoOnceIsInterrupted(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	scene, err := startScene(ctx, "127.0.0.1:0", nil,
		apiConfig{listen: "127.0.0.1:0", ttl: longTTL}, apiConfig{listen: "127.0.0.1:0", ttl: shortTTL})
	require.NoError(t, err)
	steps := 0
	_, _, err = newStory(scene).play(ctx, func(line) error {
		if steps++; steps == 2 {
			cancel()
		}
		return nil
	})
	require.ErrorContains(t, err, "interrupted")
	assert.Equal(t, 2, steps)
	require.NoError(t, scene.close())
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

// "sneck demo --once | head -n 1" leaves nothing behind.
func TestDemoOnceLosesItsReader(t *testing.T) {
	temp := t.TempDir()
	cmd := exec.Command("sneck", "demo", "--once")
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = out.Read(make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, out.Close())
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	assert.Equal(t, exitNo, exit.ExitCode(), "of its own, and not by a signal")
	assert.NotContains(t, stderr.String(), "broken pipe")
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// What the demo prints can be pasted.
func TestDemoPrintsWorkingLines(t *testing.T) {
	for _, tool := range []string{"sh", "curl", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			require.NotEqual(t, "true", os.Getenv("CI"), "%v", err)
			t.Skip("there is no ", tool)
		}
	}
	for _, ttl := range []string{"0", "1h"} {
		t.Run(ttl, func(t *testing.T) {
			var demo background
			cmd := exec.Command("sneck", "demo", "--cache-ttl", ttl)
			temp := t.TempDir()
			cmd.Env = append(os.Environ(), "TMPDIR="+temp)
			_, err := demo.start(cmd)
			require.NoError(t, err)
			defer demo.kill()

			// All of it is written at once.
			var script strings.Builder
			for text := range strings.Lines(string(demo.out.bytes())) {
				if strings.HasPrefix(text, "  ") {
					script.WriteString(text)
				}
			}
			got, err := exec.Command("sh", "-euc", script.String()).CombinedOutput()
			require.NoError(t, err, "%s\n%s", script.String(), got)
			var statuses []string
			for _, m := range regexp.MustCompile(`HTTP/1.1 (\d+)`).FindAllSubmatch(got, -1) {
				statuses = append(statuses, string(m[1]))
			}
			last := map[string]string{"0": "401", "1h": "200"}[ttl]
			assert.Equal(t, []string{"401", "200", "403", "201", "200", last}, statuses, "%s", got)
			assert.Contains(t, string(got), `scope="notes:write"`)
			assert.Contains(t, string(got), `{"id":1,"by":"app","text":"buy milk"}`)

			require.NoError(t, demo.stop(syscall.SIGINT))
			assert.Contains(t, string(demo.err.bytes()), "decision.reason=scope")
			assert.NotContains(t, string(demo.err.bytes()), "sneck_at_")
			left, err := os.ReadDir(temp)
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
}

func TestColours(t *testing.T) {
	l := line{Step: "s", Want: "1", Got: "2"}
	var plain, coloured bytes.Buffer
	require.NoError(t, l.write(&plain, false))
	require.NoError(t, l.write(&coloured, true))
	assert.Contains(t, coloured.String(), "\x1b[1;31mFAIL\x1b[0m")
	assert.Equal(t, plain.String(), regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(coloured.String(), ""))
}

// What comes from elsewhere does not reach the terminal as it is.
func TestPrintable(t *testing.T) {
	assert.Equal(t, "notes:read é", printable("notes:read é"))
	for _, s := range []string{"\x1b[31m", "a\nb", "a\x00", "\u202e", "\xff"} {
		got := printable(s)
		assert.NotContains(t, got, s)
		assert.Regexp(t, `^"[ -~]+"$`, got)
	}
}
