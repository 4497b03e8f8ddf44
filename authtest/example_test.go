package authtest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/scopes"
)

// A table of tokens is enough for most tests.
func ExampleMapVerifier() {
	verifier := authtest.MapVerifier{
		"reader": {Subject: "alice", Scopes: scopes.Set{"songs:read"}},
	}
	token, _ := verifier.Verify(context.Background(), "reader")
	fmt.Println(token.Subject, token.Has("songs:read"), token.Has("songs:write"))

	_, err := verifier.Verify(context.Background(), "somebody")
	fmt.Println(err)
	// Output:
	// alice true false
	// authtest: sneck: token is not valid: not in the map
}

// The whole way, with the real server.
func ExampleNewServer() {
	_ = func(t *testing.T) {
		srv := authtest.NewServer(t)
		token := srv.Token(t, "songs:read")

		var verifier sneck.Verifier = srv // or introspect srv.URL + "/introspect" as srv.ResourceServer
		got, err := verifier.Verify(t.Context(), token)
		if err != nil || !got.Has("songs:read") {
			t.Errorf("got %v, %v", got, err)
		}
		srv.Revoke(t, token)
	}
}
