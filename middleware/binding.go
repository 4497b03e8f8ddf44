package middleware

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/clientcert"
	"github.com/sneckauth/sneck/internal/dpop"
)

// A Mode says how a guard treats tokens that are bound to a key.
type Mode string

const (
	// Off refuses tokens that are bound in this way, since nobody checks the
	// key. It is the zero Mode, too.
	Off Mode = "off"
	// Optional takes them from those who prove to hold the key, and also
	// takes tokens that are not bound.
	Optional Mode = "optional"
	// Strict takes no tokens but those.
	Strict Mode = "strict"
)

func (m Mode) known() bool { return m == "" || m == Off || m.on() }
func (m Mode) on() bool    { return m == Optional || m == Strict }

// An MTLS says how tokens that are bound to the client's TLS certificate are
// taken (RFC 8705, section 3). The zero MTLS refuses them.
type MTLS struct {
	// Mode says whether such tokens are taken, or nothing else.
	Mode Mode
	// Header is the header field in which a proxy that ends TLS hands on the
	// client's certificate: as in "Client-Cert" (RFC 9440), or as escaped
	// PEM. It is taken from TrustedProxies only. If empty, the certificate
	// is that of the request's own connection.
	Header string
	// TrustedProxies are the addresses that [http.Request.RemoteAddr] may
	// have for the Header to be believed. They must be proxies that remove
	// the field from what clients send. Do not put middleware before the
	// guard that changes RemoteAddr.
	TrustedProxies []netip.Prefix
}

func (m *MTLS) check(mistake func(format string, args ...any)) {
	if !m.Mode.known() {
		mistake("MTLS.Mode %q is none of off, optional, strict", m.Mode)
	}
	if !m.Mode.on() && (m.Header != "" || m.TrustedProxies != nil) {
		mistake("MTLS is configured but off (hint: set MTLS.Mode)")
	}
	if (m.Header == "") != (len(m.TrustedProxies) == 0) {
		mistake("MTLS.Header and MTLS.TrustedProxies need each other")
	}
}

// bound checks that the sender of a request holds the key that its token is
// bound to (RFC 9449, section 7.2; RFC 8705, section 3).
func (g *Guard) bound(r *http.Request, p *Policy, t *sneck.Token, proof *dpop.Proof) (Reason, error) {
	if t.Confirmation == nil && proof == nil && t.Type == "Bearer" && !p.SenderConstrained && g.config.DPoP.Mode != Strict && g.config.MTLS.Mode != Strict {
		return "", nil // the usual case: nobody speaks of a key
	}
	var jkt, x5t string
	if cnf := t.Confirmation; cnf != nil {
		jkt, x5t = cnf.JKT, cnf.X5TS256
		if cnf.Unknown || jkt == "" && x5t == "" {
			return ReasonBinding, errUnknownBinding
		}
	}
	switch {
	case proof == nil && (jkt != "" || strings.EqualFold(t.Type, "DPoP")):
		return ReasonBinding, errors.New("middleware: DPoP token without a proof")
	case proof != nil && (jkt == "" || !same(jkt, proof.Key.Thumbprint())):
		return ReasonBinding, errors.New("middleware: DPoP proof by another key than the token's")
	case jkt == "" && g.config.DPoP.Mode == Strict,
		x5t == "" && g.config.MTLS.Mode == Strict,
		x5t == "" && jkt == "" && p.SenderConstrained:
		return ReasonBinding, errors.New("middleware: token is not bound to a key")
	case x5t != "" && !g.config.MTLS.holds(r, x5t):
		return ReasonBinding, errors.New("middleware: certificate is missing, or another than the token's")
	case proof == nil:
		return "", nil
	}
	return g.config.DPoP.spend(r.Context(), proof)
}

var errUnknownBinding = errors.New("middleware: token is bound in a way that is not known")

// holds reports whether the client showed the certificate with the SHA-256
// digest.
func (m *MTLS) holds(r *http.Request, digest string) bool {
	if !m.Mode.on() {
		return false
	}
	der := m.certificate(r)
	if der == nil {
		return false
	}
	return same(digest, clientcert.Thumbprint(der))
}

// certificate returns the DER of the client's certificate, or nil. The
// certificate of a trusted proxy is not its client's.
func (m *MTLS) certificate(r *http.Request) []byte {
	if m.Header != "" && m.trusts(r.RemoteAddr) {
		fields := r.Header.Values(m.Header)
		if len(fields) != 1 {
			return nil
		}
		return clientcert.Decode(fields[0])
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0].Raw
}

func (m *MTLS) trusts(remote string) bool {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	for _, proxy := range m.TrustedProxies {
		if proxy.Contains(peer.Addr().Unmap().WithZone("")) {
			return true
		}
	}
	return false
}
