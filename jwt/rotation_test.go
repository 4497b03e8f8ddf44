package jwt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/jwt"
)

// A rotator is a real server whose keys change all the time: a new key signs
// from the moment it is published, an old one stays published for a while.
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

// rotate publishes a new key and withdraws the oldest of more than three.
func (r *rotator) rotate() {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made++
	r.published = append(r.published, signer{"ES256", fmt.Sprint("key-", r.made), private})
	if len(r.published) > 3 {
		r.withdrawn = append(r.withdrawn, withdrawal{r.published[0].token(), time.Now()})
		r.published = r.published[1:]
	}
}

// sign returns a token of the newest key.
func (r *rotator) sign() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.published[len(r.published)-1].token()
}

// Keys that rotate under load, far faster than anybody's do: not one valid
// token is refused, and none of a key that was withdrawn longer ago than
// Refresh is taken.
func TestRotationUnderLoad(t *testing.T) {
	const (
		refresh = 150 * time.Millisecond
		period  = 100 * time.Millisecond
		run     = 2 * time.Second
	)
	r := new(rotator)
	r.rotate()
	server := httptest.NewServer(r)
	defer server.Close()
	source, err := jwt.NewJWKS(server.URL, jwt.Fetch{Refresh: refresh, UnknownKeyInterval: period / 5})
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
				_, err := v.Verify(t.Context(), r.sign())
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
