package proxy

import (
	"net/http"
	"strings"
)

// metadataPath is where metadata of protected resources are (RFC 9728, section
// 3).
const metadataPath = "/.well-known/oauth-protected-resource"

// Beside returns a handler that has metadata answer where clients look for
// them, without a token, and h everywhere else.
func Beside(metadata, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, found := strings.CutPrefix(r.URL.EscapedPath(), metadataPath)
		if found && (rest == "" || rest[0] == '/') {
			metadata.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}
