// Introspection protects an API: it asks the authorization server about each
// bearer token, once a minute at most, and enforces scopes by route.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/introspect"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

func main() {
	authority, err := introspect.New(introspect.Config{
		Endpoint:   os.Getenv("INTROSPECTION_URL"),
		Credential: introspect.Basic("notes-api", os.Getenv("INTROSPECTION_SECRET")),
	})
	check(err)
	remembered, err := cache.New(cache.Config{Verifier: authority, TTL: time.Minute})
	check(err)
	guard, err := middleware.New(middleware.Config{Verifier: remembered, Audience: []string{"https://notes.example"}})
	check(err)

	notes := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello", sneck.FromContext(r.Context()).Subject)
	})
	http.Handle("GET /notes", guard.Require(scopes.All("notes:read"))(notes))
	http.Handle("POST /notes", guard.Require(scopes.All("notes:write"))(notes))
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), nil))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
