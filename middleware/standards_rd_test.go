package middleware_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/dpop/dpoptest"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// A holder has a key, a token that is bound to it, and a guard.
type holder struct {
	t     *testing.T
	key   *dpoptest.Signer
	guard *middleware.Guard
	n     int
}

func newHolder(t *testing.T, change func(*middleware.Config)) *holder {
	key := dpoptest.New(t, "ES256")
	bound := token("read")
	bound.Confirmation = &sneck.Confirmation{JKT: key.Thumbprint(t)}
	guard := newGuard(t, func(c *middleware.Config) {
		c.Verifier = tokens{"bound": bound, "plain": token("read")}
		c.DPoP = middleware.DPoP{Mode: middleware.Optional, External: audience}
		if change != nil {
			change(c)
		}
	})
	return &holder{t: t, key: key, guard: guard}
}

// proof returns a good proof for a GET of the root, after a change.
func (h *holder) proof(header, change map[string]any) string {
	h.n++
	claims := map[string]any{
		"jti": fmt.Sprint(h.n), "htm": "GET", "htu": audience + "/", "iat": now.Unix(), "ath": dpoptest.TokenHash("bound"),
	}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return h.key.Proof(h.t, header, claims)
}

// reason returns how a request with the token and these proofs fares.
func (h *holder) reason(authorization string, proofs ...string) middleware.Reason {
	r := get(authorization)
	r.Header["Dpop"] = proofs
	return h.guard.Check(r, anyToken).Reason
}

type claims = map[string]any

func TestRD01_BoundTokensAndBearerTokensAreKeptApart(t *testing.T) {
	h := newHolder(t, nil)
	assert.Equal(t, ok, h.reason("DPoP bound", h.proof(nil, nil)))
	assert.Equal(t, middleware.ReasonBinding, h.reason("Bearer bound", h.proof(nil, nil)))
	assert.Equal(t, middleware.ReasonBinding, h.reason("DPoP plain", h.proof(nil, claims{"ath": dpoptest.TokenHash("plain")})))
}

func TestRD02_OneProof(t *testing.T) {
	h := newHolder(t, nil)
	for _, proofs := range [][]string{{}, {""}, {h.proof(nil, nil), h.proof(nil, nil)}, {h.proof(nil, nil) + "," + h.proof(nil, nil)}, {"x.y"}} {
		assert.Equal(t, middleware.ReasonProof, h.reason("DPoP bound", proofs...))
	}
}

func TestRD03_AllClaims(t *testing.T) {
	h := newHolder(t, nil)
	for _, name := range []string{"jti", "htm", "htu", "iat", "ath"} {
		assert.Equal(t, middleware.ReasonProof, h.reason("DPoP bound", h.proof(nil, claims{name: nil})), name)
	}
}

func TestRD04_TypeAlgorithmKeyAndSignature(t *testing.T) {
	h := newHolder(t, nil)
	private := maps.Clone(h.key.JWK)
	private["d"] = "AAAA"
	for name, header := range map[string]claims{
		"typ": {"typ": "JWT"}, "none": {"alg": "none"}, "HS256": {"alg": "HS256"}, "no key": {"jwk": nil}, "private": {"jwk": private},
	} {
		assert.Equal(t, middleware.ReasonProof, h.reason("DPoP bound", h.proof(header, nil)), name)
	}
	good := h.proof(nil, nil)
	assert.Equal(t, middleware.ReasonProof, h.reason("DPoP bound", good[:len(good)-8]+"AAAAAAAA"))
}

func TestRD05_MethodAndURL(t *testing.T) {
	h := newHolder(t, nil)
	assert.Equal(t, middleware.ReasonProof, h.reason("DPoP bound", h.proof(nil, claims{"htm": "POST"})))
	assert.Equal(t, middleware.ReasonProof, h.reason("DPoP bound", h.proof(nil, claims{"htu": audience + "/other"})))
	assert.Equal(t, ok, h.reason("DPoP bound", h.proof(nil, claims{"htu": audience + "/?q=1#f"})))
}

