package ui_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/authserver/admin/ui"
	"github.com/sneckauth/sneck/authserver/pages"
)

// The pages have a URL of their own, and people sign in to them.
func Example() {
	store := authserver.NewMemory() // or that of an adapter
	server, err := authserver.New(authserver.Config{Issuer: "https://auth.example.com", Store: store, Clients: store})
	if err != nil {
		log.Fatal(err)
	}
	ops, err := admin.New(admin.Config{Server: server, Store: store, Clients: store})
	if err != nil {
		log.Fatal(err)
	}
	site, err := ui.New(ui.Config{
		Operations: ops,
		Pages:      pages.Config{Issuer: "https://admin.example.com", Store: store, Clients: store},
	})
	if err != nil {
		log.Fatal(err)
	}

	w := httptest.NewRecorder()
	site.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://admin.example.com"+ui.Path, nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 200 text/html; charset=utf-8
}
