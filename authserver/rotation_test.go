package authserver_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/jwt"
)

// A resource server that discovers the keys and keeps them as it is told takes
// every token through three rotations, on a real port, and asks for the keys no
// more than it should. It has all keys before they sign: no token waits for
// one.
func TestVerifierThroughRotations(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	m, c := authserver.NewMemory(), newClock(epoch)
	var handler atomic.Pointer[world]
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jwks" {
			asked.Add(1)
		}
		handler.Load().ServeHTTP(w, r)
	}))
	defer server.Close()
	at := func(config *authserver.Config) { config.Issuer = server.URL }
	keys := newRing(t, m, c)
	w := newWorld(t, at, func(config *authserver.Config) {
		config.Store, config.Clients, config.Now, config.Keys = m, m, c.Now, keys
		config.AccessToken, config.RecognizeToken = nil, nil
	})
	w.memory = m
	w.putJWTClient(t)
	handler.Store(w)

	verifier, err := jwt.New(jwt.Config{
		Issuers: []jwt.Issuer{{ID: server.URL}}, Now: c.Now, Leeway: -1,
		// It does not look for keys that it does not know.
		Fetch: jwt.Fetch{Now: c.Now, UnknownKeyInterval: 365 * 24 * time.Hour},
	})
	require.NoError(t, err)
	defer verifier.Close()
	verify := func(token string) (got *sneck.Token, err error) {
		// A fetch may be under way that began before the clock was set hours
		// ahead: what it brings is too old then.
		var outage *sneck.UnavailableError
		for range 3 {
			if got, err = verifier.Verify(context.Background(), token); !errors.As(err, &outage) {
				return got, err
			}
		}
		return got, err
	}

	kids := map[string]bool{}
	var last string
	steps := 0
	for ; c.Now().Before(epoch.Add(days(100))); steps++ {
		// It asks often enough around rotations to have all keys in time.
		c.set(c.Now().Add(time.Duration(random.Int64N(int64(9 * time.Minute)))))
		if random.IntN(8) == 0 {
			c.set(c.Now().Add(time.Duration(random.Int64N(int64(20 * time.Hour)))))
		}
		token := w.issue(t, "jwt", "")
		got, err := verify(token)
		require.NoError(t, err)
		if kid := kidOf(t, token); !kids[kid] {
			kids[kid] = true
			if last != "" {
				_, err := verify(last)
				require.NoError(t, err, "one of the old key")
			}
		}
		last = token
		if steps%50 == 0 {
			local, err := w.Verify(context.Background(), token)
			require.NoError(t, err)
			assert.Equal(t, []any{local.Issuer, local.Subject, local.ClientID, local.ID, local.Scopes, local.Audience, local.Expires.Unix()},
				[]any{got.Issuer, got.Subject, got.ClientID, got.ID, got.Scopes, got.Audience, got.Expires.Unix()})
		}
	}
	assert.Len(t, kids, 1+int(days(100)/days(30)))
	assert.LessOrEqual(t, int(asked.Load()), steps)

	// A key that was taken back is not good for longer than the set may be
	// kept, here as there.
	stolen := w.issue(t, "jwt", "")
	require.NoError(t, keys.Retire(t.Context(), kidOf(t, stolen)))
	_, err = w.Verify(context.Background(), stolen)
	require.ErrorIs(t, err, sneck.ErrUnrecognized, "at once, where it was said")
	c.set(c.Now().Add(10 * time.Minute))
	_, err = verify(stolen)
	require.ErrorIs(t, err, sneck.ErrInvalid)
	_, err = verify(w.issue(t, "jwt", ""))
	require.NoError(t, err)
}
