// Servemux protects the routes of net/http's own router.
package main

import (
	"fmt"
	"log"
	"log/slog"
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
	guard, err := newGuard(os.Getenv("INTROSPECTION_URL"), os.Getenv("INTROSPECTION_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), routes(guard)))
}

func routes(guard *middleware.Guard) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /songs", guard.Require(scopes.All("songs:read"))(http.HandlerFunc(list)))
	mux.Handle("POST /songs", guard.Require(scopes.All("songs:write"))(http.HandlerFunc(add)))
	mux.Handle("GET /users/{user}/songs", guard.Protect(own)(http.HandlerFunc(ofUser)))
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

// own admits users to what is theirs, and to the rest with songs:admin.
var own = middleware.Policy{
	Scopes: scopes.All("songs:read"),
	ScopesOf: func(r *http.Request, t *sneck.Token) (scopes.Requirement, error) {
		if t.Subject == r.PathValue("user") {
			return scopes.All("songs:read"), nil
		}
		return scopes.All("songs:admin"), nil
	},
}

// newGuard returns a guard that asks the authorization server about each token,
// once a minute at most.
func newGuard(introspectionURL, secret string) (*middleware.Guard, error) {
	authority, err := introspect.New(introspect.Config{
		Endpoint:   introspectionURL,
		Credential: introspect.Basic("songs", secret),
	})
	if err != nil {
		return nil, err
	}
	remembered, err := cache.New(cache.Config{Verifier: authority, TTL: time.Minute})
	if err != nil {
		return nil, err
	}
	return middleware.New(middleware.Config{
		Verifier: remembered,
		Audience: []string{"https://songs.example"},
		Logger:   slog.Default(),
	})
}
