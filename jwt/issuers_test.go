package jwt_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/jwt"
)

// claimsOf returns claims of an issuer that are valid in a bubble's time.
func claimsOf(issuer string) string {
	at := time.Now().Unix()
	return fmt.Sprintf(`{"iss":%q,"sub":"a","aud":"b","exp":%d,"iat":%d,"jti":"j","client_id":"c"}`, issuer, at+86400, at)
}

// tenants is a directory of issuers.
type tenants struct {
	mu    sync.Mutex
	known map[string]jwt.Issuer
	err   error
	asked int
}

func (d *tenants) lookup(_ context.Context, iss string) (jwt.Issuer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	if d.err != nil {
		return jwt.Issuer{}, d.err
	}
	is, ok := d.known[iss]
	if !ok {
		return jwt.Issuer{}, fmt.Errorf("directory: %w", sneck.ErrUnrecognized)
	}
	return is, nil
}

func TestLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := signers()["ES256"]
		a := &authority{set: keysOf("es256"), metadata: map[string]string{
			"https://as.example/.well-known/oauth-authorization-server/t1": `{"issuer":"https://as.example/t1","jwks_uri":"` + jwksURL + `"}`,
		}}
		d := &tenants{known: map[string]jwt.Issuer{"https://as.example/t1": {ID: "https://as.example/t1"}}}
		v, err := jwt.New(jwt.Config{
			Issuers: []jwt.Issuer{{ID: "static", Keys: allKeys(t)}},
			Lookup:  d.lookup,
			Fetch:   jwt.Fetch{HTTPClient: a.client()},
		})
		require.NoError(t, err)
		defer v.Close()
		outcome := func(iss string) string {
			_, err := v.Verify(t.Context(), s.sign(s.header(), claimsOf(iss)))
			return kind(err)
		}
		assert.Equal(t, "valid", outcome("static"))
		assert.Zero(t, d.asked, "a listed issuer is not looked up")
		assert.Equal(t, "unrecognized", outcome("https://evil.example"))
		assert.Empty(t, a.asked, "nothing is fetched for an issuer that is not listed")
		assert.Equal(t, "unrecognized", outcome(strings.Repeat("x", 600)))
		assert.Equal(t, 1, d.asked, "an absurd name is not looked up")

		for range 3 {
			assert.Equal(t, "valid", outcome("https://as.example/t1"))
		}
		assert.Equal(t, 2, d.asked, "the answer is used for a while")
		time.Sleep(61 * time.Second)
		assert.Equal(t, "valid", outcome("https://as.example/t1"))
		assert.Equal(t, 3, d.asked)
		assert.Equal(t, 1, a.fetches(), "the key set lives on")

		d.err = errors.New("database is down")
		assert.Equal(t, "valid", outcome("https://as.example/t1"), "held")
		assert.Equal(t, "unavailable", outcome("https://as.example/t2"))
		time.Sleep(61 * time.Second)
		assert.Equal(t, "unavailable", outcome("https://as.example/t1"), "an outage is not a verdict")
		d.err = nil
		assert.Equal(t, "valid", outcome("https://as.example/t1"))

		delete(d.known, "https://as.example/t1")
		time.Sleep(61 * time.Second)
		assert.Equal(t, "unrecognized", outcome("https://as.example/t1"), "taken off")

		d.known["https://as.example/t3"] = jwt.Issuer{ID: "https://as.example/t1"}
		assert.Equal(t, "unavailable", outcome("https://as.example/t3"), "an answer for another issuer is a mistake")
		d.known["bad"] = jwt.Issuer{ID: "bad"}
		assert.Equal(t, "unavailable", outcome("bad"), "an issuer that can't be used is a mistake")

		require.NoError(t, v.Close())
		d.known["t4"] = jwt.Issuer{ID: "t4", Keys: allKeys(t)}
		assert.Equal(t, "unavailable", outcome("t4"))
	})
}

// The number of tenants that are held is bounded, and they do not disturb
// each other.
func TestLookupBound(t *testing.T) {
	var asked atomic.Int64
	keys := allKeys(t)
	v, err := jwt.New(jwt.Config{
		Lookup: func(_ context.Context, iss string) (jwt.Issuer, error) {
			asked.Add(1)
			return jwt.Issuer{ID: iss, Keys: keys}, nil
		},
		MaxIssuers: 3,
		LookupTTL:  time.Hour,
	})
	require.NoError(t, err)
	defer v.Close()
	s := signers()["ES256"]
	verify := func(iss string) {
		got, err := v.Verify(t.Context(), s.sign(s.header(), claimsOf(iss)))
		if assert.NoError(t, err) {
			assert.Equal(t, iss, got.Issuer)
		}
	}
	for i := range 10 {
		verify(fmt.Sprint("tenant-", i))
	}
	require.Equal(t, int64(10), asked.Load())
	verify("tenant-9")
	verify("tenant-8")
	assert.Equal(t, int64(10), asked.Load())
	verify("tenant-0")
	assert.Equal(t, int64(11), asked.Load())

	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 20 {
				verify(fmt.Sprint("tenant-", (i+j)%6))
			}
		})
	}
	all.Wait()
}

// A fetch that was begun for a tenant ends when the tenant is dropped.
func TestLookupDropsKeySets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{delay: time.Hour, metadata: map[string]string{}}
		d := &tenants{known: map[string]jwt.Issuer{"https://as.example": {ID: "https://as.example"}}}
		v, err := jwt.New(jwt.Config{Lookup: d.lookup, Fetch: jwt.Fetch{HTTPClient: a.client(), Timeout: 30 * time.Minute}})
		require.NoError(t, err)
		defer v.Close()
		s := signers()["ES256"]
		token := s.sign(s.header(), claimsOf("https://as.example"))
		var waiter sync.WaitGroup
		waiter.Go(func() {
			_, err := v.Verify(t.Context(), token)
			assert.Equal(t, "unavailable", kind(err))
		})
		time.Sleep(2 * time.Minute)
		began := time.Now()
		delete(d.known, "https://as.example")
		_, err = v.Verify(t.Context(), token)
		assert.Equal(t, "unrecognized", kind(err))
		waiter.Wait()
		assert.Equal(t, began, time.Now(), "it waited for its end")
	})
}
