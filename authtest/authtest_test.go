package authtest_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/scopes"
)

func TestMapVerifier(t *testing.T) {
	alice := &sneck.Token{Subject: "alice"}
	v := authtest.MapVerifier{"good": alice, "bad form": alice, "nil": nil}
	before := time.Now()
	got, err := v.Verify(t.Context(), "good")
	require.NoError(t, err)
	assert.Equal(t, "alice", got.Subject)
	assert.False(t, got.VerifiedAt.Before(before))
	assert.Zero(t, alice.VerifiedAt, "the one in the map is not touched")
	for _, token := range []string{"", "goo", "good ", "bad form", "nil"} {
		_, err := v.Verify(t.Context(), token)
		require.ErrorIs(t, err, sneck.ErrInvalid, token)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = v.Verify(ctx, "good")
	require.ErrorIs(t, err, context.Canceled)
}

func ask(t *testing.T, srv *authtest.Server, token string) (int, bool) {
	t.Helper()
	form := url.Values{
		"token": {token}, "client_id": {srv.ResourceServer.ID}, "client_secret": {srv.ResourceServer.Secret},
	}
	resp, err := http.PostForm(srv.URL+"/introspect", form)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, strings.Contains(string(body), `"active":true`)
}

func TestServer(t *testing.T) {
	srv := authtest.NewServer(t)
	token := srv.Token(t, "read", "songs:play")
	got, err := srv.Verify(t.Context(), token)
	require.NoError(t, err)
	assert.Equal(t, scopes.Set{"read", "songs:play"}, got.Scopes)
	assert.Equal(t, []string{authtest.Audience}, got.Audience)
	assert.Equal(t, srv.URL, got.Issuer)
	assert.Equal(t, srv.URL, srv.Issuer())

	assert.Zero(t, srv.Introspections())
	status, active := ask(t, srv, token)
	assert.Equal(t, http.StatusOK, status)
	assert.True(t, active)
	assert.Equal(t, 1, srv.Introspections())

	srv.Revoke(t, token)
	_, active = ask(t, srv, token)
	assert.False(t, active)
	assert.Equal(t, 2, srv.Introspections())

	srv.Intercept(http.NotFoundHandler())
	status, _ = ask(t, srv, token)
	assert.Equal(t, http.StatusNotFound, status)
	assert.Equal(t, 3, srv.Introspections())
	srv.Intercept(nil)
	status, _ = ask(t, srv, token)
	assert.Equal(t, http.StatusOK, status)

	token = srv.Token(t, "read")
	srv.Advance(time.Hour + time.Second)
	_, active = ask(t, srv, token)
	assert.False(t, active)
}

func TestIssue(t *testing.T) {
	srv := authtest.NewServer(t, func(c *authserver.Config) { c.AccessTokenTTL = time.Minute })
	now := time.Now().Truncate(time.Second)
	got, err := srv.Verify(t.Context(), srv.Issue(t, sneck.Token{}))
	require.NoError(t, err)
	assert.Equal(t, "client", got.Subject)
	assert.Equal(t, []string{authtest.Audience}, got.Audience)

	got, err = srv.Verify(t.Context(), srv.Issue(t, sneck.Token{
		Subject: "alice", ClientID: "web", Audience: []string{"x"}, Scopes: scopes.Set{"any"},
		IssuedAt: now.Add(-time.Hour), NotBefore: now, Expires: now.Add(5 * time.Minute),
	}))
	require.NoError(t, err)
	assert.Equal(t, "alice", got.Subject)
	assert.Equal(t, "web", got.ClientID)
	assert.Equal(t, []string{"x"}, got.Audience)
	assert.Equal(t, scopes.Set{"any"}, got.Scopes)
	assert.Equal(t, now.Add(5*time.Minute), got.Expires)

	for _, token := range []sneck.Token{{Expires: now}, {NotBefore: now.Add(time.Hour)}} {
		_, err = srv.Verify(t.Context(), srv.Issue(t, token))
		require.ErrorIs(t, err, sneck.ErrInvalid)
	}
}
