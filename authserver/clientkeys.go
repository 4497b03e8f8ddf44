package authserver

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sneckauth/sneck/internal/fetch"
	"github.com/sneckauth/sneck/internal/jws"
	"github.com/sneckauth/sneck/internal/strictjson"
)

// clientKeys are the public keys and certificates of a client.
type clientKeys struct {
	keys         []jws.Key
	certificates [][]byte // DER
}

const (
	// maxClientKeySet bounds the key set of a client, in bytes, and
	// maxClientKeys in keys.
	maxClientKeySet = 64 << 10
	maxClientKeys   = 32
)

// parseClientKeys reads a JWK Set. Keys of a kind that is not known are left
// out.
func parseClientKeys(data []byte, rsaAlgorithm string) (*clientKeys, error) {
	if len(data) > maxClientKeySet {
		return nil, fmt.Errorf("a key set of more than %d bytes", maxClientKeySet)
	}
	var set struct {
		Keys []struct {
			Chain []string `json:"x5c"`
		} `json:"keys"`
	}
	if err := strictjson.Unmarshal(data, &set); err != nil {
		return nil, errors.New("a key set that is not JSON of the right form")
	}
	if len(set.Keys) > maxClientKeys {
		return nil, fmt.Errorf("a key set of more than %d keys", maxClientKeys)
	}
	if !strings.HasPrefix(rsaAlgorithm, "RS") && !strings.HasPrefix(rsaAlgorithm, "PS") {
		rsaAlgorithm = jws.RS256
	}
	keys, _, err := jws.ParseSet(data, rsaAlgorithm)
	if err != nil {
		return nil, err
	}
	k := &clientKeys{keys: keys}
	for _, key := range set.Keys {
		if len(key.Chain) == 0 {
			continue
		}
		if der, err := base64.StdEncoding.Strict().DecodeString(key.Chain[0]); err == nil {
			k.certificates = append(k.certificates, der)
		}
	}
	return k, nil
}

// find returns the one key that an assertion names, or nil. A key without an
// ID is named by any, and any key by no ID, if it is the only one: no signature
// is tried on one key after the other.
func (k *clientKeys) find(algorithm, keyID string) *jws.Key {
	var named, unnamed []*jws.Key
	for i := range k.keys {
		key := &k.keys[i]
		switch {
		case key.Algorithm != algorithm:
		case keyID == "" || key.ID == keyID:
			named = append(named, key)
		case key.ID == "":
			unnamed = append(unnamed, key)
		}
	}
	if len(named) == 0 {
		named = unnamed
	}
	if len(named) != 1 {
		return nil
	}
	return named[0]
}

// has reports whether a certificate is the client's.
func (k *clientKeys) has(certificate *x509.Certificate) bool {
	return slices.ContainsFunc(k.certificates, func(der []byte) bool { return bytes.Equal(der, certificate.Raw) })
}

// keysOf returns the keys of a client. If they are elsewhere and those at hand
// do not have what is looked for, newer ones are.
func (s *Server) keysOf(ctx context.Context, c *Client, has func(*clientKeys) bool) (*clientKeys, error) {
	if c.JWKSURI == "" {
		return parseClientKeys(c.JWKS, c.AuthAlgorithm)
	}
	keys, err := s.remote.keys(ctx, c.JWKSURI, c.AuthAlgorithm, has)
	if err != nil {
		return nil, unavailable(fmt.Errorf("get the keys of client %q: %w", c.ID, err))
	}
	return keys, nil
}

// remoteKeys fetches the key sets of clients and keeps them for some time. It
// makes few requests whatever comes in.
type remoteKeys struct {
	client fetch.Client
	now    func() time.Time
	slots  chan struct{} // fetches at a time

	mu   sync.Mutex               // also for what is in the sets
	sets map[[2]string]*remoteSet // by URL and algorithm of RSA keys
}

// A remoteSet is one of them. Who holds turn may fetch it.
type remoteSet struct {
	turn    chan struct{}
	keys    *clientKeys
	fetched time.Time // when it was asked for
	fresh   time.Time // until then it is used without asking
	retry   time.Time // until then it is not asked for again
	err     error
}

