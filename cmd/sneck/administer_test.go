package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
)

// An administered is a server that runs, and who administers it.
type administered struct {
	background
	url, api string
	token    string
	document struct {
		Paths      map[string]map[string]json.RawMessage
		Components struct{ Schemas map[string]any }
	}
}

// administer starts a server on a database and gets a token for it.
func administer(t *testing.T, data string) *administered {
	t.Helper()
	dir := t.TempDir()
	key := filepath.Join(dir, "sealing.key")
	require.NoError(t, os.WriteFile(key, []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"), 0o600))
	a := new(administered)
	var err error
	a.url, err = a.start(exec.Command("sneck", "serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--audit", filepath.Join(dir, "audit.jsonl"), "--sealing-key", key, "--scope", "notes:read=Read your notes"))
	require.NoError(t, err)
	t.Cleanup(a.kill)
	require.Eventually(t, func() bool {
		found := regexp.MustCompile(`http://[0-9.:]+` + admin.Path).Find(a.err.bytes())
		a.api = string(found)
		return found != nil
	}, time.Minute, 5*time.Millisecond)

	status, out, stderr := inProcess(t, "client", "create", "--data", data, "--id", "ops", "--scope", authserver.AdminScope, "--audience", a.url, "--json")
	require.Equal(t, exitOK, status, stderr)
	var made struct {
		Secret string `json:"client_secret"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &made))
	client := newClient(1)
	t.Cleanup(client.CloseIdleConnections)
	answer, err := client.post(t.Context(), a.url+"/token", credentials{"ops", made.Secret}, url.Values{"grant_type": {"client_credentials"}, "scope": {authserver.AdminScope}})
	require.NoError(t, err)
	token, err := answer.token()
	require.NoError(t, err)
	a.token = token.AccessToken
	status, text := a.ask(t, "", "GET", "openapi.json", "", nil)
	require.Equal(t, http.StatusOK, status)
	require.NoError(t, json.Unmarshal([]byte(text), &a.document))
	return a
}

func (a *administered) ask(t *testing.T, token, method, path, body string, header http.Header) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, a.api+path, strings.NewReader(body))
	require.NoError(t, err)
	for name, values := range header {
		r.Header[name] = values
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(text)
}

// validate checks JSON against a schema in the document.
func (a *administered) validate(t *testing.T, schema any, text string) {
	t.Helper()
	root := map[string]any{"allOf": []any{schema}, "$defs": a.document.Components.Schemas}
	data, err := json.Marshal(root)
	require.NoError(t, err)
	data = bytes.ReplaceAll(data, []byte("#/components/schemas/"), []byte("#/$defs/"))
	var s jsonschema.Schema
	require.NoError(t, json.Unmarshal(data, &s))
	resolved, err := s.Resolve(nil)
	require.NoError(t, err)
	var value any
	require.NoError(t, json.Unmarshal([]byte(text), &value), text)
	assert.NoError(t, resolved.Validate(value), text)
}

type content struct {
	Content map[string]struct{ Schema any }
}

// An operation is one of the document.
type operation struct {
	ID          string `json:"operationId"`
	RequestBody content
	Responses   map[string]content
}

// operations returns what the document says of each operation.
func (a *administered) operations(t *testing.T) map[string]operation {
	all := map[string]operation{}
	for _, path := range a.document.Paths {
		for method, raw := range path {
			if method == "parameters" {
				continue
			}
			var o operation
			require.NoError(t, json.Unmarshal(raw, &o))
			all[o.ID] = o
		}
	}
	return all
}

// Every operation works on a real server, and asks for and answers what the
// OpenAPI document says.
func TestAdministration(t *testing.T) { testAdministration(t, t.TempDir()) }

// testAdministration is for PostgreSQL, too: see TestKilledServersForgetNothing.
func testAdministration(t *testing.T, data string) {
	a := administer(t, data)
	operations := a.operations(t)
	names, done := map[string]string{}, map[string]bool{}
	for _, step := range []struct{ id, method, path, body string }{
		{"createClient", "POST", "clients", `{"client_id":"notes-app","grant_types":["client_credentials"],"scope":"notes:read","audience":["https://notes.example"],"access_token_format":"jwt"}`},
		{"createClient", "POST", "clients", `{"client_id":"notes-browser","public":true,"grant_types":["authorization_code"],"redirect_uris":["http://127.0.0.1/cb"],"scope":"notes:read","audience":["x"]}`},
		{"listClients", "GET", "clients?limit=1", ""},
		{"getClient", "GET", "clients/notes-app", ""},
		{"changeClient", "PUT", "clients/notes-app", `{"client_name":"App","grant_types":["client_credentials"],"scope":"notes:read","audience":["https://notes.example"],"jwks":{"keys":[]}}`},
		{"addSecret", "POST", "clients/notes-app/secrets", `{"expires":"2222-01-01T00:00:00Z"}`},
		{"expireSecret", "PUT", "clients/notes-app/secrets/<id>", `{"expires":"2222-01-01T00:00:01+02:00"}`},
		{"getClient", "GET", "clients/notes-app", ""},
		{"retireSecret", "DELETE", "clients/notes-app/secrets/<id>", ""},
		{"createAccount", "POST", "accounts", `{"username":"root","admin":true}`},
		{"createAccount", "POST", "accounts", `{"username":"alice"}`},
		{"listAccounts", "GET", "accounts", ""},
		{"getAccount", "GET", "accounts/<sub>", ""},
		{"setAdmin", "PUT", "accounts/<sub>/admin", `{"admin":true}`},
		{"setPassword", "PUT", "accounts/<sub>/password", `{}`},
		{"SIGN IN", "", "", ""},
		{"listSessions", "GET", "accounts/<sub>/sessions", ""},
		{"endSession", "DELETE", "accounts/<sub>/sessions/<id>", ""},
		{"endSessions", "DELETE", "accounts/<sub>/sessions", ""},
		{"listTokens", "GET", "tokens?client_id=ops", ""},
		{"listKeys", "GET", "keys", ""},
		{"rotateKey", "POST", "keys", ""},
		{"retireKey", "DELETE", "keys/<kid>", ""},
		{"listScopes", "GET", "scopes", ""},
		{"searchAudit", "GET", "audit?limit=3", ""},
		{"deleteAccount", "DELETE", "accounts/<sub>", ""},
		{"deleteClient", "DELETE", "clients/notes-app", ""},
		{"revokeTokens", "POST", "tokens/revoke", `{"client_id":"ops"}`},
	} {
		if step.id == "SIGN IN" {
			p := newPerson(t)
			p.get(a.url + "/account")
			_, page := p.post(url.Values{"action": {"sign-in"}, "username": {"alice"}, "password": {names["password"]}})
			require.NotContains(t, page, "alert")
			require.Contains(t, page, "alice")
			continue
		}
		for name, value := range names {
			step.path = strings.ReplaceAll(step.path, "<"+name+">", value)
		}
		o, there := operations[step.id]
		require.True(t, there, "%s is not in the document", step.id)
		if step.body != "" {
			a.validate(t, o.RequestBody.Content["application/json"].Schema, step.body)
		}
		status, text := a.ask(t, a.token, step.method, step.path, step.body, http.Header{"If-Match": {"*"}})
		require.Less(t, status, 300, "%s: %s", step.id, text)
		response, there := o.Responses[strconv.Itoa(status)]
		require.True(t, there, "%s: the document knows no %d", step.id, status)
		if status != http.StatusNoContent {
			a.validate(t, response.Content["application/json"].Schema, text)
		}
		done[step.id] = true
		if step.id == "listAccounts" {
			continue // there may be others
		}
		// What is made up is longer than what the test has named.
		for _, name := range []string{"id", "sub", "kid", "password"} {
			if found := regexp.MustCompile(`"` + name + `":"([^"]{6,})"`).FindStringSubmatch(text); found != nil {
				names[name] = found[1]
			}
		}
	}
	for id := range operations {
		assert.True(t, done[id], "%s was never done", id)
	}
	status, text := a.ask(t, a.token, "GET", "clients", "", nil)
	assert.Equal(t, http.StatusUnauthorized, status, "it was revoked")
	a.validate(t, map[string]any{"$ref": "#/components/schemas/Problem"}, text)
	response, err := http.Get(a.url + admin.Path + "openapi.json")
	require.NoError(t, err)
	response.Body.Close()
	assert.Equal(t, http.StatusNotFound, response.StatusCode, "nothing of it is where everybody is")
	require.NoError(t, a.stop(syscall.SIGTERM))
	assert.NotContains(t, string(a.err.bytes()), a.token)
}

