package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shellBlocks returns the blocks of commands in docs/pages.md.
func shellBlocks(t *testing.T) (blocks [][]string) {
	docs, err := os.ReadFile("../../docs/pages.md")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(docs), -1) {
		blocks = append(blocks, strings.Split(strings.TrimSpace(m[1]), "\n"))
	}
	require.Len(t, blocks, 3)
	return blocks
}

// A shell runs the commands of the documentation in a folder of its own, at a
// port that is free.
type shell struct {
	dir, port string
}

func (s *shell) command(t *testing.T, line string) *exec.Cmd {
	line = strings.ReplaceAll(line, "localhost:8080", "localhost:"+s.port)
	line = strings.ReplaceAll(line, "authserver/pages/", s.root(t)+"/authserver/pages/")
	if rest, ok := strings.CutPrefix(line, "go build -o sneck "); ok {
		line = "go build -C " + s.root(t) + " -o " + s.dir + "/sneck " + rest
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.TrimSuffix(line, " &"))
	if strings.HasSuffix(line, " &") {
		cmd = exec.CommandContext(t.Context(), "sh", "-c", "exec "+strings.TrimSuffix(line, " &"))
	}
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "SNECK_LISTEN=127.0.0.1:"+s.port)
	return cmd
}

func (s *shell) root(t *testing.T) string {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	return root
}

func (s *shell) run(t *testing.T, line string) string {
	t.Helper()
	out, err := s.command(t, line).CombinedOutput()
	require.NoError(t, err, "%s: %s", line, out)
	return string(out)
}

// serve starts a server and waits for it.
func (s *shell) serve(t *testing.T, line string) (stop func()) {
	t.Helper()
	cmd := s.command(t, line)
	var log bytes.Buffer
	cmd.Stderr = &log
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool {
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+s.port, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, time.Minute, 20*time.Millisecond)
	return func() {
		cmd.Process.Signal(os.Interrupt)
		assert.NoError(t, cmd.Wait(), log.String())
	}
}

// person is a browser and who sits in front of it.
type person struct {
	t      *testing.T
	client *http.Client
	at     string
}

func newPerson(t *testing.T) *person {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &person{t: t, client: &http.Client{Jar: jar}}
}

func (p *person) read(resp *http.Response, err error) (*http.Response, string) {
	p.t.Helper()
	require.NoError(p.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	p.at = resp.Request.URL.String()
	return resp, string(body)
}

func (p *person) get(address string) (*http.Response, string) { return p.read(p.client.Get(address)) }

func (p *person) post(form url.Values) (*http.Response, string) {
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.at, strings.NewReader(form.Encode()))
	require.NoError(p.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
	return p.read(p.client.Do(r))
}

// A new user follows the documentation, and nothing else.
func TestDocsFirstSignIn(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the program")
	}
	_, port, err := net.SplitHostPort(freeAddress(t))
	require.NoError(t, err)
	s := &shell{dir: t.TempDir(), port: port}
	first, second := shellBlocks(t)[0], shellBlocks(t)[2]
	require.LessOrEqual(t, len(first), 5, "commands to a first sign-in")

	s.run(t, first[0])
	password := regexp.MustCompile(`(?m)^password +(\S+)$`).FindStringSubmatch(s.run(t, first[1]))
	require.NotNil(t, password)
	s.run(t, first[2])
	stop := s.serve(t, first[3])

	login := s.command(t, first[4])
	var token bytes.Buffer
	login.Stdout = &token
	stderr, err := login.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, login.Start())
	address := ""
	for lines := bufio.NewScanner(stderr); address == "" && lines.Scan(); {
		address = regexp.MustCompile(`http://\S+`).FindString(lines.Text())
	}
	alice := newPerson(t)
	alice.get(address)
	_, page := alice.post(url.Values{"action": {"sign-in"}, "username": {"alice"}, "password": {password[1]}})
	assert.Contains(t, page, "Allow notes-cli access to your account?")
	as := regexp.MustCompile(`name="as" value="(\w+)"`).FindStringSubmatch(page)
	require.NotNil(t, as, page)
	resp, _ := alice.post(url.Values{"action": {"approve"}, "as": {as[1]}, "scope": {"notes:read"}})
	back, ok := strings.CutPrefix(resp.Header.Get("Refresh"), "0; url=")
	require.True(t, ok)
	resp, _ = alice.get(strings.Replace(back, "state=", "state=x", 1))
	assert.Equal(t, 400, resp.StatusCode, "that is the answer to another question")
	_, page = alice.get(back)
	assert.Contains(t, page, "Done.")
	require.NoError(t, login.Wait())
	assert.Regexp(t, `^sneck_at_\w+\n$`, token.String())
	_, page = alice.get("http://localhost:" + port + "/")
	assert.Contains(t, page, "notes-cli")
	assert.Equal(t, "http://localhost:"+port+"/account", alice.at)

	device := shellBlocks(t)[1]
	require.Len(t, device, 3)
	s.run(t, device[0])
	address = regexp.MustCompile(`"verification_uri_complete":"(.*?)"`).FindStringSubmatch(s.run(t, device[1]))[1]
	assert.Contains(t, s.run(t, device[2]), "authorization_pending")
	_, page = alice.get(address)
	as = regexp.MustCompile(`name="as" value="(\w+)"`).FindStringSubmatch(page)
	require.NotNil(t, as, page)
	alice.post(url.Values{"action": {"approve"}, "as": {as[1]}, "scope": {"notes:read"}})
	assert.Contains(t, s.run(t, device[2]), `"access_token":"sneck_at_`)
	stop()

	for _, line := range second[:2] {
		s.run(t, line)
	}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "my-pages", "style.css"), []byte("/* ours */"), 0o600))
	stop = s.serve(t, second[2])
	_, page = newPerson(t).get("http://localhost:" + port + "/assets/style.css")
	assert.Equal(t, "/* ours */", page)
	stop()
}

