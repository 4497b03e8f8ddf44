package introspect

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
)

// A PrivateKey is a key of ours, whose public half the authority knows.
type PrivateKey struct {
	// Key is an RSA key of 2048 bits or more, an ECDSA key on P-256, P-384 or
	// P-521, or an Ed25519 key. A key to sign with may be kept anywhere; one
	// to decrypt with is an [*rsa.PrivateKey] or an [*ecdsa.PrivateKey].
	Key crypto.Signer
	// ID is sent as "kid" if it is set.
	ID string
	// Algorithm is the JWS algorithm; if empty, that of the curve, or PS256
	// for RSA.
	Algorithm string
}

// A KeySource returns the key to use now. It is called for every request, so
// that keys can be rotated, and must be safe for concurrent use.
type KeySource func(context.Context) (PrivateKey, error)

// StaticKey is the KeySource of one key.
func StaticKey(key PrivateKey) KeySource {
	return func(context.Context) (PrivateKey, error) { return key, nil }
}

// An Assertion says how [PrivateKeyJWT] makes its assertions. ClientID and
// Key are required.
type Assertion struct {
	// ClientID is the issuer and the subject of the assertion.
	ClientID string
	// Key signs it.
	Key KeySource
	// Audience is whom it is for: the issuer identifier of the authority if
	// empty, as a wider audience lets one authority use it at another (RFC
	// 7523, section 3, as the work on its successor has it).
	Audience string
	// Lifetime is how long it is good; 1 min if zero, 5 min at most.
	Lifetime time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// PrivateKeyJWT is a credential that signs a fresh assertion for every try
// (private_key_jwt; RFC 7523, section 2.2).
func PrivateKeyJWT(a Assertion) Credential {
	if a.Lifetime == 0 {
		a.Lifetime = time.Minute
	}
	if a.Now == nil {
		a.Now = time.Now
	}
	return assertion{a}
}

type assertion struct{ Assertion }

func (a assertion) Sign(ctx context.Context, r *Request) error {
	key, err := a.Key(ctx)
	if err != nil {
		return fmt.Errorf("introspect: PrivateKeyJWT: no key: %w", err)
	}
	audience := a.Audience
	if audience == "" {
		audience = r.Issuer
	}
	if audience == "" {
		return errNoAudience
	}
	now := a.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": a.ClientID, "sub": a.ClientID, "aud": audience, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(a.Lifetime).Unix(),
	})
	if err != nil {
		return err
	}
	signed, err := key.sign(claims)
	if err != nil {
		return fmt.Errorf("introspect: PrivateKeyJWT: %w", err)
	}
	r.Form["client_id"] = []string{a.ClientID}
	r.Form["client_assertion_type"] = []string{"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
	r.Form["client_assertion"] = []string{signed}
	return nil
}

var errNoAudience = errors.New("introspect: PrivateKeyJWT: nobody to address the assertion to (hint: set the Issuer)")

func (a assertion) check(cfg *Config) error {
	var errs []error
	if a.ClientID == "" {
		errs = append(errs, errors.New("introspect: Assertion.ClientID is missing"))
	}
	if a.Key == nil {
		errs = append(errs, errors.New("introspect: Assertion.Key is missing"))
	}
	if a.Lifetime < 0 || a.Lifetime > 5*time.Minute {
		errs = append(errs, errors.New("introspect: Assertion.Lifetime is not between 0 and 5m"))
	}
	if a.Audience == "" && cfg.Issuer == "" {
		errs = append(errs, errNoAudience)
	}
	return errors.Join(errs...)
}

// sign returns a compact JWS of the claims.
func (k PrivateKey) sign(claims []byte) (string, error) {
	algorithm, err := k.algorithm()
	if err != nil {
		return "", err
	}
	options := (&jose.SignerOptions{}).WithType("JWT")
	if k.ID != "" {
		options = options.WithHeader("kid", k.ID)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: cryptosigner.Opaque(k.Key)}, options)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func (k PrivateKey) algorithm() (jose.SignatureAlgorithm, error) {
	if k.Key == nil {
		return "", errors.New("the key is missing")
	}
	var own jose.SignatureAlgorithm
	switch public := k.Key.Public().(type) {
	case ed25519.PublicKey:
		own = jose.EdDSA
	case *rsa.PublicKey:
		if own = jose.PS256; public.N.BitLen() < 2048 {
			return "", errors.New("an RSA key must have 2048 bits or more")
		}
	case *ecdsa.PublicKey:
		own = curves[public.Curve]
	}
	if own == "" {
		return "", errors.New("the key is of a kind that can not be used (hint: RSA, ECDSA on P-256, P-384 or P-521, Ed25519)")
	}
	if k.Algorithm != "" {
		own = jose.SignatureAlgorithm(k.Algorithm)
	}
	return own, nil
}

var curves = map[elliptic.Curve]jose.SignatureAlgorithm{
	elliptic.P256(): jose.ES256, elliptic.P384(): jose.ES384, elliptic.P521(): jose.ES512,
}

// String hides nothing that is secret, but prints no key either.
func (a assertion) String() string { return "introspect.PrivateKeyJWT(" + a.ClientID + ")" }

// GoString is String.
func (a assertion) GoString() string { return a.String() }
