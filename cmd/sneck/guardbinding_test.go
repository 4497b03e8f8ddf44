package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/scopes"
)

// A token that is bound to a key passes with a proof that is good and new.
// The URL that it names is that of clients, which use TLS.
func TestGuardDPoP(t *testing.T) {
	authority := authtest.NewServer(t)
	files := newTLSFiles(t)
	client := tlsClient(t, files.renew(t, 1, true), true)
	g := startGuard(t, guardFile(t, authority, echoing(t), files.lines, "dpop: optional", "dpop_external_url: https://api.test"), nil)
	key, other := authtest.NewDPoPKey(t), authtest.NewDPoPKey(t)
	token := authority.Issue(t, sneck.Token{Scopes: scopes.MustParse("read"), Confirmation: key.Confirmation()})
	const url = "https://api.test/songs"
	good := key.Proof("GET", url, token, nil)
	for _, tt := range []struct {
		name, scheme, proof string
		status              int
	}{
		{"good", "DPoP", good, 200},
		{"replayed", "DPoP", good, 401},
		{"another good one", "DPoP", key.Proof("GET", url, token, nil), 200},
		{"none", "DPoP", "", 401},
		{"as a bearer token", "Bearer", "", 401},
		{"by another key", "DPoP", other.Proof("GET", url, token, nil), 401},
		{"for another method", "DPoP", key.Proof("POST", url, token, nil), 401},
		{"for another path", "DPoP", key.Proof("GET", url+"/1", token, nil), 401},
		{"for plain http", "DPoP", key.Proof("GET", "http://api.test/songs", token, nil), 401},
		{"for the address", "DPoP", key.Proof("GET", g.url+"/songs", token, nil), 401},
		{"for another token", "DPoP", key.Proof("GET", url, "another", nil), 401},
		{"of yesterday", "DPoP", key.Proof("GET", url, token, map[string]any{"iat": time.Now().Add(-24 * time.Hour).Unix()}), 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), "GET", g.url+"/songs", nil)
			require.NoError(t, err)
			r.Header.Set("Authorization", tt.scheme+" "+token)
			if tt.proof != "" {
				r.Header.Set("DPoP", tt.proof)
			}
			response, err := client.Do(r)
			require.NoError(t, err)
			defer response.Body.Close()
			assert.Equal(t, tt.status, response.StatusCode)
			if tt.status == 401 {
				assert.Contains(t, strings.Join(response.Header["Www-Authenticate"], " "), "DPoP ")
				return
			}
			var seen http.Header
			require.NoError(t, json.NewDecoder(response.Body).Decode(&seen))
			assert.Empty(t, seen["Dpop"], "it is for the guard")
		})
	}
}

// A token that is bound to a certificate passes on a connection on which the
// client has shown it, whoever has signed it; or with the field of a proxy that
// is trusted. Other tokens need none.
func TestGuardMTLS(t *testing.T) {
	authority := authtest.NewServer(t)
	files := newTLSFiles(t)
	trusted := files.renew(t, 1, true)
	right, confirmation := authtest.NewCertificate(t)
	wrong, _ := authtest.NewCertificate(t)
	bound := authority.Issue(t, sneck.Token{Scopes: scopes.MustParse("read"), Confirmation: confirmation})
	bearer := authority.Token(t, "read")

	const header = "mtls_header: Client-Cert\ntrusted_proxies: [127.0.0.1]"
	for _, tt := range []struct {
		name, settings, token string
		shown                 []tls.Certificate
		field                 string
		status                int
	}{
		{"right", "mtls: optional", bound, []tls.Certificate{right}, "", 200},
		{"wrong", "mtls: optional", bound, []tls.Certificate{wrong}, "", 401},
		{"none", "mtls: optional", bound, nil, "", 401},
		{"only said", "mtls: optional", bound, nil, clientCert(right), 401},
		{"wrong and said", "mtls: optional", bound, []tls.Certificate{wrong}, clientCert(right), 401},
		{"not bound", "mtls: optional", bearer, nil, "", 200},
		{"not bound and shown", "mtls: optional", bearer, []tls.Certificate{right}, "", 200},
		{"strict right", "mtls: strict", bound, []tls.Certificate{right}, "", 200},
		{"strict not bound", "mtls: strict", bearer, []tls.Certificate{right}, "", 401},
		{"off", "mtls: off", bound, []tls.Certificate{right}, "", 401},
		{"off not bound", "mtls: off", bearer, nil, "", 200},
		{"of a proxy", "mtls: optional\n" + header, bound, []tls.Certificate{wrong}, clientCert(right), 200},
		{"wrong of a proxy", "mtls: optional\n" + header, bound, []tls.Certificate{right}, clientCert(wrong), 401},
		{"none of a proxy", "mtls: optional\n" + header, bound, []tls.Certificate{right}, "", 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := startGuard(t, guardFile(t, authority, echoing(t), files.lines, tt.settings), nil)
			r, err := http.NewRequestWithContext(t.Context(), "GET", g.url, nil)
			require.NoError(t, err)
			r.Header.Set("Authorization", "Bearer "+tt.token)
			if tt.field != "" {
				r.Header.Set("Client-Cert", tt.field)
			}
			response, err := tlsClient(t, trusted, true, tt.shown...).Do(r)
			require.NoError(t, err)
			response.Body.Close()
			assert.Equal(t, tt.status, response.StatusCode)
		})
	}
}