// Only the URL of the issuer itself leads to the account.
func TestFromRoot(t *testing.T) {
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	for _, test := range []struct{ issuer, method, path, leads string }{
		{"https://auth.example.com", "GET", "/", "https://auth.example.com/account"},
		{"https://auth.example.com", "HEAD", "/", "https://auth.example.com/account"},
		{"https://auth.example.com", "POST", "/", ""},
		{"https://auth.example.com", "GET", "/x", ""},
		{"https://auth.example.com", "GET", "//", ""},
		{"https://example.com/auth", "GET", "/auth", "https://example.com/auth/account"},
		{"https://example.com/auth", "GET", "/auth/", "https://example.com/auth/account"},
		{"https://example.com/auth", "GET", "/", "https://example.com/auth/account"},
		{"https://example.com/auth", "GET", "/auth/token", ""},
	} {
		w := httptest.NewRecorder()
		fromRoot(test.issuer, next).ServeHTTP(w, httptest.NewRequest(test.method, "https://x"+test.path, nil))
		want := http.StatusTeapot
		if test.leads != "" {
			want = http.StatusSeeOther
		}
		assert.Equal(t, want, w.Code, "%v", test)
		assert.Equal(t, test.leads, w.Header().Get("Location"), "%v", test)
	}
}

func TestLoginSaysWhatIsWrong(t *testing.T) {
	status, _, stderr := inProcess(t, "login", "--issuer", "http://auth.example.com", "--client", "x")
	assert.Equal(t, exitUsage, status)
	assert.Contains(t, stderr, "is not the URL of an authorization server (hint: https, or http on this machine)")
	status, _, stderr = inProcess(t, "login", "--issuer", "http://127.0.0.1:1", "--client", "x", "--timeout", "10ms", "--hint", "alice")
	assert.Equal(t, exitNo, status)
	assert.Contains(t, stderr, "login_hint=alice")
	assert.Contains(t, stderr, "nobody has come back from the browser in 10ms (hint: --timeout for longer; if the address did not open, is the server running, and --issuer right?)")

	ctx, cancel := context.WithCancel(t.Context())
	said := writerFunc(func(text []byte) { // somebody looks at the address and ends it
		stderr = string(text)
		cancel()
	})
	assert.Equal(t, exitNo, run(ctx, []string{"login", "--issuer", "http://127.0.0.1:1", "--client", "x"}, nil, nil, said, said))
	assert.Equal(t, "sneck: ended before anybody came back from the browser (hint: run it again; the address is of no use any more)\n", stderr)
}

type writerFunc func([]byte)

func (f writerFunc) Write(text []byte) (int, error) {
	f(text)
	return len(text), nil
}
