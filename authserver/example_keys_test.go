package authserver_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"

	"github.com/sneckauth/sneck/authserver"
)

// Keys in the store, which change by themselves. All servers that share the
// store sign with the same one.
func ExampleNewKeyRing() {
	store := authserver.NewMemory() // or one of the adapters
	secret := make([]byte, authserver.SealingKeySize)
	rand.Read(secret) // from a file or a secret store, the same for all servers
	sealer, err := authserver.NewSealer(secret)
	if err != nil {
		log.Fatal(err)
	}
	ring, err := authserver.NewKeyRing(authserver.KeyRingConfig{Store: store, Sealer: sealer})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := authserver.New(authserver.Config{
		Issuer: "https://auth.example.com", Store: store, Clients: store,
		Keys: ring, AccessTokenFormat: authserver.FormatJWT,
	}); err != nil {
		log.Fatal(err)
	}

	// The server makes the first key when it needs one. A second one, which
	// signs from now on plus twice MaxAge:
	ctx := context.Background()
	if _, err := ring.KeySet(ctx); err != nil {
		log.Fatal(err)
	}
	next, err := ring.Rotate(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(next.Algorithm, next.Signs.Sub(next.Published))
	// Output: ES256 20m0s
}

// A key that never leaves a key management service: all that is needed is its
// crypto.Signer.
func ExampleStaticKeys() {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // the service's
	if err != nil {
		log.Fatal(err)
	}
	keys, err := authserver.StaticKeys(authserver.SigningKey{Signer: signer, ID: "projects/p/keys/k/versions/1"})
	if err != nil {
		log.Fatal(err)
	}
	store := authserver.NewMemory()
	_, err = authserver.New(authserver.Config{
		Issuer: "https://auth.example.com", Store: store, Clients: store, Keys: keys,
	})
	fmt.Println(err)
	// Output: <nil>
}

// A key in a file, which is read again when it has changed.
func ExampleNewFileKeys() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "signing.json")
	if err := os.WriteFile(file, []byte(`{"kty":"OKP","crv":"Ed25519","kid":"2030-01",
		"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`), 0o600); err != nil {
		log.Fatal(err)
	}
	_, err = authserver.NewFileKeys(authserver.FileKeysConfig{Signing: file})
	fmt.Println(err)
	// Output: <nil>
}

// A server that asks clients for certificates, and takes those of an authority
// for "tls_client_auth".
func ExampleMutualTLS() {
	roots := x509.NewCertPool() // with AppendCertsFromPEM
	store := authserver.NewMemory()
	srv, err := authserver.New(authserver.Config{
		Issuer: "https://auth.example.com", Store: store, Clients: store,
		MutualTLS: &authserver.MutualTLS{Roots: roots},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: srv, TLSConfig: &tls.Config{ClientAuth: tls.RequestClientCert}}
	_ = server // server.ListenAndServeTLS("cert.pem", "key.pem")

	_, _, err = srv.NewClient(context.Background(), authserver.Client{
		ID: "app", AuthMethod: "tls_client_auth",
		Certificate: authserver.ClientCertificate{Subject: "CN=app,O=Example,C=DE"}, CertificateBound: true,
	}, false)
	fmt.Println(err)
	// Output: <nil>
}
