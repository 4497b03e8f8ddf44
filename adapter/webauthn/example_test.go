package webauthn_test

import (
	"fmt"
	"log"

	"github.com/sneckauth/sneck/adapter/webauthn"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
)

func ExampleNew() {
	const issuer = "https://auth.example.com"
	passkeys, err := webauthn.New(webauthn.Config{Issuer: issuer, Name: "Example"})
	if err != nil {
		log.Fatal(err)
	}
	store := authserver.NewMemory() // or that of an adapter
	site, err := pages.New(pages.Config{Issuer: issuer, Store: store, Clients: store, Passkeys: passkeys})
	fmt.Println(site != nil, err)
	// Output: true <nil>
}
