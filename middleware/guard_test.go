package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// newGuard returns a guard around the table's verifier, after a change.
func newGuard(t testing.TB, change func(*middleware.Config)) *middleware.Guard {
	t.Helper()
	config := middleware.Config{
		Verifier: tableVerifier{},
		Audience: []string{audience},
		Now:      func() time.Time { return now },
	}
	if change != nil {
		change(&config)
	}
	guard, err := middleware.New(config)
	require.NoError(t, err)
	return guard
}

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := middleware.New(middleware.Config{Realm: "a\r\nb", RetryAfter: -1})
	require.Error(t, err)
	for _, part := range []string{"Verifier", "Audience", "DangerouslyAnyAudience", "Realm", "RetryAfter"} {
		assert.ErrorContains(t, err, part)
	}

	for name, change := range map[string]func(*middleware.Config){
		"contradiction":       func(c *middleware.Config) { c.DangerouslyAnyAudience = true },
		"empty audience":      func(c *middleware.Config) { c.Audience = []string{""} },
		"no cookie":           func(c *middleware.Config) { c.AllowCookie = "a b" },
		"realm not ASCII":     func(c *middleware.Config) { c.Realm = "bücher" },
		"retry after a day":   func(c *middleware.Config) { c.RetryAfter = 24 * time.Hour },
		"no verifier, no aud": func(c *middleware.Config) { *c = middleware.Config{} },
	} {
		config := middleware.Config{Verifier: tableVerifier{}, Audience: []string{audience}}
		change(&config)
		guard, err := middleware.New(config)
		assert.Error(t, err, name)
		assert.Nil(t, guard, name)
	}
}

func TestConfigIsCopied(t *testing.T) {
	list := []string{audience}
	guard := newGuard(t, func(c *middleware.Config) { c.Audience = list })
	list[0] = "https://sibling.example"
	assert.True(t, guard.Check(get("Bearer read"), anyToken).Allowed)
	assert.False(t, guard.Check(get("Bearer sibling"), anyToken).Allowed)
}

func TestProtectPanicsOnWhatCanNotPass(t *testing.T) {
	guard := newGuard(t, nil)
	for name, req := range map[string]scopes.Requirement{
		"zero":        {},
		"no scope":    scopes.All(),
		"not a scope": scopes.All("read write"),
	} {
		assert.Panics(t, func() { guard.Require(req) }, name)
	}
}

func TestZeroPolicyAndZeroDecisionRefuse(t *testing.T) {
	guard := newGuard(t, nil)
	assert.False(t, guard.Check(get("Bearer read"), middleware.Policy{}).Allowed)

	rec := httptest.NewRecorder()
	guard.Refuse(rec, get(), middleware.Decision{})
	assert.Equal(t, outage, dump(rec))
}

func TestWrapAndOptional(t *testing.T) {
	guard := newGuard(t, nil)
	for _, test := range []struct {
		handler http.Handler
		req     *http.Request
		want    string
	}{
		{guard.Wrap(http.HandlerFunc(hello)), get("Bearer none"), admitted},
		{guard.Wrap(http.HandlerFunc(hello)), get(), bare},
		{guard.Optional(http.HandlerFunc(hello)), get("Bearer none"), admitted},
		{guard.Optional(http.HandlerFunc(hello)), get(), anonymous},
		{guard.Optional(http.HandlerFunc(hello)), get("Bearer unknown"), invalid},
	} {
		rec := httptest.NewRecorder()
		test.handler.ServeHTTP(rec, test.req)
		assert.Equal(t, test.want, dump(rec))
	}
}

func TestHandlerPanicsPass(t *testing.T) {
	guard := newGuard(t, nil)
	for _, value := range []any{http.ErrAbortHandler, "boom"} {
		handler := guard.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(value) }))
		assert.PanicsWithValue(t, value, func() { handler.ServeHTTP(httptest.NewRecorder(), get("Bearer read")) })
	}
}

