package mcp

import (
	"mime"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sneckauth/sneck/internal/strictjson"
)

const (
	// maxBatch is how many messages may come at once.
	maxBatch = 64
	// maxName is the length of the longest method and name.
	maxName = 1024
	// maxID is the length of the longest request identifier that a refusal
	// repeats.
	maxID = 256
)

// A message is what matters of a JSON-RPC request, notification or response.
// It has no method if it is a response.
type message struct {
	method string
	// name is the tool, prompt or resource, for the methods that have one.
	name string
	id   jsontext.Value
}

// nameOf are the methods whose params name what they are about, and the
// member that does.
var nameOf = map[string]string{"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

// parse reads the body of a POST: a message, or a batch of them as protocol
// version 2025-03-26 has it.
//
// Whatever some JSON parser might read otherwise than this one is an error:
// a server that takes the second of two members of the same name, or one that
// takes "Method" for "method", would act on another message than the one that
// was admitted.
func parse(body []byte) ([]message, *fault) {
	if len(body) > 0 && strings.IndexByte("[ \t\r\n", body[0]) < 0 {
		m, err := parseMessage(body)
		return []message{m}, err
	}
	var raw jsontext.Value
	if strictjson.Unmarshal(body, &raw) != nil {
		return nil, notJSON
	}
	if raw.Kind() != '[' {
		m, err := parseMessage(raw)
		return []message{m}, err
	}
	var batch []jsontext.Value
	if strictjson.Unmarshal(raw, &batch) != nil {
		return nil, notJSON
	}
	if len(batch) == 0 || len(batch) > maxBatch {
		return nil, badBatch
	}
	messages := make([]message, len(batch))
	for i, raw := range batch {
		var err *fault
		if messages[i], err = parseMessage(raw); err != nil {
			return nil, err
		}
	}
	return messages, nil
}

func parseMessage(data []byte) (message, *fault) {
	members, err := object(data, "jsonrpc", "id", "method", "params", "result", "error")
	if err != nil {
		return message{}, err
	}
	if version, ok := text(members["jsonrpc"]); !ok || version != "2.0" {
		return message{}, notRPC
	}
	m := message{id: members["id"]}
	kinds := 0
	for _, name := range []string{"method", "result", "error"} {
		if members[name] != nil {
			kinds++
		}
	}
	if kinds != 1 {
		return message{}, notRPC // neither a request nor a response, or both
	}
	method := members["method"]
	if method == nil {
		return m, nil
	}
	var ok bool
	if m.method, ok = text(method); !ok || !plain(m.method) {
		return message{}, notRPC
	}
	if member, named := nameOf[m.method]; named {
		params, err := object(members["params"], "name", "uri", "arguments")
		if err != nil {
			return message{}, err
		}
		if m.name, ok = text(params[member]); !ok || !plain(m.name) {
			return message{}, badName
		}
	}
	return m, nil
}

// object reads a JSON object in which none of the known names is written in
// another case.
func object(data []byte, known ...string) (map[string]jsontext.Value, *fault) {
	var members map[string]jsontext.Value
	if strictjson.Unmarshal(data, &members) != nil {
		return nil, notJSON
	}
	if members == nil { // null
		return nil, notRPC
	}
	for name := range members {
		for _, k := range known {
			if name != k && strings.EqualFold(name, k) {
				return nil, otherCase
			}
		}
	}
	return members, nil
}

// text reads a JSON string.
func text(v jsontext.Value) (string, bool) {
	if v.Kind() != '"' {
		return "", false
	}
	s, err := jsontext.AppendUnquote(nil, v)
	return string(s), err == nil
}

// plain reports whether a name is neither empty nor too long and has no
// control characters, at which some program might end it.
func plain(name string) bool {
	return name != "" && len(name) <= maxName &&
		strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) < 0
}

// checkForm refuses a body that is written in another way than JSON in UTF-8.
func checkForm(h http.Header) *fault {
	if len(h["Content-Type"]) != 1 || h["Content-Encoding"] != nil {
		return notJSONType
	}
	mediaType, params, err := mime.ParseMediaType(h["Content-Type"][0])
	if err != nil || mediaType != "application/json" {
		return notJSONType
	}
	for name, value := range params {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return notJSONType
		}
	}
	return nil
}
