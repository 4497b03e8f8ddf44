package introspect_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/lyingserver"
	"github.com/sneckauth/sneck/introspect"
	"github.com/sneckauth/sneck/scopes"
)

const good = `{"active":true,"sub":"ada","scope":"read"}`

// asking returns a client of the server with changes to its configuration.
func asking(t testing.TB, s *lyingserver.Server, change ...func(*introspect.Config)) *introspect.Client {
	t.Helper()
	cfg := introspect.Config{
		Endpoint: s.URL + "/introspect", Credential: introspect.Basic("api", "s3cr3t"),
		Timeout: time.Minute, // No test but those of the deadline depends on the speed of the machine.
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := introspect.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

// The two kinds of "no" that an authority can cause.
func requireInvalid(t testing.TB, token *sneck.Token, err error) {
	t.Helper()
	require.Nil(t, token)
	require.ErrorIs(t, err, sneck.ErrInvalid)
	var unavailable *sneck.UnavailableError
	require.False(t, errors.As(err, &unavailable))
}

func requireUnavailable(t testing.TB, token *sneck.Token, err error) *sneck.UnavailableError {
	t.Helper()
	require.Nil(t, token)
	var unavailable *sneck.UnavailableError
	require.ErrorAs(t, err, &unavailable)
	require.NotErrorIs(t, err, sneck.ErrInvalid)
	require.NotErrorIs(t, err, sneck.ErrUnrecognized)
	return unavailable
}

func TestIC01_TokenOnlyInTheBodyAndUnchanged(t *testing.T) {
	s := lyingserver.New(t, lyingserver.Answer(good))
	c := asking(t, s, func(cfg *introspect.Config) {
		cfg.Endpoint += "?tenant=a"
		cfg.TokenTypeHint = "access_token"
		cfg.Parameters = url.Values{"audience": {"https://api.example.com"}}
		cfg.Header = http.Header{"X-Tenant": {"a"}}
	})
	for _, token := range []string{"abc", "a+b/c==", "a%26", "-._~+/=", strings.Repeat("x", sneck.MaxTokenBytes)} {
		_, err := c.Verify(t.Context(), token)
		if strings.Contains(token, "%") {
			require.ErrorIs(t, err, sneck.ErrInvalid)
			continue
		}
		require.NoError(t, err)
		last := s.Last(t)
		assert.Equal(t, http.MethodPost, last.Method)
		assert.Equal(t, "/introspect?tenant=a", last.URL.String())
		assert.Equal(t, url.Values{
			"token":           {token},
			"token_type_hint": {"access_token"},
			"audience":        {"https://api.example.com"},
		}, last.Form)
		assert.Equal(t, "application/x-www-form-urlencoded", last.Header.Get("Content-Type"))
		assert.Equal(t, "application/json", last.Header.Get("Accept"))
		assert.Equal(t, "a", last.Header.Get("X-Tenant"))
		assert.Empty(t, last.Header.Get("Cookie"))
	}
}

func TestNoCallForWhatIsNoToken(t *testing.T) {
	s := lyingserver.New(t, lyingserver.Answer(good))
	c := asking(t, s)
	for _, token := range []string{"", "a b", "a&client_id=x", "a\r\nb", "é", "=", strings.Repeat("x", sneck.MaxTokenBytes+1)} {
		got, err := c.Verify(t.Context(), token)
		requireInvalid(t, got, err)
	}
	assert.Empty(t, s.Seen())
	assert.Equal(t, introspect.Stats{Malformed: 7}, c.Stats())
}

func TestWholeToken(t *testing.T) {
	const body = `{"active":true,"iss":"https://as.example.com","sub":"ada","client_id":"app","username":"Ada L.","aud":["api","x"],` +
		`"scope":"read write","jti":"id1","token_type":"DPoP","iat":1700000000,"nbf":1.7e9,"exp":4000000000.5,"auth_time":1699999999,` +
		`"acr":"urn:gold","cnf":{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},"x":{"y":[1]}}`
	s := lyingserver.New(t, lyingserver.Answer(body))
	now := time.Unix(1_700_000_100, 0)
	c := asking(t, s, func(cfg *introspect.Config) { cfg.Now = func() time.Time { return now } })
	got, err := c.Verify(t.Context(), "abc")
	require.NoError(t, err)
	assert.Equal(t, &sneck.Token{
		Issuer: "https://as.example.com", Subject: "ada", ClientID: "app", Username: "Ada L.",
		Audience: []string{"api", "x"}, Scopes: scopes.MustParse("read write"), ID: "id1", Type: "DPoP",
		IssuedAt: time.Unix(1_700_000_000, 0), NotBefore: time.Unix(1_700_000_000, 0), Expires: time.Unix(4_000_000_000, 5e8),
		AuthTime: time.Unix(1_699_999_999, 0), ACR: "urn:gold",
		Confirmation: &sneck.Confirmation{JKT: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
		VerifiedAt:   now, Source: "introspection", RawClaims: []byte(body),
	}, got)
	assert.Equal(t, introspect.Stats{Active: 1, Tries: 1}, c.Stats())
}

func TestVerifiedAtIsWhenTheQuestionWasAsked(t *testing.T) {
	clock := time.Unix(1_700_000_000, 0)
	s := lyingserver.New(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		clock = clock.Add(time.Minute)
		lyingserver.Answer(good).ServeHTTP(w, r)
	}))
	c := asking(t, s, func(cfg *introspect.Config) { cfg.Now = func() time.Time { return clock } })
	got, err := c.Verify(t.Context(), "abc")
	require.NoError(t, err)
	assert.Equal(t, time.Unix(1_700_000_000, 0), got.VerifiedAt)
}

func TestIC02_BasicIsFormEncoded(t *testing.T) {
	const id, secret = "a:b c", "%+&/é "
	for _, test := range []struct {
		name       string
		credential introspect.Credential
		want       string
	}{
		{"encoded", introspect.Basic(id, secret), "a%3Ab+c:%25%2B%26%2F%C3%A9+"},
		{"raw", introspect.BasicRaw("ab", secret), "ab:" + secret},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := lyingserver.New(t, lyingserver.Answer(good))
			c := asking(t, s, func(cfg *introspect.Config) { cfg.Credential = test.credential })
			_, err := c.Verify(t.Context(), "abc")
			require.NoError(t, err)
			assert.Equal(t, "Basic "+base64.StdEncoding.EncodeToString([]byte(test.want)), s.Last(t).Header.Get("Authorization"))
			assert.Equal(t, url.Values{"token": {"abc"}}, s.Last(t).Form)
		})
	}
}

