package introspect_test

import (
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/internal/lyingserver"
	"github.com/sneckauth/sneck/introspect"
)

// An issuing peer gives out numbered access tokens and takes those above a number.
type issuing struct {
	mu      sync.Mutex
	issued  int
	revoked int // and all before it
	latency time.Duration
	fault   http.Handler // of the token endpoint, if set
	forms   []url.Values
}

func (p *issuing) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(p.latency)
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.URL.Path == "/token" {
		_ = r.ParseForm()
		p.forms = append(p.forms, r.PostForm)
		if p.fault != nil {
			return reply(p.fault), nil
		}
		p.issued++
		return reply(lyingserver.Answer(fmt.Sprintf(`{"access_token":"at%d","token_type":"bearer","expires_in":1000}`, p.issued))), nil
	}
	var n int
	if _, err := fmt.Sscanf(r.Header.Get("Authorization"), "Bearer at%d", &n); err != nil || n <= p.revoked {
		return reply(lyingserver.Status(401, "")), nil
	}
	return reply(lyingserver.Answer(good)), nil
}

func (p *issuing) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.issued
}

func obtaining(t *testing.T, p *issuing) *introspect.Client {
	return scriptedClient(t, p.RoundTrip, func(cfg *introspect.Config) {
		cfg.Credential = introspect.ClientCredentials(introspect.TokenRequest{
			Endpoint: "https://as.example.com/token", Credential: introspect.Post("api", "s3cr3t"), Transport: p,
			Scope: "introspect", Parameters: url.Values{"resource": {"https://as.example.com/"}},
		})
	})
}

func TestClientCredentialsAreObtainedOnceAndRenewedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &issuing{latency: 100 * time.Millisecond}
		c := obtaining(t, p)
		ask := func() time.Duration {
			began := time.Now()
			_, err := c.Verify(t.Context(), "abc")
			assert.NoError(t, err)
			return time.Since(began)
		}
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { ask() })
		}
		all.Wait()
		require.Equal(t, 1, p.count())
		assert.Equal(t, url.Values{
			"grant_type": {"client_credentials"}, "scope": {"introspect"}, "resource": {"https://as.example.com/"},
			"client_id": {"api"}, "client_secret": {"s3cr3t"},
		}, p.forms[0])

		time.Sleep(749 * time.Second)
		ask()
		require.Equal(t, 1, p.count())
		time.Sleep(2 * time.Second)
		assert.Equal(t, 100*time.Millisecond, ask(), "nobody waits for a renewal ahead of time")
		time.Sleep(time.Second)
		require.Equal(t, 2, p.count())
		assert.Equal(t, 100*time.Millisecond, ask())

		time.Sleep(time.Hour)
		assert.Equal(t, 200*time.Millisecond, ask(), "after the end there is nothing else to do")
		require.Equal(t, 3, p.count())
	})
}

func TestClientCredentialsAreRenewedWhenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &issuing{latency: time.Millisecond}
		c := obtaining(t, p)
		_, err := c.Verify(t.Context(), "abc")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		p.revoked = 1
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				_, err := c.Verify(t.Context(), "abc")
				assert.NoError(t, err)
			})
		}
		all.Wait()
		assert.Equal(t, 2, p.count())
		assert.EqualValues(t, 20, c.Stats().Renewals)
		assert.Zero(t, c.Stats().CredentialsRefused)
	})
}

func TestAuthorityThatRefusesEveryAccessToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &issuing{}
		c := scriptedClient(t, func(r *http.Request) (*http.Response, error) { return reply(lyingserver.Status(401, "")), nil },
			func(cfg *introspect.Config) {
				cfg.Credential = introspect.ClientCredentials(introspect.TokenRequest{
					Endpoint: "https://as.example.com/token", Credential: introspect.Basic("api", "s3cr3t"), Transport: p})
			})
		for range 50 {
			got, err := c.Verify(t.Context(), "abc")
			requireUnavailable(t, got, err)
			require.ErrorIs(t, err, introspect.ErrCredentials)
		}
		assert.Equal(t, 1, p.count())
		time.Sleep(2 * time.Second)
		_, _ = c.Verify(t.Context(), "abc")
		assert.Equal(t, 2, p.count(), "once a second at most")
	})
}

func TestTokenEndpointIsDown(t *testing.T) {
	for name, test := range map[string]struct {
		lie         http.Handler
		credentials bool
		requests    int
	}{
		"401":            {lyingserver.Status(401, ""), true, 1},
		"invalid_client": {lyingserver.Status(400, `{"error":"invalid_client"}`), true, 1},
		"invalid_scope":  {lyingserver.Status(400, `{"error":"invalid_scope"}`), false, 1},
		"503":            {lyingserver.Status(503, ""), false, 2},
		"302":            {lyingserver.Status(302, "", "Location", "https://other.example.com/"), false, 1},
		"HTML":           {lyingserver.Typed("text/html", ""), false, 1},
		"no token":       {lyingserver.Answer(`{}`), false, 1},
		"other case":     {lyingserver.Answer(`{"Access_Token":"x","token_type":"Bearer"}`), false, 1},
		"no type":        {lyingserver.Answer(`{"access_token":"x"}`), false, 1},
		"DPoP":           {lyingserver.Answer(`{"access_token":"x","token_type":"DPoP"}`), false, 1},
		"line end":       {lyingserver.Answer(`{"access_token":"x\r\n","token_type":"Bearer"}`), false, 1},
		"expired":        {lyingserver.Answer(`{"access_token":"x","token_type":"Bearer","expires_in":0}`), false, 1},
		"expires odd":    {lyingserver.Answer(`{"access_token":"x","token_type":"Bearer","expires_in":"3600"}`), false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &issuing{fault: test.lie}
				c := obtaining(t, p)
				for range 20 {
					got, err := c.Verify(t.Context(), "abc")
					requireUnavailable(t, got, err)
					if test.credentials {
						require.ErrorIs(t, err, introspect.ErrCredentials)
					} else {
						require.NotErrorIs(t, err, introspect.ErrCredentials)
					}
				}
				assert.Len(t, p.forms, test.requests, "the others do not ask again at once")
				assert.Zero(t, c.Stats().Tries)
				assert.Zero(t, c.Stats().Opened)

				p.fault = nil
				time.Sleep(time.Second)
				_, err := c.Verify(t.Context(), "abc")
				require.NoError(t, err, "it recovers by itself")
			})
		})
	}
}

func TestClientCredentialsWithMistakes(t *testing.T) {
	_, err := introspect.New(introspect.Config{
		Endpoint: "https://as.example.com/i",
		Credential: introspect.ClientCredentials(introspect.TokenRequest{
			Endpoint: "http://as.example.com/token", Timeout: -1, Credential: introspect.Basic("", "x"),
		}),
	})
	for _, want := range []string{"TokenRequest.Endpoint must begin with https://", "Basic: the id is empty", "TokenRequest.Timeout is negative"} {
		assert.ErrorContains(t, err, want)
	}
}
