package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/cmd/internal/settings"
	"github.com/sneckauth/sneck/scopes"
)

// Each row of the protecting side has its effect, through a file.
func TestGuardSettings(t *testing.T) {
	authority := authtest.NewServer(t)
	upstream := echoing(t)
	token := authority.Token(t, "read")
	usual := func(t *testing.T, more ...string) string { return guardFile(t, authority, upstream, more...) }
	without := func(t *testing.T, key string, more ...string) string {
		var lines []string
		for line := range strings.Lines(usual(t, more...)) {
			if !strings.HasPrefix(line, key+":") {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "")
	}
	const credentials = "resource_server_introspection_credentials"

	t.Run("resource_server_introspection_url", func(t *testing.T) {
		assert.Equal(t, 200, status(t, "GET", startGuard(t, usual(t), nil).url, token))
		discovered := without(t, "resource_server_introspection_url", "issuer: "+authority.URL)
		assert.Equal(t, 200, status(t, "GET", startGuard(t, discovered, nil).url, token))
		failover := strings.Replace(usual(t, "resource_server_introspection_failover_urls: ["+authority.URL+"/introspect]"),
			authority.URL+"/introspect\n", "http://127.0.0.1:1/introspect\n", 1)
		assert.Equal(t, 200, status(t, "GET", startGuard(t, failover, nil).url, token))
	})
	t.Run("resource_server_auth_token", func(t *testing.T) {
		ours := authority.Issue(t, sneck.Token{ClientID: authority.ResourceServer.ID, Audience: []string{authority.URL}, Scopes: scopes.MustParse(authserver.IntrospectionScope)})
		for _, line := range []string{"resource_server_auth_token: " + ours, "resource_server_auth_token_file: " + writeFile(t, "token", ours+"\n")} {
			g := startGuard(t, without(t, credentials, line), nil)
			assert.Equal(t, 200, status(t, "GET", g.url, token))
			assert.NotContains(t, string(g.log.bytes()), ours)
		}
		g := startGuard(t, without(t, credentials), map[string]string{"SNECK_RESOURCE_SERVER_AUTH_TOKEN": ours})
		assert.Equal(t, 200, status(t, "GET", g.url, token))
	})
	t.Run("resource_server_introspection_credentials", func(t *testing.T) {
		for _, method := range []string{"client_secret_basic", "client_secret_basic_raw", "client_secret_post"} {
			g := startGuard(t, usual(t, "resource_server_introspection_auth_method: "+method), nil)
			assert.Equal(t, 200, status(t, "GET", g.url, token), method)
		}
		env := map[string]string{"SNECK_RESOURCE_SERVER_INTROSPECTION_CREDENTIALS": authority.ResourceServer.ID + " " + writeFile(t, "secret", "wrong")}
		assert.Equal(t, 503, status(t, "GET", startGuard(t, usual(t), env).url, token), "the environment counts more than the file")
	})
	t.Run("resource_server_token_caching_seconds", func(t *testing.T) {
		for seconds, questions := range map[string]int{"60": 1, "0": 3} {
			g := startGuard(t, usual(t, "resource_server_token_caching_seconds: "+seconds), nil)
			before := authority.Introspections()
			for range 3 {
				assert.Equal(t, 200, status(t, "GET", g.url, token))
			}
			assert.Equal(t, questions, authority.Introspections()-before)
		}
	})
	t.Run("error_response_with_scopes", func(t *testing.T) {
		_, body := request(t, "PUT", startGuard(t, usual(t, "error_response_with_scopes: true"), nil).url, token)
		assert.Contains(t, body, `"required_scopes":["write"]`)
		_, body = request(t, "PUT", startGuard(t, usual(t), nil).url, token)
		assert.NotContains(t, body, "required_scopes")
	})
	t.Run("read_scope", func(t *testing.T) {
		g := startGuard(t, usual(t, "read_scope: look"), nil)
		assert.Equal(t, 403, status(t, "GET", g.url, token))
		assert.Equal(t, 200, status(t, "GET", g.url, authority.Token(t, "look")))
	})
	t.Run("write_scope", func(t *testing.T) {
		g := startGuard(t, usual(t, "write_scope: change"), nil)
		assert.Equal(t, 403, status(t, "PUT", g.url, authority.Token(t, "write")))
		assert.Equal(t, 200, status(t, "PUT", g.url, authority.Token(t, "change")))
	})
	t.Run("authentication_server_exp_time_zone", func(t *testing.T) {
		// Its clock shows an hour more than that of UTC. Taken for UTC, the
		// token would live for an hour longer.
		wall := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"active":true,"scope":"read","aud":%q,"exp":%d}`, authtest.Audience, time.Now().Add(30*time.Minute).Unix())
		}))
		defer wall.Close()
		for zone, want := range map[string]int{"UTC": 200, "Etc/GMT-1": 401} {
			config := strings.ReplaceAll(usual(t, "authentication_server_exp_time_zone: "+zone), authority.URL, wall.URL)
			assert.Equal(t, want, status(t, "GET", startGuard(t, config, nil).url, "any"), zone)
		}
	})
}

// Which tokens are verified how.
func TestGuardVerifies(t *testing.T) {
	authority := authtest.NewServer(t)
	upstream := echoing(t)
	both := sneck.Token{Scopes: scopes.MustParse("read")}
	foreign := authtest.NewServer(t).IssueJWT(t, both)
	for verify, want := range map[string]struct{ opaque, jwt, revoked int }{
		"introspection": {200, 200, 401},
		"jwt":           {401, 200, 200},
		"either":        {200, 200, 200},
		"both":          {200, 200, 401},
	} {
		t.Run(verify, func(t *testing.T) {
			config := guardFile(t, authority, upstream, "verify: "+verify, "issuer: "+authority.URL)
			if verify == "jwt" {
				config = fmt.Sprintf("upstream: %s\naudience: [%s]\nverify: jwt\nissuer: %s\n", upstream, authtest.Audience, authority.URL)
			}
			g := startGuard(t, config, nil)
			assert.Equal(t, want.opaque, status(t, "GET", g.url, authority.Issue(t, both)))
			assert.Equal(t, want.jwt, status(t, "GET", g.url, authority.IssueJWT(t, both)))
			revoked := authority.IssueJWT(t, both)
			authority.Revoke(t, revoked)
			assert.Equal(t, want.revoked, status(t, "GET", g.url, revoked))
			before := authority.Introspections()
			assert.Equal(t, 401, status(t, "GET", g.url, foreign))
			if verify != "introspection" {
				assert.Equal(t, before, authority.Introspections(), "another issuer's token is not shown around")
			}
		})
	}
}

// The token to ask with is got by client_credentials.
func TestGuardGetsItsOwnToken(t *testing.T) {
	authority := authtest.NewServer(t)
	api := authority.Register(t, authserver.Client{
		ID: "self", Introspect: true, Serves: []string{authtest.Audience}, Grants: []string{authserver.GrantClientCredentials},
		Scopes: []string{authserver.IntrospectionScope}, Audience: []string{authority.URL},
	})
	config := strings.NewReplacer("UPSTREAM", echoing(t), "AUDIENCE", authtest.Audience, "ISSUER", authority.URL,
		"ID", api.ID, "FILE", writeFile(t, "secret", api.Secret), "SCOPE", authserver.IntrospectionScope).Replace(`
upstream: UPSTREAM
audience: [AUDIENCE]
resource_server_introspection_url: ISSUER/introspect
resource_server_introspection_credentials: [ID, FILE]
resource_server_token_url: ISSUER/token
resource_server_token_scope: SCOPE
resource_server_token_resource: ISSUER
`)
	g := startGuard(t, config, nil)
	assert.Equal(t, 200, status(t, "GET", g.url, authority.Token(t, "read")))
}

// All mistakes are said at once, each with its place.
func TestGuardSaysWhatIsWrong(t *testing.T) {
	config := `upstraem: http://127.0.0.1:3000
upstream: ftp://127.0.0.1
resource_server_introspection_url: http://auth.example.com/introspect
resource_server_introspection_failover_urls: [https://auth.example.com/introspect, nope]
resource_server_introspection_rate: -1
stale_if_error_seconds: 999999
dpop: strict
dpop_external_url: nowhere
mtls: optional
metadata_resource: https://elsewhere.example
trusted_proxies: [0.0.0.0/0, nobody]
redis_url: redis://127.0.0.1:1
routes_file: ROUTES
read_scope: look
authentication_server_exp_time_zone: Mars/Base
verify: bath
realm: "Ü"
forward_auth_request: path
`
	routes := writeFile(t, "routes.yaml", "routes:\n  - route: GET /songs\n    scope: [x]\n")
	file := writeFile(t, "guard.yaml", strings.ReplaceAll(config, "ROUTES", routes))
	var stderr strings.Builder
	env := map[string]string{"SNECK_IDLE_TIMEOUT_SECONDS": "soon"}
	got := run(t.Context(), []string{"guard", "--config", file, "--jwt-profile", "mine"}, env, nil, io.Discard, &stderr)
	assert.Equal(t, exitUsage, got)
	want := `FILE:1:1: upstraem: is an unknown key (hint: did you mean upstream?)
FILE:2:11: upstream: is no http or https URL (hint: such as http://127.0.0.1:3000)
FILE:3:36: resource_server_introspection_url: must begin with https:// (hint: plain http is for this host only, unless insecure_http is set)
FILE:4:46: resource_server_introspection_failover_urls: [1] is not an absolute URL
FILE:5:37: resource_server_introspection_rate: is not between 0.001 and 1e+06
FILE:6:25: stale_if_error_seconds: is longer than an hour
FILE:8:20: dpop_external_url: is not an absolute URL (hint: https://api.example.com)
FILE:9:7: mtls: needs tls_certificate_file, or mtls_header (hint: Client-Cert, from a proxy in front)
FILE:10:20: metadata_resource: is not in audience (hint: clients will get tokens for it)
FILE:11:18: trusted_proxies: 0.0.0.0/0 is everybody: then anybody may say who asks for what (hint: name the proxies)
FILE:11:18: trusted_proxies: "nobody" is neither an address nor a prefix (hint: such as 127.0.0.1 or 10.0.0.0/8)
FILE:12:12: redis_url: needs shared_secret_file (hint: openssl rand -hex 32)
FILE:14:13: read_scope: has no effect beside routes_file, where each route says what it demands
FILE:15:38: authentication_server_exp_time_zone: is no time zone (hint: such as Europe/Berlin)
FILE:16:9: verify: "bath" is none of introspection, jwt, either, both (hint: did you mean both?)
FILE:17:8: realm: has characters outside of printable ASCII
FILE:18:23: forward_auth_request: has no effect if mode is proxy
$SNECK_IDLE_TIMEOUT_SECONDS is the text "soon", but should be a number of seconds (hint: such as 60)
--jwt-profile "mine" is none of rfc9068, legacy
resource_server_introspection_credentials is missing (hint: [CLIENT-ID, SECRET-FILE], or resource_server_auth_token_file; an authority that answers anybody tells everybody about tokens)
audience is missing (hint: name this resource server as the authorization server does, or set dangerously_any_audience)
metadata_authorization_servers is missing
ROUTES:3:5: routes[0].scope: is an unknown key (hint: did you mean scopes?)
`
	assert.Equal(t, want, strings.NewReplacer(file, "FILE", routes, "ROUTES").Replace(stderr.String()))
}

// What can be checked where the guard does not run needs neither its secrets
// nor a network.
func TestGuardIsCheckedElsewhere(t *testing.T) {
	var asked atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
	defer server.Close()
	config := fmt.Sprintf(`upstream: http://127.0.0.1:3000
audience: [https://api.example.com]
issuer: %[1]s
jwks_url: %[1]s/jwks
verify: both
resource_server_introspection_credentials: [api, /nowhere/secret]
authentication_server_ca_file: /nowhere/ca.pem
redis_url: redis://%[2]s
shared_secret_file: /nowhere/shared
dpop: optional
dpop_external_url: https://api.example.com
dpop_nonce_key_file: /nowhere/nonce
`, server.URL, strings.TrimPrefix(server.URL, "http://"))
	_, err := checkGuard(settings.Sources{File: "guard.yaml", Data: []byte(config)})
	require.NoError(t, err)
	assert.False(t, asked.Load())
	_, err = checkGuard(settings.Sources{File: "guard.yaml", Data: []byte(config + "realm: \"\\u00fc\"\n")})
	require.EqualError(t, err, "guard.yaml:13:8: realm: has characters outside of printable ASCII")

	var schema map[string]any
	require.NoError(t, json.Unmarshal(guardSchema(), &schema))
	assert.Contains(t, schema["properties"], "resource_server_introspection_url")
}

// What a package's mistake is called must be a key of the settings, or saying
// it would panic.
func TestGuardTermsAreSettings(t *testing.T) {
	var schema struct{ Properties map[string]any }
	require.NoError(t, json.Unmarshal(guardSchema(), &schema))
	for _, term := range guardTerms {
		assert.Contains(t, schema.Properties, term.key, term.term)
	}
	var said []string
	b := &guardBuilder{mistake: func(key, _ string, args ...any) { said = append(said, fmt.Sprint(key, " ", args)) }}
	b.locate(errors.Join(errors.New(`middleware: Realm "x" is odd`), errors.New("other: is not known")), "listen")
	assert.Equal(t, []string{"realm [is odd]", "listen [is not known]"}, said)
}

const guardInOrder = `upstream: http://127.0.0.1:3000
audience: [https://api.example]
resource_server_introspection_url: https://as.example/introspect
`

// What is in force is printed without the token, which is a secret.
func TestGuardTokenIsNotPrinted(t *testing.T) {
	list, err := checkGuard(settings.Sources{File: "guard.yaml", Data: []byte(guardInOrder + "resource_server_auth_token: s3cret\n")})
	require.NoError(t, err)
	printed, err := json.Marshal(list)
	require.NoError(t, err)
	assert.NotContains(t, string(printed), "s3cret")
	assert.Contains(t, list, settings.InForce{Key: "resource_server_auth_token", Value: "xxxxx", From: "guard.yaml"})
}

// A file that never ends is not read to its end, and a mistake in it does not
// hide those in the file with routes.
func TestGuardConfigIsBounded(t *testing.T) {
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	defer reader.Close()
	go func() {
		defer writer.Close()
		line := []byte("#" + strings.Repeat(" ", 1<<16-2) + "\n")
		for range 16 << 20 / len(line) {
			if _, err := writer.Write(line); err != nil {
				return // it was closed
			}
		}
	}()
	var stderr strings.Builder
	got := run(t.Context(), []string{"guard", "--config", fmt.Sprintf("/dev/fd/%d", reader.Fd())}, nil, nil, io.Discard, &stderr)
	assert.Equal(t, exitUsage, got)
	assert.Contains(t, stderr.String(), "is longer than 4194304 bytes")
	n, err := reader.Read(make([]byte, 1))
	require.NoError(t, err)
	assert.Equal(t, 1, n, "the rest is there to be read")

	routes := writeFile(t, "routes.yaml", "routes:\n  - route: GET /songs\n    scope: [x]\n")
	_, err = checkGuard(settings.Sources{File: "guard.yaml", Data: []byte(guardInOrder + "resource_server_auth_token: a\nrealm: \"\\u00fc\"\nroutes_file: " + routes + "\n")})
	require.EqualError(t, err, "guard.yaml:5:8: realm: has characters outside of printable ASCII\n"+routes+`:3:5: routes[0].scope: is an unknown key (hint: did you mean scopes?)`)
}

// A file that the check takes is not refused at the start, nor does every
// request fail by it.
func TestGuardAddresses(t *testing.T) {
	_, err := checkGuard(settings.Sources{File: "guard.yaml", Data: []byte(guardInOrder + `resource_server_auth_token: "a\n"
listen: nowhere
health_listen: nowhere
upstream_host: two words
`)})
	require.EqualError(t, err, `guard.yaml:4:29: resource_server_auth_token: the token has characters that no header can have (hint: is there a line end in it?)
guard.yaml:5:9: listen: "nowhere" is not an address (hint: host:port, such as 127.0.0.1:8081)
guard.yaml:6:16: health_listen: "nowhere" is not an address (hint: host:port, such as 127.0.0.1:8081)
guard.yaml:7:16: upstream_host: "two words" is no host (hint: such as notes.example.com)`)
}
