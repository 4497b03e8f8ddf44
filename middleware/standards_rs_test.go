package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// The tests of these files are named after the lines of a list of what the
// standards demand of a resource server: RS for presenting and refusing
// tokens, RD for tokens bound to a key, RM for metadata and MCP. Lines that
// are not tested here:
//
//   - RS-19, an access token is not sent on to another server: the guard sends
//     nothing anywhere. A handler that does decides what it sends.
//   - RM-06, signed metadata: not offered.
//   - RM-15, status lists: these are for verifiers, which know the token's
//     claims and when they were asked.

// serve returns the answer to a request for a route with the policy.
func serve(guard *middleware.Guard, policy middleware.Policy, r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	guard.Protect(policy)(http.HandlerFunc(hello)).ServeHTTP(rec, r)
	return rec
}

// challengeOf returns the first challenge of an answer.
func challengeOf(t *testing.T, rec *httptest.ResponseRecorder) challenge {
	t.Helper()
	all, err := parseChallenges(rec.Header().Get("WWW-Authenticate"))
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all[0]
}

func TestRS01_SchemeIsCaseInsensitive(t *testing.T) {
	guard := newGuard(t, nil)
	for _, scheme := range []string{"Bearer", "bearer", "BEARER", "beArer"} {
		assert.Equal(t, 200, serve(guard, anyToken, get(scheme+" read")).Code, scheme)
	}
}

func TestRS02_ChallengeWithoutCredentials(t *testing.T) {
	guard := newGuard(t, nil)
	for _, r := range []*http.Request{get(), do("HEAD", "/"), do("PUT", "/"), get("Basic YTpi"), get("Unknown x")} {
		rec := serve(guard, anyToken, r)
		assert.Equal(t, 401, rec.Code)
		assert.Equal(t, "Bearer", challengeOf(t, rec).scheme)
	}
}

func TestRS03_NoErrorWithoutCredentials(t *testing.T) {
	guard := newGuard(t, nil)
	for _, r := range []*http.Request{get(), get("Basic YTpi")} {
		rec := serve(guard, anyToken, r)
		params := challengeOf(t, rec).params
		for _, name := range []string{"error", "error_description", "error_uri"} {
			assert.NotContains(t, params, name)
		}
		assert.Empty(t, rec.Body.String())
	}
}

func TestRS04_InvalidTokenIs401(t *testing.T) {
	guard := newGuard(t, nil)
	for _, name := range []string{"expired", "revoked", "unknown", `mal"formed`, "sibling", "not-yet", "unrecognized", "jkt"} {
		rec := serve(guard, anyToken, get("Bearer "+name))
		assert.Equal(t, 401, rec.Code, name)
		assert.Equal(t, "invalid_token", challengeOf(t, rec).params["error"], name)
	}
}

func TestRS05_InsufficientScopeIs403(t *testing.T) {
	guard := newGuard(t, nil)
	rec := serve(guard, middleware.Policy{Scopes: scopes.All("write")}, get("Bearer read"))
	assert.Equal(t, 403, rec.Code)
	assert.Equal(t, "insufficient_scope", challengeOf(t, rec).params["error"])
}

func TestRS06_ChallengeNamesTheScopes(t *testing.T) {
	guard := newGuard(t, nil)
	req := scopes.All("a", "b", "a").And(scopes.All("b", "c"))
	rec := serve(guard, middleware.Policy{Scopes: req}, get("Bearer read"))
	assert.Equal(t, "a b c", challengeOf(t, rec).params["scope"])
	// parseChallenges refuses a repeated parameter.
	assert.Len(t, rec.Header().Values("WWW-Authenticate"), 1)
}

func TestRS07_OneMethodPerRequest(t *testing.T) {
	guard := newGuard(t, func(c *middleware.Config) { c.AllowFormBody, c.AllowQuery, c.AllowCookie = true, true, "session" })
	plain := newGuard(t, nil)
	for name, r := range map[string]*http.Request{
		"header and query":  do("GET", "/?access_token=read", "Bearer read"),
		"query twice":       do("GET", "/?access_token=read&access_token=read"),
		"header and form":   change(form("access_token=read"), set("Authorization", "Bearer read")),
		"header and cookie": change(get("Bearer read"), set("Cookie", "session=read")),
		"form twice":        form("access_token=read&access_token=write"),
	} {
		rec := serve(guard, anyToken, r)
		assert.Equal(t, 400, rec.Code, name)
		assert.Equal(t, "invalid_request", challengeOf(t, rec).params["error"], name)
	}
	for _, header := range []string{"Bearer", "Bearer ", "Bearer a b", "Bearer\ta"} {
		assert.Equal(t, 400, serve(plain, anyToken, get(header)).Code, header)
	}
	assert.Equal(t, 400, serve(plain, anyToken, do("GET", "/?access_token=read", "Bearer read")).Code)
}

