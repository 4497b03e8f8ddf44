package introspect

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"math/rand/v2"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sneckauth/sneck/internal/strictjson"
)

const (
	keysAge = 10 * time.Minute
	// maxKeysAge bounds how long a key that the authority has withdrawn may
	// be taken while its set can not be fetched.
	maxKeysAge = time.Hour
	maxKeys    = 100
	// unknownPause is between two fetches because of keys that are unknown.
	unknownPause = 30 * time.Second
)

// keysFor returns the keys that may have made a signature with the header. If
// there is none, the set is fetched again, but not more often than twice a
// minute.
func (c *Client) keysFor(ctx context.Context, header jose.Header) ([]*jose.JSONWebKey, error) {
	known, err := c.keys.get(ctx)
	if err != nil {
		return nil, err
	}
	if found := fitting(known, header); len(found) > 0 {
		return found, nil
	}
	known, err = c.keys.renew(ctx, func(have []*jose.JSONWebKey) bool { return len(fitting(have, header)) == 0 })
	return fitting(known, header), err
}

func fitting(keys []*jose.JSONWebKey, header jose.Header) []*jose.JSONWebKey {
	var out []*jose.JSONWebKey
	for _, key := range keys {
		if fits(key, header) {
			out = append(out, key)
		}
	}
	return out
}

// fetchKeys fetches the set of keys of the authority.
func (c *Client) fetchKeys(ctx context.Context) (aged[[]*jose.JSONWebKey], error) {
	at := c.cfg.Signed.JWKS
	if at == "" {
		found, err := c.authority.get(ctx)
		if err != nil {
			return aged[[]*jose.JSONWebKey]{}, err
		}
		at = found.jwks
		if _, err := parseURL(at, c.cfg.InsecureHTTP); err != nil {
			return aged[[]*jose.JSONWebKey]{}, &exchangeError{"the metadata of the authority name no keys that could be used", nil}
		}
	}
	body, err := c.fetcher.get(ctx, at, "the keys of the authority", maxMetadataBytes)
	if err != nil {
		return aged[[]*jose.JSONWebKey]{}, err
	}
	keys := readKeys(body)
	if len(keys) == 0 {
		// An empty set is a mistake more likely than a decision.
		return aged[[]*jose.JSONWebKey]{}, &exchangeError{"the authority has no keys that could be used", nil}
	}
	now := c.now()
	return aged[[]*jose.JSONWebKey]{keys, now.Add(keysAge*8/10 + rand.N(keysAge/5)), now.Add(maxKeysAge)}, nil
}

// readKeys returns the keys of a set (RFC 7517, section 5) that can verify a
// signature, and ignores what it does not know.
func readKeys(body []byte) []*jose.JSONWebKey {
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if strictjson.Unmarshal(body, &set) != nil || len(set.Keys) > maxKeys {
		return nil
	}
	var out []*jose.JSONWebKey
	for _, raw := range set.Keys {
		key := new(jose.JSONWebKey)
		if key.UnmarshalJSON(raw) == nil && verifies(key) {
			out = append(out, key)
		}
	}
	return out
}

func verifies(key *jose.JSONWebKey) bool {
	if !key.Valid() || key.Use != "" && key.Use != "sig" {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return public.N.BitLen() >= 2048 && public.E >= 3 && public.E%2 == 1
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}
