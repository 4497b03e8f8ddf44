package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A variable whose name is mistyped is a mistake like others, of all commands
// with settings, and those of other commands and programs are not.
func TestMistypedVariables(t *testing.T) {
	env := variables([]string{
		"SNECK_LISTNE=127.0.0.1:0", "SNECK_AUDIENCES=https://notes.example", "SNECK_CLIENT_SECERT=s",
		"SNECK_TOKEN_RATE=0", "SNECK_CLIENT=app", "SNECK_CLIENT_SECRET=s", "SNECK_TOKEN_URL=https://auth.example/token",
		"SNECK_UPSTREAM=http://127.0.0.1:3000", "SNECK_TEST_REDIS=127.0.0.1:6379", "SNECK_UPDATE=1", "SNECK_CRASH_ROUNDS=20",
		"SNECK_PORT=tcp://10.0.0.1:8080", "SNECK_SERVICE_HOST=10.0.0.1", "SNECK_REDIS_PORT=tcp://10.0.0.2:6379",
		"SNECK_REDIS_PORT_6379_TCP_ADDR=10.0.0.2", "SNECK_ADMIN_SERVICE_PORT_HTTP=80",
		"SNECK_=", "LISTNE=", "SNECK_ANYTHING_ELSE=",
	})
	want := `$SNECK_AUDIENCES is not read (hint: did you mean $SNECK_AUDIENCE?)
$SNECK_CLIENT_SECERT is not read (hint: did you mean $SNECK_CLIENT_SECRET?)
$SNECK_LISTNE is not read (hint: did you mean $SNECK_LISTEN?)
`
	ofServe := want + "$SNECK_TOKEN_RATE is 0, but should be a whole number from 1 to 9223372036854775807\n"
	server, guard := writeFile(t, "server.yaml", "data: nowhere\n"), writeFile(t, "guard.yaml", guardInOrder+"resource_server_auth_token: s3cret\n")
	for line, want := range map[string]struct {
		status      int
		out, stderr string
	}{
		"serve --data nowhere":      {exitUsage, "", ofServe},
		"guard --config " + guard:   {exitUsage, "", want},
		"check " + server:           {exitNo, ofServe, ""},
		"check --as guard " + guard: {exitNo, want, ""},
	} {
		var out, stderr bytes.Buffer
		status := run(t.Context(), strings.Fields(line), env, nil, &out, &stderr)
		assert.Equal(t, want.status, status, line)
		assert.Equal(t, want.out, out.String(), line)
		assert.Equal(t, want.stderr, stderr.String(), line)
	}
}
