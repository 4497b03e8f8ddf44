package introspect

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"github.com/go-jose/go-jose/v4"
)

// KeyFile is the KeySource of a file with a private JWK (RFC 7517), whose
// "kid" and "alg" count, or a PEM block with a PKCS #8 key. The file is read
// again when it has changed; if it can not be read any more, the last key
// stays.
func KeyFile(path string) KeySource {
	w := &watched[PrivateKey]{path: path, parse: parseKey}
	return func(context.Context) (PrivateKey, error) { return w.get() }
}

// parseKey returns no error of another package, as it may quote the key.
func parseKey(data []byte) (PrivateKey, error) {
	if block, _ := pem.Decode(data); block != nil {
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		signer, ok := key.(crypto.Signer)
		if err != nil || !ok {
			return PrivateKey{}, errors.New("the PEM block is no PKCS #8 private key (hint: openssl pkcs8 -topk8 -nocrypt)")
		}
		return usable(PrivateKey{Key: signer})
	}
	var jwk jose.JSONWebKey
	if jwk.UnmarshalJSON(data) != nil {
		return PrivateKey{}, errors.New("there is neither a PEM block nor a JWK in it")
	}
	signer, ok := jwk.Key.(crypto.Signer)
	if !ok {
		return PrivateKey{}, errors.New("the JWK is no private key to sign with")
	}
	return usable(PrivateKey{Key: signer, ID: jwk.KeyID, Algorithm: jwk.Algorithm})
}

func usable(key PrivateKey) (PrivateKey, error) {
	_, err := key.algorithm()
	return key, err
}
