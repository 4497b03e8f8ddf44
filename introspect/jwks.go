package introspect

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/sneckauth/sneck/internal/jws"
)

const (
	keysAge = 10 * time.Minute
	// maxKeysAge bounds how long a key that the authority has withdrawn may
	// be taken while its set can not be fetched.
	maxKeysAge = time.Hour
	// unknownPause is between two fetches because of keys that are unknown.
	unknownPause = 30 * time.Second
)

// keysFor returns the keys that may have made a signature with the header. If
// there is none, the set is fetched again, but not more often than twice a
// minute.
func (c *Client) keysFor(ctx context.Context, header *jws.Header) ([]jws.Key, error) {
	known, err := c.keys.get(ctx)
	if err != nil {
		return nil, err
	}
	if found := fitting(known, header); len(found) > 0 {
		return found, nil
	}
	known, err = c.keys.renew(ctx, func(have []jws.Key) bool { return len(fitting(have, header)) == 0 })
	return fitting(known, header), err
}

// fitting returns the keys of the header's "kid", or all if it has none, that
// are for its algorithm.
func fitting(keys []jws.Key, header *jws.Header) []jws.Key {
	var out []jws.Key
	for _, key := range keys {
		named := header.KeyID == "" || key.ID == header.KeyID
		if named && jws.Canonical(key.Algorithm) == jws.Canonical(header.Algorithm) {
			out = append(out, key)
		}
	}
	return out
}

// fetchKeys fetches the set of keys of the authority.
func (c *Client) fetchKeys(ctx context.Context) (aged[[]jws.Key], error) {
	at := c.cfg.Signed.JWKS
	if at == "" {
		found, err := c.authority.get(ctx)
		if err != nil {
			return aged[[]jws.Key]{}, err
		}
		at = found.jwks
		if _, err := parseURL(at, c.cfg.InsecureHTTP); err != nil {
			return aged[[]jws.Key]{}, &exchangeError{"the metadata of the authority name no keys that could be used", nil}
		}
	}
	body, err := c.fetcher.get(ctx, at, "the keys of the authority", maxMetadataBytes)
	if err != nil {
		return aged[[]jws.Key]{}, err
	}
	keys, _, err := jws.ParseSet(body, c.cfg.Signed.ofRSA())
	if err != nil {
		return aged[[]jws.Key]{}, &exchangeError{"the keys of the authority could not be understood", nil}
	}
	if len(keys) == 0 {
		// An empty set is a mistake more likely than a decision.
		return aged[[]jws.Key]{}, &exchangeError{"the authority has no keys that could be used", nil}
	}
	now := c.now()
	return aged[[]jws.Key]{keys, now.Add(keysAge*8/10 + rand.N(keysAge/5)), now.Add(maxKeysAge)}, nil
}
