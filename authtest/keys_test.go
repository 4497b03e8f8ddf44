package authtest_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/introspect"
	"github.com/sneckauth/sneck/jwt"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// Opaque or JWT, introspected or verified by keys or in the same process: all
// that is said about a token arrives.
func TestIssueAnyClaims(t *testing.T) {
	srv := authtest.NewServer(t)
	now := time.Now().Truncate(time.Second).UTC()
	want := sneck.Token{
		Subject: "alice", ClientID: "web", Username: "Alice", Audience: []string{"https://a.test", "https://b.test"},
		Scopes: scopes.Set{"songs:read", "songs:write"}, ACR: "gold",
		IssuedAt: now.Add(-time.Minute), NotBefore: now.Add(-time.Second), Expires: now.Add(time.Hour), AuthTime: now.Add(-time.Hour),
		Confirmation: &sneck.Confirmation{JKT: "jkt", X5TS256: "x5t"},
	}
	asked := want
	asked.RawClaims = []byte(`{"tenant":{"id":9007199254740993}}`)

	api := srv.Register(t, authserver.Client{ID: "a", Introspect: true, Serves: []string{"https://a.test"}})
	remote, err := introspect.New(introspect.Config{Issuer: srv.URL, Credential: introspect.Basic(api.ID, api.Secret)})
	require.NoError(t, err)
	local, err := jwt.New(jwt.Config{Issuers: []jwt.Issuer{{ID: srv.URL}}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, local.Close()) })

	opaque, signed := srv.Issue(t, asked), srv.IssueJWT(t, asked)
	for name, test := range map[string]struct {
		verifier sneck.Verifier
		token    string
	}{
		"opaque, introspected":        {remote, opaque},
		"opaque, in the same process": {srv, opaque},
		"JWT, introspected":           {remote, signed},
		"JWT, in the same process":    {srv, signed},
		"JWT, verified by keys":       {local, signed},
		"JWT, in both ways":           {sneck.Both(local, remote), signed},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.verifier.Verify(t.Context(), test.token)
			require.NoError(t, err)
			var custom struct {
				Tenant struct{ ID json.Number } `json:"tenant"`
			}
			require.NoError(t, got.Claims(&custom))
			assert.Equal(t, "9007199254740993", custom.Tenant.ID.String())
			assert.Equal(t, srv.URL, got.Issuer)
			assert.NotEmpty(t, got.ID)
			comparable := *got
			for _, at := range []*time.Time{&comparable.IssuedAt, &comparable.NotBefore, &comparable.Expires, &comparable.AuthTime} {
				*at = at.UTC()
			}
			comparable.Issuer, comparable.ID, comparable.Type, comparable.Source, comparable.RawClaims = "", "", "", "", nil
			comparable.VerifiedAt = time.Time{}
			assert.Equal(t, want, comparable)
		})
	}
	unknown := srv.Issue(t, sneck.Token{Confirmation: &sneck.Confirmation{Unknown: true}})
	for _, v := range []sneck.Verifier{srv, guardless{t, srv}} {
		got, err := v.Verify(t.Context(), unknown)
		require.NoError(t, err)
		assert.True(t, got.Confirmation.Unknown)
	}
}

// guardless introspects at the server.
type guardless struct {
	t   *testing.T
	srv *authtest.Server
}

func (g guardless) Verify(ctx context.Context, token string) (*sneck.Token, error) {
	client, err := introspect.New(introspect.Config{
		Endpoint: g.srv.URL + "/introspect", Credential: introspect.Basic(g.srv.ResourceServer.ID, g.srv.ResourceServer.Secret),
	})
	require.NoError(g.t, err)
	return client.Verify(ctx, token)
}

// What a test can not mean ends it.
func TestIssueMistakes(t *testing.T) {
	srv := authtest.NewServer(t)
	for name, token := range map[string]sneck.Token{
		"server's own":      {Issuer: "https://other.test"},
		"not an object":     {RawClaims: []byte(`[]`)},
		"a field's claim":   {RawClaims: []byte(`{"acr":"gold"}`)},
		"a standard member": {RawClaims: []byte(`{"exp":1}`)},
	} {
		t.Run(name, func(t *testing.T) {
			for _, issue := range []func(testing.TB, sneck.Token) string{srv.Issue, srv.IssueJWT} {
				f := &fatal{TB: t}
				done := make(chan struct{})
				go func() {
					defer close(done)
					issue(f, token)
				}()
				<-done
				assert.True(t, f.called.Load())
			}
		})
	}
	others := authtest.NewServer(t, func(c *authserver.Config) { c.Keys = nil })
	for _, fails := range []func(testing.TB){
		func(t testing.TB) { srv.Revoke(t, "no such token") },
		func(t testing.TB) { others.IssueJWT(t, sneck.Token{}) },
	} {
		f := &fatal{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			fails(f)
		}()
		<-done
		assert.True(t, f.called.Load())
	}
}

