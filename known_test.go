package sneck_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/introspect"
)

// An asked is an authority without a network, for a test that owns the time. It
// counts the questions about good tokens, and about all others.
type asked struct{ good, bad atomic.Int64 }

func (a *asked) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	answer := `{"active":false}`
	if token := form.Get("token"); strings.HasPrefix(token, "good-") {
		a.good.Add(1)
		answer = fmt.Sprintf(`{"active":true,"sub":%q,"exp":%d}`, token, time.Now().Add(time.Hour).Unix())
	} else {
		a.bad.Add(1)
	}
	return &http.Response{
		StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: int64(len(answer)),
		Body: io.NopCloser(strings.NewReader(answer)), Request: r,
	}, nil
}

// A flood of made-up tokens that outlasts every answer uses up the rate of the
// client, and no more: tokens that were active before are asked about again
// whenever they have to be.
func TestKnownTokensOutliveAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			rate    = 10
			ttl     = time.Minute
			minutes = 5
			step    = 10 * time.Millisecond
		)
		var authority asked
		client, err := introspect.New(introspect.Config{
			Endpoint: "https://as.example/introspect", Credential: introspect.Basic("api", "secret"), Transport: &authority, Rate: rate,
		})
		require.NoError(t, err)
		defer client.Close()
		c, err := cache.New(cache.Config{Verifier: client, TTL: ttl, InactiveTTL: 10 * time.Second, MaxBytes: 1 << 20})
		require.NoError(t, err)
		defer c.Close()
		answered := func(token string, bound time.Duration) {
			t.Helper()
			got, err := c.Verify(sneck.WithMaxStaleness(t.Context(), bound), token)
			require.NoError(t, err, token)
			require.Equal(t, token, got.Subject)
		}
		for _, token := range []string{"good-in-use", "good-now-and-then", "good-strict"} {
			answered(token, time.Hour)
		}
		time.Sleep(time.Minute)

		began, n, strangers := time.Now(), 0, 0
		for now := time.Duration(0); now < minutes*ttl; now += step {
			for range 2 { // 200 a second
				n++
				_, err := c.Verify(t.Context(), fmt.Sprint("made-up-", n))
				require.Error(t, err)
			}
			synctest.Wait()
			switch now % (10 * time.Second) {
			case 0: // is refreshed before its answer ends
				answered("good-in-use", time.Hour)
			case 3 * time.Second: // on a route that wants fresh answers
				answered("good-strict", time.Second)
			case 5 * time.Second: // a new one queues with the flood
				if _, err := c.Verify(t.Context(), fmt.Sprint("good-new-", now)); err != nil {
					strangers++
				}
			}
			if now%(2*time.Minute) == 0 { // is found expired
				answered("good-now-and-then", time.Hour)
			}
			time.Sleep(step)
		}
		most := int64(rate*time.Since(began).Seconds()) + rate // and a burst
		unknown := authority.bad.Load()
		t.Logf("%d made-up tokens, %d questions about them, %d about good ones", n, unknown, authority.good.Load())
		assert.LessOrEqual(t, unknown, most)
		assert.Greater(t, unknown, most*8/10, "the flood did use up the rate")
		assert.Positive(t, strangers, "the flood did use up the rate")
	})
}
