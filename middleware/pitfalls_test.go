package middleware_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/internal/dpop/dpoptest"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// What others of our kind got wrong, by the numbers of our list of pitfalls:
// A2 of caches, D31 to D35 of extraction, F50 to F53 of sender constraint and
// step-up, H65 to H70 of challenges. Where tests of the standards have it all
// already, they are named here.
//
// Not here: H67, secrets are compared in constant time by crypto/subtle and
// tokens are looked up by a keyed digest, neither of which a test can show
// without being a matter of luck; H68, connections to the authority are
// introspect's, H69, configuration that is printed is the command's, and H70,
// there is no receiver of security events.

// A2: scopes, audience and binding are decided after the cache, for each route
// and request anew.
func TestPitfallA2_CacheKnowsNoRoute(t *testing.T) {
	calls := 0
	remembered, err := cache.New(cache.Config{TTL: time.Hour, Verifier: sneck.VerifierFunc(func(_ context.Context, _ string) (*sneck.Token, error) {
		calls++
		got := token("foo")
		got.Expires, got.VerifiedAt = time.Now().Add(time.Hour), time.Now()
		return got, nil
	})})
	require.NoError(t, err)
	defer remembered.Close()
	guard := newGuard(t, func(c *middleware.Config) { c.Verifier, c.Now = remembered, nil })
	sibling := newGuard(t, func(c *middleware.Config) {
		c.Verifier, c.Now, c.Audience = remembered, nil, []string{"https://sibling.example"}
	})
	strict := newGuard(t, func(c *middleware.Config) {
		c.Verifier, c.Now, c.MTLS.Mode = remembered, nil, middleware.Strict
	})
	for range 2 {
		assert.Equal(t, ok, guard.Check(get("Bearer token"), middleware.Policy{Scopes: scopes.All("foo")}).Reason)
		assert.Equal(t, scope, guard.Check(get("Bearer token"), middleware.Policy{Scopes: scopes.All("bar")}).Reason)
		assert.Equal(t, middleware.ReasonStepUp, guard.Check(get("Bearer token"), middleware.Policy{Scopes: scopes.AnyToken(), ACR: []string{"gold"}}).Reason)
		assert.Equal(t, middleware.ReasonAudience, sibling.Check(get("Bearer token"), anyToken).Reason)
		assert.Equal(t, middleware.ReasonBinding, strict.Check(get("Bearer token"), anyToken).Reason)
	}
	assert.Equal(t, 1, calls)
}

func TestPitfallD31_OneToken(t *testing.T) {
	guard := newGuard(t, func(c *middleware.Config) { c.AllowFormBody, c.AllowQuery = true, true })
	for name, r := range map[string]*http.Request{
		"two headers":      get("Bearer read", "Bearer unknown"),
		"two equal ones":   get("Bearer read", "Bearer read"),
		"joined":           get("Bearer read, Bearer unknown"),
		"header and query": do("GET", "/?access_token=read", "Bearer read"),
		"header and body":  change(form("access_token=read"), set("Authorization", "Bearer read")),
		"query and body":   change(form("access_token=read"), func(r *http.Request) { r.URL.RawQuery = "access_token=read" }),
	} {
		assert.Equal(t, 400, serve(guard, anyToken, r).Code, name)
	}
	// Not allowed to bring a token, the query may still not hide one.
	assert.Equal(t, 400, serve(newGuard(t, nil), anyToken, do("GET", "/?access_token=read", "Bearer read")).Code)
}

