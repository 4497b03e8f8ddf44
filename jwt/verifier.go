package jwt

import (
	"context"
	"errors"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/jws"
)

// A Verifier checks JWT access tokens. Make it with [New]. It is safe for
// concurrent use.
type Verifier struct {
	issuers      issuers
	headers      headers
	leeway       time.Duration
	expiryLeeway time.Duration
	maxLifetime  time.Duration
	now          func() time.Time
}

// New returns a Verifier, or every mistake in the Config, joined. It fetches
// nothing: the key set of an issuer is fetched when its first token arrives.
// Close the Verifier when it is no longer used.
func New(c Config) (*Verifier, error) {
	v := &Verifier{
		leeway:       c.Leeway,
		expiryLeeway: c.ExpiryLeeway,
		maxLifetime:  c.MaxLifetime,
		now:          c.Now,
	}
	if v.now == nil {
		v.now = time.Now
	}
	if v.leeway == 0 {
		v.leeway = defaultLeeway
	}
	v.leeway = max(v.leeway, 0)
	fetch := c.Fetch
	if fetch.Now == nil {
		fetch.Now = v.now
	}
	v.issuers = issuers{
		listed: make(map[string]*issuer, len(c.Issuers)),
		lookup: c.Lookup,
		ttl:    c.LookupTTL,
		max:    c.MaxIssuers,
		fetch:  fetch,
		now:    v.now,
		held:   map[string]heldIssuer{},
	}
	if v.issuers.ttl == 0 {
		v.issuers.ttl = defaultLookupTTL
	}
	if v.issuers.max == 0 {
		v.issuers.max = defaultMaxIssuers
	}
	errs := []error{c.check(), fetch.check()}
	for _, is := range c.Issuers {
		compiled, err := is.compile(fetch, nil)
		switch {
		case err != nil:
			errs = append(errs, err)
		case v.issuers.listed[is.ID] != nil:
			errs = append(errs, errors.New("jwt: issuer "+is.ID+" is listed twice"))
			compiled.close()
		default:
			v.issuers.listed[is.ID] = compiled
		}
	}
	if err := errors.Join(errs...); err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

// Close ends what the Verifier does in the background and waits for it. The
// keys of issuers without Keys can not be had from then on.
func (v *Verifier) Close() error {
	v.issuers.close()
	return nil
}

// Verify implements [sneck.Verifier]. Its errors are
//
//   - [sneck.ErrUnrecognized] for what is not a signed JWT in compact form,
//     or not of an issuer that is listed;
//   - one that wraps [sneck.ErrInvalid] for a token that is refused. Its text
//     says why, names claims, and quotes nothing of the token; it is for logs
//     only;
//   - a [*sneck.UnavailableError] if the keys of the issuer can't be had.
//
// The signature is checked last, when everything that is cheaper has been.
func (v *Verifier) Verify(ctx context.Context, token string) (*sneck.Token, error) {
	now := v.now()
	if len(token) > sneck.MaxTokenBytes {
		return nil, refusal("is too long")
	}
	compact, err := jws.Split(token)
	if err != nil {
		return nil, unrecognized(token)
	}
	header, known, headerErr := v.headers.read(compact.Header)
	if errors.Is(headerErr, jws.ErrNotHeader) {
		return nil, unrecognized(token)
	}
	payload, err := jws.Decode(compact.Payload)
	if err != nil {
		return nil, unrecognized(token)
	}
	c, err := parseClaims(payload)
	if err != nil {
		// It has the header of a JWS. Two readers could read two things in
		// its claims, so it is nobody's.
		return nil, &invalid{"payload", err}
	}
	is, err := v.issuers.find(ctx, c.iss)
	if err != nil {
		return nil, err
	}
	if headerErr != nil {
		return nil, &invalid{"header", headerErr}
	}
	if err := v.checkHeader(is, header); err != nil {
		return nil, err
	}
	t, err := v.token(is, c, now)
	if err != nil {
		return nil, err
	}
	if err := verify(ctx, is, header, &compact); err != nil {
		return nil, err
	}
	if !known {
		v.headers.keep(compact.Header, header)
	}
	t.RawClaims = payload
	return t, nil
}

func (v *Verifier) checkHeader(is *issuer, h *jws.Header) error {
	switch {
	case !is.profile.typed(h):
		return refusal("typ is not that of an access token")
	case h.JWK != nil:
		return refusal("header brings a key along")
	case h.KeyByReference && is.profile != Legacy:
		return refusal("header refers to a key")
	}
	alg := jws.Canonical(h.Algorithm)
	if alg == "" || is.algorithms != nil && !is.algorithms[alg] {
		return refusal("alg is not one that the issuer may use")
	}
	return nil
}

// verify finds the issuer's key and checks the signature.
func verify(ctx context.Context, is *issuer, h *jws.Header, c *jws.Compact) error {
	alg := jws.Canonical(h.Algorithm)
	// The longest signature there is, by an RSA key of the largest size.
	var buf [jws.MaxRSABits / 8]byte
	if len(c.Signature) > (len(buf)*8+5)/6 {
		return refusal("signature is too long")
	}
	key, err := is.keys.Key(ctx, alg, h.KeyID)
	if err != nil || key == nil {
		return noKey(err)
	}
	if key.jws.Algorithm != alg {
		return refusal("alg is not that of the key")
	}
	signature, err := jws.AppendDecoded(buf[:0], c.Signature)
	if err != nil {
		return &invalid{"signature", err}
	}
	if err := jws.Verify(alg, key.jws.Public, c.Input, signature); err != nil {
		return &invalid{"signature", err}
	}
	return nil
}

func noKey(err error) error {
	var unavailable *sneck.UnavailableError
	switch {
	case err == nil:
		return &sneck.UnavailableError{Err: errors.New("jwt: KeySource returned neither a key nor an error")}
	case errors.Is(err, ErrNoKey):
		return &invalid{"kid", err}
	case errors.As(err, &unavailable):
		return unavailable
	}
	return &sneck.UnavailableError{Err: err}
}