func TestRD06_URLNormalisedAndFromConfigOnly(t *testing.T) {
	h := newHolder(t, nil)
	assert.Equal(t, ok, h.reason("DPoP bound", h.proof(nil, claims{"htu": "HTTPS://API.EXAMPLE:443"})))

	r := change(get("DPoP bound"), set("X-Forwarded-Host", "evil.example"), set("Forwarded", "host=evil.example"),
		set("DPoP", h.proof(nil, claims{"htu": "https://evil.example/"})))
	r.Host = "evil.example"
	assert.Equal(t, middleware.ReasonProof, h.guard.Check(r, anyToken).Reason)
}

func TestRD07_Window(t *testing.T) {
	h := newHolder(t, nil)
	for seconds, want := range map[int64]middleware.Reason{
		-3600: middleware.ReasonProof, -61: middleware.ReasonProof, -60: ok, 0: ok, 60: ok, 61: middleware.ReasonProof, 3600: middleware.ReasonProof,
	} {
		assert.Equal(t, want, h.reason("DPoP bound", h.proof(nil, claims{"iat": now.Unix() + seconds})), seconds)
	}
}

func TestRD08_TokenHashAndThumbprint(t *testing.T) {
	h, other := newHolder(t, nil), newHolder(t, nil)
	assert.Equal(t, middleware.ReasonProof, h.reason("DPoP bound", h.proof(nil, claims{"ath": dpoptest.TokenHash("plain")})))
	assert.Equal(t, middleware.ReasonBinding, h.reason("DPoP bound", other.proof(nil, nil)))
}

func TestRD09_Replay(t *testing.T) {
	shared := middleware.NewReplayMemory(0, func() time.Time { return now })
	h := newHolder(t, func(c *middleware.Config) { c.DPoP.Replays = shared })
	proof := h.proof(nil, nil)
	assert.Equal(t, ok, h.reason("DPoP bound", proof))
	assert.Equal(t, middleware.ReasonReplay, h.reason("DPoP bound", proof))
	// The same "jti" in another proof is a replay as well, at the same URL.
	assert.Equal(t, middleware.ReasonReplay, h.reason("DPoP bound", h.proof(nil, claims{"jti": "1", "iat": now.Unix() - 9})))
}

func TestRD10_Nonce(t *testing.T) {
	h := newHolder(t, func(c *middleware.Config) { c.DPoP.NonceKey = bytes.Repeat([]byte("k"), 32) })
	r := change(get("DPoP bound"), set("DPoP", h.proof(nil, nil)))
	rec := serve(h.guard, anyToken, r)
	assert.Equal(t, 401, rec.Code)
	assert.Equal(t, "use_dpop_nonce", challengeOf(t, rec).params["error"])
	nonce := rec.Header().Get("DPoP-Nonce")
	rec = serve(h.guard, anyToken, change(get("DPoP bound"), set("DPoP", h.proof(nil, claims{"nonce": nonce}))))
	assert.Equal(t, 200, rec.Code)
	assert.NotEmpty(t, rec.Header().Get("DPoP-Nonce"))
	// That old nonces are refused is in TestNonceOverTime.
}

func TestRD11_Challenge(t *testing.T) {
	h := newHolder(t, nil)
	rec := serve(h.guard, anyToken, get("DPoP bound"))
	c := challengeOf(t, rec)
	assert.Equal(t, 401, rec.Code)
	assert.Equal(t, "DPoP", c.scheme)
	assert.Equal(t, "invalid_dpop_proof", c.params["error"])
	assert.Equal(t, "ES256 EdDSA ES384 ES512 PS256 RS256", c.params["algs"])

	rec = serve(h.guard, anyToken, change(get("DPoP bound"), set("DPoP", newHolder(t, nil).proof(nil, nil))))
	assert.Equal(t, "invalid_token", challengeOf(t, rec).params["error"])
}