func TestPitfallD32_Forms(t *testing.T) {
	guard := newGuard(t, nil)
	for header, want := range map[string]middleware.Reason{
		"Bearer read": ok, "bearer read": ok, "BEARER read": ok, "Bearer   read": ok,
		"Bearer\tread": malformed, "Bearer read ": malformed, "Bearer read\t": malformed, "Bearer rea d": malformed,
		"Bearer": malformed, "Bearer ": malformed, "Bearer ,": twoTokens, "Bearerread": noToken, "": noToken,
		"Bearer re\x00ad": refused, "Bearer réad": refused,
		"Bearer " + strings.Repeat("a", sneck.MaxTokenBytes):   refused,
		"Bearer " + strings.Repeat("a", sneck.MaxTokenBytes+1): middleware.ReasonTooLong,
	} {
		assert.Equal(t, want, guard.Check(get(header), anyToken).Reason, "%.40q", header)
	}
	// That the length is looked at first is in TestRS14_OversizedIsCheap.
}

// See also TestRS10_QueryOnlyIfAllowed and TestHandlerSeesCleanRequest.
func TestPitfallD33_Query(t *testing.T) {
	guard := newGuard(t, func(c *middleware.Config) { c.AllowQuery = true })
	handler := guard.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.String()+" "+r.RequestURI)
	}))
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, do("GET", "/a?b=1&access_token=read&c"))
	assert.Equal(t, "/a?b=1&c /a?b=1&c", rec.Body.String())
	assert.Equal(t, "private", rec.Header().Get("Cache-Control"))
	for _, method := range []string{"HEAD", "POST", "PUT", "DELETE"} {
		assert.Equal(t, 401, serve(guard, anyToken, do(method, "/?access_token=read")).Code, method)
	}
}

// A preflight is told by all that makes one, and nothing else is let through
// without a token. An upgraded connection is decided about when it begins, and
// ends when its handler has it end: the token in the context says when.
func TestPitfallD34_Methods(t *testing.T) {
	guard := newGuard(t, func(c *middleware.Config) { c.AllowPreflight = true })
	origin, asks := set("Origin", "https://app.example"), set("Access-Control-Request-Method", "GET")
	for name, test := range map[string]struct {
		r    *http.Request
		want int
	}{
		"preflight":      {change(do("OPTIONS", "/"), origin, asks), 200},
		"no origin":      {change(do("OPTIONS", "/"), asks), 401},
		"no method":      {change(do("OPTIONS", "/"), origin), 401},
		"with a token":   {change(do("OPTIONS", "/", "Bearer unknown"), origin, asks), 401},
		"not OPTIONS":    {change(do("GET", "/"), origin, asks), 401},
		"lower case":     {change(change(do("OPTIONS", "/"), origin, asks), method("options")), 401},
		"by override":    {change(do("POST", "/"), origin, asks, set("X-HTTP-Method-Override", "OPTIONS")), 401},
		"upgrade":        {change(do("GET", "/"), set("Connection", "Upgrade"), set("Upgrade", "websocket")), 401},
		"CONNECT":        {change(do("GET", "/"), method("CONNECT")), 401},
		"unknown method": {change(do("GET", "/"), method("BREW")), 401},
	} {
		assert.Equal(t, test.want, serve(guard, anyToken, test.r).Code, name)
	}
	policy := middleware.Policy{Scopes: scopes.ReadWrite{}.Required()}
	r := change(do("DELETE", "/", "Bearer read"), set("X-HTTP-Method-Override", "GET"), set("X-Method-Override", "GET"))
	assert.Equal(t, 403, serve(guard, policy, r).Code)
}

// What comes in trailers is no credential. HTTP/2 of Go ends the stream.
func TestPitfallD35_Trailers(t *testing.T) {
	server := httptest.NewUnstartedServer(newGuard(t, nil).Wrap(http.HandlerFunc(hello)))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL, io.MultiReader(strings.NewReader("body")))
	require.NoError(t, err)
	r.Trailer = http.Header{"Authorization": {"Bearer read"}}
	if resp, err := server.Client().Do(r); err == nil {
		defer resp.Body.Close()
		assert.Equal(t, 2, resp.ProtoMajor)
		assert.Equal(t, 401, resp.StatusCode)
	}

	plain := httptest.NewServer(server.Config.Handler)
	defer plain.Close()
	conn, err := net.Dial("tcp", plain.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nTrailer: Authorization\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"1\r\na\r\n0\r\nAuthorization: Bearer read\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.GreaterOrEqual(t, resp.StatusCode, 400)
}

