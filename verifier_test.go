package sneck_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/scopes"
)

func TestValidToken(t *testing.T) {
	for token, want := range map[string]bool{
		"":                               false,
		"=":                              false,
		"a":                              true,
		"a=":                             true,
		"a==":                            true,
		"=a":                             false,
		"a=b":                            false,
		"aZ09-._~+/":                     true,
		"a b":                            false,
		"a,b":                            false,
		"a\tb":                           false,
		"a\x00":                          false,
		"a\r\n":                          false,
		"é":                              false,
		"a%20":                           false,
		strings.Repeat("a", 8192):        true,
		strings.Repeat("a", 8193):        false,
		strings.Repeat("a", 8190) + "==": true,
		strings.Repeat("=", 100):         false,
	} {
		assert.Equal(t, want, sneck.ValidToken(token), "%.20q", token)
	}
}

// A witness is a verifier that counts how often it was shown a token.
type witness struct {
	token *sneck.Token
	err   error
	shown int
}

func (s *witness) Verify(context.Context, string) (*sneck.Token, error) {
	s.shown++
	return s.token, s.err
}

func TestFirst(t *testing.T) {
	outage := errors.New("outage")
	alice := &sneck.Token{Subject: "alice"}
	for _, test := range []struct {
		name  string
		first error
		want  error
		shown int // to the second, which knows the token
	}{
		{"not mine: the next is asked", sneck.ErrUnrecognized, nil, 1},
		{"invalid is final", sneck.ErrInvalid, sneck.ErrInvalid, 0},
		{"an outage is not a reason to give the token away", outage, outage, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			second := &witness{token: alice}
			got, err := sneck.First(&witness{err: test.first}, second).Verify(t.Context(), "token")
			require.ErrorIs(t, err, test.want)
			if test.want == nil {
				assert.Same(t, alice, got)
			}
			assert.Equal(t, test.shown, second.shown)
		})
	}
	_, err := sneck.First().Verify(t.Context(), "token")
	assert.ErrorIs(t, err, sneck.ErrUnrecognized)
}

func TestPrefixed(t *testing.T) {
	inner := &witness{token: &sneck.Token{}}
	v := sneck.Prefixed(inner, "ory_at_", "sneck_at_")
	for token, want := range map[string]error{"ory_at_1": nil, "sneck_at_2": nil, "ory_a": sneck.ErrUnrecognized, "": sneck.ErrUnrecognized, "xory_at_": sneck.ErrUnrecognized} {
		_, err := v.Verify(t.Context(), token)
		assert.ErrorIs(t, err, want, token)
	}
	assert.Equal(t, 2, inner.shown)
}

func TestVerifierFuncIsShownOnlyTokens(t *testing.T) {
	v := sneck.VerifierFunc(func(_ context.Context, token string) (*sneck.Token, error) {
		assert.True(t, sneck.ValidToken(token))
		return &sneck.Token{}, nil
	})
	for token, want := range map[string]error{"good": nil, "": sneck.ErrInvalid, "a b": sneck.ErrInvalid, "a\n": sneck.ErrInvalid} {
		_, err := v.Verify(t.Context(), token)
		assert.ErrorIs(t, err, want)
	}
}

func TestUnavailableErrorKeepsItsCause(t *testing.T) {
	cause := errors.New("connection refused")
	var err error = &sneck.UnavailableError{Err: cause, RetryAfter: time.Second}
	assert.ErrorIs(t, err, cause)
	assert.NotErrorIs(t, err, sneck.ErrInvalid)
	assert.EqualError(t, err, "sneck: could not verify: connection refused")
}

func TestToken(t *testing.T) {
	var nobody *sneck.Token
	assert.False(t, nobody.Has())
	assert.False(t, nobody.Has("read"))
	assert.False(t, nobody.MeantFor("api"))
	assert.Error(t, nobody.Claims(&struct{}{}))

	now := time.Unix(1_800_000_000, 0)
	token := &sneck.Token{
		Scopes: scopes.MustParse("read write"), Audience: []string{"https://api.example"},
		Expires: now, RawClaims: []byte(`{"active":true,"tenant":"acme"}`),
	}
	assert.True(t, token.Has())
	assert.True(t, token.Has("read"))
	assert.True(t, token.Has("write", "read"))
	assert.False(t, token.Has("rea"))
	assert.False(t, token.Has("read write"))
	assert.False(t, token.Has("READ"))
	assert.True(t, token.MeantFor("https://other.example", "https://api.example"))
	assert.False(t, token.MeantFor("https://api.example/"))
	assert.False(t, token.MeantFor())
	assert.False(t, token.ExpiredAt(now.Add(-1)))
	assert.True(t, token.ExpiredAt(now))
	assert.False(t, (&sneck.Token{}).ExpiredAt(now))
	var claims struct{ Tenant string }
	require.NoError(t, token.Claims(&claims))
	assert.Equal(t, "acme", claims.Tenant)
	assert.Error(t, token.Claims(claims), "not a pointer")
}

func TestContext(t *testing.T) {
	type key struct{}
	token := &sneck.Token{Subject: "alice"}
	ctx := context.WithValue(t.Context(), key{}, "kept")
	assert.Nil(t, sneck.FromContext(ctx))
	ctx = sneck.NewContext(ctx, token)
	assert.Same(t, token, sneck.FromContext(ctx))
	assert.Same(t, token, sneck.FromContext(context.WithValue(ctx, key{}, 1)))
	assert.Equal(t, "kept", ctx.Value(key{}))
	assert.Nil(t, sneck.FromContext(sneck.NewContext(ctx, nil)), "an inner nil hides an outer token")
}

func TestMaxStaleness(t *testing.T) {
	_, ok := sneck.MaxStaleness(t.Context())
	assert.False(t, ok)
	for _, test := range []struct{ outer, inner, want time.Duration }{
		{time.Minute, time.Second, time.Second},
		{time.Second, time.Minute, time.Second}, // the stricter counts
		{time.Second, 0, 0},
		{time.Second, -5, 0},
	} {
		ctx := sneck.WithMaxStaleness(sneck.WithMaxStaleness(t.Context(), test.outer), test.inner)
		got, ok := sneck.MaxStaleness(ctx)
		assert.True(t, ok)
		assert.Equal(t, test.want, got)
	}
}
