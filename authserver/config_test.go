package authserver_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := authserver.New(authserver.Config{})
	require.EqualError(t, err, strings.Join([]string{
		`authserver: Issuer: is missing (hint: the URL under which clients reach the server, such as https://auth.example.com)`,
		`authserver: Store is missing (hint: NewMemory for a start, or an adapter)`,
		`authserver: Clients is missing (hint: NewMemory for a start, or an adapter)`,
	}, "\n"))

	m := authserver.NewMemory()
	_, err = authserver.New(authserver.Config{
		Issuer: "http://auth.example.com", Store: m, Clients: m,
		AccessTokenTTL: -time.Second, DefaultScopes: []string{"nonsense"}, Audience: []string{""}, ClientSecretLength: 21,
	})
	require.EqualError(t, err, strings.Join([]string{
		`authserver: Issuer: "http://auth.example.com" is not https (hint: http is for loopback hosts only)`,
		`authserver: AccessTokenTTL -1s is negative`,
		`authserver: DefaultScopes: ["nonsense"] are not among the scopes ["read" "write"]`,
		`authserver: Audience has an empty entry`,
		`authserver: ClientSecretLength 21 is not in 22 to 1024`,
	}, "\n"))

	_, err = authserver.New(authserver.Config{
		Issuer: issuer, Store: m, Clients: m, AccessTokenTTL: 1500 * time.Millisecond,
		Scopes: scopes.Static{List: []scopes.Described{{Name: "a"}, {Name: "a"}}},
	})
	require.EqualError(t, err, "authserver: AccessTokenTTL 1.5s is not in whole seconds\n"+
		`authserver: DefaultScopes: scopes: "a" is in the list twice`)
}

func TestAP06_Issuer(t *testing.T) {
	m := authserver.NewMemory()
	for issuer, valid := range map[string]bool{
		"https://auth.example.com":       true,
		"https://auth.example.com:8443":  true,
		"https://auth.example.com/a/b":   true,
		"http://localhost:8080":          true,
		"http://127.0.0.1":               true,
		"http://127.8.8.8:1/x":           true,
		"http://[::1]:8080":              true,
		"http://auth.example.com":        false,
		"http://localhost.example.com":   false,
		"http://0.0.0.0":                 false,
		"https://auth.example.com/":      false,
		"https://auth.example.com/a/":    false,
		"https://auth.example.com/a//b":  false,
		"https://auth.example.com/../b":  false,
		"https://auth.example.com/%61":   false,
		"https://auth.example.com?x=1":   false,
		"https://auth.example.com?":      false,
		"https://auth.example.com#x":     false,
		"https://auth.example.com#":      false,
		"https://user@auth.example.com":  false,
		"https://auth.example.com/\"":    false,
		"https://auth.example.com/\\":    false,
		"https://auth.exam ple.com":      false,
		"https://":                       false,
		"https://:443":                   false,
		"ftp://auth.example.com":         false,
		"auth.example.com":               false,
		"//auth.example.com":             false,
		"https:auth.example.com":         false,
		"https://auth.example.com/\r\nx": false,
	} {
		_, err := authserver.New(authserver.Config{Issuer: issuer, Store: m, Clients: m})
		assert.Equal(t, valid, err == nil, "%q: %v", issuer, err)
	}
}

func TestClientCheck(t *testing.T) {
	good := authserver.Secret{Hash: authserver.HashGenerated("x")}
	for _, test := range []struct {
		name string
		in   authserver.Client
		want string
	}{
		{"least", authserver.Client{ID: "c"}, ""},
		{"no ID", authserver.Client{}, `authserver: client "": the ID must have 1 to 255 visible ASCII characters or spaces`},
		{"line end in the ID", authserver.Client{ID: "a\nb"}, `authserver: client "a\nb": the ID must have 1 to 255 visible ASCII characters or spaces`},
		{"method", authserver.Client{ID: "c", AuthMethod: "x"}, `authserver: client "c": AuthMethod "x" is not known (hint: client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt, tls_client_auth, self_signed_tls_client_auth)`},
		{"plain secret", authserver.Client{ID: "c", Secrets: []authserver.Secret{good, {Hash: "secret"}}},
			`authserver: client "c": the hash of a secret is of an unknown kind (hint: HashGenerated or HashChosen)`},
		{"damaged secret", authserver.Client{ID: "c", Secrets: []authserver.Secret{{Hash: good.Hash[:20]}}},
			`authserver: client "c": the hash of a secret is damaged or too expensive`},
		{"public but introspects", authserver.Client{ID: "c", Introspect: true},
			`authserver: client "c": a public client can not be allowed to introspect (hint: give it a secret)`},
		{"public but acts for itself", authserver.Client{ID: "c", Grants: []string{"client_credentials"}},
			`authserver: client "c": a public client can not use client_credentials (hint: give it a secret)`},
		{"no scope", authserver.Client{ID: "c", Scopes: scopes.Set{"a b"}},
			`authserver: client "c": scopes: a scope must not have the character ' ' (hint: letters, digits and ':', '.', '-', '_', '/' are safe)`},
		{"defaults", authserver.Client{ID: "c", Scopes: scopes.Set{"a"}, DefaultScopes: scopes.Set{"a", "b"}},
			`authserver: client "c": DefaultScopes ["b"] are not in Scopes`},
		{"resource", authserver.Client{ID: "c", Resources: []string{"https://a/#"}},
			`authserver: client "c": the resource "https://a/#" is not an absolute URI without a fragment`},
		{"audience", authserver.Client{ID: "c", Serves: []string{""}}, `authserver: client "c": an audience must not be empty`},
		{"life", authserver.Client{ID: "c", AccessTokenTTL: -1}, `authserver: client "c": AccessTokenTTL -1ns is negative`},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.in.Check()
			if test.want == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, test.want)
			}
		})
	}
}
