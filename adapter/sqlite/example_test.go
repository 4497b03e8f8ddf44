package sqlite_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/sneckauth/sneck/adapter/sqlite"
	"github.com/sneckauth/sneck/authserver"
)

// One store keeps the records of the server and its clients.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "sqlite")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := sqlite.Open(context.Background(), filepath.Join(dir, "sneck.db"))
	if err != nil {
		log.Print(err)
		return
	}
	defer store.Close()
	server, err := authserver.New(authserver.Config{Issuer: "https://auth.example.com", Store: store, Clients: store})
	if err != nil {
		log.Print(err)
		return
	}
	client, _, err := server.NewClient(context.Background(), authserver.Client{ID: "notes-api", Introspect: true, Serves: []string{"https://notes.example"}}, true)
	if err != nil {
		log.Print(err)
		return
	}
	if err := store.PutClient(context.Background(), client); err != nil {
		log.Print(err)
		return
	}
	known, err := store.Client(context.Background(), "notes-api")
	fmt.Println(known.Serves, err)
	// Output: [https://notes.example] <nil>
}
