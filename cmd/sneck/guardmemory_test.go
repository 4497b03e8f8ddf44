package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authtest"
)

// Guards that share a Redis ask once. What is in Redis is of no use to others.
func TestGuardsShare(t *testing.T) {
	authority := authtest.NewServer(t)
	socket := startRedis(t)
	config := guardFile(t, authority, echoing(t), "redis_url: unix://"+socket,
		"shared_secret_file: "+writeFile(t, "shared", strings.Repeat("s", 32)), "resource_server_token_caching_seconds: 300")
	a, b := startGuard(t, config, nil), startGuard(t, config, nil)
	// It is shared in the background, and used once the guards have heard what
	// was revoked before they came.
	require.Eventually(t, func() bool {
		token := authority.Token(t, "read")
		before := authority.Introspections()
		return status(t, "GET", a.url, token) == 200 && status(t, "GET", b.url, token) == 200 && authority.Introspections() == before+1
	}, 10*time.Second, 50*time.Millisecond)
}

// startRedis starts a Redis for the test, and returns its socket.
func startRedis(t *testing.T) string {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("redis-server is not on the PATH")
		}
		t.Skip("install redis-server")
	}
	dir, err := os.MkdirTemp("", "sneck") // the path of a socket must be short
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "r")
	server := exec.Command(path, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", dir)
	require.NoError(t, server.Start())
	t.Cleanup(func() { server.Process.Kill(); server.Wait() })
	require.Eventually(t, func() bool {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	}, 10*time.Second, 10*time.Millisecond)
	return socket
}

// Guards share what the same authority tells the same asker, and nothing else.
func TestGuardsShareByAsker(t *testing.T) {
	names := map[string]string{}
	for name, change := range map[string]func(*guardSettings){
		"credentials":        func(s *guardSettings) { s.Credentials = []string{"api", "/secret"} },
		"other credentials":  func(s *guardSettings) { s.Credentials = []string{"other", "/secret"} },
		"token":              func(s *guardSettings) { s.AuthToken = "one" },
		"other token":        func(s *guardSettings) { s.AuthToken = "two" },
		"token's file":       func(s *guardSettings) { s.AuthTokenFile = "/one" },
		"other token's file": func(s *guardSettings) { s.AuthTokenFile = "/two" },
		"got for a scope": func(s *guardSettings) {
			s.Credentials, s.TokenURL, s.TokenScope = []string{"api", "/secret"}, "https://as.example/token", "introspect"
		},
		"authority": func(s *guardSettings) { s.AuthToken, s.IntrospectionURL = "one", "https://as.example/introspect" },
	} {
		named := func() string {
			b := &guardBuilder{guardSettings: newGuardSettings()}
			change(b.guardSettings)
			return b.authorityName(strings.Repeat("s", 32))
		}
		assert.Equal(t, named(), named(), name)
		assert.Empty(t, names[named()], "%s is not told from it", name)
		names[named()] = name
	}
	b := &guardBuilder{guardSettings: newGuardSettings()}
	assert.NotEqual(t, b.authorityName("one secret"), b.authorityName("another"), "who sees a name can not try tokens")
}
