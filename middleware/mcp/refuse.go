package mcp

import (
	"net/http"
	"strconv"
)

// A fault is what is wrong with a message, for the client and for logs. It
// never quotes the message.
type fault struct {
	status int
	code   int // JSON-RPC 2.0, section 5.1; MCP, Error Codes
	text   string
}

func (f *fault) Error() string { return "middleware/mcp: " + f.text }

const (
	codeParse    = -32700
	codeInvalid  = -32600
	codeParams   = -32602
	codeMismatch = -32020 // HeaderMismatch
)

var (
	notJSON     = &fault{http.StatusBadRequest, codeParse, "the body is not JSON that every parser reads alike"}
	otherCase   = &fault{http.StatusBadRequest, codeInvalid, "a member has a known name in another case"}
	notRPC      = &fault{http.StatusBadRequest, codeInvalid, "the body is not a JSON-RPC 2.0 request, notification or response"}
	badBatch    = &fault{http.StatusBadRequest, codeInvalid, "the batch is empty or has more than " + strconv.Itoa(maxBatch) + " messages"}
	badName     = &fault{http.StatusBadRequest, codeParams, "the params do not name what they are about"}
	similarName = &fault{http.StatusBadRequest, codeParams, "the tool is not listed, and its name could be taken for another"}
	mismatch    = &fault{http.StatusBadRequest, codeMismatch, "Mcp-Method or Mcp-Name is not what the body says"}
	unreadable  = &fault{http.StatusBadRequest, codeParse, "the body could not be read"}
	withBody    = &fault{http.StatusBadRequest, codeInvalid, "a request with this method has no body"}
	tooLong     = &fault{http.StatusRequestEntityTooLarge, codeInvalid, "the body is too long"}
	notJSONType = &fault{http.StatusUnsupportedMediaType, codeInvalid, "the body must be application/json in UTF-8, not encoded"}
	otherMethod = &fault{http.StatusMethodNotAllowed, codeInvalid, "the method must be POST, GET or DELETE"}
)

// refuse answers a request of somebody who has a token, but whose message is
// not understood: a JSON-RPC error, as an MCP server would say it.
func (c *call) refuse(w http.ResponseWriter, f *fault) {
	id := "null"
	if k := c.id.Kind(); (k == '"' || k == '0') && len(c.id) <= maxID {
		id = string(c.id)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	if f == otherMethod {
		h.Set("Allow", "POST, GET, DELETE")
	}
	w.WriteHeader(f.status)
	// The texts above need no escapes.
	_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":` + id + `,"error":{"code":` + strconv.Itoa(f.code) + `,"message":"` + f.text + `"}}` + "\n"))
}
