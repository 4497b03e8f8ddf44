package introspect_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"syscall"
)

// scripted is a transport without a network, for tests that own the time. It
// answers by a function.
type scripted func(r *http.Request) (*http.Response, error)

func (f scripted) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// reply is what a handler says to anybody.
func reply(h http.Handler) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, nil)
	return w.Result()
}

func refuse() error { return syscall.ECONNREFUSED }

func tokenOf(r *http.Request) string {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	return form.Get("token")
}

// A record is a list that many write to.
type record struct {
	mu   sync.Mutex
	list []string
}

func (r *record) add(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, s)
}

func (r *record) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.list...)
}
