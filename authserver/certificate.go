package authserver

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/sneckauth/sneck/internal/clientcert"
)

// A MutualTLS says how certificates of clients are taken: to authenticate the
// clients, and to bind tokens to (RFC 8705). The TLS server has to ask for
// certificates, and take any: [crypto/tls.RequestClientCert]. Which ones are
// good for what is decided here.
type MutualTLS struct {
	// Roots are the authorities whose certificates say who a client is
	// ("tls_client_auth"), with their intermediate ones if clients do not send
	// those. If nil, clients authenticate by certificates that are in their
	// records only ("self_signed_tls_client_auth").
	Roots *x509.CertPool
	// Header is the header field in which a proxy that ends TLS hands on the
	// client's certificate: as in "Client-Cert" (RFC 9440), or as escaped PEM.
	// It is taken from Config.Proxies.Trusted only, and there by the address of
	// the peer: from a Unix socket it is not. They must have seen the client
	// prove that it holds the key, and remove the field from what clients send.
	// From all others, the certificate is that of the request's own connection.
	Header string
	// Endpoints, if not empty, is the URL that is published in place of the
	// issuer's for the endpoints where certificates are asked for, so that
	// browsers do not meet the question ("mtls_endpoint_aliases").
	Endpoints string
}

// A ClientCertificate is the name that the certificate of a client has, in one
// of the ways in which it may be written there.
type ClientCertificate struct {
	// Subject is the whole subject, in the form of RFC 4514, the last part
	// first: "CN=app,O=Example,C=DE", as "openssl x509 -noout -subject -nameopt
	// RFC2253" has it.
	Subject string
	// DNS, URI, IP and Email are subject alternative names.
	DNS, URI, IP, Email string
}

// names returns how many names there are.
func (c ClientCertificate) names() (n int) {
	for _, name := range []string{c.Subject, c.DNS, c.URI, c.IP, c.Email} {
		if name != "" {
			n++
		}
	}
	return n
}

// isOf reports whether a certificate has the name.
func (c ClientCertificate) isOf(certificate *x509.Certificate) bool {
	switch {
	case c.Subject != "":
		var rdns pkix.RDNSequence
		rest, err := asn1.Unmarshal(certificate.RawSubject, &rdns)
		return err == nil && len(rest) == 0 && rdns.String() == c.Subject
	case c.DNS != "":
		return slices.ContainsFunc(certificate.DNSNames, func(name string) bool { return strings.EqualFold(name, c.DNS) })
	case c.URI != "":
		for _, u := range certificate.URIs {
			if u.String() == c.URI {
				return true
			}
		}
	case c.IP != "":
		want, err := netip.ParseAddr(c.IP)
		for _, ip := range certificate.IPAddresses {
			if got, ok := netip.AddrFromSlice(ip); err == nil && ok && got.Unmap() == want.Unmap() {
				return true
			}
		}
	case c.Email != "":
		return slices.Contains(certificate.EmailAddresses, c.Email)
	}
	return false
}

func (m *MutualTLS) prepare(proxies Proxies) error {
	if m == nil {
		return nil
	}
	if m.Header != "" && len(proxies.Trusted) == 0 {
		return errors.New("authserver: MutualTLS.Header needs Proxies.Trusted (hint: whose header it is)")
	}
	if m.Endpoints != "" {
		if err := checkIssuer(m.Endpoints); err != nil {
			return fmt.Errorf("authserver: MutualTLS.Endpoints: %w", err)
		}
	}
	return nil
}

// certificates returns the certificate that the client showed, with those that
// it sent behind it, or nil. The certificate of a trusted proxy is not its
// client's.
func (s *Server) certificates(r *http.Request) []*x509.Certificate {
	m := s.config.MutualTLS
	if m == nil {
		return nil
	}
	proxies := s.config.Proxies
	peer, ok := parseAddress(r.RemoteAddr)
	switch {
	case len(proxies.Trusted) == 0 || ok && !proxies.trusts(peer):
		if r.TLS == nil {
			return nil
		}
		return r.TLS.PeerCertificates
	case m.Header == "" || !ok:
		return nil
	}
	fields := r.Header.Values(m.Header)
	if len(fields) != 1 {
		return nil
	}
	certificate, err := x509.ParseCertificate(clientcert.Decode(fields[0]))
	if err != nil {
		return nil
	}
	return []*x509.Certificate{certificate}
}

// authenticateTLS authenticates a client by the certificate that it showed
// (RFC 8705, section 2).
func (s *Server) authenticateTLS(r *http.Request, c *Client) (*Client, error) {
	chain := s.certificates(r)
	if len(chain) == 0 {
		return nil, invalidClient("the client shows no certificate", nil)
	}
	err := s.checkCertificate(r, c, chain)
	var outage *Error
	if errors.As(err, &outage) {
		return nil, outage
	}
	if err != nil {
		return nil, invalidClient("the certificate is not that of the client", err)
	}
	return c, nil
}

func (s *Server) checkCertificate(r *http.Request, c *Client, chain []*x509.Certificate) error {
	leaf, now := chain[0], s.config.Now()
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return errors.New("the certificate has expired, or is not yet valid")
	}
	if c.AuthMethod == methodSelfSignedTLS {
		has := func(k *clientKeys) bool { return k.has(leaf) }
		keys, err := s.keysOf(r.Context(), c, has)
		if err == nil && !has(keys) {
			err = errors.New("the certificate is not in the key set of the client")
		}
		return err
	}
	if s.config.MutualTLS.Roots == nil {
		return unavailable(errors.New("the client is registered for tls_client_auth, and there are no authorities (hint: MutualTLS.Roots)"))
	}
	between := x509.NewCertPool()
	for _, certificate := range chain[1:] {
		between.AddCert(certificate)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: s.config.MutualTLS.Roots, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return err
	}
	if !c.Certificate.isOf(leaf) {
		return errors.New("the certificate has another name")
	}
	return nil
}

// thumbprint returns the digest of the certificate that the client showed, or
// "" if there is none.
func (s *Server) thumbprint(r *http.Request) string {
	chain := s.certificates(r)
	if len(chain) == 0 {
		return ""
	}
	return clientcert.Thumbprint(chain[0].Raw)
}
