package jwt_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/jwt"
)

// deadClient reaches nothing.
var deadClient = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("no network") })}

// A roundTrip is an http.RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// An authority is an authorization server without a network.
type authority struct {
	mu       sync.Mutex
	set      string        // the JWK Set
	status   int           // 0: 200
	delay    time.Duration // before it answers
	header   http.Header
	metadata map[string]string // by URL
	fetched  int               // key sets asked for
	asked    []string          // every URL asked for
}

func (a *authority) change(f func(*authority)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(a)
}

func (a *authority) fetches() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fetched
}

const jwksURL = "https://as.example/jwks"

func (a *authority) client() *http.Client {
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		a.mu.Lock()
		url, delay := r.URL.String(), a.delay
		body, ok := a.metadata[url]
		status := http.StatusOK
		if url == jwksURL {
			a.fetched++
			body, ok = a.set, true
			if a.status != 0 {
				status = a.status
			}
		}
		if !ok {
			status = http.StatusNotFound
		}
		a.asked = append(a.asked, url)
		header := a.header.Clone()
		a.mu.Unlock()
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	})}
}

// withKid is a signer under another key ID.
func withKid(kid string) signer {
	s := signers()["ES256"]
	s.kid = kid
	return s
}

// remote returns a Remote on an authority that serves the keys with the IDs.
func remote(t *testing.T, change func(*jwt.Fetch), kids ...string) (*authority, *jwt.Remote) {
	t.Helper()
	a := &authority{set: keysOf(kids...)}
	f := jwt.Fetch{HTTPClient: a.client()}
	if change != nil {
		change(&f)
	}
	r, err := jwt.NewJWKS(jwksURL, f)
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	return a, r
}

func keysOf(kids ...string) string {
	var keys []string
	for _, kid := range kids {
		keys = append(keys, withKid(kid).jwk(""))
	}
	return jwks(keys...)
}

// has asks for a key and names the answer: "key", "no key", "unavailable".
func has(ctx context.Context, r jwt.KeySource, kid string) string {
	k, err := r.Key(ctx, "ES256", kid)
	var unavailable *sneck.UnavailableError
	switch {
	case err == nil && k != nil && k.ID() == kid:
		return "key"
	case errors.Is(err, jwt.ErrNoKey):
		return "no key"
	case errors.As(err, &unavailable):
		return "unavailable"
	}
	return fmt.Sprint(k, err)
}
