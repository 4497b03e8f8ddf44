package mcp_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/middleware/mcp"
	"github.com/sneckauth/sneck/scopes"
)

const (
	parseError     = "400 -32700 id <nil>"
	invalidRequest = "400 -32600 id <nil>"
	invalidParams  = "400 -32602 id <nil>"
)

// Messages that a server might understand otherwise than the guard. The tool
// that the guard would see may be called by everybody.
func TestAmbiguousMessages(t *testing.T) {
	guard := newGuard(t)
	for body, want := range map[string]string{
		"":                                       parseError,
		"   ":                                    parseError,
		"null":                                   invalidRequest,
		`"a"`:                                    parseError,
		"1":                                      parseError,
		"{}":                                     invalidRequest,
		"[]":                                     invalidRequest,
		"[1]":                                    parseError,
		"[[" + tool("any") + "]]":                parseError,
		tool("any") + tool("delete_song"):        parseError,
		tool("any") + "\n" + tool("delete_song"): parseError,
		"\ufeff" + tool("any"):                   parseError,
		"\xff\xfe" + tool("any"):                 parseError,
		"[" + tool("any") + "]" + tool("any"):    parseError,
		tool("any")[:40]:                         parseError,
		strings.ReplaceAll(tool("any"), `"`, `'`):                parseError,
		strings.ReplaceAll(tool("any"), `}`, `,}`):               parseError,
		"/**/" + tool("any"):                                     parseError,
		strings.Replace(tool("any"), `"a":1`, `"a":NaN`, 1):      parseError,
		strings.Replace(tool("any"), `"a":1`, `"a":01`, 1):       parseError,
		strings.Replace(tool("any"), `"a":1`, `"a":"\xff"`, 1):   parseError,
		strings.Replace(tool("any"), `"a":1`, `"a":"\ud800"`, 1): parseError,

		// Duplicates, at every depth and however they are spelled.
		`{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"delete_song"}}`:                                       parseError,
		`{"jsonrpc":"2.0","id":1,"method":"ping","\u006dethod":"tools/call"}`:                                                                  parseError,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"any","name":"delete_song"}}`:                                          parseError,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"any"},"params":{"name":"delete_song"}}`:                               parseError,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"any","arguments":{"a":[{"b":1,"b":2}]}}}`:                             parseError,
		`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"name":"any","n\u0061me":"delete_song"}}`:                                           parseError,
		`{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`:                                                                                      parseError,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"any"},"x":` + strings.Repeat("[", 33) + strings.Repeat("]", 33) + `}`: parseError,

		// Known members in another case.
		`{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}`:                                    invalidRequest,
		`{"jsonrpc":"2.0","id":1,"METHOD":"ping"}`:                                                          invalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":"ping","re\u017fult":{}}`:                                         invalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"any"},"Params":{"name":"delete"}}`: invalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"any","Name":"delete_song"}}`:       invalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"NAME":"delete_song"}}`:                    invalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a","URI":"b"}}`:                 invalidRequest,

		// Neither a request nor a response, or both.
		`{"id":1,"method":"ping"}`:                                                   invalidRequest,
		`{"jsonrpc":"1.0","id":1,"method":"ping"}`:                                   invalidRequest,
		`{"jsonrpc":2.0,"id":1,"method":"ping"}`:                                     invalidRequest,
		`{"jsonrpc":"2.0","id":1}`:                                                   invalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}`:                       invalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":"ping","error":null}`:                      invalidRequest,
		`{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}`:       invalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":null}`:                                     invalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":["tools/call"]}`:                           invalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":""}`:                                       invalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":"ping\u0000"}`:                             invalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":"` + strings.Repeat("a", 1025) + `"}`:      invalidRequest,
		"[" + tool("any") + `,{"jsonrpc":"2.0"}]`:                                    invalidRequest,
		"[" + strings.TrimSuffix(strings.Repeat(rpc("ping", "")+",", 65), ",") + "]": invalidRequest,

		// A call of something without saying what.
		rpc("tools/call", ""):                                           parseError,
		rpc("tools/call", "null"):                                       invalidRequest,
		rpc("tools/call", `["any"]`):                                    parseError,
		rpc("tools/call", `{}`):                                         invalidParams,
		rpc("tools/call", `{"name":""}`):                                invalidParams,
		rpc("tools/call", `{"name":null}`):                              invalidParams,
		rpc("tools/call", `{"name":["any"]}`):                           invalidParams,
		rpc("tools/call", `{"name":"any\r\n"}`):                         invalidParams,
		rpc("tools/call", `{"name":"any\u0085"}`):                       invalidParams,
		rpc("tools/call", `{"name":"`+strings.Repeat("a", 1025)+`"}`):   invalidParams,
		rpc("resources/read", `{"name":"any"}`):                         invalidParams,
		"[" + rpc("ping", "") + "," + rpc("tools/call", `{}`) + "]":     invalidParams,
		`[{"jsonrpc":"2.0","method":"tools/call","params":{"name":1}}]`: invalidParams,
	} {
		w := serve(guard, post("other", body))
		assert.Equal(t, want, answer(w), "%s", body)
		assert.Equal(t, http.Header{"Cache-Control": {"no-store"}, "Content-Type": {"application/json"}}, w.Header())
	}
	for _, body := range []string{
		" \r\n\t" + tool("any") + "\n",
		" [" + tool("any") + "]",
		`{"jsonrpc":"2.0","method":"tools\/call","params":{"n\u0061me":"any","_meta":{"Name":"x"},"arguments":{"Name":"y","NAME":"z"}},"id":"a","x":1}`,
		"[" + strings.TrimSuffix(strings.Repeat(rpc("ping", "")+",", 64), ",") + "]",
		`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"name":1,"Name":2}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"any"},"x":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`,
	} {
		w := serve(guard, post("other", body))
		assert.Equal(t, "200", answer(w), "%s", body)
		assert.Equal(t, body, w.Body.String())
	}
}

// A server might decode what is not said to be plain JSON in UTF-8.
func TestContentType(t *testing.T) {
	guard := newGuard(t)
	const unsupported = "415 -32600 id <nil>"
	for contentType, want := range map[string]string{
		"application/json":                 "200",
		"Application/JSON; charset=UTF-8":  "200",
		"":                                 unsupported,
		"text/plain":                       unsupported,
		"application/json-rpc":             unsupported,
		"application/json; charset=utf-16": unsupported,
		"application/json; charset=utf-7":  unsupported,
		"application/json; boundary=a":     unsupported,
		"application/json; charset=utf-8; charset=utf-16": unsupported,
		"application/json, text/plain":                    unsupported,
		"application/x-www-form-urlencoded":               unsupported,
		"application/json; charset":                       unsupported,
	} {
		assert.Equal(t, want, answer(serve(guard, post("other", tool("any"), "Content-Type", contentType))), contentType)
	}
	assert.Equal(t, unsupported, answer(serve(guard, post("other", tool("any"), "Content-Encoding", "gzip"))))
	r := post("other", tool("any"))
	r.Header.Add("Content-Type", "application/json")
	assert.Equal(t, unsupported, answer(serve(guard, r)))
}

// A refusal repeats the identifier of the request if that is one.
func TestRefusalIdentifier(t *testing.T) {
	guard := newGuard(t)
	for id, want := range map[string]string{
		"1": "1", `"a\"b"`: `"a\"b"`, "1.5e3": "1.5e3", "null": "null", "{}": "null", "[1]": "null", "true": "null",
		`"` + strings.Repeat("a", 300) + `"`: "null",
	} {
		body := `{"jsonrpc":"2.0","id":` + id + `,"method":"ping"}`
		w := serve(guard, post("other", body, "Mcp-Method", "tools/call"))
		assert.JSONEq(t, `{"jsonrpc":"2.0","id":`+want+`,"error":{"code":-32020,"message":"Mcp-Method or Mcp-Name is not what the body says"}}`, w.Body.String())
	}
}

// What is admitted, every parser that the server may have understands as the
// guard did: encoding/json, which folds the case of names and takes the last
// of several, and one that takes the first.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		tool("any"), tool("delete_song"), rpc("ping", ""), "[" + tool("any") + "," + tool("list_songs") + "]",
		`{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{"name":"delete_song"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"any","n\u0061me":"delete_song"}}`,
		`{"jsonrpc":"2.0","id":1,"result":{}}`, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"Delete_song"}}`,
	} {
		f.Add([]byte(seed))
	}
	c := config()
	c.Tools = map[string]scopes.Requirement{"delete_song": scopes.All("songs-write")}
	guard, err := mcp.New(c)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/mcp", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer other")
		guard.Protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			require.Equal(t, body, got)
			for _, raw := range batchOf(t, got) {
				for _, m := range []call{lastWins(t, raw), firstWins(t, raw)} {
					if m.method == "tools/call" {
						assert.NotEqual(t, "delete_song", strings.ToLower(strings.Trim(m.name, " \x00")))
					}
					assert.NotContains(t, []string{"resources/read", "prompts/get", "other"}, m.method, "no rule admits it")
				}
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
	})
}