// The rest is in TestRD01 to TestRD10.
func TestPitfallF50_Proofs(t *testing.T) {
	h, other := newHolder(t, nil), newHolder(t, nil)
	for name, test := range map[string]struct {
		authorization string
		proofs        []string
		want          middleware.Reason
	}{
		"bound token as Bearer":     {"Bearer bound", nil, middleware.ReasonBinding},
		"and with a proof":          {"Bearer bound", []string{h.proof(nil, nil)}, middleware.ReasonBinding},
		"Bearer token with a proof": {"DPoP plain", []string{h.proof(nil, claims{"ath": dpoptest.TokenHash("plain")})}, middleware.ReasonBinding},
		"another key":               {"DPoP bound", []string{other.proof(nil, nil)}, middleware.ReasonBinding},
		"no ath":                    {"DPoP bound", []string{h.proof(nil, claims{"ath": nil})}, middleware.ReasonProof},
		"htm in another case":       {"DPoP bound", []string{h.proof(nil, claims{"htm": "get"})}, middleware.ReasonProof},
		"htu with a query":          {"DPoP bound", []string{h.proof(nil, claims{"htu": audience + "/?a=b"})}, ok},
		"htu with the port":         {"DPoP bound", []string{h.proof(nil, claims{"htu": audience + ":443/"})}, ok},
		"htu with another port":     {"DPoP bound", []string{h.proof(nil, claims{"htu": audience + ":8443/"})}, middleware.ReasonProof},
		"htu without a slash":       {"DPoP bound", []string{h.proof(nil, claims{"htu": audience})}, ok},
		"htu with another path":     {"DPoP bound", []string{h.proof(nil, claims{"htu": audience + "//"})}, middleware.ReasonProof},
		"htu of http":               {"DPoP bound", []string{h.proof(nil, claims{"htu": "http://api.example/"})}, middleware.ReasonProof},
		"two headers":               {"DPoP bound", []string{h.proof(nil, nil), h.proof(nil, nil)}, middleware.ReasonProof},
	} {
		assert.Equal(t, test.want, h.reason(test.authorization, test.proofs...), name)
	}
	r := change(do("GET", "/%7euser/", "DPoP bound"), set("DPoP", h.proof(nil, claims{"htu": audience + "/~user/"})))
	assert.Equal(t, ok, h.guard.Check(r, anyToken).Reason)
	r = change(do("GET", "/~user", "DPoP bound"), set("DPoP", h.proof(nil, claims{"htu": audience + "/~user/"})))
	assert.Equal(t, middleware.ReasonProof, h.guard.Check(r, anyToken).Reason)
}

// noStore is a replay store that is down.
type noStore struct{}

func (noStore) Spend(context.Context, string, string, time.Time) (bool, error) {
	return true, errors.New("connection refused")
}

// The cap for each holder is in TestReplayMemoryIsBounded.
func TestPitfallF51_ReplayStoreFailsClosed(t *testing.T) {
	for name, store := range map[string]middleware.ReplayStore{
		"down": noStore{}, "full": middleware.NewReplayMemory(1, func() time.Time { return now }),
	} {
		h := newHolder(t, func(c *middleware.Config) { c.DPoP.Replays = store })
		h.reason("DPoP bound", h.proof(nil, nil)) // fills the small one
		d := h.guard.Check(change(get("DPoP bound"), set("DPoP", h.proof(nil, nil))), anyToken)
		assert.Equal(t, 503, d.Status(), name)
		assert.Positive(t, d.RetryAfter, name)
	}
}

