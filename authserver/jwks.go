package authserver

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// serveKeys publishes the keys that verify JWTs (RFC 7517, section 5).
func (s *Server) serveKeys(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.config.Keys == nil:
		http.NotFound(w, r)
		return
	case admitScripts(w, r, "GET, HEAD", "*"):
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		s.refuse(w, r, nil, methodNotAllowed(w, "GET, HEAD"))
		return
	}
	keys, err := s.config.Keys.KeySet(r.Context())
	if err != nil {
		s.refuse(w, r, nil, unavailable(fmt.Errorf("get the signing keys: %w", err)))
		return
	}
	h := w.Header()
	h.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", keys.maxAge/time.Second))
	h.Set("Etag", keys.etag)
	if matchesETag(r.Header.Values("If-None-Match"), keys.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "application/jwk-set+json")
	_, _ = w.Write(keys.document)
}

// matchesETag reports whether a client has what there is, by the weak
// comparison (RFC 9110, section 13.1.2).
func matchesETag(fields []string, etag string) bool {
	for _, field := range fields {
		for tag := range strings.SplitSeq(field, ",") {
			if tag = strings.TrimSpace(tag); tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
				return true
			}
		}
	}
	return false
}
