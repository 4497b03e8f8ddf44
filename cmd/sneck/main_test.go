package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sneck": main, "approving-sneck": approvingMain})
}

// The scripts are named after behaviours. Besides the commands of testscript
// they have
//
//	exits N COMMAND…   runs a command that must end with this status
//	until RE COMMAND…  runs a command again until its output matches, for what takes a moment
//	field NAME KEY     sets a variable to a member of the JSON object just printed
//	start NAME ARG…    runs sneck in the background; the variable is the first URL it prints
//	stop [SIGNAL]      ends it by SIGTERM or SIGINT; it must exit with 0. What it
//	                   wrote is in the files server.out and server.err.
//	hup                sends it SIGHUP
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Values["server"] = &background{}
			env.Setenv("TMPDIR", env.WorkDir+"/.tmp")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": scriptExits,
			"until": scriptUntil,
			"field": scriptField,
			"start": scriptStart,
			"stop":  scriptStop,
			"hup":   scriptHup,
		},
	})
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, not %d", got, want)
	}
}

func scriptUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until RE COMMAND…")
	}
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for start := time.Now(); time.Since(start) < 20*time.Second; {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if re.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("the output never matched %q", args[0])
}

func scriptField(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: field NAME KEY")
	}
	var object map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &object))
	value, ok := object[args[1]].(string)
	if !ok {
		ts.Fatalf("there is no string %q in %v", args[1], object)
	}
	ts.Setenv(args[0], value)
}

func scriptStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME ARG…")
	}
	b := ts.Value("server").(*background)
	cmd := exec.Command("sneck", args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "TMPDIR="+ts.Getenv("TMPDIR"))
	url, err := b.start(cmd)
	ts.Check(err)
	ts.Defer(b.kill)
	ts.Setenv(args[0], url)
}

func scriptStop(ts *testscript.TestScript, neg bool, args []string) {
	signal := syscall.SIGTERM
	if len(args) == 1 && args[0] == "SIGINT" {
		signal = syscall.SIGINT
	} else if neg || len(args) > 0 {
		ts.Fatalf("usage: stop [SIGINT]")
	}
	b := ts.Value("server").(*background)
	err := b.stop(signal)
	ts.Check(os.WriteFile(ts.MkAbs("server.out"), b.out.bytes(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("server.err"), b.err.bytes(), 0o600))
	if err != nil {
		ts.Fatalf("%v\n%s", err, b.err.bytes())
	}
}

func scriptHup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: hup")
	}
	ts.Check(ts.Value("server").(*background).cmd.Process.Signal(syscall.SIGHUP))
}

// A background is a sneck that runs beside a test.
type background struct {
	cmd      *exec.Cmd
	out, err capture
}

var firstURL = regexp.MustCompile(`https?://[0-9.]+:[0-9]+`)

// start starts the command and returns the first URL that it prints.
func (b *background) start(cmd *exec.Cmd) (string, error) {
	found := make(chan string, 2)
	b.out.found, b.err.found = found, found
	cmd.Stdout, cmd.Stderr = &b.out, &b.err
	b.cmd = cmd
	if err := cmd.Start(); err != nil {
		return "", err
	}
	select {
	case url := <-found:
		return url, nil
	case <-time.After(time.Minute):
		b.kill()
		return "", errors.New("no URL was printed: " + string(b.err.bytes()))
	}
}

func (b *background) stop(signal os.Signal) error {
	if err := b.cmd.Process.Signal(signal); err != nil {
		return err
	}
	return b.cmd.Wait()
}

func (b *background) kill() {
	if b.cmd.ProcessState == nil {
		b.cmd.Process.Kill()
		b.cmd.Wait()
	}
}

// A capture keeps what is written to it, and tells the first URL.
type capture struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	found chan<- string
}

func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buf.Write(p)
	if url := firstURL.Find(c.buf.Bytes()); url != nil && c.found != nil {
		c.found <- string(url)
		c.found = nil
	}
	return len(p), nil
}

func (c *capture) bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.buf.Bytes())
}

// inProcess runs the program in this process.
func inProcess(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = run(t.Context(), args, nil, &bytes.Buffer{}, &out, &err)
	return status, out.String(), err.String()
}

// A signal that comes twice at once, as timeout(1) sends it, is one: what is
// under way is finished. One that comes later ends the process.
func TestSignalTwice(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		later bool
	}{{"at once", false}, {"later", true}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for {
				var server background
				url, err := server.start(exec.CommandContext(t.Context(), "sneck", "serve", "--listen", "127.0.0.1:0", "--data", t.TempDir()))
				require.NoError(t, err)
				defer server.kill()
				// The server waits for the rest of a request that has begun.
				address := strings.TrimPrefix(url, "http://")
				conn, err := net.Dial("tcp", address)
				require.NoError(t, err)
				defer conn.Close()
				_, err = io.WriteString(conn, "POST /token HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n"+
					"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\n")
				require.NoError(t, err)
				answer := bufio.NewReader(conn)
				line, err := answer.ReadString('\n') // somebody reads it
				require.NoError(t, err)
				require.Contains(t, line, "100 Continue")

				began := time.Now()
				require.NoError(t, server.cmd.Process.Signal(syscall.SIGTERM))
				require.Eventually(t, func() bool { // it was heard
					other, err := net.Dial("tcp", address)
					if err == nil {
						other.Close()
					}
					return err != nil
				}, time.Minute, time.Millisecond)
				if test.later {
					ended := make(chan error, 1)
					go func() { ended <- server.cmd.Wait() }()
					for {
						select {
						case err := <-ended:
							assert.EqualError(t, err, "signal: terminated")
							return
						case <-time.After(10 * time.Millisecond):
							_ = server.cmd.Process.Signal(syscall.SIGTERM)
						}
					}
				}
				require.NoError(t, server.cmd.Process.Signal(syscall.SIGTERM))
				if time.Since(began) > sameSignal/2 { // a busy machine: that was no "at once"
					server.kill()
					continue
				}
				_, err = io.WriteString(conn, "a=b")
				require.NoError(t, err)
				rest, err := io.ReadAll(answer)
				require.NoError(t, err)
				assert.Contains(t, string(rest), "HTTP/1.1 401 Unauthorized")
				require.NoError(t, server.cmd.Wait(), "%s", server.err.bytes())
				return
			}
		})
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// The status tells the truth, also if what was to be said could not be.
func TestOutputThatFails(t *testing.T) {
	data := t.TempDir()
	var env map[string]string
	create := []string{"client", "create", "--data", data, "--id", "api", "--introspect"}
	var stderr bytes.Buffer
	assert.Equal(t, exitNo, run(t.Context(), create, env, nil, failingWriter{}, &stderr))
	assert.Contains(t, stderr.String(), "the client was not registered")

	status, _, _ := inProcess(t, "client", "show", "api", "--data", data)
	assert.Equal(t, exitNo, status, "nobody knows the secret of this client")
	status, _, _ = inProcess(t, create...)
	assert.Equal(t, exitOK, status)

	for _, args := range [][]string{{"version"}, {"demo", "--once"}, {"client", "show", "api", "--data", data}} {
		assert.Equal(t, exitNo, run(t.Context(), args, env, nil, failingWriter{}, &stderr), "%q", args)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Equal(t, exitNo, run(ctx, []string{"demo"}, env, nil, failingWriter{}, &stderr))
}