func TestRS08_OneHeader(t *testing.T) {
	guard := newGuard(t, nil)
	for _, fields := range [][]string{
		{"Bearer read", "Bearer read"}, {"Bearer read", "Basic YTpi"}, {"Basic YTpi", "Bearer read"},
		{"Bearer read, Bearer read"}, {"Bearer read,Basic YTpi"}, {"Basic YTpi, Bearer read"},
	} {
		assert.Equal(t, 400, serve(guard, anyToken, get(fields...)).Code, fields)
	}
}

// The charset is checked by whoever uses the token first, which is a Verifier
// by its contract. The guard itself uses the token for nothing else.
func TestRS09_CharsetBeforeUse(t *testing.T) {
	used := false
	guard := newGuard(t, func(c *middleware.Config) {
		c.Verifier = sneck.VerifierFunc(func(context.Context, string) (*sneck.Token, error) {
			used = true
			return nil, sneck.ErrInvalid
		})
	})
	for _, token := range []string{`a"b`, `a\b`, "a\x00b", "a\nb", "é", "a%20b", "=", "a=b"} {
		assert.Equal(t, 401, serve(guard, anyToken, get("Bearer "+token)).Code, token)
		assert.False(t, used, token)
	}
}

func TestRS10_QueryOnlyIfAllowed(t *testing.T) {
	r := func() *http.Request { return do("GET", "/?access_token=read") }
	assert.Equal(t, 401, serve(newGuard(t, nil), anyToken, r()).Code)
	rec := serve(newGuard(t, func(c *middleware.Config) { c.AllowQuery = true }), anyToken, r())
	assert.Equal(t, 200, rec.Code)
	assert.Equal(t, "private", rec.Header().Get("Cache-Control"))
}

func TestRS11_FormOnlyWhereDefined(t *testing.T) {
	guard := newGuard(t, func(c *middleware.Config) { c.AllowFormBody = true })
	assert.Equal(t, 200, serve(guard, anyToken, form("access_token=read")).Code)
	for name, r := range map[string]*http.Request{
		"get":       change(form("access_token=read"), method("GET")),
		"multipart": change(form("access_token=read"), set("Content-Type", "multipart/form-data; boundary=a")),
		"not ASCII": form("access_token=read&a=é"),
	} {
		assert.GreaterOrEqual(t, serve(guard, anyToken, r).Code, 400, name)
	}
}

