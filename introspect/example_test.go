package introspect_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/introspect"
)

func ExampleNew() {
	authority := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.PostFormValue("token") == "mF_9.B5f-4.1JqM" {
			fmt.Fprint(w, `{"active":true,"sub":"ada","scope":"read write"}`)
		} else {
			fmt.Fprint(w, `{"active":false}`)
		}
	}))
	defer authority.Close()

	client, err := introspect.New(introspect.Config{
		Endpoint:   authority.URL + "/introspect",
		Credential: introspect.Basic("api", "s3cr3t"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	token, err := client.Verify(context.Background(), "mF_9.B5f-4.1JqM")
	fmt.Println(token.Subject, token.Scopes, err)
	_, err = client.Verify(context.Background(), "forged")
	fmt.Println(errors.Is(err, sneck.ErrInvalid))
	// Output:
	// ada read write <nil>
	// true
}

func ExampleNew_mistakes() {
	_, err := introspect.New(introspect.Config{Endpoint: "http://login.example.com/introspect"})
	fmt.Println(err)
	// Output:
	// introspect: Config.Endpoint must begin with https:// (hint: plain http is for this host only, unless InsecureHTTP is set)
	// introspect: Config.Credential is missing (hint: Basic(id, secret) or Bearer(token))
}