type call struct{ method, name string }

func batchOf(t *testing.T, body []byte) []json.RawMessage {
	var batch []json.RawMessage
	if json.Unmarshal(body, &batch) == nil {
		return batch
	}
	require.True(t, json.Valid(body))
	return []json.RawMessage{body}
}

func lastWins(t *testing.T, raw []byte) call {
	var m struct {
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	require.NoError(t, json.Unmarshal(raw, &m))
	var params struct {
		Name string `json:"name"`
	}
	if m.Method == "tools/call" {
		require.NoError(t, json.Unmarshal(m.Params, &params))
	}
	return call{m.Method, params.Name}
}

func firstWins(t *testing.T, raw []byte) call {
	var c call
	if method := first(t, raw, "method"); method != nil {
		require.NoError(t, json.Unmarshal(method, &c.method))
	}
	if c.method == "tools/call" {
		require.NoError(t, json.Unmarshal(first(t, first(t, raw, "params"), "name"), &c.name))
	}
	return c
}

// first returns the first member of an object with the name, in any case.
func first(t *testing.T, object []byte, name string) json.RawMessage {
	d := json.NewDecoder(bytes.NewReader(object))
	_, err := d.Token()
	require.NoError(t, err)
	for d.More() {
		key, err := d.Token()
		require.NoError(t, err)
		var value json.RawMessage
		require.NoError(t, d.Decode(&value))
		if strings.EqualFold(key.(string), name) {
			return value
		}
	}
	return nil
}