// What the documentation shows works, line by line.
func TestDocsAdministration(t *testing.T) {
	for _, tool := range []string{"sh", "curl", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			require.NotEqual(t, "true", os.Getenv("CI"), "%v", err)
			t.Skip("there is no ", tool)
		}
	}
	docs, err := os.ReadFile("../../docs/admin.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(docs), -1)
	require.GreaterOrEqual(t, len(blocks), 2)
	create, serve, _ := strings.Cut(strings.TrimSpace(blocks[0][1]), "\n")
	dir := t.TempDir()
	ports := strings.NewReplacer("127.0.0.1:8080", freeAddress(t), "127.0.0.1:8081", freeAddress(t))
	sh := func(script string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "sh", "-euc", ports.Replace(script))
		cmd.Dir = dir
		return cmd
	}
	out, err := sh(create).CombinedOutput()
	require.NoError(t, err, "%s", out)
	var server background
	_, err = server.start(sh("exec " + strings.TrimSuffix(serve, "&")))
	require.NoError(t, err)
	defer server.kill()
	out, err = sh(blocks[1][1]).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Equal(t, 2, strings.Count(string(out), `"client_secret":"`))
	assert.Contains(t, string(out), `"client_name":"Notes","grant_types":["client_credentials"],"scope":"notes:read notes:write"`)
	assert.Contains(t, string(out), `"username":"alice"`)
	assert.Contains(t, string(out), `{"tokens":[]}`)
	assert.Contains(t, string(out), `"kind":"token_revoked"`)
	require.NoError(t, server.stop(syscall.SIGTERM))
}

// freeAddress returns an address that nobody listens at. Its port is none of
// those that systems give to whoever asks for any, from 32768 on: another test
// would get it before the server has it.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprint("127.0.0.1:", 10_000+rand.IntN(20_000))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}
