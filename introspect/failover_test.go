package introspect_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/internal/lyingserver"
	"github.com/sneckauth/sneck/introspect"
)

func twoEndpoints(cfg *introspect.Config) {
	cfg.Endpoint, cfg.Failover = "https://one.example.com/i", []string{"https://two.example.com/i"}
}

func TestFailover(t *testing.T) {
	for name, fault := range map[string]scripted{
		"hang":    hang,
		"refused": func(*http.Request) (*http.Response, error) { return nil, refuse() },
		"500":     func(*http.Request) (*http.Response, error) { return reply(lyingserver.Status(500, "")), nil },
		"503, come back much later": func(*http.Request) (*http.Response, error) {
			return reply(lyingserver.Status(503, "", "Retry-After", "3600")), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var hosts record
				down := true
				c := scriptedClient(t, func(r *http.Request) (*http.Response, error) {
					hosts.add(r.URL.Host)
					assert.Equal(t, r.URL.Host, r.Host)
					assert.Equal(t, "abc", tokenOf(r))
					if down && r.URL.Host == "one.example.com" {
						return fault(r)
					}
					return reply(lyingserver.Answer(good)), nil
				}, twoEndpoints)
				for range 12 {
					_, err := c.Verify(t.Context(), "abc")
					require.NoError(t, err)
					if c.Stats().Opened > 0 && len(hosts.all()) > 20 {
						break
					}
				}
				n := len(hosts.all())
				assert.Equal(t, uint64(10), c.Stats().Failovers, "the sick one is left alone after ten")
				down = false
				time.Sleep(2 * time.Second)
				_, err := c.Verify(t.Context(), "abc")
				require.NoError(t, err)
				assert.Equal(t, []string{"one.example.com"}, hosts.all()[n:], "and asked first when it is well")
				assert.Zero(t, c.Stats().Retries)
			})
		})
	}
}

func TestFailoverWhenAllAreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := scriptedClient(t, func(*http.Request) (*http.Response, error) { return nil, refuse() }, twoEndpoints,
			func(cfg *introspect.Config) { cfg.BreakAfter = 1 })
		got, err := c.Verify(t.Context(), "abc")
		requireUnavailable(t, got, err)
		assert.EqualValues(t, 2, c.Stats().Tries)
		got, err = c.Verify(t.Context(), "abc")
		assert.InDelta(t, time.Second, requireUnavailable(t, got, err).RetryAfter, float64(time.Second/10))
		assert.EqualValues(t, 2, c.Stats().Tries)
	})
}

func TestNoFailoverAfterAnAnswer(t *testing.T) {
	for name, lie := range map[string]http.Handler{
		"inactive": lyingserver.Answer(`{"active":false}`),
		"garbage":  lyingserver.Answer(`garbage`),
		"401":      lyingserver.Status(401, ""),
		"302":      lyingserver.Status(302, "", "Location", "https://two.example.com/i"),
		"429":      lyingserver.Status(429, ""),
	} {
		t.Run(name, func(t *testing.T) {
			c := scriptedClient(t, func(*http.Request) (*http.Response, error) { return reply(lie), nil }, twoEndpoints)
			_, err := c.Verify(t.Context(), "abc")
			require.Error(t, err)
			assert.EqualValues(t, 1, c.Stats().Tries)
		})
	}
}
