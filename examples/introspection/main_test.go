package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/scopes"
)

// The program as it stands in the README is built and run, and the real
// authorization server answers it.
func TestProgram(t *testing.T) {
	srv := authtest.NewServer(t)
	api := srv.Register(t, authserver.Client{ID: "notes-api", Introspect: true, Serves: []string{"https://notes.example"}})

	program := filepath.Join(t.TempDir(), "program")
	out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	listen := freeAddress(t)
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), "INTROSPECTION_URL="+srv.URL+"/introspect", "INTROSPECTION_SECRET="+api.Secret, "LISTEN="+listen)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	go func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			t.Log(lines.Text())
		}
	}()
	waitFor(t, listen)

	reader := srv.Issue(t, sneck.Token{Subject: "alice", Audience: []string{"https://notes.example"}, Scopes: scopes.MustParse("notes:read")})
	foreign := srv.Issue(t, sneck.Token{Subject: "alice", Audience: []string{"https://other.example"}, Scopes: scopes.MustParse("notes:read")})
	for _, test := range []struct{ method, token, want string }{
		{"GET", reader, `200 hello alice`},
		{"POST", reader, `403 Bearer realm="api", error="insufficient_scope"`},
		{"GET", foreign, `401 Bearer realm="api", error="invalid_token"`},
		{"GET", "garbage", `401 Bearer realm="api", error="invalid_token"`},
		{"GET", "", `401 Bearer realm="api"`},
	} {
		r, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+listen+"/notes", nil)
		require.NoError(t, err)
		if test.token != "" {
			r.Header.Set("Authorization", "Bearer "+test.token)
		}
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		got := fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("WWW-Authenticate"))
		if resp.StatusCode == http.StatusOK {
			got = fmt.Sprint(resp.StatusCode, " ", strings.TrimSpace(string(body)))
		}
		assert.True(t, strings.HasPrefix(got, test.want), "%s: %s", test.method, got)
	}
	assert.LessOrEqual(t, srv.Introspections(), 3, "each token once at most")
}

// freeAddress returns a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func waitFor(t *testing.T, address string) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the program does not listen")
		}
	}
}
