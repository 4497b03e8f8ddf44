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
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

func TestPolicyMistakes(t *testing.T) {
	guard := newGuard(t, nil)
	any := scopes.AnyToken()
	for name, policy := range map[string]middleware.Policy{
		"no scopes":            {},
		"negative staleness":   {Scopes: any, MaxStaleness: -1},
		"always and staleness": {Scopes: any, MaxStaleness: 1, AlwaysAsk: true},
		"nothing to constrain": {Scopes: any, SenderConstrained: true},
		"empty ACR":            {Scopes: any, ACR: []string{""}},
		"ACR of two":           {Scopes: any, ACR: []string{"gold silver"}},
		"half a second":        {Scopes: any, MaxAge: time.Second / 2},
		"negative age":         {Scopes: any, MaxAge: -time.Second},
		"challenge alone":      {Scopes: any, OtherwiseChallenge: "Basic"},
		"challenge of lines": {Scopes: any, OtherwiseChallenge: "Basic\r\nX: 1",
			Otherwise: func(*http.Request) (*sneck.Token, error) { return nil, nil }},
	} {
		assert.Panics(t, func() { guard.Protect(policy) }, name)
	}
}

// asked is a verifier that remembers answers, as a cache does, and counts how
// often the authority was asked.
type asked struct {
	remembered time.Time // when the remembered question was asked
	down       bool
	stubborn   bool // does not mind the bound
	calls      int
	authority  int
}

func (v *asked) Verify(ctx context.Context, _ string) (*sneck.Token, error) {
	v.calls++
	bound, bounded := sneck.MaxStaleness(ctx)
	if bounded && !v.stubborn && time.Since(v.remembered) > bound || bounded && bound == 0 && !v.stubborn {
		if v.down {
			return nil, &sneck.UnavailableError{Err: errors.New("down"), RetryAfter: 9 * time.Second}
		}
		v.authority++
		v.remembered = time.Now()
		time.Sleep(20 * time.Millisecond) // the authority takes its time
	}
	return &sneck.Token{Audience: []string{audience}, VerifiedAt: v.remembered}, nil
}

func TestMaxStaleness(t *testing.T) {
	for name, test := range map[string]struct {
		policy    middleware.Policy
		age       time.Duration
		verifier  asked
		reason    middleware.Reason
		calls     int
		authority int
	}{
		"no bound":        {middleware.Policy{}, time.Hour, asked{}, ok, 1, 0},
		"fresh":           {middleware.Policy{MaxStaleness: time.Minute}, 59 * time.Second, asked{}, ok, 1, 0},
		"at the bound":    {middleware.Policy{MaxStaleness: time.Minute}, time.Minute, asked{}, ok, 1, 0},
		"over the bound":  {middleware.Policy{MaxStaleness: time.Minute}, time.Minute + 1, asked{}, ok, 2, 1},
		"always":          {middleware.Policy{AlwaysAsk: true}, time.Nanosecond, asked{}, ok, 2, 1},
		"down":            {middleware.Policy{MaxStaleness: time.Minute}, time.Hour, asked{down: true}, middleware.ReasonUnavailable, 2, 0},
		"fresh, and down": {middleware.Policy{MaxStaleness: time.Minute}, time.Second, asked{down: true}, ok, 1, 0},
		"stubborn":        {middleware.Policy{MaxStaleness: time.Minute}, time.Hour, asked{stubborn: true}, middleware.ReasonStale, 2, 0},
		"stubborn always": {middleware.Policy{AlwaysAsk: true}, time.Second, asked{stubborn: true}, middleware.ReasonStale, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &test.verifier
				guard := newGuard(t, func(c *middleware.Config) { c.Verifier, c.Now = v, nil })
				v.remembered = time.Now().Add(-test.age)
				test.policy.Scopes = scopes.AnyToken()
				d := guard.Check(get("Bearer read"), test.policy)
				assert.Equal(t, test.reason, d.Reason)
				assert.Equal(t, test.calls, v.calls, "calls")
				assert.Equal(t, test.authority, v.authority, "questions")
				if d.Status() == http.StatusServiceUnavailable {
					assert.GreaterOrEqual(t, d.RetryAfter, time.Second)
				}
				if test.reason == middleware.ReasonStale {
					assert.Equal(t, test.age, d.Age)
				}
			})
		})
	}
}

