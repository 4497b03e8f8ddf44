package authserver

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/sneckauth/sneck/internal/dpop"
	"github.com/sneckauth/sneck/internal/fetch"
	"github.com/sneckauth/sneck/internal/jws"
)

// Assertions says how clients authenticate with JWTs that they sign
// ("private_key_jwt" and "client_secret_jwt"; RFC 7523, section 3). The zero
// value is ready for use.
type Assertions struct {
	// MaxLifetime is how far in the future "exp" may be; zero means five
	// minutes, more than an hour is refused.
	MaxLifetime time.Duration
	// InsecureEndpointAudience takes the URL of the token endpoint as "aud"
	// besides the issuer, for clients that can not do otherwise: another
	// server that a client uses can say that this is the URL of its own token
	// endpoint, and gets assertions that are good here.
	InsecureEndpointAudience bool
	// InsecurePrivateKeySets allows that the key sets of clients (JWKSURI) are
	// at addresses that are not public, so that whoever registers a client can
	// make the server send requests to the machines around it.
	InsecurePrivateKeySets bool
	// HTTPClient, if not nil, makes the connections to key sets, and decides
	// over addresses; for tests, own certificate authorities, proxies. Its
	// redirect policy and cookie jar are not used.
	HTTPClient *http.Client
}

const (
	defaultAssertionLifetime = 5 * time.Minute
	maxAssertionLifetime     = time.Hour
	// assertionLeeway is how far the clocks of clients may be ahead.
	assertionLeeway = 30 * time.Second
	// serverLeeway is how far the clocks of servers that share a store may be
	// apart.
	serverLeeway = 30 * time.Second
	// maxAssertion is the length of the longest assertion.
	maxAssertion   = 8192
	maxAssertionID = 256

	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	algHS256      = "HS256"

	kindAssertion Kind = "assertion"
)

func (a *Assertions) prepare() error {
	if a.MaxLifetime == 0 {
		a.MaxLifetime = defaultAssertionLifetime
	}
	if a.MaxLifetime < 0 || a.MaxLifetime > maxAssertionLifetime {
		return fmt.Errorf("authserver: Assertions.MaxLifetime %v is not in 0 to %v", a.MaxLifetime, maxAssertionLifetime)
	}
	if a.HTTPClient != nil && a.InsecurePrivateKeySets {
		return errors.New("authserver: Assertions.InsecurePrivateKeySets has no effect with an HTTPClient, which decides over addresses")
	}
	return nil
}

func (a *Assertions) client() fetch.Client {
	if a.HTTPClient != nil {
		return fetch.Using(a.HTTPClient)
	}
	return fetch.New(!a.InsecurePrivateKeySets)
}

// assertionAlgorithms are what assertions may be signed with by a private key.
// None of them works with a secret, so nobody can use a public key as one.
var assertionAlgorithms = dpop.Algorithms

// An assertion is a JWT that is well formed, and nothing more.
type assertion struct {
	algorithm, keyID, input string
	signature               []byte
	// forClient and forGrant say what the type allows it to be used for.
	forClient, forGrant bool

	issuer, subject, id        string
	audience                   []string
	expires, notBefore, issued time.Time
}

// assertionClaims are the claims that mean something here.
var assertionClaims = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}

