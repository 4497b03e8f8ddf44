package main

import (
	"crypto/x509"
	"fmt"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/cmd/internal/settings"
)

// bindings sets what is about keys and certificates that clients show.
func (s *serverSettings) bindings(l *settings.Loaded, c *authserver.Config) {
	c.Assertions.InsecureEndpointAudience, c.Assertions.InsecurePrivateKeySets = s.EndpointAudience, s.PrivateKeySets
	switch keys := s.keyFile(l, "dpop_nonce_key_file", s.NonceFile); len(keys) {
	case 0:
	case 1:
		c.DPoPNonceKey = keys[0]
	default:
		l.Wrong("dpop_nonce_key_file", "has %d keys in it, but one is used (hint: nonces of another are replaced by themselves)", len(keys))
	}
	if s.MTLSHeader == "" {
		for key, said := range map[string]bool{"mtls_roots_file": s.MTLSRoots != "", "mtls_url": s.MTLSURL != ""} {
			if said {
				l.Wrong(key, "has no effect without the field that has the certificate (hint: mtls_header: Client-Cert)")
			}
		}
		return
	}
	if len(s.TrustedProxies) == 0 {
		l.Wrong("mtls_header", "has no effect without proxies that are trusted (hint: trusted_proxies)")
		return
	}
	c.MutualTLS = &authserver.MutualTLS{Header: s.MTLSHeader, Endpoints: s.MTLSURL}
	if s.MTLSRoots == "" {
		return
	}
	var err error
	if c.MutualTLS.Roots, err = readRoots(s.MTLSRoots); err != nil && !s.gone(err) {
		l.Wrong("mtls_roots_file", "%v", err)
	}
}

// readRoots returns the authorities in a file.
func readRoots(path string) (*x509.CertPool, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("there is no certificate in %s (hint: PEM, -----BEGIN CERTIFICATE-----)", path)
	}
	return roots, nil
}