func TestPost(t *testing.T) {
	s := lyingserver.New(t, lyingserver.Answer(good))
	c := asking(t, s, func(cfg *introspect.Config) { cfg.Credential = introspect.Post("a:b", "% +") })
	_, err := c.Verify(t.Context(), "abc")
	require.NoError(t, err)
	assert.Equal(t, url.Values{"token": {"abc"}, "client_id": {"a:b"}, "client_secret": {"% +"}}, s.Last(t).Form)
	assert.Empty(t, s.Last(t).Header.Get("Authorization"))
}

func TestIC09_RefusedCredentialsAreAnOutage(t *testing.T) {
	for name, lie := range map[string]http.Handler{
		"401":                     lyingserver.Status(401, `{"error":"invalid_client"}`),
		"403":                     lyingserver.Status(403, ``),
		"400 invalid_client":      lyingserver.Status(400, `{"error":"invalid_client"}`),
		"400 unauthorized_client": lyingserver.Status(400, `{"error":"unauthorized_client"}`),
	} {
		t.Run(name, func(t *testing.T) {
			s := lyingserver.New(t, lie)
			c := asking(t, s, func(cfg *introspect.Config) { cfg.InvalidTokenOn400 = true })
			got, err := c.Verify(t.Context(), "abc")
			requireUnavailable(t, got, err)
			assert.ErrorIs(t, err, introspect.ErrCredentials)
			assert.Equal(t, introspect.Stats{Unavailable: 1, Tries: 1, CredentialsRefused: 1}, c.Stats())
		})
	}
}

