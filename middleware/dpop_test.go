package middleware_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/dpop/dpoptest"
	"github.com/sneckauth/sneck/middleware"
)

func TestBindingConfigMistakes(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*middleware.Config)
		says   string
	}{
		"unknown mode": {func(c *middleware.Config) { c.DPoP.Mode = "on" }, "none of off, optional, strict"},
		"off":          {func(c *middleware.Config) { c.DPoP.External = "https://api.example" }, "configured but off"},
		"no URL":       {func(c *middleware.Config) { c.DPoP.Mode = middleware.Strict }, "DPoP.External"},
		"relative URL": {func(c *middleware.Config) { c.DPoP = middleware.DPoP{Mode: middleware.Strict, External: "api.example"} }, "DPoP.External"},
		"URL with query": {func(c *middleware.Config) {
			c.DPoP = middleware.DPoP{Mode: middleware.Strict, External: "https://api.example/?a"}
		}, "query"},
		"window": {func(c *middleware.Config) {
			c.DPoP = middleware.DPoP{Mode: middleware.Strict, External: "https://api.example", Window: time.Hour}
		}, "DPoP.Window"},
		"algorithm": {func(c *middleware.Config) {
			c.DPoP = middleware.DPoP{Mode: middleware.Strict, External: "https://api.example", Algorithms: []string{"HS256"}}
		}, "HS256"},
		"short key": {func(c *middleware.Config) {
			c.DPoP = middleware.DPoP{Mode: middleware.Strict, External: "https://api.example", NonceKey: []byte("short")}
		}, "NonceKey"},
		"nonce TTL": {func(c *middleware.Config) {
			c.DPoP = middleware.DPoP{Mode: middleware.Strict, External: "https://api.example", NonceTTL: 1}
		}, "NonceTTL"},
		"mTLS mode":      {func(c *middleware.Config) { c.MTLS.Mode = "yes" }, "MTLS.Mode"},
		"header, off":    {func(c *middleware.Config) { c.MTLS.Header = "Client-Cert" }, "configured but off"},
		"header, no one": {func(c *middleware.Config) { c.MTLS = middleware.MTLS{Mode: middleware.Strict, Header: "Client-Cert"} }, "need each other"},
		"proxies, no header": {func(c *middleware.Config) {
			c.MTLS = middleware.MTLS{Mode: middleware.Strict, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("::/0")}}
		}, "need each other"},
	} {
		t.Run(name, func(t *testing.T) {
			config := middleware.Config{Verifier: tableVerifier{}, Audience: []string{audience}}
			test.change(&config)
			_, err := middleware.New(config)
			assert.ErrorContains(t, err, test.says)
		})
	}
}

// A nonce is handed out with every answer, and is good for its time but no
// longer than twice that.
func TestNonceOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := dpoptest.New(t, "ES256")
		bound := &sneck.Token{Audience: []string{audience}, Confirmation: &sneck.Confirmation{JKT: key.Thumbprint(t)}}
		guard, err := middleware.New(middleware.Config{
			Verifier: tokens{"bound": bound},
			Audience: []string{audience},
			DPoP: middleware.DPoP{
				Mode: middleware.Strict, External: "https://api.example",
				NonceKey: bytes.Repeat([]byte("n"), 32), NonceTTL: time.Minute,
			},
		})
		require.NoError(t, err)
		handler := guard.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		n := 0
		send := func(nonce string) (status int, next string) {
			n++
			r := get("DPoP bound")
			r.Header.Set("DPoP", key.Proof(t, nil, map[string]any{
				"jti": fmt.Sprint(n), "htm": "GET", "htu": "https://api.example/", "iat": time.Now().Unix(),
				"ath": dpoptest.TokenHash("bound"), "nonce": nonce,
			}))
			rec := httptest.NewRecorder()
			handler.ServeHTTP(rec, r)
			return rec.Code, rec.Header().Get("DPoP-Nonce")
		}

		status, nonce := send("guess")
		require.Equal(t, http.StatusUnauthorized, status)
		for range 60 {
			status, _ = send(nonce)
			require.Equal(t, http.StatusOK, status)
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		status, next := send(nonce)
		assert.Equal(t, http.StatusUnauthorized, status)
		assert.NotEqual(t, nonce, next)
		status, _ = send(next)
		assert.Equal(t, http.StatusOK, status)
	})
}

// A proof that one guard has seen is spent for another with the same store.
func TestGuardsShareReplays(t *testing.T) {
	key := dpoptest.New(t, "ES256")
	store := middleware.NewReplayMemory(0, func() time.Time { return now })
	bound := token("read")
	bound.Confirmation = &sneck.Confirmation{JKT: key.Thumbprint(t)}
	open := func() *middleware.Guard {
		return newGuard(t, func(c *middleware.Config) {
			c.Verifier = tokens{"bound": bound}
			c.DPoP = middleware.DPoP{Mode: middleware.Optional, External: "https://api.example", Replays: store}
		})
	}
	r := get("DPoP bound")
	r.Header.Set("DPoP", key.Proof(t, nil, map[string]any{
		"jti": "1", "htm": "GET", "htu": "https://api.example/", "iat": now.Unix(), "ath": dpoptest.TokenHash("bound"),
	}))
	assert.Equal(t, middleware.ReasonAdmitted, open().Check(r, anyToken).Reason)
	assert.Equal(t, middleware.ReasonReplay, open().Check(r, anyToken).Reason)
}
