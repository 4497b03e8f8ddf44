package postgres_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/sneckauth/sneck/adapter/postgres"
	"github.com/sneckauth/sneck/authserver"
)

func ExampleOpen() {
	ctx := context.Background()
	store, err := postgres.Open(ctx, "postgres://sneck@db.example.com/sneck?sslmode=verify-full", postgres.Config{DropOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	server, err := authserver.New(authserver.Config{
		Issuer: "https://auth.example.com", Store: store, Clients: store,
		Sweep: authserver.Sweep{Interval: 10 * time.Minute},
	})
	if err != nil {
		log.Print(err)
		return
	}
	go server.Run(ctx)
	fmt.Println("ready")
}
