// Servemux protects the routes of net/http's own router.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/examples/internal/songs"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

func main() {
	guard, err := songs.NewGuard(os.Getenv("INTROSPECTION_URL"), os.Getenv("INTROSPECTION_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), routes(guard)))
}

func routes(guard *middleware.Guard) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /songs", guard.Require(scopes.All("songs:read"))(http.HandlerFunc(list)))
	mux.Handle("POST /songs", guard.Require(scopes.All("songs:write"))(http.HandlerFunc(add)))
	mux.Handle("GET /users/{user}/songs", guard.Protect(songs.Own)(http.HandlerFunc(ofUser)))
	mux.Handle("GET /welcome", guard.Optional(http.HandlerFunc(welcome)))
	return mux
}

func list(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, "all songs")
}

func add(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintln(w, "added by", sneck.FromContext(r.Context()).Subject)
}

func ofUser(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, "songs of", r.PathValue("user"))
}

func welcome(w http.ResponseWriter, r *http.Request) {
	name := "stranger"
	if token := sneck.FromContext(r.Context()); token != nil {
		name = token.Subject
	}
	fmt.Fprintln(w, "hello", name)
}
