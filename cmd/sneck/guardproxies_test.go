package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/scopes"
)

const nginxConfig = `daemon off;
pid DIR/pid;
error_log DIR/log;
events {}
http {
	access_log off;
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	server {
		listen LISTEN;
		SNIPPET
	}
}
`

const caddyConfig = `{
	admin off
	auto_https off
}
http://LISTEN {
	SNIPPET
}
`

// What docs/guard.md shows for a proxy lets pass what the guard does, and gives
// clients the answers of the guard.
func TestGuardProxies(t *testing.T) {
	for name, tt := range map[string]struct {
		convention, config string
		args               []string
		claimed            int // status of a request that claims to be somebody
	}{
		"nginx": {"x-original", nginxConfig, []string{"-c", "FILE", "-e", "DIR/log", "-p", "DIR"}, 400},
		"caddy": {"x-forwarded", caddyConfig, []string{"run", "--adapter", "caddyfile", "--config", "FILE"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			binary, err := exec.LookPath(name)
			if err != nil {
				require.NotEqual(t, "true", os.Getenv("CI"), "%v", err)
				t.Skip("install " + name)
			}
			authority := authtest.NewServer(t)
			config := regexp.MustCompile(`(?m)^upstream: .*$`).ReplaceAllString(guardFile(t, authority, "none"),
				"mode: forward-auth\nforward_auth_request: "+tt.convention+"\ntrusted_proxies: [127.0.0.1]")
			g := startGuard(t, config, nil)
			url := startProxy(t, binary, tt.args, tt.config, strings.NewReplacer(
				"127.0.0.1:8081", g.url[len("http://"):], "127.0.0.1:3000", echoing(t)[len("http://"):],
			).Replace(snippet(t, name)))

			token := authority.Issue(t, sneck.Token{Subject: "alice", Scopes: scopes.MustParse("read")})
			fresh := authority.Token(t, "read")
			for _, tt := range []struct {
				name, method, path, token, claim string
				status                           int
				challenge, retry                 string
				down                             bool
			}{
				{"good", "GET", "/songs?page=2", token, "", 200, "", "", false},
				{"no token", "GET", "/songs", "", "", 401, `Bearer realm="api"`, "", false},
				{"unknown token", "GET", "/songs", "unknown", "", 401, `error="invalid_token"`, "", false},
				{"write with read", "POST", "/songs", token, "", 403, `scope="write"`, "", false},
				{"path in two ways", "GET", "/songs/..%2fadmin", token, "", 400, `error="invalid_request"`, "", false},
				{"claims", "GET", "/songs", token, "X-Sneck-Subject", tt.claimed, "", "", false},
				{"claims in another spelling", "GET", "/songs", token, "x-SNECK-subject", tt.claimed, "", "", false},
				{"nobody to ask", "GET", "/songs", fresh, "", 503, "", "1", true},
			} {
				t.Run(tt.name, func(t *testing.T) {
					if tt.down {
						authority.Down()
					}
					var header []string
					if tt.claim != "" {
						header = []string{tt.claim, "root"}
					}
					response, body := request(t, tt.method, url+tt.path, tt.token, header...)
					require.Equal(t, tt.status, response.StatusCode, body)
					assert.Contains(t, response.Header.Get("Www-Authenticate"), tt.challenge)
					assert.Equal(t, tt.retry, response.Header.Get("Retry-After"))
					if tt.status != 200 {
						return
					}
					var seen http.Header
					require.NoError(t, json.Unmarshal([]byte(body), &seen))
					assert.Equal(t, []string{"alice"}, seen["X-Sneck-Subject"])
					assert.Equal(t, []string{"read"}, seen["X-Sneck-Scope"])
					assert.Empty(t, seen["Authorization"])
				})
			}
		})
	}
}

// snippet returns what docs/guard.md shows for a proxy.
func snippet(t *testing.T, proxy string) string {
	docs, err := os.ReadFile("../../docs/guard.md")
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)```" + proxy + "[a-z]*\n(.*?)```").FindSubmatch(docs)
	require.NotNil(t, found)
	return string(found[1])
}

// startProxy runs a proxy until the test ends, and returns its URL.
func startProxy(t *testing.T, binary string, args []string, config, snippet string) string {
	dir, listen := t.TempDir(), freeAddress(t)
	config = strings.NewReplacer("DIR", dir, "LISTEN", listen, "SNIPPET", snippet).Replace(config)
	file := filepath.Join(dir, "config")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	for i, arg := range args {
		args[i] = strings.NewReplacer("DIR", dir, "FILE", file).Replace(arg)
	}
	var log capture
	proxy := exec.Command(binary, args...)
	proxy.Dir, proxy.Stderr = dir, &log
	proxy.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	require.NoError(t, proxy.Start())
	t.Cleanup(func() {
		_ = proxy.Process.Signal(os.Interrupt)
		_ = proxy.Wait()
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", listen)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	}, 10*time.Second, 10*time.Millisecond, "%s", log.bytes())
	return "http://" + listen
}