// The opaque tokens of TestRD12 and TestRD13 are bound to certificates.
func TestPitfallF52_UnknownBindings(t *testing.T) {
	mtls := newGuard(t, func(c *middleware.Config) {
		c.MTLS = middleware.MTLS{Mode: middleware.Optional, Header: "Client-Cert", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
		c.DPoP = middleware.DPoP{Mode: middleware.Optional, External: audience}
	})
	for _, guard := range []*middleware.Guard{newGuard(t, nil), mtls} {
		for _, name := range []string{"jkt", "x5t", "cnf-unknown", "cnf-empty"} {
			assert.Equal(t, middleware.ReasonBinding, guard.Check(get("Bearer "+name), anyToken).Reason, name)
		}
	}
}

func TestPitfallF53_StepUp(t *testing.T) {
	signedIn := func(acr string, ago time.Duration) *sneck.Token {
		return with(func(t *sneck.Token) { t.ACR, t.AuthTime = acr, now.Add(-ago) })
	}
	guard := newGuard(t, func(c *middleware.Config) {
		c.Verifier = tokens{
			"gold": signedIn("gold", time.Minute), "silver": signedIn("silver", time.Minute), "bronze": signedIn("bronze", time.Minute),
			"joined": signedIn("gold silver", time.Minute), "old": signedIn("gold", time.Hour+time.Second), "unknown": with(func(t *sneck.Token) { t.ACR = "gold" }),
		}
	})
	policy := middleware.Policy{Scopes: scopes.AnyToken(), ACR: []string{"gold", "silver"}, MaxAge: time.Hour}
	for name, want := range map[string]middleware.Reason{
		"gold": ok, "silver": ok, "bronze": middleware.ReasonStepUp, "joined": middleware.ReasonStepUp,
		"old": middleware.ReasonStepUp, "unknown": middleware.ReasonStepUp,
	} {
		assert.Equal(t, want, guard.Check(get("Bearer "+name), policy).Reason, name)
	}
	// The challenge is in TestRD14_StepUp.
}

// See also TestRS03, TestRS12 and TestRS13.
func TestPitfallH65_Challenges(t *testing.T) {
	guard := described(t, nil)
	rec := serve(guard, anyToken, get())
	assert.Equal(t, []string{`Bearer realm="api", resource_metadata="https://api.example/.well-known/oauth-protected-resource/mcp"`}, rec.Header().Values("WWW-Authenticate"))

	params := challengeOf(t, serve(guard, middleware.Policy{Scopes: scopes.All("a", "b")}, get("Bearer read"))).params
	assert.Equal(t, "insufficient_scope", params["error"])
	assert.Equal(t, "a b", params["scope"])
	assert.Contains(t, params, "resource_metadata")

	assert.NotContains(t, serve(guard, anyToken, get("Bearer read")).Header(), "Www-Authenticate", "none on success")
	for _, name := range []string{"down", "panic", "revoked"} {
		text := dump(serve(guard, anyToken, get("Bearer "+name)))
		for _, internal := range []string{"refused", "secret", "was revoked"} {
			assert.NotContains(t, text, internal)
		}
	}
}

// Whoever has no token does not learn what routes need, and nobody why a token
// is refused.
func TestPitfallH66_Oracles(t *testing.T) {
	guard := newGuard(t, nil)
	want := dump(serve(guard, anyToken, get()))
	for _, policy := range []middleware.Policy{
		{Scopes: scopes.All("admin")}, {Scopes: scopes.ReadWrite{}.Required()},
		{Scopes: scopes.AnyToken(), ACR: []string{"gold"}, MaxAge: time.Hour}, {Scopes: scopes.AnyToken(), AlwaysAsk: true},
	} {
		assert.Equal(t, want, dump(serve(guard, policy, get())))
		for _, name := range []string{"expired", "revoked", "unknown", "sibling"} {
			assert.Equal(t, invalid, dump(serve(guard, policy, get("Bearer "+name))), name)
		}
	}
}
