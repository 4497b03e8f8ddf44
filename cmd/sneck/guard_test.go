package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/scopes"
)

// A guarded is a service behind a running "sneck guard".
type guarded struct {
	url  string
	log  *capture
	stop func() int // returns the exit status
}

// startGuard runs "sneck guard" with a file and variables until the test ends.
func startGuard(t *testing.T, config string, env map[string]string) *guarded {
	t.Helper()
	file := filepath.Join(t.TempDir(), "guard.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	found, ended := make(chan string, 1), make(chan int, 1)
	g := &guarded{log: &capture{found: found}}
	go func() {
		args := []string{"guard", "--config", file, "--listen", "127.0.0.1:0"}
		ended <- run(ctx, args, env, nil, io.Discard, g.log)
	}()
	g.stop = sync.OnceValue(func() int {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { assert.Equal(t, exitOK, g.stop(), "%s", g.log.bytes()) })
	select {
	case g.url = <-found:
	case status := <-ended:
		ended <- status
		t.Fatalf("the guard ended: %s", g.log.bytes())
	}
	return g
}

// writeFile writes a file of the test's own and returns its path.
func writeFile(t *testing.T, name, content string) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// guardFile is the usual file: the authority's resource server, and more.
func guardFile(t *testing.T, authority *authtest.Server, upstream string, more ...string) string {
	secret := writeFile(t, "secret", authority.ResourceServer.Secret+"\n")
	return fmt.Sprintf("upstream: %s\naudience: [%s]\nresource_server_introspection_url: %s/introspect\n"+
		"resource_server_introspection_credentials: [%s, %s]\n%s\n",
		upstream, authtest.Audience, authority.URL, authority.ResourceServer.ID, secret, strings.Join(more, "\n"))
}

// echoing is a service that answers with the header that it has got.
func echoing(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(r.Header)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// request sends a request and returns the answer with all of its body.
func request(t *testing.T, method, url, token string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header[header[i]] = []string{header[i+1]} // as it is spelled
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(body)
}

func status(t *testing.T, method, url, token string, header ...string) int {
	t.Helper()
	response, _ := request(t, method, url, token, header...)
	return response.StatusCode
}

func TestGuard(t *testing.T) {
	authority := authtest.NewServer(t)
	g := startGuard(t, guardFile(t, authority, echoing(t)), nil)
	token := authority.Issue(t, sneck.Token{Subject: "zoë", Username: "Zoë", Scopes: scopes.MustParse("read")})

	response, body := request(t, "GET", g.url+"/songs?q=private", token,
		"X-Sneck-Subject", "root", "x_sneck_client", "root", "X-Sneck-Acr", "gold", "User-Agent", "test", "Accept-Encoding", "identity")
	require.Equal(t, http.StatusOK, response.StatusCode, body)
	var got http.Header
	require.NoError(t, json.Unmarshal([]byte(body), &got))
	assert.NotEmpty(t, got["X-Sneck-Expires"])
	delete(got, "X-Sneck-Expires")
	delete(got, "X-Sneck-Token-Id")
	assert.Equal(t, http.Header{
		"X-Sneck-Issuer": {authority.URL}, "X-Sneck-Subject": {"zo%C3%AB"}, "X-Sneck-Username": {"Zo%C3%AB"}, "X-Sneck-Client": {"client"},
		"X-Sneck-Scope": {"read"}, "X-Sneck-Audience": {authtest.Audience},
		"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {strings.TrimPrefix(g.url, "http://")}, "X-Forwarded-Proto": {"http"},
		"User-Agent": {"test"}, "Accept-Encoding": {"identity"},
	}, got)

	for name, tt := range map[string]struct {
		method, token string
		status        int
		challenge     string
	}{
		"no token":         {"GET", "", 401, `Bearer realm="api"`},
		"unknown token":    {"GET", "unknown", 401, `error="invalid_token"`},
		"for others":       {"GET", authority.Issue(t, sneck.Token{Audience: []string{"https://other.test"}, Scopes: scopes.MustParse("read")}), 401, `error="invalid_token"`},
		"write with read":  {"POST", token, 403, `scope="write"`},
		"path in two ways": {"GET", token, 400, `error="invalid_request"`},
	} {
		t.Run(name, func(t *testing.T) {
			path := "/songs"
			if tt.status == 400 {
				path = "/songs/..%2fadmin"
			}
			response, _ := request(t, tt.method, g.url+path, tt.token)
			assert.Equal(t, tt.status, response.StatusCode)
			assert.Contains(t, response.Header.Get("Www-Authenticate"), tt.challenge)
		})
	}

	assert.Equal(t, exitOK, g.stop())
	log := string(g.log.bytes())
	assert.Regexp(t, `msg=request method=GET path=/songs status=200 bytes=\d+ took=\S+ peer=127\.0\.0\.1:\d+ reason=admitted rule=/ client_id=client`, log)
	assert.Contains(t, log, "msg=stopped")
	for _, secret := range []string{token, authority.ResourceServer.Secret, "private", "zo"} {
		assert.NotContains(t, log, secret)
	}
}

// One question is asked about a token, however many requests bring it; what is
// remembered serves when the authority is down, and what is not is no bad token.
func TestGuardWithoutAuthority(t *testing.T) {
	authority := authtest.NewServer(t)
	g := startGuard(t, guardFile(t, authority, echoing(t), "resource_server_introspection_timeout_seconds: 1"), nil)
	token := authority.Token(t, "read")
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { assert.Equal(t, 200, status(t, "GET", g.url, token)) })
	}
	wg.Wait()
	assert.Equal(t, 1, authority.Introspections())

	other := authority.Token(t, "read")
	authority.Down()
	assert.Equal(t, 200, status(t, "GET", g.url, token))
	response, body := request(t, "GET", g.url, other)
	assert.Equal(t, 503, response.StatusCode)
	assert.Equal(t, "1", response.Header.Get("Retry-After"))
	assert.Empty(t, response.Header["Www-Authenticate"])
	assert.Contains(t, body, "temporarily_unavailable")
	authority.Up()
	require.Eventually(t, func() bool { return status(t, "GET", g.url, other) == 200 }, 10*time.Second, 50*time.Millisecond)
}

// The file with routes is followed. A bad one is not put into force.
func TestGuardFollowsRoutes(t *testing.T) {
	authority := authtest.NewServer(t)
	routes := writeFile(t, "routes.yaml", "routes:\n  - route: GET /songs\n    scopes: [songs]\n")
	g := startGuard(t, guardFile(t, authority, echoing(t), "routes_file: "+routes), nil)
	token := authority.Token(t, "songs")
	logged := func(text string) {
		t.Helper()
		require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
		require.Eventually(t, func() bool { return strings.Contains(string(g.log.bytes()), text) }, 10*time.Second, 10*time.Millisecond)
	}
	assert.Equal(t, 200, status(t, "GET", g.url+"/songs", token))
	assert.Equal(t, 401, status(t, "GET", g.url+"/health", ""))

	require.NoError(t, os.WriteFile(routes, []byte("routes:\n  - route: GET /songs\n    scopess: [x]\n"), 0o600))
	logged("unknown key")
	assert.Equal(t, 200, status(t, "GET", g.url+"/songs", token))

	require.NoError(t, os.WriteFile(routes, []byte("routes:\n  - route: GET /songs\n    scopes: [staff]\n  - route: GET /health\n    public: true\n"), 0o600))
	logged("routes replaced")
	assert.Equal(t, 403, status(t, "GET", g.url+"/songs", token))
	assert.Equal(t, 200, status(t, "GET", g.url+"/health", ""))
}

// The signal does not end a guard that has no such file.
func TestGuardGoesOnAfterHangup(t *testing.T) {
	authority := authtest.NewServer(t)
	g := startGuard(t, guardFile(t, authority, echoing(t)), nil)
	// The listening line comes just after the signal is awaited.
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	require.Eventually(t, func() bool { return strings.Contains(string(g.log.bytes()), "nothing is read again") }, 10*time.Second, 10*time.Millisecond)
	assert.Equal(t, 200, status(t, "GET", g.url, authority.Token(t, "read")))
}

// A request under way ends, while no new ones are wanted.
func TestGuardEndsInOrder(t *testing.T) {
	authority := authtest.NewServer(t)
	arrived, goOn := make(chan struct{}), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-goOn
		fmt.Fprint(w, "done")
	}))
	defer upstream.Close()
	g := startGuard(t, guardFile(t, authority, upstream.URL, "health_listen: 127.0.0.1:0", "any_token: true"), nil)
	token := authority.Token(t, "some")
	var health string
	require.Eventually(t, func() bool {
		found := regexp.MustCompile(`address=(\S+)`).FindSubmatch(g.log.bytes())
		if found != nil {
			health = "http://" + string(found[1])
		}
		return found != nil
	}, 10*time.Second, 10*time.Millisecond)
	for _, path := range []string{"/healthz", "/readyz"} {
		assert.Equal(t, 200, status(t, "GET", health+path, ""))
	}

	answer := make(chan string, 1)
	go func() {
		_, body := request(t, "GET", g.url, token)
		answer <- body
	}()
	<-arrived
	ended := make(chan int, 1)
	go func() { ended <- g.stop() }()
	require.Eventually(t, func() bool { return status(t, "GET", health+"/readyz", "") == 503 }, 10*time.Second, 10*time.Millisecond)
	assert.Equal(t, 200, status(t, "GET", health+"/healthz", ""))
	close(goOn)
	assert.Equal(t, "done", <-answer)
	assert.Equal(t, exitOK, <-ended)
}

