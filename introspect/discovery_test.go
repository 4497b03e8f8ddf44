package introspect_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/internal/lyingserver"
	"github.com/sneckauth/sneck/introspect"
)

// pages answers by URL, and 404 to what it does not know.
type pages struct {
	mu    sync.Mutex
	pages map[string]http.Handler
	asked []string
}

func (p *pages) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := r.URL.String()
	p.asked = append(p.asked, at)
	if page, ok := p.pages[at]; ok {
		return reply(page), nil
	}
	return reply(lyingserver.Status(404, "")), nil
}

func (p *pages) set(at string, page http.Handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages[at] = page
}

func (p *pages) count(at string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, asked := range p.asked {
		if asked == at {
			n++
		}
	}
	return n
}

func discovering(issuer string) func(*introspect.Config) {
	return func(cfg *introspect.Config) { cfg.Endpoint, cfg.Issuer = "", issuer }
}

func TestDiscovery(t *testing.T) {
	for _, test := range []struct{ name, issuer, at string }{
		{"root", "https://as.example.com", "https://as.example.com/.well-known/oauth-authorization-server"},
		{"slash", "https://as.example.com/", "https://as.example.com/.well-known/oauth-authorization-server"},
		{"path", "https://as.example.com/t/a", "https://as.example.com/.well-known/oauth-authorization-server/t/a"},
		{"OpenID root", "https://as.example.com", "https://as.example.com/.well-known/openid-configuration"},
		{"OpenID path", "https://as.example.com/t/a", "https://as.example.com/t/a/.well-known/openid-configuration"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &pages{pages: map[string]http.Handler{
				test.at:                  lyingserver.Answer(fmt.Sprintf(`{"issuer":%q,"introspection_endpoint":"https://i.example.com/"}`, test.issuer)),
				"https://i.example.com/": lyingserver.Answer(good),
			}}
			c := scriptedClient(t, p.RoundTrip, discovering(test.issuer))
			for range 3 {
				got, err := c.Verify(t.Context(), "abc")
				require.NoError(t, err)
				assert.Equal(t, test.issuer, got.Issuer)
			}
			assert.Equal(t, 1, p.count(test.at))
			assert.NoError(t, c.Close())
		})
	}
}

const wellKnown = "https://as.example.com/.well-known/oauth-authorization-server"

