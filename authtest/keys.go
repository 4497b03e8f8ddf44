package authtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/sneckauth/sneck/authserver"
)

// keys is the key that JWTs are signed with. It is the [authserver.KeySource] of
// a server whose test has no other.
type keys struct {
	mu     sync.Mutex
	signer jose.Signer
	set    *authserver.KeySet
}

// RotateKeys has JWTs signed with a new key from now on. The server's key set
// is that key alone, as if the one before had leaked: services take the JWTs
// made with it until they have fetched the key set anew, and the server knows
// them no more.
func (s *Server) RotateKeys() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // does not happen
	}
	id := random()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key},
		(&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", id))
	if err != nil {
		panic(err)
	}
	set, err := authserver.NewKeySet(authserver.KeySetConfig{Signing: authserver.SigningKey{Signer: key, ID: id}})
	if err != nil {
		panic(err)
	}
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	s.keys.signer, s.keys.set = signer, set
}

// KeySet implements [authserver.KeySource].
func (k *keys) KeySet(context.Context) (*authserver.KeySet, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.set, nil
}

func (k *keys) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	return sign(t, k.signer, claims)
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

func random() string { return rand.Text() }