// A policy may look into the body for what the token must grant, and only for
// those whose token is good.
func TestScopesOf(t *testing.T) {
	asked := 0
	policy := middleware.Policy{Scopes: scopes.All("read"), ScopesOf: func(r *http.Request, t *sneck.Token) (scopes.Requirement, error) {
		asked++
		body, err := io.ReadAll(r.Body)
		if err != nil || t.Subject != "ann" {
			return scopes.AnyToken(), errors.New("the cause")
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		switch string(body) {
		case "nobody":
			return scopes.Requirement{}, nil
		case "by method":
			return scopes.ReadWrite{}.Required(), nil
		case "unclear":
			return scopes.AnyToken(), errors.New("the cause")
		}
		return scopes.All(string(body)), nil
	}}
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	guard := newGuard(t, func(c *middleware.Config) { c.ScopesInChallenges = true })
	for _, test := range []struct {
		authorization, body string
		reason              middleware.Reason
		status, asked       int
		scope, answer       string
	}{
		{"", "write", middleware.ReasonNoToken, 401, 0, "read", ""},
		{"Bearer unknown", "write", middleware.ReasonInvalid, 401, 0, "read", ""},
		{"Bearer expired", "write", middleware.ReasonExpired, 401, 0, "read", ""},
		{"Bearer sibling", "write", middleware.ReasonAudience, 401, 0, "read", ""},
		{"Bearer read", "write", middleware.ReasonScope, 403, 1, "write", ""},
		{"Bearer write", "write", ok, 200, 1, "", "write"},
		{"Bearer write", "by method", ok, 200, 1, "", "by method"},
		{"Bearer read", "by method", middleware.ReasonScope, 403, 1, "write", ""},
		{"Bearer write", "nobody", middleware.ReasonForbidden, 403, 1, "", ""},
		{"Bearer write", "unclear", middleware.ReasonRequest, 400, 1, "", ""},
	} {
		t.Run(test.authorization+" "+test.body, func(t *testing.T) {
			asked = 0
			r := do("POST", "/")
			r.Body = io.NopCloser(strings.NewReader(test.body))
			if test.authorization != "" {
				r.Header.Set("Authorization", test.authorization)
			}
			rec := httptest.NewRecorder()
			guard.Protect(policy)(echo).ServeHTTP(rec, r)
			assert.Equal(t, test.status, rec.Code)
			assert.Equal(t, test.asked, asked)
			if test.status == http.StatusOK {
				assert.Equal(t, test.answer, rec.Body.String())
				return
			}
			assert.Equal(t, test.scope, challengeOf(t, rec).params["scope"])
			assert.NotContains(t, rec.Body.String(), "cause")
			r.Body = io.NopCloser(strings.NewReader(test.body))
			assert.Equal(t, test.reason, guard.Check(r, policy).Reason)
		})
	}
	policy.DangerouslyShadow = true
	r := change(do("POST", "/"), set("Authorization", "Bearer read"))
	r.Body = io.NopCloser(strings.NewReader("write"))
	rec := httptest.NewRecorder()
	guard.Protect(policy)(echo).ServeHTTP(rec, r)
	assert.Equal(t, "write", rec.Body.String())
}

// A verdict of which nobody knows the age is too old for any bound.
func TestStalenessOfUnknownAge(t *testing.T) {
	guard := newGuard(t, func(c *middleware.Config) {
		c.Verifier = tokens{"read": with(func(t *sneck.Token) { t.VerifiedAt = time.Time{} })}
	})
	policy := middleware.Policy{Scopes: scopes.AnyToken(), MaxStaleness: time.Hour}
	assert.Equal(t, middleware.ReasonStale, guard.Check(get("Bearer read"), policy).Reason)
	d := guard.Check(get("Bearer read"), anyToken)
	assert.True(t, d.Allowed)
	assert.Zero(t, d.Age)
}

func TestShadowIsReported(t *testing.T) {
	var buf bytes.Buffer
	var seen middleware.Decision
	guard := newGuard(t, func(c *middleware.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&buf, nil))
		c.Observe = func(_ context.Context, d middleware.Decision) { seen = d }
	})
	policy := middleware.Policy{Scopes: scopes.All("write"), DangerouslyShadow: true}
	guard.Protect(policy)(http.HandlerFunc(hello)).ServeHTTP(httptest.NewRecorder(), get("Bearer read"))
	assert.False(t, seen.Allowed)
	assert.True(t, seen.Shadow)
	assert.Equal(t, http.StatusForbidden, seen.Status())
	assert.Contains(t, buf.String(), `msg="request let through that the policy refuses"`)
	assert.Contains(t, buf.String(), "decision.shadow=true decision.missing=write")
}

// Only Observe is told how long a decision took, as only it wants to know.
func TestObserveMeasures(t *testing.T) {
	var seen middleware.Decision
	now := time.Unix(1_800_000_000, 0)
	observed := newGuard(t, func(c *middleware.Config) {
		c.Now = func() time.Time { return now }
		c.Verifier = sneck.VerifierFunc(func(context.Context, string) (*sneck.Token, error) {
			now = now.Add(time.Second)
			return nil, sneck.ErrInvalid
		})
		c.Observe = func(_ context.Context, d middleware.Decision) { seen = d }
	})
	d := observed.Check(get("Bearer read"), anyToken)
	assert.Equal(t, time.Second, seen.Took)
	assert.Equal(t, seen, d)
	assert.Zero(t, newGuard(t, nil).Check(get("Bearer read"), anyToken).Took)
}

// A decision has the words of its answer.
func TestDescription(t *testing.T) {
	guard := newGuard(t, nil)
	assert.Empty(t, guard.Check(get("Bearer read"), anyToken).Description())
	assert.Empty(t, guard.Check(get(""), anyToken).Description())
	d := guard.Check(get("Bearer unknown"), anyToken)
	rec := httptest.NewRecorder()
	guard.Refuse(rec, get("Bearer unknown"), d)
	assert.JSONEq(t, `{"error":"`+d.Code()+`","error_description":"`+d.Description()+`"}`, rec.Body.String())
}

// Guards may be nested; the inner one decides about its own demands.
func TestNestedGuards(t *testing.T) {
	guard := newGuard(t, nil)
	handler := guard.Wrap(guard.Require(scopes.All("write"))(http.HandlerFunc(hello)))
	for token, want := range map[string]string{"read": needs("write"), "write": admitted} {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, get("Bearer "+token))
		require.Equal(t, want, dump(rec))
	}
}

// A policy that is in force does not change with the list it was made from.
func TestPolicyIsCopied(t *testing.T) {
	policy := middleware.Policy{Scopes: scopes.AnyToken(), ACR: []string{"gold"}}
	handler := newGuard(t, func(*middleware.Config) {}).Protect(policy)(http.NotFoundHandler())
	policy.ACR[0] = ""
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, get("Bearer read"))
	assert.Equal(t, http.StatusUnauthorized, w.Code)
	assert.Contains(t, w.Header().Get("WWW-Authenticate"), `acr_values="gold"`)
}
