// Package clientcert reads TLS certificates of clients as proxies hand them on.
// Whether a proxy is to be believed is for its caller.
package clientcert

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"net/url"
	"strings"
)

// Decode returns the DER of a certificate in a header field, or nil: a byte
// sequence between colons (RFC 9440, section 2.1; RFC 8941, section 3.3.5), or
// PEM with "%" escapes.
func Decode(field string) []byte {
	if inner, ok := strings.CutPrefix(field, ":"); ok {
		inner, ok = strings.CutSuffix(inner, ":")
		der, err := base64.StdEncoding.Strict().DecodeString(inner)
		if !ok || err != nil || len(der) == 0 {
			return nil
		}
		return der
	}
	text, err := url.PathUnescape(field)
	if err != nil {
		return nil
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil
	}
	return block.Bytes
}

// Thumbprint returns the digest of a certificate that "x5t#S256" holds (RFC
// 8705, section 3.1).
func Thumbprint(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