// clientCert is the field in which a proxy hands a certificate on (RFC 9440).
func clientCert(c tls.Certificate) string {
	value, _ := json.Marshal(c.Certificate[0]) // base64 in quotes
	return ":" + strings.Trim(string(value), `"`) + ":"
}

// jwkFile returns a new key, and the file that it is in.
func jwkFile(t *testing.T, id string) (*ecdsa.PrivateKey, string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	text, err := jose.JSONWebKey{Key: key, KeyID: id, Algorithm: "ES256"}.MarshalJSON()
	require.NoError(t, err)
	return key, writeFile(t, "key.jwk", string(text))
}

// The guard proves by its key who asks.
func TestGuardAsksByKey(t *testing.T) {
	authority := authtest.NewServer(t)
	key, file := jwkFile(t, "one")
	_, another := jwkFile(t, "one")
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "one", Algorithm: "ES256", Use: "sig"}}})
	require.NoError(t, err)
	api, _, err := authority.NewClient(t.Context(), authserver.Client{
		ID: "by-key", Introspect: true, Serves: []string{authtest.Audience}, AuthMethod: "private_key_jwt", JWKS: set,
	}, false)
	require.NoError(t, err)
	require.NoError(t, authority.Memory.PutClient(t.Context(), api))
	token := authority.Token(t, "read")
	for name, tt := range map[string]struct {
		file   string
		status int
	}{
		"its own": {file, 200}, "another's": {another, 503},
	} {
		t.Run(name, func(t *testing.T) {
			g := startGuard(t, fmt.Sprintf("upstream: %s\naudience: [%s]\nissuer: %s\nresource_server_introspection_credentials: [%s, %s]\n"+
				"resource_server_introspection_auth_method: private_key_jwt\n", echoing(t), authtest.Audience, authority.URL, api.ID, tt.file), nil)
			assert.Equal(t, tt.status, status(t, "GET", g.url, token))
		})
	}
}

// With resource_server_introspection_signed, what is not signed by the
// authority, for the guard, is no answer (RFC 9701).
func TestGuardTakesSignedAnswers(t *testing.T) {
	key, _ := jwkFile(t, "one")
	another, _ := jwkFile(t, "one")
	authority := authtest.NewServer(t)
	token := authority.Token(t, "read")
	for name, tt := range map[string]struct {
		key    *ecdsa.PrivateKey
		aud    string
		status int
	}{
		"signed":            {key, "api", 200},
		"by another key":    {another, "api", 503},
		"for another":       {key, "other", 503},
		"not signed at all": {nil, "api", 503},
	} {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "one"}}})
			})
			mux.HandleFunc("/introspect", func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, "application/token-introspection+jwt", r.Header.Get("Accept"))
				r.Header.Set("Accept", "application/json")
				if tt.key == nil {
					authority.ServeHTTP(w, r)
					return
				}
				plain := httptest.NewRecorder()
				authority.ServeHTTP(plain, r)
				w.Header().Set("Content-Type", "application/token-introspection+jwt")
				fmt.Fprint(w, signAnswer(t, tt.key, map[string]any{
					"iss": authority.URL, "aud": tt.aud, "iat": time.Now().Unix(), "token_introspection": json.RawMessage(plain.Body.Bytes()),
				}))
			})
			authority.Intercept(mux)
			g := startGuard(t, guardFile(t, authority, echoing(t), "resource_server_introspection_signed: true",
				"issuer: "+authority.URL, "jwks_url: "+authority.URL+"/keys"), nil)
			assert.Equal(t, tt.status, status(t, "GET", g.url, token), "%s", g.log.bytes())
		})
	}
}

func signAnswer(t *testing.T, key *ecdsa.PrivateKey, claims map[string]any) string {
	options := (&jose.SignerOptions{}).WithType("token-introspection+jwt").WithHeader("kid", "one")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	require.NoError(t, err)
	payload, err := json.Marshal(claims)
	require.NoError(t, err)
	signed, err := signer.Sign(payload)
	require.NoError(t, err)
	compact, err := signed.CompactSerialize()
	require.NoError(t, err)
	return compact
}
