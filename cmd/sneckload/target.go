//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sneckauth/sneck/cmd/internal/pgserver"
	"github.com/sneckauth/sneck/cmd/internal/proc"
)

// A target is a server process, with the database it has to itself, if that is
// one of its own processes.
type target struct {
	name    string
	address string
	pid     int
	stop    func() error
	pg      *pgserver.Server
	logged  *tail

	clients // if it is an authorization server
}

// clients are those of an authorization server: an application, one whose
// tokens are JWTs, unless the server has none, and an API.
type clients struct{ app, jwt, api credentials }

type credentials struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

// usage is what a target has used so far.
type usage struct{ server, database time.Duration }

func (t *target) usage() (u usage, err error) {
	if u.server, err = proc.CPU(t.pid); err == nil && t.pg != nil {
		u.database, err = proc.CPU(t.pg.PID())
	}
	return u, err
}

func (t *target) memory() (server, database int64, err error) {
	if server, err = proc.Memory(t.pid); err == nil && t.pg != nil {
		database, err = proc.Memory(t.pg.PID())
	}
	return server, database, err
}

// startProcess starts a server, and returns when it has printed its address.
func startProcess(name string, args ...string) (*target, error) {
	cmd := exec.Command(name, args...)
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t := &target{pid: cmd.Process.Pid, logged: &tail{}}
	address := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		t.logged.follow(bufio.NewScanner(pipe), address)
	}()
	t.stop = func() error {
		err := cmd.Process.Signal(syscall.SIGTERM)
		<-read
		return errors.Join(err, cmd.Wait())
	}
	select {
	case t.address = <-address:
		return t, nil
	case <-read:
	case <-time.After(time.Minute):
	}
	return nil, errors.Join(fmt.Errorf("%s %s does not listen: %s", name, strings.Join(args, " "), t.logged.last()), t.stop())
}

// A tail keeps the last lines of a log.
type tail struct {
	mu    sync.Mutex
	lines []string
	at    []time.Time
}

var listening = regexp.MustCompile(`http://(127\.0\.0\.1:[0-9]+)`)

func (t *tail) follow(lines *bufio.Scanner, address chan<- string) {
	told := false
	for lines.Scan() {
		t.mu.Lock()
		t.lines, t.at = append(t.lines, lines.Text()), append(t.at, time.Now())
		t.mu.Unlock()
		if m := listening.FindStringSubmatch(lines.Text()); m != nil && !told {
			told = true
			address <- m[1]
		}
	}
}

func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines[max(len(t.lines)-5, 0):], "\n")
}

// find returns the first line with the text, and when it came.
func (t *tail) find(text string) (line string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, line := range t.lines {
		if strings.Contains(line, text) {
			return line, t.at[i]
		}
	}
	return "", time.Time{}
}

// startEmpty starts this program as an HTTP server that does nothing.
func startEmpty() (*target, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	t, err := startProcess(self, "empty")
	if err != nil {
		return nil, err
	}
	t.name = "empty handler"
	return t, nil
}

// A deployment is a server's data before it serves them.
type deployment struct {
	name string
	data string
	pg   *pgserver.Server

	clients
}

// deploy makes a database of the kind, sqlite or postgres, and registers the
// clients.
func (b *bench) deploy(ctx context.Context, kind string) (_ *deployment, err error) {
	d := &deployment{name: kind}
	switch kind {
	case "postgres":
		if d.pg, err = pgserver.Start(ctx, b.Setting...); err != nil {
			return nil, err
		}
		d.data = d.pg.URL()
	default:
		if d.data, err = os.MkdirTemp(b.dir, kind); err != nil {
			return nil, err
		}
	}
	err = errors.Join(
		b.register(ctx, d.data, &d.app, "--id", "app", "--scope", "read", "--audience", "https://api.example.com"),
		b.register(ctx, d.data, &d.api, "--id", "api", "--introspect", "--serves", "https://api.example.com"),
	)
	if err == nil && b.signs {
		err = b.register(ctx, d.data, &d.jwt, "--id", "jwt", "--scope", "read", "--audience", "https://api.example.com", "--token-format", "jwt")
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *deployment) close() error {
	if d.pg == nil {
		return nil
	}
	return d.pg.Stop()
}

// register registers a client with a generated secret.
func (b *bench) register(ctx context.Context, data string, c *credentials, args ...string) error {
	cmd := exec.CommandContext(ctx, b.Sneck, append([]string{"client", "create", "--json", "--data", data}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("sneck client create: %w: %s", err, stderr.Bytes())
	}
	return json.Unmarshal(out, c)
}

// serve starts the server on its data.
func (b *bench) serve(d *deployment) (*target, error) {
	// The limits are checked, and not in the way.
	args := []string{"serve", "--data", d.data, "--listen", "127.0.0.1:0", "--token-rate", "1000000", "--introspection-rate", "1000000"}
	if b.signs {
		args = append(args, "--sealing-key", b.sealingKey())
	}
	if b.audits {
		args = append(args, "--audit", filepath.Join(b.dir, "audit.jsonl"))
	}
	t, err := startProcess(b.Sneck, args...)
	if err != nil {
		return nil, err
	}
	t.name, t.pg, t.clients = d.name, d.pg, d.clients
	return t, nil
}

// post returns an HTTP request with a form, authenticated as the client.
func (t *target) post(path string, c credentials, form ...string) []byte {
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	body := values.Encode()
	basic := base64.StdEncoding.EncodeToString([]byte(c.ID + ":" + c.Secret))
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: sneckload\r\nAuthorization: Basic %s\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", path, t.address, basic, len(body), body)
}

// tokenRequest asks for a token.
func (t *target) tokenRequest() []byte { return t.tokenRequestOf(t.app) }

func (t *target) tokenRequestOf(c credentials) []byte {
	return t.post("/token", c, "grant_type", "client_credentials", "scope", "read")
}

// tokens gets some live tokens.
func (t *target) tokens(n int) ([]string, error) {
	conn, err := net.Dial("tcp", t.address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 16<<10)
	tokens := make([]string, n)
	for i := range tokens {
		if _, err := conn.Write(t.tokenRequest()); err != nil {
			return nil, err
		}
		body, err := readAnswer(r)
		if err != nil {
			return nil, err
		}
		var answer struct {
			Token string `json:"access_token"`
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			return nil, err
		}
		tokens[i] = answer.Token
	}
	return tokens, nil
}
