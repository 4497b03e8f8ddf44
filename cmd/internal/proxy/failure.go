package proxy

import "net/http"

// statusGone is what logs say of a request whose client did not wait for the
// answer, which therefore nobody sees.
const statusGone = 499

// A failure is an answer that is none of the service's and no refusal.
type failure struct {
	status            int
	code, description string // without characters that JSON escapes
}

func (f failure) write(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(f.status)
	_, _ = w.Write([]byte(`{"error":"` + f.code + `","error_description":"` + f.description + "\"}\n")) // or the client has left
}
