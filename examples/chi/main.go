// Chi protects routes of the router chi.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/go-chi/chi/v5"

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
	r := chi.NewRouter()
	r.Route("/songs", func(r chi.Router) {
		r.With(guard.Require(scopes.All("songs:read"))).Get("/", list)
		r.With(guard.Require(scopes.All("songs:write"))).Post("/", add)
	})
	r.With(guard.Protect(songs.Own)).Get("/users/{user}/songs", ofUser)
	r.With(guard.Optional).Get("/welcome", welcome)
	return r
}

func list(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, "all songs")
}

func add(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintln(w, "added by", sneck.FromContext(r.Context()).Subject)
}

func ofUser(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, "songs of", chi.URLParam(r, "user"))
}

func welcome(w http.ResponseWriter, r *http.Request) {
	name := "stranger"
	if token := sneck.FromContext(r.Context()); token != nil {
		name = token.Subject
	}
	fmt.Fprintln(w, "hello", name)
}
