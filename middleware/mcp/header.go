package mcp

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// checkHeader refuses a request whose header says another method or name than
// its body: what is in between may have gone by the header (Streamable HTTP,
// Server Validation). Whether the header must be there depends on the version
// of the protocol, and is for the server to say.
func checkHeader(h http.Header, messages []message) *fault {
	methods, names := h["Mcp-Method"], h["Mcp-Name"]
	if methods == nil && names == nil {
		return nil
	}
	if len(messages) != 1 || len(methods) > 1 || len(names) > 1 {
		return mismatch
	}
	m := messages[0]
	if len(methods) == 1 && methods[0] != m.method {
		return mismatch
	}
	if _, named := nameOf[m.method]; named && len(names) == 1 {
		if name, ok := decodeName(names[0]); !ok || name != m.name {
			return mismatch
		}
	}
	return nil
}

// decodeName reads the value of a header that may be encoded (Streamable HTTP,
// Value Encoding).
func decodeName(value string) (string, bool) {
	inner, ok := strings.CutPrefix(value, "=?base64?")
	if !ok || !strings.HasSuffix(inner, "?=") {
		return value, true
	}
	name, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(inner, "?="))
	return string(name), err == nil
}