func TestRS12_QuotedStrings(t *testing.T) {
	guard := newGuard(t, func(c *middleware.Config) { c.Realm = `a "b" \c` })
	rec := serve(guard, anyToken, get("Bearer unknown"))
	assert.Equal(t, `a "b" \c`, challengeOf(t, rec).params["realm"])

	// Even a requirement that nobody checked can not break out of its string.
	decision := guard.Check(get("Bearer read"), middleware.Policy{Scopes: scopes.All("x\"\r\nX-Evil: 1", `\`)})
	rec = httptest.NewRecorder()
	guard.Refuse(rec, get(), decision)
	assert.Equal(t, `x"X-Evil: 1 \`, challengeOf(t, rec).params["scope"])
}

func TestRS13_ChallengesApart(t *testing.T) {
	guard := newGuard(t, func(c *middleware.Config) {
		c.DPoP = middleware.DPoP{Mode: middleware.Optional, External: audience}
	})
	rec := serve(guard, anyToken, get())
	fields := rec.Header().Values("WWW-Authenticate")
	require.Len(t, fields, 2)
	// Read apart and joined, as any intermediary may do.
	for _, field := range append(fields, strings.Join(fields, ", ")) {
		all, err := parseChallenges(field)
		require.NoError(t, err)
		assert.NotEmpty(t, all)
	}
	all, err := parseChallenges(strings.Join(fields, ", "))
	require.NoError(t, err)
	assert.Equal(t, []string{"Bearer", "DPoP"}, []string{all[0].scheme, all[1].scheme})
}

func TestRS14_OversizedIsCheap(t *testing.T) {
	asked := 0
	guard := newGuard(t, func(c *middleware.Config) {
		c.Verifier = sneck.VerifierFunc(func(context.Context, string) (*sneck.Token, error) {
			asked++
			return nil, sneck.ErrInvalid
		})
	})
	r := get("Bearer " + strings.Repeat("a", 500_000))
	assert.Equal(t, middleware.ReasonTooLong, guard.Check(r, anyToken).Reason)
	assert.Zero(t, asked)
	assert.Zero(t, testing.AllocsPerRun(10, func() { guard.Check(r, anyToken) }))
}

func TestRS15_FailsClosed(t *testing.T) {
	guard := newGuard(t, nil)
	for _, name := range []string{"panic", "abort", "timeout", "down", "nothing"} {
		assert.Equal(t, 503, serve(guard, anyToken, get("Bearer "+name)).Code, name)
	}
}

// All tokens that are refused for what they are get the same answer.
func TestRS16_OneAnswerForAllInvalidTokens(t *testing.T) {
	guard := newGuard(t, nil)
	for _, name := range []string{"expired", "revoked", "unknown", `"`, "sibling", "not-yet", "unrecognized", "jkt", "x5t", "cnf-unknown"} {
		assert.Equal(t, invalid, dump(serve(guard, anyToken, get("Bearer "+name))), name)
	}
}

func TestRS17_NoSecretsInLogsOrAnswers(t *testing.T) {
	const secret = "s3cr3t-s3cr3t-s3cr3t"
	var logs bytes.Buffer
	guard := newGuard(t, func(c *middleware.Config) {
		c.AllowCookie, c.AllowFormBody, c.AllowQuery = "session", true, true
		c.DPoP = middleware.DPoP{Mode: middleware.Optional, External: audience}
		c.Logger = slog.New(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.Verifier = sneck.VerifierFunc(func(_ context.Context, token string) (*sneck.Token, error) {
			return nil, errors.Join(sneck.ErrInvalid, errors.New("unknown token "+token))
		})
	})
	for name, r := range map[string]*http.Request{
		"header":    get("Bearer " + secret),
		"malformed": get("Bearer " + secret + " x"),
		"basic":     get("Basic " + secret),
		"query":     do("GET", "/?access_token="+secret),
		"form":      form("access_token=" + secret),
		"cookie":    change(get(), set("Cookie", "session="+secret)),
		"proof":     change(get("DPoP "+secret), set("DPoP", secret)),
	} {
		rec := serve(guard, anyToken, r)
		assert.GreaterOrEqual(t, rec.Code, 400, name)
		assert.NotContains(t, dump(rec), secret, name)
	}
	assert.NotEmpty(t, logs.String())
	assert.NotContains(t, logs.String(), secret)
}

// The guard tells handlers who it is by the context and never by a header, so
// no header from outside can be taken for its word.
func TestRS18_NoIdentityInHeaders(t *testing.T) {
	guard := newGuard(t, nil)
	r := change(get("Bearer read"), set("X-User", "root"), set("X-Scope", "admin"))
	want := r.Header.Clone()
	var got http.Header
	var subject string
	guard.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got, subject = r.Header, sneck.FromContext(r.Context()).Subject
	})).ServeHTTP(httptest.NewRecorder(), r)
	assert.Equal(t, want, got)
	assert.Equal(t, "ann", subject)
}

// The same over a real connection, where net/http has its say too.
func TestRS_OverTheWire(t *testing.T) {
	server := httptest.NewServer(newGuard(t, nil).Wrap(http.HandlerFunc(hello)))
	defer server.Close()
	for _, test := range []struct {
		method string
		fields []string
		status int
		body   bool
	}{
		{"GET", []string{"Bearer read"}, 200, true},
		{"GET", []string{"  bearer read  "}, 200, true},
		{"HEAD", []string{"Bearer unknown"}, 401, false},
		{"GET", nil, 401, false},
		{"GET", []string{"Bearer a", "Bearer b"}, 400, true},
		{"GET", []string{"Bearer down"}, 503, true},
	} {
		req, err := http.NewRequestWithContext(t.Context(), test.method, server.URL, nil)
		require.NoError(t, err)
		req.Header["Authorization"] = test.fields
		res, err := server.Client().Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, test.status, res.StatusCode, test.fields)
		assert.Equal(t, test.body, len(body) > 0, test.fields)
		assert.Equal(t, test.status == 400 || test.status == 401, res.Header.Get("WWW-Authenticate") != "")
	}
}
