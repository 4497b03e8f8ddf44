package introspect

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sneckauth/sneck/internal/jws"
	"github.com/sneckauth/sneck/internal/strictjson"
)

// SignedAnswers makes a [Client] ask for answers that the authority has signed
// (RFC 9701), and take no others. They are proof of what it said, and can not
// be forged by what stands between it and us. Config.Issuer is required.
type SignedAnswers struct {
	// Audience is how the authority names us in "aud": our client id.
	Audience string
	// JWKS is the URL of the authority's keys; that in the metadata of
	// Config.Issuer if empty.
	JWKS string
	// Algorithms are the JWS algorithms that the answer may be signed by; any
	// of RS, PS and ES with 256 to 512 bits and EdDSA if empty. MACs and
	// "none" are not to be had. The first of RS and PS among them is that of
	// an RSA key whose set does not say; RS256 if there is none.
	Algorithms []string
	// Decryption is set if the authority encrypts its answers to us; others
	// are refused then. See [KeyFile].
	Decryption KeySource
}

const (
	signedType = "application/token-introspection+jwt"
	// maxSkew is how far the clocks of the authority and ours may be apart.
	maxSkew = time.Minute
)

var (
	keyEncryptions = []jose.KeyAlgorithm{
		jose.RSA_OAEP, jose.RSA_OAEP_256, jose.ECDH_ES, jose.ECDH_ES_A128KW, jose.ECDH_ES_A192KW, jose.ECDH_ES_A256KW,
	}
	contentEncryptions = []jose.ContentEncryption{
		jose.A128CBC_HS256, jose.A192CBC_HS384, jose.A256CBC_HS512, jose.A128GCM, jose.A192GCM, jose.A256GCM,
	}
)

// allows reports whether an answer may be signed by the algorithm.
func (s *SignedAnswers) allows(algorithm string) bool {
	algorithm = jws.Canonical(algorithm)
	return algorithm != "" && (len(s.Algorithms) == 0 || slices.ContainsFunc(s.Algorithms, func(name string) bool {
		return jws.Canonical(name) == algorithm
	}))
}

// ofRSA returns the algorithm of an RSA key that names none.
func (s *SignedAnswers) ofRSA() string {
	for _, name := range s.Algorithms {
		if strings.HasPrefix(name, "RS") || strings.HasPrefix(name, "PS") {
			return name
		}
	}
	return jws.RS256
}

func (s *SignedAnswers) check(cfg *Config) error {
	var errs []error
	if cfg.Issuer == "" {
		errs = append(errs, errors.New("introspect: Config.Issuer is missing, whom signed answers must be from"))
	}
	if s.Audience == "" {
		errs = append(errs, errors.New("introspect: SignedAnswers.Audience is missing (hint: our client id)"))
	}
	if s.JWKS != "" {
		if _, err := parseURL(s.JWKS, cfg.InsecureHTTP); err != nil {
			errs = append(errs, fmt.Errorf("introspect: SignedAnswers.JWKS %w", err))
		}
	}
	for _, name := range s.Algorithms {
		if jws.Canonical(name) == "" {
			errs = append(errs, fmt.Errorf("introspect: SignedAnswers.Algorithms: %q is not to be had", name))
		}
	}
	return errors.Join(errs...)
}

// open returns the token_introspection object of a signed answer (RFC 9701,
// section 5). Its errors say what is wrong with the answer.
func (c *Client) open(ctx context.Context, body []byte, asked time.Time) ([]byte, error) {
	compact := string(body)
	if c.cfg.Signed.Decryption != nil {
		var err error
		if compact, err = c.decrypt(ctx, compact); err != nil {
			return nil, err
		}
	}
	signed, header, signature, ok := takeApart(compact)
	switch {
	case !ok:
		return nil, c.badAnswer("is no JWT")
	case !c.cfg.Signed.allows(header.Algorithm):
		return nil, c.badAnswer("is signed by an algorithm that is not allowed")
	case !header.TypeIs("token-introspection+jwt"):
		return nil, c.badAnswer("is a JWT of another type")
	}
	keys, err := c.keysFor(ctx, header)
	if err != nil {
		return nil, unavailable(0, describe(err))
	}
	for _, key := range keys {
		if jws.Verify(key.Algorithm, key.Public, signed.Input, signature) == nil {
			payload, err := jws.Decode(signed.Payload)
			if err != nil {
				return nil, c.badAnswer("is no JWT")
			}
			return c.unwrap(payload, asked)
		}
	}
	return nil, c.badAnswer("is not signed by a key of the authority")
}

// takeApart decodes a JWS but for its payload.
func takeApart(compact string) (signed jws.Compact, header *jws.Header, signature []byte, ok bool) {
	signed, err := jws.Split(compact)
	if err != nil {
		return signed, nil, nil, false
	}
	decoded, err := jws.Decode(signed.Header)
	if err != nil {
		return signed, nil, nil, false
	}
	if header, err = jws.ParseHeader(decoded); err != nil {
		return signed, nil, nil, false
	}
	signature, err = jws.Decode(signed.Signature)
	return signed, header, signature, err == nil
}

func (c *Client) decrypt(ctx context.Context, compact string) (string, error) {
	encrypted, err := jose.ParseEncryptedCompact(compact, keyEncryptions, contentEncryptions)
	if err != nil {
		return "", c.badAnswer("is not encrypted, or by an algorithm that is not allowed")
	}
	key, err := c.cfg.Signed.Decryption(ctx)
	if err != nil {
		return "", unavailable(0, &signError{fmt.Errorf("introspect: no key to decrypt with: %w", err)})
	}
	switch key.Key.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey:
	default:
		return "", unavailable(0, &exchangeError{"the key to decrypt with is of a kind that can not be used", nil})
	}
	plain, err := encrypted.Decrypt(key.Key)
	if err != nil {
		return "", c.badAnswer("is not encrypted to our key")
	}
	return string(plain), nil
}

// unwrap checks the claims around the object, and takes nothing else from
// them.
func (c *Client) unwrap(payload []byte, asked time.Time) ([]byte, error) {
	var claims struct {
		Issuer   span `json:"iss"`
		Audience span `json:"aud"`
		IssuedAt span `json:"iat"`
		Expires  span `json:"exp"`
		Answer   span `json:"token_introspection"`
	}
	if strictjson.Unmarshal(payload, &claims) != nil {
		return nil, c.badAnswer("is a JWT without a good JSON object")
	}
	var m members
	issuer := m.text("iss", claims.Issuer.of(payload))
	audience := m.texts("aud", claims.Audience.of(payload))
	issued := m.time("iat", claims.IssuedAt.of(payload))
	expires := m.expiry("exp", claims.Expires.of(payload))
	answer := claims.Answer.of(payload)
	now := c.now()
	switch {
	case m.fault != "":
		return nil, c.badAnswer("is a JWT that has a wrong " + m.fault)
	case issuer != c.cfg.Issuer:
		return nil, c.badAnswer("is signed by another issuer than the configured one")
	case !slices.Contains(audience, c.cfg.Signed.Audience):
		return nil, c.badAnswer("is signed for somebody else")
	case issued.Before(asked.Add(-maxSkew)) || issued.After(now.Add(maxSkew)):
		return nil, c.badAnswer("was signed at another time")
	case m.past || !expires.IsZero() && !now.Before(expires):
		return nil, c.badAnswer("is signed, but expired")
	case jsontext.Value(answer).Kind() != '{':
		return nil, c.badAnswer("has no token_introspection")
	}
	return answer, nil
}
