package jwt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/jwt"
)

// A rotator is a real server whose keys change all the time. As rotation is
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

func (r *rotator) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	r.fetches.Add(1)
	r.mu.Lock()
	var keys []string
	for _, s := range r.published {
		keys = append(keys, s.jwk(""))
	}
	r.mu.Unlock()
	io.WriteString(w, jwks(keys...))
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

// sign returns a token of the key that was published two rotations ago, and
// the key's ID.
func (r *rotator) sign() (token, kid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.published[len(r.published)-3]
	return s.token(), s.kid
}

// has reports whether a key is still published.
func (r *rotator) has(kid string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.published, func(s signer) bool { return s.kid == kid })
}

// Keys that rotate every second for a minute, under load (in short runs ten
// times a second for two), far faster than anybody's do, while tokens of
// withdrawn keys use up what there is of fetches for unknown keys: not one
// valid token is refused, and none of a key that was withdrawn longer ago
// than Refresh is taken.
func TestRotationUnderLoad(t *testing.T) {
	period, rotations := time.Second, 60
	if testing.Short() {
		period, rotations = 100*time.Millisecond, 20
	}
	refresh, run := period*3/2, time.Duration(rotations)*period
	r := new(rotator)
	for range 3 {
		r.rotate()
	}
	server := httptest.NewServer(r)
	defer server.Close()
	source, err := jwt.NewJWKS(server.URL, jwt.Fetch{Refresh: refresh, UnknownKeyInterval: time.Hour})
	require.NoError(t, err)
	defer source.Close()
	v := newVerifier(t, source)

	stop := make(chan struct{})
	var all sync.WaitGroup
	var good, late atomic.Int64
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				token, kid := r.sign()
				_, err := v.Verify(t.Context(), token)
				if err != nil && !r.has(kid) {
					continue // the machine slept over the key's whole life
				}
				if !assert.NoError(t, err) {
					return
				}
				good.Add(1)
			}
		})
	}
	all.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			r.mu.Lock()
			withdrawn := r.withdrawn[max(0, len(r.withdrawn)-3):]
			r.mu.Unlock()
			for _, w := range withdrawn {
				if time.Since(w.at) < refresh {
					continue
				}
				_, err := v.Verify(t.Context(), w.token)
				assert.ErrorIs(t, err, sneck.ErrInvalid, "withdrawn %v ago", time.Since(w.at))
				late.Add(1)
			}
		}
	})
	for end := time.After(run); ; {
		select {
		case <-time.After(period):
			r.rotate()
			continue
		case <-end:
		}
		break
	}
	close(stop)
	all.Wait()
	assert.Greater(t, good.Load(), int64(100))
	assert.Positive(t, late.Load())
	t.Logf("%d tokens taken, %d withdrawn refused, %d keys, %d fetches", good.Load(), late.Load(), r.made, r.fetches.Load())
}