const (
	maxRemoteSets     = 1000
	remoteFetches     = 8
	remoteTimeout     = 5 * time.Second
	remoteFresh       = 10 * time.Minute
	remoteMinFresh    = time.Minute
	remoteStale       = time.Hour
	remoteRetry       = 10 * time.Second
	remoteUnknownWait = 30 * time.Second
)

func newRemoteKeys(client fetch.Client, now func() time.Time) *remoteKeys {
	return &remoteKeys{client: client, now: now, slots: make(chan struct{}, remoteFetches), sets: map[[2]string]*remoteSet{}}
}

// keys returns the keys at a URL. Who finds what they look for among those at
// hand does not wait for others, who may be strangers that have a set fetched
// by naming a key that is not in it.
func (r *remoteKeys) keys(ctx context.Context, url, rsaAlgorithm string, has func(*clientKeys) bool) (*clientKeys, error) {
	set := r.set([2]string{url, rsaAlgorithm})
	if keys := r.atHand(set, r.now(), has); keys != nil {
		return keys, nil
	}
	select {
	case set.turn <- struct{}{}:
		defer func() { <-set.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	now := r.now()
	if keys := r.atHand(set, now, has); keys != nil {
		return keys, nil
	}
	if !now.Before(set.retry) { // which only the holder of the turn changes
		r.fetch(ctx, set, url, rsaAlgorithm, now)
	}
	if set.keys != nil && now.Before(set.fetched.Add(remoteStale)) {
		return set.keys, nil
	}
	return nil, set.err
}

// atHand returns the keys of a set if they need not be fetched, or nil.
func (r *remoteKeys) atHand(set *remoteSet, now time.Time, has func(*clientKeys) bool) *clientKeys {
	r.mu.Lock()
	keys, fetched, fresh := set.keys, set.fetched, set.fresh
	r.mu.Unlock()
	if keys != nil && now.Before(fresh) && (has(keys) || now.Before(fetched.Add(remoteUnknownWait))) {
		return keys
	}
	return nil
}

// set returns the entry of a URL. If there are too many, any other one goes.
func (r *remoteKeys) set(id [2]string) *remoteSet {
	r.mu.Lock()
	defer r.mu.Unlock()
	if set := r.sets[id]; set != nil {
		return set
	}
	if len(r.sets) >= maxRemoteSets {
		for old := range r.sets {
			delete(r.sets, old)
			break
		}
	}
	set := &remoteSet{turn: make(chan struct{}, 1)}
	r.sets[id] = set
	return set
}

// fetch asks for a set. Others wait for the outcome, so it does not end with
// the request that it was begun for.
func (r *remoteKeys) fetch(ctx context.Context, set *remoteSet, url, rsaAlgorithm string, now time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), remoteTimeout)
	defer cancel()
	var body []byte
	var age time.Duration
	var err error
	select {
	case r.slots <- struct{}{}:
		body, age, err = r.client.Get(ctx, url)
		<-r.slots
	case <-ctx.Done():
		err = ctx.Err()
	}
	var keys *clientKeys
	if err == nil {
		keys, err = parseClientKeys(body, rsaAlgorithm)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		set.err, set.retry = err, now.Add(remoteRetry)
		return
	}
	fresh := remoteFresh
	if age >= 0 {
		fresh = min(fresh, max(age, remoteMinFresh))
	}
	set.keys, set.fetched, set.fresh, set.err, set.retry = keys, now, now.Add(fresh), nil, time.Time{}
}

// byKey reports whether the client authenticates by something else than a
// secret that it shows.
func (c *Client) byKey() bool {
	switch c.AuthMethod {
	case methodPrivateKeyJWT, methodSecretJWT, methodTLS, methodSelfSignedTLS:
		return true
	}
	return false
}

