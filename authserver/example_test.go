package authserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

// A server with one client, which gets a token for itself.
func ExampleNew() {
	store := authserver.NewMemory()
	srv, err := authserver.New(authserver.Config{
		Issuer:  "https://auth.example.com",
		Store:   store,
		Clients: store,
	})
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	client, secret, err := srv.NewClient(ctx, authserver.Client{
		ID:       "nightly-report",
		Grants:   []string{authserver.GrantClientCredentials},
		Scopes:   scopes.Set{"read"},
		Audience: []string{"https://api.example.com"},
	}, true)
	if err != nil {
		log.Fatal(err)
	}
	if err := store.PutClient(ctx, client); err != nil {
		log.Fatal(err)
	}

	// http.Handle("/", srv), and then from somewhere else:
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}
	r := httptest.NewRequest(http.MethodPost, "https://auth.example.com/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(client.ID), url.QueryEscape(secret))
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, r)

	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		log.Fatal(err)
	}
	token, err := srv.Verify(ctx, answer.AccessToken)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.ExpiresIn, token.ClientID, token.Scopes, token.Audience)
	// Output: 3600 nightly-report read [https://api.example.com]
}

// A client that can not be changed yet asks people for their passwords itself.
func ExampleLegacyPassword() {
	store := authserver.NewMemory()
	directory := func(_ context.Context, username, password string) (*authserver.Approval, error) {
		if username != "alice" || password != "open sesame" { // ask yours, in constant time
			return nil, authserver.ErrAccessDenied
		}
		return &authserver.Approval{Subject: "user-1"}, nil
	}
	server, err := authserver.New(authserver.Config{
		Issuer: "https://auth.example.com", Store: store, Clients: store,
		Grants: []authserver.Grant{authserver.ClientCredentials(), authserver.RefreshToken(), authserver.LegacyPassword(directory)},
	})
	fmt.Println(server.Issuer(), err)
	// Output: https://auth.example.com <nil>
}

// Clients bring what the identity provider of the company says about people.
func ExampleJWTBearer() {
	grant, err := authserver.JWTBearer(authserver.TrustedIssuer{
		Issuer:  "https://idp.example.com",
		JWKSURI: "https://idp.example.com/jwks",
		Subject: func(_ context.Context, sub string) (string, error) {
			if person, ok := map[string]string{"00u1": "alice"}[sub]; ok { // ask your directory
				return person, nil
			}
			return "", authserver.ErrNotFound
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	store := authserver.NewMemory()
	_, err = authserver.New(authserver.Config{
		Issuer: "https://auth.example.com", Store: store, Clients: store,
		Grants: []authserver.Grant{authserver.ClientCredentials(), grant},
	})
	fmt.Println(grant.Type, err)
	// Output: urn:ietf:params:oauth:grant-type:jwt-bearer <nil>
}