// parseAssertion reads an assertion. The error never quotes it.
func parseAssertion(compact string) (*assertion, error) {
	if len(compact) > maxAssertion {
		return nil, errors.New("the assertion is too long")
	}
	parts, err := jws.Split(compact)
	if err != nil {
		return nil, err
	}
	header, err := jws.Decode(parts.Header)
	if err != nil {
		return nil, err
	}
	h, err := jws.ParseHeader(header)
	if err != nil {
		return nil, err
	}
	switch {
	case h.JWK != nil || h.KeyByReference:
		return nil, errors.New("the assertion brings its key along")
	case parts.Signature == "":
		return nil, errors.New("the assertion is not signed")
	}
	a := &assertion{algorithm: h.Algorithm, keyID: h.KeyID, input: parts.Input}
	usual := h.Type == "" || h.TypeIs("jwt")
	a.forClient, a.forGrant = usual || h.TypeIs("client-authentication+jwt"), usual || h.TypeIs("authorization-grant+jwt")
	if !a.forClient && !a.forGrant {
		return nil, errOtherType
	}
	if a.signature, err = jws.Decode(parts.Signature); err != nil {
		return nil, err
	}
	payload, err := jws.Decode(parts.Payload)
	if err != nil {
		return nil, err
	}
	err = jws.Members(payload, func(name, value []byte) error {
		if jws.Variant(name, assertionClaims) {
			return errors.New("the assertion has a known claim in another case")
		}
		if !a.claim(string(name), value) {
			return fmt.Errorf("the %q of the assertion is of a wrong type", string(name))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// claim takes a claim and reports whether it is of the right type.
func (a *assertion) claim(name string, value []byte) (ok bool) {
	switch name {
	case "iss":
		a.issuer, ok = jws.String(value)
	case "sub":
		a.subject, ok = jws.String(value)
	case "jti":
		a.id, ok = jws.String(value)
	case "aud":
		var one string
		if one, ok = jws.String(value); ok {
			a.audience = []string{one}
			return true
		}
		a.audience, ok = jws.Strings(value)
	case "exp":
		a.expires, ok = jws.Date(value)
	case "nbf":
		a.notBefore, ok = jws.Date(value)
	case "iat":
		a.issued, ok = jws.Date(value)
	default:
		return true
	}
	return ok
}

var errOtherType = errors.New("the assertion is a JWT for something else")

// checkClientAssertion is checkAssertion for one by which a client authenticates.
func (s *Server) checkClientAssertion(a *assertion, now time.Time) error {
	switch {
	case !a.forClient:
		return errOtherType
	case a.issuer == "" || a.issuer != a.subject:
		return errors.New("\"iss\" and \"sub\" of the assertion are not both the client")
	}
	return s.checkAssertion(a, now, s.config.Assertions.MaxLifetime)
}

// checkAssertion checks everything but from whom and about whom it is, the
// signature, and that it is the first use.
func (s *Server) checkAssertion(a *assertion, now time.Time, life time.Duration) error {
	switch {
	case a.id == "" || len(a.id) > maxAssertionID:
		return errors.New("the \"jti\" of the assertion is missing or too long")
	case a.expires.IsZero():
		return errors.New("the assertion has no \"exp\"")
	case !now.Before(a.expires):
		return errors.New("the assertion has expired (hint: is the clock of who signs right?)")
	case a.expires.After(now.Add(life + assertionLeeway)):
		return fmt.Errorf("the assertion is good for too long (hint: let it expire after %v)", life)
	case a.notBefore.After(now.Add(assertionLeeway)) || a.issued.After(now.Add(assertionLeeway)):
		return errors.New("the assertion is from the future (hint: is the clock of who signs right?)")
	case !s.addressed(a.audience):
		return fmt.Errorf("the \"aud\" of the assertion is not just the issuer, %s", s.config.Issuer)
	}
	return nil
}

// addressed reports whether an assertion is meant for this server, and for
// nobody else, who could use it here.
func (s *Server) addressed(audience []string) bool {
	if len(audience) != 1 {
		return false
	}
	return audience[0] == s.config.Issuer ||
		s.config.Assertions.InsecureEndpointAudience && audience[0] == s.config.Issuer+pathToken
}

// byAssertion authenticates a client by an assertion, which it uses up.
func (s *Server) byAssertion(ctx context.Context, client *Client, a *assertion) (*Client, error) {
	const failed = "the client assertion is not valid here"
	now := s.config.Now()
	if err := s.checkClientAssertion(a, now); err != nil {
		return nil, invalidClient(failed, err)
	}
	var err error
	switch {
	case client == nil:
		err = ErrNotFound
	case client.AuthMethod == methodPrivateKeyJWT:
		err = s.verifyByKey(ctx, client, a)
	case client.AuthMethod == methodSecretJWT:
		err = s.verifyBySecret(client, a, now)
	default:
		err = errors.New("the client is registered for another authentication method")
	}
	var outage *Error
	if errors.As(err, &outage) {
		return nil, outage
	}
	if err != nil {
		return nil, invalidClient(failed, err)
	}
	err = s.spendAssertion(ctx, a, now, KeyOf(fmt.Sprintf("assertion %q of client %q", a.id, client.ID)))
	if errors.Is(err, ErrExists) {
		return nil, invalidClient(failed, errUsedAssertion)
	}
	return client, err
}

var errUsedAssertion = errors.New("the assertion was used before")

// spendAssertion uses an assertion up, or returns ErrExists. Only what is signed
// is remembered, so that nobody else fills the store, and in the store, so that no
// other server takes it either; and for longer than it is good, as their clocks
// differ from that of whoever deletes what has expired.
func (s *Server) spendAssertion(ctx context.Context, a *assertion, now time.Time, key Key) error {
	err := s.config.Store.Create(ctx, Record{Key: key, Kind: kindAssertion, Issued: now, Expires: a.expires.Add(serverLeeway)})
	if err != nil && !errors.Is(err, ErrExists) {
		return unavailable(fmt.Errorf("spend an assertion: %w", err))
	}
	return err
}

// verifyByKey checks the signature by the one key of the client, or of an issuer,
// that it names.
func (s *Server) verifyByKey(ctx context.Context, client *Client, a *assertion) error {
	algorithm := jws.Canonical(a.algorithm)
	if !slices.Contains(assertionAlgorithms, algorithm) || !client.signsWith(algorithm) {
		return errors.New("the \"alg\" of the assertion is not allowed")
	}
	keys, err := s.keysOf(ctx, client, func(k *clientKeys) bool { return k.find(algorithm, a.keyID) != nil })
	if err != nil {
		return err
	}
	key := keys.find(algorithm, a.keyID)
	if key == nil {
		return errors.New("there is no such key, or several and the assertion names none (hint: send \"kid\")")
	}
	return jws.Verify(key.Algorithm, key.Public, a.input, a.signature)
}

// signsWith reports whether the client may use an algorithm.
func (c *Client) signsWith(algorithm string) bool {
	return c.AuthAlgorithm == "" || jws.Canonical(c.AuthAlgorithm) == algorithm
}

// verifyBySecret checks the code by any secret that the client has.
func (s *Server) verifyBySecret(client *Client, a *assertion, now time.Time) error {
	if a.algorithm != algHS256 {
		return errors.New("the \"alg\" of the assertion is not HS256")
	}
	for _, secret := range client.Secrets {
		if secret.Sealed == "" || secret.expiredAt(now) {
			continue
		}
		plain, err := s.config.Sealer.open(placeOfSecret(client.ID), secret.Sealed)
		if err != nil {
			return unavailable(fmt.Errorf("open the secret of a client: %w", err))
		}
		mac := hmac.New(sha256.New, plain)
		mac.Write([]byte(a.input))
		if hmac.Equal(mac.Sum(nil), a.signature) {
			return nil
		}
	}
	return errWrongSecret
}

func placeOfSecret(clientID string) string { return "secret of client " + clientID }

// minSealedSecret is the length of the shortest secret that makes codes: as
// long as the digest (RFC 7518, section 3.2).
const minSealedSecret = 32

// keepSecret returns what is kept of a generated secret.
func (s *Server) keepSecret(ctx context.Context, c *Client, plain string) (Secret, error) {
	if c.AuthMethod == methodSecretJWT {
		return s.sealSecret(c.ID, plain)
	}
	hash, err := s.HashSecret(ctx, plain, true)
	return Secret{Hash: hash}, err
}

// sealSecret returns a secret of a client that signs with it.
func (s *Server) sealSecret(clientID, plain string) (Secret, error) {
	if s.config.Sealer == nil {
		return Secret{}, fmt.Errorf("authserver: %s needs Config.Sealer, as the secret can not be kept as a digest (hint: private_key_jwt)", methodSecretJWT)
	}
	if len(plain) < minSealedSecret {
		return Secret{}, fmt.Errorf("authserver: %s needs a secret of %d characters or more", methodSecretJWT, minSealedSecret)
	}
	return Secret{Sealed: s.config.Sealer.seal(placeOfSecret(clientID), []byte(plain))}, nil
}
