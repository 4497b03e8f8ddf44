package main

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"log/slog"
	"strings"
	"sync"
)

// serverTLS returns how the guard speaks to its clients; nil is without TLS.
func (b *guardBuilder) serverTLS() *tls.Config {
	b.bindable()
	if b.TLSCertificate == "" && b.TLSKey == "" {
		return nil
	}
	if b.TLSCertificate == "" {
		b.wrong("needs tls_certificate_file", "tls_key_file")
		return nil
	}
	if b.TLSKey == "" {
		b.wrong("needs tls_key_file", "tls_certificate_file")
		return nil
	}
	if len(b.Proxies) == 0 && strings.HasPrefix(b.ExternalURL, "http://") {
		b.wrong("begins with http://, but clients use TLS (hint: https://)", "dpop_external_url")
	}
	pair := b.pair(b.TLSCertificate, b.TLSKey, "tls_certificate_file")
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.current() },
	}
	if b.MTLS != "off" {
		// Whoever signed it: the token says which one it must be (RFC 8705,
		// section 3), and requests may need none.
		config.ClientAuth = tls.RequestClientCert
	}
	return config
}

// bindable checks that the guard sees the certificates that tokens are to be
// bound to.
func (b *guardBuilder) bindable() {
	switch {
	case b.MTLS == "off" || b.MTLSHeader != "":
	case b.Mode == "forward-auth":
		b.wrong("needs mtls_header, as it is a proxy that asks (hint: Client-Cert)", "mtls")
	case b.TLSCertificate == "":
		b.wrong("needs tls_certificate_file, or mtls_header (hint: Client-Cert, from a proxy in front)", "mtls")
	}
}

// A keyPair is a certificate and its key in files, which are read again for
// every connection, as they may have been renewed. While they do not fit
// together, or are gone, the former ones stay.
type keyPair struct {
	certificate, key string
	logger           *slog.Logger

	mu   sync.Mutex
	seen [2][sha256.Size]byte // the digests of what was tried last, good or bad
	pair *tls.Certificate
}

// pair returns what is in two files. That it can not be had is a mistake in the
// setting of a key.
func (b *guardBuilder) pair(certificate, key, setting string) *keyPair {
	p := &keyPair{certificate: certificate, key: key, logger: b.logger}
	if b.offline {
		return p
	}
	if _, err := p.current(); err != nil {
		b.wrong("is not to be had with its key: "+err.Error(), setting)
	}
	return p
}

// current returns the certificate with its key.
func (p *keyPair) current() (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	certificate, certificateErr := readConfig(p.certificate)
	key, keyErr := readConfig(p.key)
	now := [2][sha256.Size]byte{sha256.Sum256(certificate), sha256.Sum256(key)}
	if p.pair != nil && now == p.seen {
		return p.pair, nil
	}
	p.seen = now
	var pair tls.Certificate
	err := cmp.Or(certificateErr, keyErr)
	if err == nil {
		pair, err = tls.X509KeyPair(certificate, key)
	}
	switch {
	case err != nil && p.pair == nil:
		return nil, err
	case err != nil:
		p.logger.Error("certificate not replaced, the former one is in force", "file", p.certificate, "error", err)
		return p.pair, nil
	case p.pair != nil:
		p.logger.Info("certificate replaced", "file", p.certificate, "good_until", pair.Leaf.NotAfter)
	}
	p.pair = &pair
	return p.pair, nil
}
