package jwt_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/jwt"
)

// newAuthority is an authorization server with a key set and metadata, and a
// function that issues tokens.
func newAuthority() (issuer string, issue func(subject string) string, stop func()) {
	s := signers()["EdDSA"]
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	mux.HandleFunc("/.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, server.URL, server.URL+"/jwks")
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, jwks(s.jwk(""))) })
	issue = func(subject string) string {
		at := time.Now().Unix()
		return s.sign(s.header(), fmt.Sprintf(`{"iss":%q,"sub":%q,"aud":"https://api.example","exp":%d,"iat":%d,"jti":"1","client_id":"app","scope":"orders:read"}`,
			server.URL, subject, at+300, at))
	}
	return server.URL, issue, server.Close
}

// An issuer is enough: its keys are discovered and kept fresh.
func Example() {
	issuer, issue, stop := newAuthority()
	defer stop()

	verifier, err := jwt.New(jwt.Config{Issuers: []jwt.Issuer{{ID: issuer}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer verifier.Close()

	token, err := verifier.Verify(context.Background(), issue("alice"))
	fmt.Println(token.Subject, token.Scopes, err)
	// Output: alice orders:read <nil>
}

func ExampleNew() {
	_, err := jwt.New(jwt.Config{
		Issuers: []jwt.Issuer{
			{ID: "http://as.example"},
			{ID: "https://as.example", Algorithms: []string{"HS256"}},
		},
		Leeway: time.Hour,
	})
	fmt.Println(err)
	// Output:
	// jwt: Leeway is over 5 minutes (hint: set the clocks)
	// jwt: issuer "http://as.example": keys are fetched by https only (hint: http works for 127.0.0.1, ::1 and localhost)
	// jwt: issuer "https://as.example": algorithm "HS256" is not supported (hint: RS256, PS256, ES256, EdDSA)
}

// A ladder: tokens that are JWTs of the issuer are checked here, and opaque
// ones are shown to the authorization server. A JWT that is bad is refused on
// the first rung; nobody is asked about it.
func Example_ladder() {
	issuer, issue, stop := newAuthority()
	defer stop()
	local, err := jwt.New(jwt.Config{Issuers: []jwt.Issuer{{ID: issuer}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer local.Close()
	// In a service this is an introspect.Client, behind a cache.
	introspection := sneck.VerifierFunc(func(_ context.Context, token string) (*sneck.Token, error) {
		fmt.Print("asked the authorization server: ")
		if token != "opaque-of-bob" {
			return nil, sneck.ErrInvalid
		}
		return &sneck.Token{Subject: "bob"}, nil
	})

	ladder := sneck.First(local, introspection)
	jwtOfAlice := issue("alice")
	for _, token := range []string{jwtOfAlice, "opaque-of-bob", "made-up", jwtOfAlice[:len(jwtOfAlice)-8] + "AAAAAAAA"} {
		verdict, err := ladder.Verify(context.Background(), token)
		if errors.Is(err, sneck.ErrInvalid) {
			fmt.Println("refused")
			continue
		}
		fmt.Println(verdict.Subject)
	}
	// Output:
	// alice
	// asked the authorization server: bob
	// asked the authorization server: refused
	// refused
}

// On a route where a revoked token must not be taken until it expires, the
// signature and the authorization server's word are both demanded. Garbage
// still costs no question.
func Example_signatureAndIntrospection() {
	issuer, issue, stop := newAuthority()
	defer stop()
	local, err := jwt.New(jwt.Config{Issuers: []jwt.Issuer{{ID: issuer}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer local.Close()
	revoked := false
	introspection := sneck.VerifierFunc(func(context.Context, string) (*sneck.Token, error) {
		if revoked {
			return nil, sneck.ErrInvalid
		}
		return &sneck.Token{Subject: "alice", Scopes: []string{"orders:read", "admin"}, Source: "introspection"}, nil
	})

	strict := sneck.Both(local, introspection)
	token := issue("alice")
	verdict, err := strict.Verify(context.Background(), token)
	fmt.Println(verdict.Subject, verdict.Scopes, verdict.Source, err)
	revoked = true
	_, err = strict.Verify(context.Background(), token)
	fmt.Println(errors.Is(err, sneck.ErrInvalid))
	// Output:
	// alice orders:read jwt+introspection <nil>
	// true
}

// Keys that never change need no network.
func ExampleParseJWKS() {
	keys, err := jwt.ParseJWKS([]byte(`{"keys":[
		{"kty":"OKP","crv":"Ed25519","kid":"2026","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
		{"kty":"oct","k":"c2VjcmV0"}
	]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(keys.Len())
	_, err = jwt.New(jwt.Config{Issuers: []jwt.Issuer{{ID: "https://as.example", Keys: keys}}})
	fmt.Println(err)
	// Output:
	// 1
	// <nil>
}

func ExampleParsePEM() {
	keys, err := jwt.ParsePEM([]byte(`-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----`))
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := keys.Key(context.Background(), jwt.EdDSA, "any")
	fmt.Println(key.Algorithm(), key.Thumbprint(), err)
	// Output: EdDSA kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k <nil>
}

// An issuer whose key set is at an address of its own, and that predates RFC
// 9068.
func ExampleNewJWKS() {
	keys, err := jwt.NewJWKS("https://login.example/keys", jwt.Fetch{Refresh: 5 * time.Minute, Dir: "/var/lib/app/keys"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer keys.Close()
	verifier, err := jwt.New(jwt.Config{Issuers: []jwt.Issuer{{
		ID:         "https://login.example/v1",
		Keys:       keys,
		Algorithms: []string{jwt.RS256},
		Profile:    jwt.Legacy,
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer verifier.Close()
	_, err = verifier.Verify(context.Background(), "opaque")
	fmt.Println(errors.Is(err, sneck.ErrUnrecognized))
	// Output: true
}

// Issuers that others name: the metadata is fetched from public addresses
// only.
func ExampleDiscover() {
	keys, err := jwt.Discover("https://tenant-7.example", jwt.Fetch{RefusePrivateAddresses: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer keys.Close()
	fmt.Println(keys.Status().Keys)
	// Output: 0
}

// Many tenants: a directory says which issuers there are.
func ExampleConfig_lookup() {
	directory := map[string]jwt.Issuer{
		"https://tenant-7.example": {ID: "https://tenant-7.example"},
	}
	verifier, err := jwt.New(jwt.Config{
		Lookup: func(_ context.Context, iss string) (jwt.Issuer, error) {
			issuer, ok := directory[iss]
			if !ok {
				return jwt.Issuer{}, sneck.ErrUnrecognized
			}
			return issuer, nil
		},
		Fetch: jwt.Fetch{RefusePrivateAddresses: true},
	})
	fmt.Println(verifier != nil, err)
	// Output: true <nil>
}