// byCertificate reports whether the client authenticates by the certificate of
// its connection.
func (c *Client) byCertificate() bool {
	return c.AuthMethod == methodTLS || c.AuthMethod == methodSelfSignedTLS
}

// checkAuth returns what is wrong with the way in which the client
// authenticates.
func (c *Client) checkAuth() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(c.AuthMethod != "" && !slices.Contains(authMethods, c.AuthMethod),
		"AuthMethod %q is not known (hint: %s)", c.AuthMethod, strings.Join(authMethods, ", "))
	needsKeys := c.AuthMethod == methodPrivateKeyJWT || c.AuthMethod == methodSelfSignedTLS
	bad(needsKeys && c.JWKS == nil && c.JWKSURI == "", "%s needs JWKS or JWKSURI", c.AuthMethod)
	bad(c.JWKS != nil && c.JWKSURI != "", "JWKS and JWKSURI are both set")
	if c.JWKS != nil {
		keys, err := parseClientKeys(c.JWKS, c.AuthAlgorithm)
		bad(err != nil, "JWKS: %w", err)
		if err == nil {
			bad(c.AuthMethod == methodPrivateKeyJWT && len(keys.keys) == 0, "JWKS has no public key that can be used")
			bad(c.AuthMethod == methodSelfSignedTLS && len(keys.certificates) == 0, "JWKS has no certificate (hint: \"x5c\")")
		}
	}
	if c.JWKSURI != "" {
		err := fetch.Check(c.JWKSURI)
		bad(err != nil, "JWKSURI: %w", err)
	}
	switch {
	case c.AuthMethod == methodSecretJWT:
		bad(c.AuthAlgorithm != "" && c.AuthAlgorithm != algHS256, "AuthAlgorithm %q does not go with %s", c.AuthAlgorithm, c.AuthMethod)
	case c.AuthAlgorithm != "":
		bad(c.AuthMethod != methodPrivateKeyJWT || !slices.Contains(assertionAlgorithms, jws.Canonical(c.AuthAlgorithm)),
			"AuthAlgorithm %q does not go with AuthMethod %q", c.AuthAlgorithm, c.AuthMethod)
	}
	bad(c.byKey() && c.AuthMethod != methodSecretJWT && len(c.Secrets) > 0, "%s goes without Secrets", c.AuthMethod)
	for _, secret := range c.Secrets {
		bad((secret.Sealed != "") != (c.AuthMethod == methodSecretJWT), "Sealed secrets and %s need each other", methodSecretJWT)
	}
	bad(c.AuthMethod == methodSecretJWT && len(c.Secrets) == 0, "%s needs a secret", methodSecretJWT)
	names := c.Certificate.names()
	bad(c.AuthMethod == methodTLS && names != 1, "%s needs exactly one member of Certificate", methodTLS)
	bad(c.AuthMethod != methodTLS && names > 0, "Certificate is for %s", methodTLS)
	if ip := c.Certificate.IP; ip != "" {
		_, err := netip.ParseAddr(ip)
		bad(err != nil, "Certificate.IP %q is not an address", ip)
	}
	return errors.Join(errs...)
}

// supports returns what the client needs and the server is not configured for.
func (s *Server) supports(c *Client) error {
	var errs []error
	needs := func(needed bool, what, field string) {
		if needed {
			errs = append(errs, fmt.Errorf("authserver: client %q: %s needs Config.%s", c.ID, what, field))
		}
	}
	m := s.config.MutualTLS
	needs(s.format(c) == FormatJWT && s.config.Keys == nil, "AccessTokenFormat jwt", "Keys")
	needs(c.AuthMethod == methodSecretJWT && s.config.Sealer == nil, methodSecretJWT, "Sealer")
	needs(c.AuthMethod == methodSelfSignedTLS && m == nil, methodSelfSignedTLS, "MutualTLS")
	needs(c.AuthMethod == methodTLS && (m == nil || m.Roots == nil), methodTLS, "MutualTLS.Roots")
	needs(c.CertificateBound && m == nil, "CertificateBound", "MutualTLS")
	return errors.Join(errs...)
}
