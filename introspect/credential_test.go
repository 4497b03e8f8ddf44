package introspect_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/internal/lyingserver"
	"github.com/sneckauth/sneck/introspect"
)

func TestSecretInAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	s := lyingserver.New(t, lyingserver.Answer(good))
	config := introspect.Config{Endpoint: s.URL, Timeout: time.Minute, Credential: introspect.Rotating(introspect.File(path), introspect.Bearer)}
	_, err := introspect.New(config)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, []byte("\n"), 0o600))
	_, err = introspect.New(config)
	require.ErrorContains(t, err, "empty")

	require.NoError(t, os.WriteFile(path, []byte("one\n"), 0o600))
	c, err := introspect.New(config)
	require.NoError(t, err)
	sent := func() string {
		_, err := c.Verify(t.Context(), "abc")
		require.NoError(t, err)
		return s.Last(t).Header.Get("Authorization")
	}
	assert.Equal(t, "Bearer one", sent())

	// Of the same length, within the same tick of the clock.
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte("two\n"), 0o600))
	require.NoError(t, os.Chtimes(path, time.Time{}, info.ModTime()))
	assert.Equal(t, "Bearer two", sent())
	// By another file in its place, however old.
	other := filepath.Join(t.TempDir(), "other")
	require.NoError(t, os.WriteFile(other, []byte("six\r\n"), 0o600))
	require.NoError(t, os.Chtimes(other, time.Time{}, time.Unix(1, 0)))
	require.NoError(t, os.Rename(other, path))
	assert.Equal(t, "Bearer six", sent())
	assert.Equal(t, "Bearer six", sent())
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	assert.Equal(t, "Bearer six", sent(), "an empty file is no secret")
	require.NoError(t, os.Remove(path))
	assert.Equal(t, "Bearer six", sent(), "the last one may well be good")

	require.NoError(t, os.WriteFile(path, []byte("a b"), 0o600))
	got, err := c.Verify(t.Context(), "abc")
	requireUnavailable(t, got, err)
	assert.NotContains(t, err.Error(), "a b")
}

func TestSecretInTheEnvironment(t *testing.T) {
	s := lyingserver.New(t, lyingserver.Answer(good))
	config := introspect.Config{Endpoint: s.URL, Timeout: time.Minute, Credential: introspect.Rotating(introspect.Env("INTROSPECT_TEST_SECRET"),
		func(secret string) introspect.Credential { return introspect.Post("api", secret) })}
	_, err := introspect.New(config)
	require.ErrorContains(t, err, "INTROSPECT_TEST_SECRET is not set")
	t.Setenv("INTROSPECT_TEST_SECRET", "s3cr3t")
	c, err := introspect.New(config)
	require.NoError(t, err)
	_, err = c.Verify(t.Context(), "abc")
	require.NoError(t, err)
	assert.Equal(t, "s3cr3t", s.Last(t).Form.Get("client_secret"))
}

// signFunc is a credential that a program brings along.
type signFunc func(r *introspect.Request) error

func (f signFunc) Sign(_ context.Context, r *introspect.Request) error { return f(r) }

func TestOwnCredential(t *testing.T) {
	s := lyingserver.New(t, lyingserver.Status(401, ""), lyingserver.Status(503, ""), lyingserver.Answer(good))
	var signed []introspect.Request
	c := asking(t, s, func(cfg *introspect.Config) {
		cfg.Issuer = "https://as.example.com"
		cfg.Credential = signFunc(func(r *introspect.Request) error {
			r.Header.Set("Authorization", fmt.Sprint("Own ", len(signed)))
			signed = append(signed, *r)
			return nil
		})
	})
	_, err := c.Verify(t.Context(), "abc")
	require.NoError(t, err)
	require.Len(t, signed, 3, "each try is signed anew")
	for i, want := range []string{"", "Own 0", ""} {
		assert.Equal(t, want, signed[i].Refused)
		assert.Equal(t, "https://as.example.com", signed[i].Issuer)
		assert.Equal(t, s.URL+"/introspect", signed[i].URL)
		assert.Equal(t, "abc", signed[i].Form.Get("token"))
		assert.Equal(t, fmt.Sprint("Own ", i), s.Seen()[i].Header.Get("Authorization"))
	}
	assert.Equal(t, introspect.Stats{Active: 1, Tries: 3, Retries: 1, Renewals: 1}, c.Stats())
}

func TestRefusedTwice(t *testing.T) {
	s := lyingserver.New(t, lyingserver.Status(401, ""))
	n := 0
	c := asking(t, s, func(cfg *introspect.Config) {
		cfg.Credential = signFunc(func(r *introspect.Request) error {
			n++
			r.Header.Set("Authorization", fmt.Sprint("Own ", n))
			return nil
		})
	})
	got, err := c.Verify(t.Context(), "abc")
	requireUnavailable(t, got, err)
	require.ErrorIs(t, err, introspect.ErrCredentials)
	assert.Len(t, s.Seen(), 2)
}

func TestWhatCanNotBeSignedIsNotSent(t *testing.T) {
	cause := errors.New("the key is locked")
	s := lyingserver.New(t, lyingserver.Answer(good))
	c := asking(t, s, func(cfg *introspect.Config) {
		cfg.Credential = signFunc(func(*introspect.Request) error { return cause })
		cfg.BreakAfter = 1
	})
	for range 3 {
		got, err := c.Verify(t.Context(), "abc")
		requireUnavailable(t, got, err)
		require.ErrorIs(t, err, cause)
	}
	assert.Empty(t, s.Seen())
	assert.Zero(t, c.Stats().Opened)
}

func TestMTLS(t *testing.T) {
	s := lyingserver.NewTLS(t, lyingserver.Answer(good))
	roots := x509.NewCertPool()
	roots.AddCert(s.HTTP.Certificate())
	_, err := introspect.New(introspect.Config{Endpoint: s.URL, Credential: introspect.MTLS("api"), TLS: &tls.Config{}})
	require.ErrorContains(t, err, "client certificate")

	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: s.HTTP.TLS.Certificates, ClientAuth: tls.RequireAnyClientCert,
	})
	require.NoError(t, err)
	var presented []byte
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		presented = r.TLS.PeerCertificates[0].Raw
		s.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	c := asking(t, s, func(cfg *introspect.Config) {
		cfg.Endpoint = "https://" + l.Addr().String()
		cfg.Credential = introspect.MTLS("api")
		// Any key pair will do; the one of the server is at hand.
		cfg.TLS = &tls.Config{RootCAs: roots, Certificates: s.HTTP.TLS.Certificates}
	})
	_, err = c.Verify(t.Context(), "abc")
	require.NoError(t, err)
	assert.Equal(t, "api", s.Last(t).Form.Get("client_id"))
	assert.Equal(t, s.HTTP.Certificate().Raw, presented)
}