// Clients may have JWTs of the server, by the same keys; when these change, it
// knows the old ones no more.
func TestServerSignsWithTheKeys(t *testing.T) {
	srv := authtest.NewServer(t, func(c *authserver.Config) { c.AccessTokenFormat = authserver.FormatJWT })
	token := srv.Token(t, "read")
	require.Equal(t, 2, strings.Count(token, "."))
	verifier, err := jwt.New(jwt.Config{Issuers: []jwt.Issuer{{ID: srv.URL}}})
	require.NoError(t, err)
	got, err := verifier.Verify(t.Context(), token)
	require.NoError(t, err)
	assert.Equal(t, scopes.Set{"read"}, got.Scopes)
	_, err = srv.Verify(t.Context(), token)
	require.NoError(t, err)
	srv.RotateKeys()
	_, err = srv.Verify(t.Context(), token)
	require.ErrorIs(t, err, sneck.ErrUnrecognized)
}

// fatal is a test that fails without failing the one around it.
type fatal struct {
	testing.TB
	called atomic.Bool
}

func (f *fatal) Fatal(...any)          { f.end() }
func (f *fatal) Fatalf(string, ...any) { f.end() }
func (f *fatal) end()                  { f.called.Store(true); runtime.Goexit() }

func TestDPoPKey(t *testing.T) {
	srv := authtest.NewServer(t)
	key, thief := authtest.NewDPoPKey(t), authtest.NewDPoPKey(t)
	token := srv.Issue(t, sneck.Token{Subject: "ann", Confirmation: key.Confirmation()})
	var attempts atomic.Int64
	for name, nonceKey := range map[string][]byte{"plain": nil, "with nonces": make([]byte, 32)} {
		t.Run(name, func(t *testing.T) {
			front := httptest.NewUnstartedServer(nil)
			api := newService(t, srv, func(c *middleware.Config) {
				c.DPoP = middleware.DPoP{Mode: middleware.Strict, External: "http://" + front.Listener.Addr().String(), NonceKey: nonceKey}
			})
			front.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				attempts.Add(1)
				body, _ := io.ReadAll(r.Body)
				w.Header().Set("Body", string(body))
				api.ServeHTTP(w, r)
			})
			front.Start()
			t.Cleanup(front.Close)
			send := func(k *authtest.DPoPKey, body io.Reader) string {
				attempts.Store(0)
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front.URL+"/songs?all", body)
				require.NoError(t, err)
				resp, err := (&http.Client{Transport: k.Transport(token, nil)}).Do(r)
				require.NoError(t, err)
				defer resp.Body.Close()
				return strings.TrimSpace(http.StatusText(resp.StatusCode) + " " + resp.Header.Get("Body") + " " + resp.Header.Get("Subject"))
			}
			once := io.MultiReader(strings.NewReader("once")) // can not be read again
			if nonceKey != nil {
				assert.Equal(t, "Unauthorized once", send(key, once))
				key = authtest.NewDPoPKey(t)
				token = srv.Issue(t, sneck.Token{Subject: "ann", Confirmation: key.Confirmation()})
				assert.Equal(t, "OK a body ann", send(key, strings.NewReader("a body")))
				assert.EqualValues(t, 2, attempts.Load(), "one request brings the nonce")
			}
			assert.Equal(t, "OK a body ann", send(key, strings.NewReader("a body")))
			assert.EqualValues(t, 1, attempts.Load())
			assert.Equal(t, "OK  ann", send(key, nil), "each proof is used once")
			assert.Equal(t, "Unauthorized a body", send(thief, strings.NewReader("a body")))
			assert.Equal(t, "Unauthorized", call(api, token), "it is no bearer token")
			if nonceKey == nil {
				assert.Equal(t, "OK once ann", send(key, once))
			}
		})
	}
}

// A client gets a token that is bound to its key, from a server that wants
// nonces; what else is wrong is not tried again.
func TestDPoPKeyAtTheTokenEndpoint(t *testing.T) {
	srv := authtest.NewServer(t, func(c *authserver.Config) { c.DPoPNonceKey = make([]byte, 32) })
	token := srv.Token(t, "read")
	client := http.Client{Transport: authtest.NewDPoPKey(t).Transport("", nil)}
	send := func(scope string) (int, string) {
		form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/token", strings.NewReader(form.Encode()))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(srv.Client.ID, srv.Client.Secret)
		resp, err := client.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	for range 2 {
		status, body := send("read")
		assert.Equal(t, http.StatusOK, status, body)
		assert.Contains(t, body, `"token_type":"DPoP"`)
		status, body = send("unknown")
		assert.Equal(t, http.StatusBadRequest, status)
		assert.Contains(t, body, `"error":"invalid_scope"`)
	}
	got, err := srv.Verify(t.Context(), token)
	require.NoError(t, err)
	assert.Nil(t, got.Confirmation, "who shows no proof needs no nonce")
}

func TestNewCertificate(t *testing.T) {
	srv := authtest.NewServer(t)
	certificate, confirmation := authtest.NewCertificate(t)
	other, _ := authtest.NewCertificate(t)
	token := srv.IssueJWT(t, sneck.Token{Subject: "ann", Confirmation: confirmation})
	front := httptest.NewUnstartedServer(newService(t, srv, func(c *middleware.Config) { c.MTLS.Mode = middleware.Strict }))
	front.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	front.StartTLS()
	t.Cleanup(front.Close)
	for want, certificate := range map[int]tls.Certificate{http.StatusOK: certificate, http.StatusUnauthorized: other} {
		transport := front.Client().Transport.(*http.Transport).Clone()
		transport.TLSClientConfig.Certificates = []tls.Certificate{certificate}
		t.Cleanup(transport.CloseIdleConnections)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front.URL, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := (&http.Client{Transport: transport}).Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, want, resp.StatusCode)
	}
}
