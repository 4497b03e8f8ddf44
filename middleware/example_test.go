package middleware_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// exampleVerifier knows one token. A service has an introspection client
// behind a cache here, or a JWT verifier.
var exampleVerifier = sneck.VerifierFunc(func(_ context.Context, token string) (*sneck.Token, error) {
	if token != "ann-reads" {
		return nil, sneck.ErrInvalid
	}
	return &sneck.Token{
		Subject:  "ann",
		Audience: []string{"https://songs.example"},
		Scopes:   scopes.MustParse("songs:read"),
	}, nil
})

func show(h http.Handler, method, path, authorization string) {
	r := httptest.NewRequest(method, path, nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	fmt.Println(strings.TrimSpace(fmt.Sprintln(method, path, rec.Code, rec.Header().Get("WWW-Authenticate"))))
}

func ExampleGuard_Require() {
	guard, err := middleware.New(middleware.Config{
		Verifier: exampleVerifier,
		Audience: []string{"https://songs.example"},
	})
	if err != nil {
		log.Fatal(err)
	}

	list := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("hello,", sneck.FromContext(r.Context()).Subject)
	})
	remove := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

	mux := http.NewServeMux()
	mux.Handle("GET /songs", guard.Require(scopes.All("songs:read"))(list))
	mux.Handle("DELETE /songs/{id}", guard.Require(scopes.Any("songs:write", "admin"))(remove))

	show(mux, "GET", "/songs", "Bearer ann-reads")
	show(mux, "GET", "/songs", "")
	show(mux, "DELETE", "/songs/1", "Bearer ann-reads")
	// Output:
	// hello, ann
	// GET /songs 200
	// GET /songs 401 Bearer realm="api"
	// DELETE /songs/1 403 Bearer realm="api", error="insufficient_scope", error_description="The access token does not grant what this request needs", scope="songs:write"
}

func ExampleGuard_Check() {
	guard, err := middleware.New(middleware.Config{
		Verifier: exampleVerifier,
		Audience: []string{"https://songs.example"},
	})
	if err != nil {
		log.Fatal(err)
	}
	r := httptest.NewRequest("DELETE", "/songs/1", nil)
	r.Header.Set("Authorization", "Bearer ann-reads")
	decision := guard.Check(r, middleware.Policy{Scopes: scopes.All("songs:read", "songs:write")})
	fmt.Println(decision.Status(), decision)
	// Output:
	// 403 refused: scope; the token lacks songs:write (hint: the client must be allowed, and ask for: songs:write)
}

// The classic mistake: a handler that asks whether there is *some* token and
// takes that for permission. Optional admits strangers, so the handler below
// lets a reader delete. Ask for the scope, or better, have the route demand
// it with Require.
func ExampleGuard_Optional_incorrect() {
	guard, err := middleware.New(middleware.Config{
		Verifier: exampleVerifier,
		Audience: []string{"https://songs.example"},
	})
	if err != nil {
		log.Fatal(err)
	}
	wrong := guard.Optional(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sneck.FromContext(r.Context()) == nil { // wrong: any token will do
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	right := guard.Optional(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !sneck.FromContext(r.Context()).Has("songs:write") { // nil grants nothing
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	show(wrong, "DELETE", "/songs/1", "Bearer ann-reads")
	show(right, "DELETE", "/songs/1", "Bearer ann-reads")
	// Output:
	// DELETE /songs/1 200
	// DELETE /songs/1 403
}
