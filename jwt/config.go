package jwt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sneckauth/sneck/internal/jws"
)

// A Config says whose tokens are checked. Issuers, Lookup, or both are
// needed; everything else has a safe default.
type Config struct {
	// Issuers are the authorities whose tokens are taken.
	Issuers []Issuer
	// Lookup finds further issuers, for services with many tenants. It is
	// called with the "iss" of tokens that are not verified, which anyone may
	// have written: look it up in something that holds all there are, and
	// never build a name or URL from it. It returns an error that wraps
	// [sneck.ErrUnrecognized] for an issuer that is not one of them; any
	// other error means that it could not be found out. An answer is used
	// for LookupTTL, an error not at all.
	Lookup func(ctx context.Context, iss string) (Issuer, error)
	// LookupTTL is how long an answer of Lookup is used, and so how long an
	// issuer may go on that has been taken off. The default is 1 minute. Key
	// sets that this package fetches live on when the answer stays the same.
	LookupTTL time.Duration
	// MaxIssuers bounds the answers of Lookup that are held at a time. The
	// default is 1000. The one that would be used for the shortest time yet
	// makes room for a new one.
	MaxIssuers int

	// Leeway is how far the clocks of issuers may be ahead: it is added to
	// now when "nbf" and "iat" are compared. The default is 30 seconds, the
	// largest value 5 minutes, and a negative value means none.
	Leeway time.Duration
	// ExpiryLeeway is how long after "exp" a token is still taken here. The
	// default is none: a token is refused from the very second of its
	// expiry, as a longer life is nothing a clock error can take back. The
	// largest value is 5 minutes. [sneck.Token.Expires] stays what the issuer
	// said, so whoever compares it needs the same leeway.
	ExpiryLeeway time.Duration
	// MaxLifetime, if not zero, is the longest time from "iat" to "exp" that
	// a token may have. A token without "iat" is refused then.
	MaxLifetime time.Duration

	// Fetch says how key sets are fetched for issuers without Keys.
	Fetch Fetch
	// Now returns the time; the default is time.Now. It must not go back by
	// much: ages of key sets are differences of its values.
	Now func() time.Time
}

// An Issuer is an authority whose tokens are taken.
type Issuer struct {
	// ID is the issuer identifier, compared byte by byte with "iss" (RFC
	// 9068, section 4): "https://as.example" and "https://as.example/" are
	// two.
	ID string
	// Keys finds the issuer's keys. The caller closes what it made. If nil,
	// the key set is discovered from the ID (see [Discover]) and closed by
	// [Verifier.Close].
	Keys KeySource
	// Algorithms are those that the issuer may sign with. The default is
	// all: RS, PS and ES with 256, 384 and 512 bits, and EdDSA. Whatever is
	// listed here, a key is used with one algorithm only.
	Algorithms []string
	// Profile says which of the issuer's JWTs are access tokens. The default
	// is [RFC9068].
	Profile Profile
}

const (
	defaultLeeway     = 30 * time.Second
	maxLeeway         = 5 * time.Minute
	defaultLookupTTL  = time.Minute
	defaultMaxIssuers = 1000
	maxIssuerBytes    = 512
)

// check returns every mistake in what is not an issuer.
func (c *Config) check() error {
	var errs []error
	mistake := func(wrong bool, text string) {
		if wrong {
			errs = append(errs, errors.New("jwt: "+text))
		}
	}
	mistake(len(c.Issuers) == 0 && c.Lookup == nil, "no issuers (hint: list them in Config.Issuers)")
	mistake(c.Lookup == nil && (c.LookupTTL != 0 || c.MaxIssuers != 0), "LookupTTL and MaxIssuers need Lookup")
	mistake(c.LookupTTL < 0, "LookupTTL is negative")
	mistake(c.MaxIssuers < 0, "MaxIssuers is negative")
	mistake(c.Leeway > maxLeeway, "Leeway is over 5 minutes (hint: set the clocks)")
	mistake(c.ExpiryLeeway < 0 || c.ExpiryLeeway > maxLeeway, "ExpiryLeeway is not between 0 and 5 minutes")
	mistake(c.MaxLifetime < 0, "MaxLifetime is negative")
	return errors.Join(errs...)
}

// an issuer is an [Issuer] that was checked and has keys.
type issuer struct {
	id         string
	keys       KeySource
	algorithms map[string]bool // nil: all
	profile    Profile
	owned      *Remote // keys, if they were made here
}

// compile checks an Issuer and makes its key source. reuse, if not nil, is a
// source made before for the same ID.
func (is Issuer) compile(f Fetch, reuse *Remote) (*issuer, error) {
	var errs []error
	c := &issuer{id: is.ID, keys: is.Keys, profile: is.Profile}
	if is.ID == "" || len(is.ID) > maxIssuerBytes {
		errs = append(errs, fmt.Errorf("jwt: an issuer needs an ID of 1 to %d bytes", maxIssuerBytes))
	}
	if is.Profile != RFC9068 && is.Profile != Legacy {
		errs = append(errs, fmt.Errorf("jwt: issuer %q: unknown profile %d", is.ID, is.Profile))
	}
	for _, alg := range is.Algorithms {
		canonical := jws.Canonical(alg)
		if canonical == "" {
			errs = append(errs, fmt.Errorf("jwt: issuer %q: algorithm %q is not supported (hint: RS256, PS256, ES256, EdDSA)", is.ID, alg))
			continue
		}
		if c.algorithms == nil {
			c.algorithms = make(map[string]bool)
		}
		c.algorithms[canonical] = true
	}
	if len(errs) == 0 && c.keys == nil {
		if c.owned = reuse; reuse == nil {
			var err error
			if c.owned, err = discover(is.ID, f); err != nil {
				errs = append(errs, err)
			}
		}
		c.keys = c.owned
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return c, nil
}

// stop ends what goes on for the issuer and does not wait for it.
func (is *issuer) stop() {
	if is.owned != nil {
		is.owned.stop()
	}
}

func (is *issuer) close() {
	if is.owned != nil {
		is.owned.Close()
	}
}
