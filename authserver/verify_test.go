package authserver_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

// sample is an access token that was made for the tests.
const sample = "sneck_at_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg35fLHQ"

func TestWellFormed(t *testing.T) {
	w := newWorld(t, func(c *authserver.Config) { c.AccessToken = nil })
	seen := map[string]bool{}
	for range 100 {
		token := w.issue(t, "app", "")
		assert.True(t, authserver.WellFormed(token))
		assert.Len(t, token, 58)
		assert.True(t, sneck.ValidToken(token))
		assert.False(t, seen[token])
		seen[token] = true
	}
	assert.True(t, authserver.WellFormed(sample))
	for i := range sample {
		damaged := []byte(sample)
		damaged[i] ^= 1
		assert.False(t, authserver.WellFormed(string(damaged)), "%s", damaged)
		assert.False(t, authserver.WellFormed(sample[:i]))
	}
	for _, token := range []string{"", sample + "0", " " + sample, "x" + sample[1:], "sneck_rt_" + sample[9:]} {
		assert.False(t, authserver.WellFormed(token), token)
	}
}

func TestVerify(t *testing.T) {
	w := newWorld(t)
	value := w.issue(t, "app", "scope=read+write")
	w.now = epoch.Add(time.Minute)
	got, err := w.Verify(t.Context(), value)
	require.NoError(t, err)
	assert.Equal(t, &sneck.Token{
		Issuer: issuer, Subject: "app", ClientID: "app", Audience: []string{api}, Scopes: scopes.Set{"read", "write"},
		ID: "A9cltlKWPselIAtH1AJsHw", Type: "Bearer", IssuedAt: epoch, Expires: epoch.Add(time.Hour),
		VerifiedAt: w.now, Source: "store", RawClaims: []byte(whole),
	}, got)
	var claims struct{ Aud string }
	require.NoError(t, got.Claims(&claims))
	assert.Equal(t, api, claims.Aud)

	for after, valid := range map[time.Duration]bool{
		time.Hour - 1: true,
		time.Hour:     false, // expired when now >= expiry
		2 * time.Hour: false,
	} {
		w.now = epoch.Add(after)
		_, err = w.Verify(t.Context(), value)
		if valid {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, sneck.ErrInvalid)
		}
	}
}

func TestVerifyTellsThreeKindsOfNo(t *testing.T) {
	w := newWorld(t, func(c *authserver.Config) { c.AccessToken = nil })
	down := newWorld(t, func(c *authserver.Config) { c.AccessToken, c.Store = nil, failingStore{} })
	for _, test := range []struct {
		name, token string
		want        error
	}{
		{"somebody else's", "other_prefix", sneck.ErrUnrecognized},
		{"empty", "", sneck.ErrInvalid},
		{"malformed", "a b", sneck.ErrInvalid},
		{"damaged", sample + "x", sneck.ErrInvalid},
	} {
		for _, w := range []*world{w, down} {
			_, err := w.Verify(t.Context(), test.token)
			require.ErrorIs(t, err, test.want, test.name)
		}
	}
	_, err := w.Verify(t.Context(), sample)
	require.ErrorIs(t, err, sneck.ErrInvalid)

	_, err = down.Verify(t.Context(), sample)
	require.ErrorIs(t, err, errBroken)
	require.NotErrorIs(t, err, sneck.ErrInvalid)
	require.NotErrorIs(t, err, sneck.ErrUnrecognized)
	assert.NotContains(t, err.Error(), sample)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = w.Verify(ctx, sample)
	require.ErrorIs(t, err, context.Canceled)
}
