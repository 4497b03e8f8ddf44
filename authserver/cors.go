package authserver

import "net/http"

// What scripts may send to an endpoint, and read of its answer. The wildcard
// does not mean Authorization (Fetch Standard, section 3.3.2).
const (
	corsPostHeaders = "Authorization, Content-Type, DPoP"
	corsExposed     = "WWW-Authenticate, Retry-After, DPoP-Nonce"
	corsSeconds     = "3600"
)

// admitScripts lets scripts of every site read what an endpoint answers, for
// applications that run in a browser alone, and reports whether it has answered
// a preflight request. Whoever asks there brings what it is about, and learns
// no more than with a program of its own: nothing is known by cookies, and with
// the wildcard, browsers keep back the answer to a request that had any, or a
// certificate (Fetch Standard, section 3.3.4). The authorization endpoint and the
// pages are not opened like that, nor is introspection, which is for resource
// servers.
func admitScripts(w http.ResponseWriter, r *http.Request, methods, headers string) (preflight bool) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Allow-Headers", headers)
	h.Set("Access-Control-Max-Age", corsSeconds)
	w.WriteHeader(http.StatusNoContent)
	return true
}

// admitScriptsWithForms is admitScripts for where clients come with a form.
// Programs that are no browsers send no Origin, and are spared the rest.
func admitScriptsWithForms(w http.ResponseWriter, r *http.Request) (preflight bool) {
	if r.Header.Get("Origin") == "" {
		return false
	}
	if admitScripts(w, r, "POST", corsPostHeaders) {
		return true
	}
	w.Header().Set("Access-Control-Expose-Headers", corsExposed)
	return false
}
