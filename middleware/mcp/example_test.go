package mcp_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/sneckauth/sneck/middleware/mcp"
	"github.com/sneckauth/sneck/scopes"
)

func Example() {
	server := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK) // of any SDK, or a proxy to one
	})

	guard, err := mcp.New(mcp.Config{
		Resource:             "https://mcp.example/mcp",
		AuthorizationServers: []string{"https://auth.example"},
		Verifier:             verifier,
		Scopes:               scopes.All("songs-read"),
		Tools:                map[string]scopes.Requirement{"list_songs": scopes.AnyToken(), "delete_song": scopes.All("songs-write")},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", guard.Protect(server))
	mux.Handle("/.well-known/", guard.Metadata())

	for _, name := range []string{"list_songs", "delete_song"} {
		r := httptest.NewRequest("POST", "/mcp", strings.NewReader(
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+name+`"}}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer songs-read")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		_, scope, _ := strings.Cut(w.Header().Get("WWW-Authenticate"), ", scope=")
		fmt.Println(strings.TrimSpace(fmt.Sprint(name, " ", w.Code, " ", scope)))
	}
	// Output:
	// list_songs 200
	// delete_song 403 "songs-read songs-write"
}