// With an upstream that is down the token is still good.
func TestGuardWithoutUpstream(t *testing.T) {
	authority := authtest.NewServer(t)
	closed := httptest.NewServer(nil)
	closed.Close()
	g := startGuard(t, guardFile(t, authority, closed.URL), nil)
	response, body := request(t, "GET", g.url+"/?private", authority.Token(t, "read"))
	assert.Equal(t, 502, response.StatusCode)
	assert.Equal(t, `{"error":"bad_gateway","error_description":"The service can not be reached"}`+"\n", body)
	assert.Empty(t, response.Header["Www-Authenticate"])
	assert.NotContains(t, string(g.log.bytes()), "private")
}

// Another proxy may ask instead of passing requests on.
func TestGuardForwardAuth(t *testing.T) {
	authority := authtest.NewServer(t)
	config := regexp.MustCompile(`(?m)^upstream: .*$`).ReplaceAllString(guardFile(t, authority, "none"),
		"mode: forward-auth\nforward_auth_request: x-original\ntrusted_proxies: [127.0.0.1]\n"+
			"metadata_resource: "+authtest.Audience+"\nmetadata_authorization_servers: ["+authority.URL+"]")
	g := startGuard(t, config, nil)
	token := authority.Issue(t, sneck.Token{Subject: "alice", Scopes: scopes.MustParse("read")})
	original := []string{"X-Original-Method", "GET", "X-Original-Host", "api.test", "X-Original-Uri", "/songs?private"}
	response, _ := request(t, "GET", g.url+"/auth", token, original...)
	assert.Equal(t, 200, response.StatusCode)
	assert.Equal(t, "alice", response.Header.Get("X-Sneck-Subject"))
	original[1] = "PUT"
	response, _ = request(t, "GET", g.url+"/auth", token, original...)
	assert.Equal(t, 403, response.StatusCode)
	assert.Equal(t, 500, status(t, "GET", g.url+"/auth", token, original[:4]...))
	assert.Equal(t, 404, status(t, "GET", g.url+"/", token, original...))
	response, body := request(t, "GET", g.url+"/.well-known/oauth-protected-resource", "")
	assert.Equal(t, 200, response.StatusCode)
	assert.Contains(t, body, `"resource":"`+authtest.Audience+`"`)
	assert.NotContains(t, string(g.log.bytes()), "private")
}