func TestIC14_BadRequestForAToken(t *testing.T) {
	for _, test := range []struct {
		name, body string
		option     bool
		invalid    bool
	}{
		{"unsupported_token_type", `{"error":"unsupported_token_type"}`, false, true},
		{"invalid_token", `{"error":"invalid_token"}`, false, true},
		{"invalid_request", `{"error":"invalid_request"}`, false, false},
		{"no body", ``, false, false},
		{"invalid_request, option", `{"error":"invalid_request"}`, true, true},
		{"no body, option", ``, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := asking(t, lyingserver.New(t, lyingserver.Status(400, test.body)),
				func(cfg *introspect.Config) { cfg.InvalidTokenOn400 = test.option })
			got, err := c.Verify(t.Context(), "abc")
			if test.invalid {
				requireInvalid(t, got, err)
			} else {
				requireUnavailable(t, got, err)
				assert.NotErrorIs(t, err, introspect.ErrCredentials)
			}
		})
	}
}

func TestRetryAfterIsPassedOn(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, test := range []struct {
		value string
		want  time.Duration
	}{
		{"7", 7 * time.Second},
		{now.Add(90 * time.Second).UTC().Format(http.TimeFormat), 90 * time.Second},
		{now.Add(-time.Hour).UTC().Format(http.TimeFormat), 0},
		{"86400", time.Hour},
		{"99999999999999999999", 0},
		{"-5", 0},
		{"soon", 0},
	} {
		t.Run(test.value, func(t *testing.T) {
			s := lyingserver.New(t, lyingserver.Status(500, "", "Retry-After", test.value))
			c := asking(t, s, func(cfg *introspect.Config) { cfg.Now = func() time.Time { return now } })
			got, err := c.Verify(t.Context(), "abc")
			assert.Equal(t, test.want, requireUnavailable(t, got, err).RetryAfter)
			assert.Len(t, s.Seen(), 1)
		})
	}
}

func TestWithdrawnQuestion(t *testing.T) {
	s := lyingserver.New(t, lyingserver.Hang())
	c := asking(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := c.Verify(ctx, "abc")
	requireUnavailable(t, got, err)
	assert.ErrorIs(t, err, context.Canceled)
	assert.EqualValues(t, 1, c.Stats().Withdrawn)
}

func TestRecognize(t *testing.T) {
	s := lyingserver.New(t, lyingserver.Answer(good))
	c := asking(t, s, func(cfg *introspect.Config) {
		cfg.Recognize = func(token string) error {
			switch {
			case strings.HasPrefix(token, "other_"):
				return sneck.ErrUnrecognized
			case strings.HasPrefix(token, "broken_"):
				return sneck.ErrInvalid
			case strings.HasPrefix(token, "who_"):
				return errors.New("key not loaded")
			}
			return nil
		}
	})
	_, err := c.Verify(t.Context(), "other_x")
	assert.ErrorIs(t, err, sneck.ErrUnrecognized)
	got, err := c.Verify(t.Context(), "broken_x")
	requireInvalid(t, got, err)
	got, err = c.Verify(t.Context(), "who_x")
	requireUnavailable(t, got, err)
	assert.Empty(t, s.Seen())
	_, err = c.Verify(t.Context(), "ours_x")
	assert.NoError(t, err)
	assert.Equal(t, introspect.Stats{Active: 1, Unrecognized: 1, Malformed: 1, Unavailable: 1, Tries: 1}, c.Stats())
}

// What is put around the transport sees every request, and the transport is
// the client's own.
func TestWrapTransport(t *testing.T) {
	s := lyingserver.New(t, lyingserver.Status(http.StatusServiceUnavailable, ""), lyingserver.Answer(good))
	seen := 0
	c := asking(t, s, func(cfg *introspect.Config) {
		cfg.WrapTransport = func(own http.RoundTripper) http.RoundTripper {
			assert.IsType(t, &http.Transport{}, own)
			assert.NotSame(t, http.DefaultTransport, own)
			return scripted(func(r *http.Request) (*http.Response, error) {
				seen++
				return own.RoundTrip(r)
			})
		}
	})
	token, err := c.Verify(t.Context(), "abc")
	require.NoError(t, err)
	assert.Equal(t, "ada", token.Subject)
	assert.Equal(t, 2, seen, "it was repeated once")
}