func TestClientGone(t *testing.T) {
	guard := newGuard(t, func(c *middleware.Config) {
		c.Verifier = sneck.VerifierFunc(func(ctx context.Context, _ string) (*sneck.Token, error) {
			return nil, ctx.Err()
		})
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := guard.Check(get("Bearer read").WithContext(ctx), anyToken)
	assert.Equal(t, middleware.ReasonGone, d.Reason)
	assert.Equal(t, http.StatusServiceUnavailable, d.Status())
}

func TestDecision(t *testing.T) {
	guard := newGuard(t, nil)
	late := newGuard(t, func(c *middleware.Config) { c.Now = func() time.Time { return now.Add(20 * time.Second) } })
	policy := middleware.Policy{Scopes: scopes.All("read", "write")}

	d := late.Check(get("Bearer read"), policy)
	assert.Equal(t, middleware.Decision{
		Reason:   middleware.ReasonScope,
		Source:   middleware.SourceHeader,
		Scheme:   "Bearer",
		Token:    verdicts["read"].(*sneck.Token),
		Required: scopes.MustParse("read write"),
		Missing:  scopes.MustParse("write"),
		Age:      20 * time.Second,
	}, d)
	assert.Equal(t, http.StatusForbidden, d.Status())
	assert.Equal(t, "insufficient_scope", d.Code())
	assert.Equal(t, "refused: scope; the token lacks write (hint: the client must be allowed, and ask for: write)", d.String())

	d = guard.Check(get("Bearer read-write"), policy)
	assert.True(t, d.Allowed)
	assert.Zero(t, d.Status())
	assert.Empty(t, d.Code())
	assert.Equal(t, "allowed: admitted", d.String())

	assert.Equal(t, `refused: audience; the token is meant for ["https://sibling.example"] (hint: the client must ask for a token for this resource server, or Config.Audience lacks the name that the authority uses for it)`,
		guard.Check(get("Bearer sibling"), policy).String())
	assert.Equal(t, "refused: unavailable; connection refused (hint: the authority did not answer, see the error; clients are told to come back)", guard.Check(get("Bearer down"), policy).String())
	policy.Name = "notes"
	assert.Equal(t, `allowed: admitted, by "notes"`, guard.Check(get("Bearer read-write"), policy).String())
}

// No text that a guard makes about a request may hold the request's token,
// whatever the verifier does.
func TestNoTokenInAnyText(t *testing.T) {
	const secret = "tok_4f1c9dd0e0ac4b53+a6/a1=="
	verifiers := map[string]func() (*sneck.Token, error){
		"error":        func() (*sneck.Token, error) { return nil, errors.New("GET /introspect?token=" + secret) },
		"invalid":      func() (*sneck.Token, error) { return nil, errors.Join(sneck.ErrInvalid, errors.New(secret)) },
		"unrecognized": func() (*sneck.Token, error) { return nil, errors.Join(sneck.ErrUnrecognized, errors.New(secret)) },
		"unavailable":  func() (*sneck.Token, error) { return nil, &sneck.UnavailableError{Err: errors.New(secret)} },
		"in a query": func() (*sneck.Token, error) {
			return nil, &url.Error{Op: "Get", URL: "/?token=" + url.QueryEscape(secret), Err: errors.New("down")}
		},
		"in a path": func() (*sneck.Token, error) {
			return nil, &url.Error{Op: "Get", URL: "/" + url.PathEscape(secret), Err: errors.New("down")}
		},
		"panic":       func() (*sneck.Token, error) { panic(secret) },
		"panic error": func() (*sneck.Token, error) { panic(errors.New(secret)) },
		"runtime error": func() (*sneck.Token, error) {
			var none *sneck.Token
			return &sneck.Token{Subject: none.Subject}, nil
		},
		"audience": func() (*sneck.Token, error) { return &sneck.Token{Subject: "ann"}, nil },
	}
	wantStatus := map[string]int{"invalid": 401, "unrecognized": 401, "audience": 401}
	for name, verify := range verifiers {
		t.Run(name, func(t *testing.T) {
			var all bytes.Buffer
			guard := newGuard(t, func(c *middleware.Config) {
				c.Verifier = sneck.VerifierFunc(func(context.Context, string) (*sneck.Token, error) { return verify() })
				c.Logger = slog.New(slog.NewJSONHandler(&all, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			rec := httptest.NewRecorder()
			guard.Wrap(http.HandlerFunc(hello)).ServeHTTP(rec, do("GET", "/?q=1", "Bearer "+secret))
			want := wantStatus[name]
			if want == 0 {
				want = 503
			}
			assert.Equal(t, want, rec.Code)
			all.WriteString(dump(rec))
			all.WriteString(guard.Check(get("Bearer "+secret), anyToken).String())
			for _, spelling := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
				assert.NotContains(t, all.String(), spelling)
			}
			assert.Contains(t, all.String(), `"msg":"request refused"`)
			if strings.Contains(name, "panic") {
				assert.Contains(t, all.String(), "guard.go") // the stack
			}
		})
	}
}

func TestLogLevels(t *testing.T) {
	var buf bytes.Buffer
	guard := newGuard(t, func(c *middleware.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey || a.Key == "stack" {
					return slog.Attr{}
				}
				return a
			}}))
	})
	mux := http.NewServeMux()
	mux.Handle("GET /songs/{id}", guard.Require(scopes.All("write"))(http.HandlerFunc(hello)))
	for token, want := range map[string]string{
		"write":   ``,
		"read":    `level=INFO msg="request refused" method=GET decision.allowed=false decision.reason=scope decision.status=403 decision.rule="GET /songs/{id}" decision.source=header decision.issuer=https://as.example decision.client_id=app decision.age=0s decision.missing=write decision.hint="the client must be allowed, and ask for: write"`,
		"unknown": `level=INFO msg="request refused" method=GET decision.allowed=false decision.reason=invalid decision.status=401 decision.rule="GET /songs/{id}" decision.error="sneck: token is not valid" decision.hint="the authority calls the token expired, revoked or unknown; \"sneck introspect\" asks it again"`,
		"down":    `level=WARN msg="request refused" method=GET decision.allowed=false decision.reason=unavailable decision.status=503 decision.rule="GET /songs/{id}" decision.error="connection refused" decision.hint="the authority did not answer, see the error; clients are told to come back"`,
		"panic":   `level=ERROR msg="request refused" method=GET decision.allowed=false decision.reason=broken decision.status=503 decision.rule="GET /songs/{id}" decision.error="middleware: the verifier panicked: a value of type string" decision.hint="this is a mistake in a program: the stack is in the log"`,
	} {
		buf.Reset()
		mux.ServeHTTP(httptest.NewRecorder(), do("GET", "/songs/7?secret=1", "Bearer "+token))
		assert.Equal(t, want, strings.TrimSpace(buf.String()))
	}
}

// A method is what the client says, and may be as long as a header.
func TestLogBoundsTheMethod(t *testing.T) {
	var buf bytes.Buffer
	guard := newGuard(t, func(c *middleware.Config) { c.Logger = slog.New(slog.NewTextHandler(&buf, nil)) })
	for given, want := range map[string]string{
		"GET":                        "method=GET ",
		"VERSION-CONTROL":            "method=VERSION-CONTROL ",
		strings.Repeat("A", 33):      "method=" + strings.Repeat("A", 32) + "… ",
		strings.Repeat("A", 100_000): "method=" + strings.Repeat("A", 32) + "… ",
	} {
		buf.Reset()
		guard.Check(change(get(), method(given)), anyToken)
		assert.Contains(t, buf.String(), want)
		assert.Less(t, buf.Len(), 1000)
	}
}
