package authtest_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

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

// A service that remembers tokens goes on in an outage, and says 503 of those
// that it does not know.
func ExampleServer_Down() {
	_ = func(t *testing.T, service *http.Client, url string) {
		srv := authtest.NewServer(t) // the service introspects there
		known, unknown := srv.Token(t, "songs:read"), srv.Token(t, "songs:read")
		get := func(token string) int {
			r, _ := http.NewRequest(http.MethodGet, url, nil)
			r.Header.Set("Authorization", "Bearer "+token)
			resp, err := service.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return resp.StatusCode
		}
		get(known)
		srv.Down()
		if get(known) != http.StatusOK || get(unknown) != http.StatusServiceUnavailable {
			t.Error("the service does not survive an outage")
		}
	}
}

// A token of a user who signed in with two factors an hour ago, with a claim
// of one's own.
func ExampleServer_IssueJWT() {
	_ = func(t *testing.T) {
		srv := authtest.NewServer(t)
		token := srv.IssueJWT(t, sneck.Token{
			Subject:   "alice",
			Scopes:    scopes.Set{"songs:read"},
			ACR:       "urn:example:two-factors",
			AuthTime:  time.Now().Add(-time.Hour),
			RawClaims: []byte(`{"tenant":"acme"}`),
		})
		t.Log(token)
	}
}

// A client that proves with every request that it holds its key, and the
// token that is bound to that.
func ExampleNewDPoPKey() {
	_ = func(t *testing.T, url string) {
		srv := authtest.NewServer(t)
		key := authtest.NewDPoPKey(t)
		token := srv.Issue(t, sneck.Token{Confirmation: key.Confirmation()})
		client := &http.Client{Transport: key.Transport(token, nil)}
		resp, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
}
