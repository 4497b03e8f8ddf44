package admin_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
	"github.com/sneckauth/sneck/scopes"
)

// What is done in Go is done in somebody's name, and asked for over HTTP with
// a token of the server.
func Example() {
	store := authserver.NewMemory() // or that of an adapter
	server, err := authserver.New(authserver.Config{
		Issuer: "https://auth.example.com", Store: store, Clients: store,
		Scopes: scopes.Static{List: []scopes.Described{{Name: "notes:read", Text: "Read your notes"}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	ops, err := admin.New(admin.Config{Server: server, Store: store, Clients: store})
	if err != nil {
		log.Fatal(err)
	}
	client, err := ops.As("set-up").CreateClient(context.Background(), admin.NewClient{ID: "app", ClientSettings: admin.ClientSettings{
		Grants: []string{authserver.GrantClientCredentials}, Scope: "notes:read", Audience: []string{"https://notes.example"},
	}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(client.ID, len(client.Secret))

	w := httptest.NewRecorder()
	api := admin.NewAPI(ops, nil)
	api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, admin.Path+"clients", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output:
	// app 128
	// 401 Bearer realm="sneck admin", scope="sneck:admin"
}