func TestMetadataThatAreNotTaken(t *testing.T) {
	for name, page := range map[string]http.Handler{
		"other issuer":    lyingserver.Answer(`{"issuer":"https://evil.example.com","introspection_endpoint":"https://i.example.com/"}`),
		"issuer + slash":  lyingserver.Answer(`{"issuer":"https://as.example.com/","introspection_endpoint":"https://i.example.com/"}`),
		"no issuer":       lyingserver.Answer(`{"introspection_endpoint":"https://i.example.com/"}`),
		"odd case":        lyingserver.Answer(`{"Issuer":"https://as.example.com","introspection_endpoint":"https://i.example.com/"}`),
		"no endpoint":     lyingserver.Answer(`{"issuer":"https://as.example.com"}`),
		"plain endpoint":  lyingserver.Answer(`{"issuer":"https://as.example.com","introspection_endpoint":"http://i.example.com/"}`),
		"file endpoint":   lyingserver.Answer(`{"issuer":"https://as.example.com","introspection_endpoint":"file:///i"}`),
		"endpoint number": lyingserver.Answer(`{"issuer":"https://as.example.com","introspection_endpoint":1}`),
		"HTML":            lyingserver.Typed("text/html", `<html>`),
		"redirect":        lyingserver.Status(302, "", "Location", "https://i.example.com/meta"),
		"500":             lyingserver.Status(500, ""),
		"endless":         lyingserver.Answer(`{"issuer":"https://as.example.com","introspection_endpoint":"https://i.example.com/","x":"` + fmt.Sprintf("%0300000d", 0) + `"}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &pages{pages: map[string]http.Handler{wellKnown: page, "https://i.example.com/": lyingserver.Answer(good)}}
				c := scriptedClient(t, p.RoundTrip, discovering("https://as.example.com"))
				for range 10 {
					got, err := c.Verify(t.Context(), "abc")
					requireUnavailable(t, got, err)
				}
				assert.Equal(t, 1, p.count(wellKnown), "a failure is remembered for a moment")
				assert.Zero(t, p.count("https://i.example.com/"))

				p.set(wellKnown, lyingserver.Answer(`{"issuer":"https://as.example.com","introspection_endpoint":"https://i.example.com/"}`))
				time.Sleep(time.Second)
				_, err := c.Verify(t.Context(), "abc")
				require.NoError(t, err, "it recovers by itself")
			})
		})
	}
}

func TestMetadataAreFetchedAgainInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		meta := func(at string) http.Handler {
			return lyingserver.Answer(fmt.Sprintf(`{"issuer":"https://as.example.com","introspection_endpoint":%q}`, at))
		}
		p := &pages{pages: map[string]http.Handler{
			wellKnown: meta("https://one.example.com/"), "https://one.example.com/": lyingserver.Answer(good), "https://two.example.com/": lyingserver.Answer(good),
		}}
		c := scriptedClient(t, p.RoundTrip, discovering("https://as.example.com"))
		ask := func() {
			_, err := c.Verify(t.Context(), "abc")
			require.NoError(t, err)
			synctest.Wait()
		}
		ask()
		p.set(wellKnown, lyingserver.Status(500, ""))
		time.Sleep(2 * time.Hour)
		for range 5 {
			ask()
		}
		assert.Equal(t, 2, p.count(wellKnown))
		assert.Equal(t, 6, p.count("https://one.example.com/"), "what is known stays")

		p.set(wellKnown, meta("https://two.example.com/"))
		time.Sleep(time.Minute)
		ask()
		ask()
		assert.Equal(t, 1, p.count("https://two.example.com/"))

		require.NoError(t, c.Close())
		time.Sleep(2 * time.Hour)
		ask()
		assert.Equal(t, 3, p.count(wellKnown), "nothing goes on after Close")
	})
}

func TestCloseEndsADiscoveryInProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := scriptedClient(t, hang, discovering("https://as.example.com"))
		errs := make(chan error)
		go func() {
			_, err := c.Verify(t.Context(), "abc")
			errs <- err
		}()
		synctest.Wait()
		require.NoError(t, c.Close())
		require.Error(t, <-errs)
		got, err := c.Verify(t.Context(), "abc")
		requireUnavailable(t, got, err)
	})
}

func TestDiscoveryOfTheAliasForCertificates(t *testing.T) {
	p := &pages{pages: map[string]http.Handler{
		wellKnown: lyingserver.Answer(`{"issuer":"https://as.example.com","introspection_endpoint":"https://i.example.com/",` +
			`"mtls_endpoint_aliases":{"introspection_endpoint":"https://mtls.example.com/"}}`),
		"https://mtls.example.com/": lyingserver.Answer(good),
	}}
	c := scriptedClient(t, p.RoundTrip, discovering("https://as.example.com"), func(cfg *introspect.Config) { cfg.Credential = introspect.MTLS("api") })
	_, err := c.Verify(t.Context(), "abc")
	require.NoError(t, err)
}

func TestDiscoveryWithMistakes(t *testing.T) {
	for _, cfg := range []introspect.Config{
		{},
		{Issuer: "http://as.example.com"},
		{Issuer: "https://as.example.com?x=y"},
		{Issuer: "as.example.com"},
		{Issuer: "https://as.example.com", Failover: []string{"https://two.example.com"}},
	} {
		cfg.Credential = introspect.Bearer("x")
		_, err := introspect.New(cfg)
		assert.Error(t, err)
	}
}
