package pages_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
)

func Example() {
	store := authserver.NewMemory() // or that of an adapter
	site, err := pages.New(pages.Config{Issuer: "https://auth.example.com", Store: store, Clients: store})
	if err != nil {
		log.Fatal(err)
	}
	server, err := authserver.New(authserver.Config{
		Issuer: "https://auth.example.com", Store: store, Clients: store,
		Login: site.Login, Pages: site.Pages(), Hooks: authserver.Hooks{Subject: site.Subject},
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := site.Accounts().Create(context.Background(), "alice", "correct horse battery"); err != nil {
		log.Fatal(err)
	}
	handler := site.Handler(server)

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://auth.example.com/account", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 200 text/html; charset=utf-8
}