// Over real connections, with certificates that no authority signed: what
// counts is the key (RFC 8705, section 2.2).
func TestRD12_Certificate(t *testing.T) {
	mine, others := selfSigned(t), selfSigned(t)
	sum := sha256.Sum256(mine.Certificate[0])
	bound := token("read")
	bound.Confirmation = &sneck.Confirmation{X5TS256: base64.RawURLEncoding.EncodeToString(sum[:])}
	guard := newGuard(t, func(c *middleware.Config) {
		c.Verifier, c.MTLS.Mode = tokens{"bound": bound, "plain": token("read")}, middleware.Optional
	})
	server := httptest.NewUnstartedServer(guard.Wrap(http.HandlerFunc(hello)))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	defer server.Close()

	for _, test := range []struct {
		name         string
		certificates []tls.Certificate
		token        string
		status       int
	}{
		{"good", []tls.Certificate{mine}, "bound", 200},
		{"another", []tls.Certificate{others}, "bound", 401},
		{"none", nil, "bound", 401},
		{"token is not bound", []tls.Certificate{others}, "plain", 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			transport := server.Client().Transport.(*http.Transport).Clone()
			defer transport.CloseIdleConnections()
			transport.TLSClientConfig.Certificates = test.certificates
			req, err := http.NewRequestWithContext(t.Context(), "GET", server.URL, nil)
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer "+test.token)
			res, err := (&http.Client{Transport: transport}).Do(req)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			assert.Equal(t, test.status, res.StatusCode)
			if test.status == 401 {
				all, err := parseChallenges(res.Header.Get("WWW-Authenticate"))
				require.NoError(t, err)
				assert.Equal(t, "invalid_token", all[0].params["error"])
			}
		})
	}
}

func selfSigned(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestRD13_CertificateFromTrustedProxyOnly(t *testing.T) {
	der := selfSigned(t).Certificate[0]
	sum := sha256.Sum256(der)
	bound := token("read")
	bound.Confirmation = &sneck.Confirmation{X5TS256: base64.RawURLEncoding.EncodeToString(sum[:])}
	guard := newGuard(t, func(c *middleware.Config) {
		c.Verifier = tokens{"bound": bound}
		c.MTLS = middleware.MTLS{
			Mode: middleware.Strict, Header: "Client-Cert",
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")},
		}
	})
	for remote, want := range map[string]middleware.Reason{
		"10.0.0.1:1234": ok, "10.0.0.2:1234": middleware.ReasonBinding, "192.0.2.1:1234": middleware.ReasonBinding, "": middleware.ReasonBinding,
	} {
		r := change(get("Bearer bound"), set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(der)+":"))
		r.RemoteAddr = remote
		assert.Equal(t, want, guard.Check(r, anyToken).Reason, remote)
	}
	_, err := middleware.New(middleware.Config{
		Verifier: tableVerifier{}, Audience: []string{audience},
		MTLS: middleware.MTLS{Mode: middleware.Strict, Header: "Client-Cert"},
	})
	assert.Error(t, err, "a header that anybody may set")
}

func TestRD14_StepUp(t *testing.T) {
	guard := newGuard(t, nil)
	policy := middleware.Policy{Scopes: scopes.AnyToken(), ACR: []string{"gold", "silver"}, MaxAge: time.Hour}
	rec := serve(guard, policy, get("Bearer read"))
	params := challengeOf(t, rec).params
	assert.Equal(t, 401, rec.Code)
	assert.Equal(t, "insufficient_user_authentication", params["error"])
	assert.Equal(t, "gold silver", params["acr_values"])
	assert.Equal(t, "3600", params["max_age"])
}

func TestRD15_WhatIsNotSaidDoesNotCount(t *testing.T) {
	guard := newGuard(t, nil)
	for _, policy := range []middleware.Policy{
		{Scopes: scopes.AnyToken(), ACR: []string{"gold"}},
		{Scopes: scopes.AnyToken(), MaxAge: 1000 * time.Hour},
	} {
		assert.Equal(t, middleware.ReasonStepUp, guard.Check(get("Bearer read"), policy).Reason)
	}
}

func TestDPoPWithStripPrefix(t *testing.T) {
	h := newHolder(t, func(c *middleware.Config) { c.DPoP.External = audience + "/v1" })
	handler := http.StripPrefix("/v1", h.guard.Wrap(http.HandlerFunc(hello)))
	r := change(do("GET", "/v1/songs", "DPoP bound"), set("DPoP", h.proof(nil, claims{"htu": audience + "/v1/songs"})))
	rec := serveHandler(handler, r)
	assert.Equal(t, admitted, rec, strings.TrimSpace(rec))
}
