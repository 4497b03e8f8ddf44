package jwt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
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

// A rotator is a server whose keys change all the time. As rotation is
// done everywhere, a key is published for a while before it signs, and for a
// while after.
type rotator struct {
	mu        sync.Mutex
	published []signer
	withdrawn []withdrawal
	made      int
	fetches   atomic.Int64
}

type withdrawal struct {
	token string
	at    time.Time
}

// answer is the server without a network.
func (r *rotator) answer(request *http.Request) (*http.Response, error) {
	r.fetches.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	var keys []string
	for _, s := range r.published {
		keys = append(keys, s.jwk(""))
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(jwks(keys...))), Request: request}, nil
}

// rotate publishes a new key and withdraws the oldest of more than six.
func (r *rotator) rotate() {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made++
	r.published = append(r.published, signer{"ES256", fmt.Sprint("key-", r.made), private})
	if len(r.published) > 6 {
		r.withdrawn = append(r.withdrawn, withdrawal{r.published[0].token(), time.Now()})
		r.published = r.published[1:]
	}
}

// sign returns a token of the key that was published two rotations ago.
func (r *rotator) sign() string {
	r.mu.Lock()
	s := r.published[len(r.published)-3]
	r.mu.Unlock()
	return s.token()
}

// late returns the latest withdrawn keys' tokens, but for those that may be
// taken still.
func (r *rotator) late(refresh time.Duration) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var tokens []string
	for _, w := range r.withdrawn[max(0, len(r.withdrawn)-3):] {
		if time.Since(w.at) >= refresh {
			tokens = append(tokens, w.token)
		}
	}
	return tokens
}

// Keys that rotate every second for a minute, under load, far faster than
// anybody's do, while tokens of withdrawn keys use up what there is of fetches
// for unknown keys: not one valid token is refused, and none of a key that was
// withdrawn longer ago than Refresh is taken. The load and the rotations meet
// at the same instants.
func TestRotationUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			period, rotations = time.Second, 60
			refresh           = period * 3 / 2
			pause             = period / 25
		)
		r := new(rotator)
		for range 3 {
			r.rotate()
		}
		source, err := jwt.NewJWKS(jwksURL, jwt.Fetch{
			HTTPClient: &http.Client{Transport: roundTrip(r.answer)}, Refresh: refresh, UnknownKeyInterval: time.Hour,
		})
		require.NoError(t, err)
		defer source.Close()
		v := newVerifier(t, source)

		var all sync.WaitGroup
		var good, late atomic.Int64
		for range 4 {
			all.Go(func() {
				for range rotations * period / pause {
					_, err := v.Verify(t.Context(), r.sign())
					assert.NoError(t, err)
					good.Add(1)
					time.Sleep(pause)
				}
			})
		}
		all.Go(func() {
			for range rotations * period / pause {
				for _, token := range r.late(refresh) {
					_, err := v.Verify(t.Context(), token)
					assert.ErrorIs(t, err, sneck.ErrInvalid)
					late.Add(1)
				}
				time.Sleep(pause)
			}
		})
		for range rotations {
			r.rotate()
			time.Sleep(period)
		}
		all.Wait()
		t.Logf("%d tokens taken, %d withdrawn refused, %d keys, %d fetches", good.Load(), late.Load(), r.made, r.fetches.Load())
		assert.Greater(t, good.Load(), int64(5_000))
		assert.Greater(t, late.Load(), int64(1_000))
		assert.GreaterOrEqual(t, r.fetches.Load(), int64(rotations*period/refresh))
	})
}
