package redis_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/redis"
	"github.com/sneckauth/sneck/adapter/redis/internal/redistest"
)

// certificate returns a server's configuration, and the authority that its
// clients trust.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return &tls.Config{Certificates: server.TLS.Certificates}, pool
}

func TestTLS(t *testing.T) {
	server, pool := certificate(t)
	link := newLink(t, redistest.Address(t))
	link.mu.Lock()
	link.tls = server
	link.mu.Unlock()
	cfg := at(link.address)
	cfg.TLS = &tls.Config{RootCAs: pool}
	r := connect(t, cfg)
	require.NoError(t, r.Set(t.Context(), "key", []byte("value"), time.Minute))
	got, err := r.Get(t.Context(), "key")
	require.NoError(t, err)
	assert.Equal(t, "value", string(got))

	// The certificate is looked at, by the URL form too.
	for _, cfg := range []redis.Config{{Addresses: []string{link.address}, TLS: &tls.Config{}}, {URL: "rediss://" + link.address}} {
		r, err := redis.New(cfg)
		require.NoError(t, err)
		_, err = r.Get(t.Context(), "key")
		assert.ErrorContains(t, err, "certificate")
		require.NoError(t, r.Close())
	}
}
