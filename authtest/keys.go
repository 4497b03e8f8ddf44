package authtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// jwksPath is where the key set of the JWTs is.
const jwksPath = "/authtest/jwks"

// keys is the key that JWTs are signed with.
type keys struct {
	mu      sync.Mutex
	current jose.JSONWebKey
}

// RotateKeys has JWTs signed with a new key from now on. The server's key set
// is that key alone, as if the one before had leaked: services take the JWTs
// made with it until they have fetched the key set anew.
func (s *Server) RotateKeys() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // does not happen
	}
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	s.keys.current = jose.JSONWebKey{Key: key, KeyID: random(), Algorithm: string(jose.ES256), Use: "sig"}
}

func (k *keys) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: k.current}, (&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	return sign(t, signer, claims)
}

// sign returns a JWT of the claims.
func sign(t testing.TB, signer jose.Signer, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

func (k *keys) serve(w http.ResponseWriter) {
	k.mu.Lock()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{k.current.Public()}}
	k.mu.Unlock()
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_ = json.NewEncoder(w).Encode(set)
}

// serveMetadata adds to the server's metadata where the key set is.
func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) {
	rec := httptest.NewRecorder()
	s.Server.ServeHTTP(rec, r)
	body := rec.Body.Bytes()
	var document map[string]any
	if rec.Code == http.StatusOK && json.Unmarshal(body, &document) == nil && document["jwks_uri"] == nil {
		document["jwks_uri"] = s.URL + jwksPath
		body, _ = json.Marshal(document) // it was JSON before
	}
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(body)
}

func random() string { return rand.Text() }
