package authserver

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sneckauth/sneck/internal/jws"
)

// A KeySource says which keys the server signs tokens with, and which ones
// verifiers have to know. [KeyRing] keeps them in the store, [FileKeys] in
// files, [StaticKeys] has them from elsewhere.
//
// KeySet is called for every token that is signed, so it must be quick as long
// as nothing has changed, and must be safe for concurrent use. A key has to be
// in the set for as long as verifiers may keep an older set before it signs,
// and until the last token that it signed has expired.
type KeySource interface {
	KeySet(ctx context.Context) (*KeySet, error)
}

// A SigningKey signs tokens.
type SigningKey struct {
	// Signer is an RSA key of 2048 bits or more, an ECDSA key on P-256, P-384
	// or P-521, or an Ed25519 key. It may be kept anywhere, such as in a key
	// management service, and must be safe for concurrent use. It is called
	// for every token.
	Signer crypto.Signer
	// ID is the "kid"; if empty, the thumbprint of the key (RFC 7638).
	ID string
	// Algorithm is the JWS algorithm; if empty, that of the curve, EdDSA, or
	// RS256 for RSA.
	Algorithm string
}

// A PublicKey verifies tokens.
type PublicKey struct {
	// Key is an *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey.
	Key crypto.PublicKey
	// ID and Algorithm are as in [SigningKey].
	ID, Algorithm string
}

// Public returns the public half.
func (k SigningKey) Public() PublicKey {
	if k.Signer == nil {
		return PublicKey{ID: k.ID, Algorithm: k.Algorithm}
	}
	return PublicKey{Key: k.Signer.Public(), ID: k.ID, Algorithm: k.Algorithm}
}

// complete returns the key with what was left out, or what is wrong with it.
func (k PublicKey) complete() (PublicKey, error) {
	if k.Algorithm == "" {
		k.Algorithm = usualAlgorithm(k.Key)
	}
	canonical := jws.Canonical(k.Algorithm)
	if canonical == "" {
		return k, fmt.Errorf("authserver: a key can not be used with algorithm %q (hint: ES256, RS256, PS256, EdDSA)", k.Algorithm)
	}
	k.Algorithm = canonical
	if err := jws.CheckKey(k.Algorithm, k.Key); err != nil {
		return k, fmt.Errorf("authserver: key %q: %w", k.ID, err)
	}
	if k.ID == "" {
		k.ID = jws.Key{Public: k.Key}.Thumbprint()
	}
	if len(k.ID) > jws.MaxKeyIDBytes || !isVSCHAR(k.ID) {
		return k, fmt.Errorf("authserver: a key ID must have at most %d visible ASCII characters", jws.MaxKeyIDBytes)
	}
	return k, nil
}

func usualAlgorithm(key crypto.PublicKey) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return jws.RS256
	case ed25519.PublicKey:
		return jws.EdDSA
	case *ecdsa.PublicKey:
		if key != nil && key.Curve != nil {
			return map[string]string{"P-256": jws.ES256, "P-384": jws.ES384, "P-521": jws.ES512}[key.Params().Name]
		}
	}
	return ""
}

// MarshalJSON returns the key as a JWK (RFC 7517), as it is published.
func (k PublicKey) MarshalJSON() ([]byte, error) { return k.jwk().MarshalJSON() }

func (k PublicKey) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.Key, KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"}
}

// A KeySet is the keys of one moment. Make it with [NewKeySet]. It is
// read-only and safe for concurrent use.
type KeySet struct {
	algorithm string
	signer    *jws.Signer // of access tokens
	answers   *jws.Signer // of answers about them
	ids       map[string]bool
	document  []byte // the JWK Set
	etag      string
	maxAge    time.Duration
	maxTTL    time.Duration
}

// A KeySetConfig says what is in a [KeySet]. Signing is mandatory.
type KeySetConfig struct {
	// Signing signs new tokens.
	Signing SigningKey
	// Others are published besides: keys that will sign soon, and keys that
	// did.
	Others []PublicKey
	// MaxAge is how long verifiers may use the set before they ask for a new
	// one; zero means ten minutes.
	MaxAge time.Duration
	// MaxTTL is the longest life of tokens that are signed, whatever else is
	// configured; zero means no limit.
	MaxTTL time.Duration
}

// defaultMaxAge is how long a set of keys may be cached. It is what package
// jwt has by itself.
const defaultMaxAge = 10 * time.Minute

// NewKeySet returns a KeySet, or every mistake in the config.
func NewKeySet(c KeySetConfig) (*KeySet, error) {
	if c.Signing.Signer == nil {
		return nil, errors.New("authserver: a key set needs a key that signs")
	}
	if c.MaxAge < 0 || c.MaxTTL < 0 {
		return nil, errors.New("authserver: a key set has a negative time")
	}
	if c.MaxAge == 0 {
		c.MaxAge = defaultMaxAge
	}
	set := &KeySet{ids: map[string]bool{}, maxAge: c.MaxAge, maxTTL: c.MaxTTL}
	var published jose.JSONWebKeySet
	var errs []error
	for i, k := range append([]PublicKey{c.Signing.Public()}, c.Others...) {
		k, err := k.complete()
		if err == nil && set.ids[k.ID] {
			err = fmt.Errorf("authserver: two keys have the ID %q", k.ID)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		set.ids[k.ID] = true
		published.Keys = append(published.Keys, k.jwk())
		if i == 0 {
			set.algorithm = k.Algorithm
			set.signer, err = jws.NewSigner(k.Algorithm, c.Signing.Signer, typeAccessJWT, k.ID)
			errs = append(errs, err)
			set.answers, err = jws.NewSigner(k.Algorithm, c.Signing.Signer, typeSignedAnswer, k.ID)
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var err error
	if set.document, err = json.Marshal(published); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(set.document)
	set.etag = `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	return set, nil
}

const typeAccessJWT = "at+jwt"

// sign returns a compact JWS of the payload.
func (k *KeySet) sign(payload []byte) (string, error) { return k.signer.Sign(payload) }

// signed reports whether a token has the form of an access token that one of
// the keys signed. It does not look at the signature: whether a token was
// issued is what the store knows.
func (k *KeySet) signed(token string) bool {
	parts, err := jws.Split(token)
	if err != nil || parts.Signature == "" {
		return false
	}
	data, err := jws.Decode(parts.Header)
	if err != nil {
		return false
	}
	h, err := jws.ParseHeader(data)
	return err == nil && h.TypeIs(typeAccessJWT) && k.ids[h.KeyID]
}

// StaticKeys is the KeySource of keys that do not change as long as the process
// lives: one that signs, such as one of a key management service, and others
// that are published besides.
func StaticKeys(signing SigningKey, others ...PublicKey) (KeySource, error) {
	set, err := NewKeySet(KeySetConfig{Signing: signing, Others: others})
	if err != nil {
		return nil, err
	}
	return staticKeys{set}, nil
}

type staticKeys struct{ set *KeySet }

func (k staticKeys) KeySet(context.Context) (*KeySet, error) { return k.set, nil }
