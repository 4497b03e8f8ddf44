package jwt

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sneckauth/sneck/internal/fetch"
	"github.com/sneckauth/sneck/internal/jws"
)

// NewJWKS returns a [Remote] for the JWK Set at a URL, or every mistake in
// its arguments. Nothing is fetched yet.
func NewJWKS(url string, f Fetch) (*Remote, error) {
	err := checkURL(url)
	if err != nil {
		err = fmt.Errorf("jwt: key set %q: %w", url, err)
	}
	if err := errors.Join(err, f.check()); err != nil {
		return nil, err
	}
	return newRemote(url, &locator{url: url}, f), nil
}

// Discover returns a [Remote] for the key set that an issuer's metadata names
// as its "jwks_uri". The metadata is looked for where RFC 8414, section 3,
// and then where OpenID Connect Discovery, section 4, puts it, and its
// "issuer" must be the given one, byte by byte. It is read again every hour
// and when the key set can not be had. Nothing is fetched yet.
func Discover(issuer string, f Fetch) (*Remote, error) {
	r, err := discover(issuer, f)
	if err := errors.Join(err, f.check()); err != nil {
		return nil, err
	}
	return r, nil
}

// discover is [Discover] with a Fetch that was checked.
func discover(issuer string, f Fetch) (*Remote, error) {
	err := checkURL(issuer)
	if err == nil && strings.Contains(issuer, "?") {
		err = errors.New("an issuer has no query")
	}
	var u *url.URL
	if err == nil {
		u, err = url.Parse(issuer)
	}
	if err != nil {
		return nil, fmt.Errorf("jwt: issuer %q: %w", issuer, err)
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	origin := u.Scheme + "://" + u.Host
	return newRemote(issuer, &locator{
		issuer: issuer,
		metadata: []string{
			origin + "/.well-known/oauth-authorization-server" + path,
			origin + path + "/.well-known/openid-configuration",
		},
	}, f), nil
}

func newRemote(name string, l *locator, f Fetch) *Remote {
	f = f.withDefaults()
	l.client = f.client()
	r := &Remote{name: name, locate: l, fetch: f, log: f.Logger, now: f.Now, missing: map[string]time.Time{}}
	r.load()
	return r
}

// A locator knows where the key set is.
type locator struct {
	client   fetch.Client
	issuer   string   // empty: url is configured
	metadata []string // where the metadata may be

	mu    sync.Mutex
	url   string
	asked time.Time
}

const metadataTTL = time.Hour

// get fetches the key set once: it returns it, the bytes it was read from,
// and how long it says it is good for.
func (r *Remote) get(ctx context.Context) (*KeySet, []byte, time.Duration, error) {
	url, err := r.locate.find(ctx, r.now())
	if err != nil {
		return nil, nil, 0, err
	}
	body, age, err := r.locate.client.Get(ctx, url)
	if err != nil {
		r.locate.forget()
		return nil, nil, 0, err
	}
	set, err := parseSet(body, r.fetch.RSAAlgorithm)
	if err != nil {
		r.locate.forget()
		return nil, nil, 0, err
	}
	return set, body, age, nil
}

// find returns the URL of the key set. One fetch runs at a time, so nobody
// waits for the lock.
func (l *locator) find(ctx context.Context, now time.Time) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.issuer == "" || l.url != "" && now.Sub(l.asked) < metadataTTL {
		return l.url, nil
	}
	var errs []error
	for _, place := range l.metadata {
		url, err := l.read(ctx, place)
		if err == nil {
			l.url, l.asked = url, now
			return url, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// forget makes the next find ask again.
func (l *locator) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = time.Time{}
}

// read returns the "jwks_uri" of the metadata at a URL.
func (l *locator) read(ctx context.Context, place string) (string, error) {
	body, _, err := l.client.Get(ctx, place)
	if err != nil {
		return "", err
	}
	var issuer, uri string
	err = jws.Members(body, func(name, value []byte) error {
		switch string(name) {
		case "issuer":
			issuer, _ = jws.String(value)
		case "jwks_uri":
			uri, _ = jws.String(value)
		}
		return nil
	})
	switch {
	case err != nil:
		return "", fmt.Errorf("jwt: metadata at %s: %w", place, err)
	case issuer != l.issuer:
		// Whoever answers here is not the one that was asked for (RFC 8414,
		// section 3.3).
		return "", fmt.Errorf("jwt: metadata at %s is of another issuer, %.200q (hint: the issuer's ID must be written exactly so)", place, issuer)
	case uri == "":
		return "", fmt.Errorf("jwt: metadata at %s has no jwks_uri", place)
	}
	if err := checkURL(uri); err != nil {
		return "", fmt.Errorf("jwt: metadata at %s: jwks_uri: %w", place, err)
	}
	return uri, nil
}
