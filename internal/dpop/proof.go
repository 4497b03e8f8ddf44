// Package dpop reads DPoP proofs: JWTs by which the sender of a request shows
// that it holds a key (RFC 9449, section 4).
//
// It checks everything that a proof says about itself. Whether the proof fits
// a request, is fresh, and was not used before is for its caller.
package dpop

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sneckauth/sneck/internal/jws"
)

// Bounds of a proof.
const (
	// MaxBytes is the length of the longest proof; one with an RSA key of
	// 8192 bits fits.
	MaxBytes = 8192
	// MaxIDBytes is the length of the longest "jti".
	MaxIDBytes = 256
)

// Algorithms are all that a proof may be signed with.
var Algorithms = []string{jws.ES256, jws.EdDSA, jws.ES384, jws.ES512, jws.PS256, jws.RS256}

// A Proof is a proof that is well formed, but whose signature is not checked:
// see [Proof.Verify].
type Proof struct {
	// ID is "jti", not empty.
	ID string
	// Method is "htm", not empty.
	Method string
	// URL is "htu" as [Normal] has it.
	URL string
	// IssuedAt is "iat", in seconds since 1970; fractions are cut off.
	IssuedAt int64
	// TokenHash is "ath", and Nonce "nonce"; empty if absent.
	TokenHash, Nonce string
	// Key is the "jwk" of the header.
	Key jws.Key

	input     string
	signature []byte
}

// claimNames are the claims that mean something here.
var claimNames = []string{"jti", "htm", "htu", "iat", "ath", "nonce"}

// Parse reads a proof (RFC 9449, section 4.3, checks 2 to 6, and 7 but for
// the signature). The error never quotes the proof.
func Parse(compact string) (*Proof, error) {
	if len(compact) > MaxBytes {
		return nil, errors.New("dpop: the proof is too long")
	}
	parts, err := jws.Split(compact)
	if err != nil {
		return nil, err
	}
	if parts.Signature == "" {
		return nil, errors.New("dpop: the proof is not signed")
	}
	p := &Proof{input: parts.Input}
	if p.Key, err = key(parts.Header); err != nil {
		return nil, err
	}
	if p.signature, err = jws.Decode(parts.Signature); err != nil {
		return nil, err
	}
	payload, err := jws.Decode(parts.Payload)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(claimNames))
	err = jws.Members(payload, func(name, value []byte) error {
		if jws.Variant(name, claimNames) {
			return errors.New("dpop: a known claim in another case")
		}
		seen[string(name)] = true
		return p.claim(string(name), value)
	})
	if err != nil {
		return nil, err
	}
	for _, name := range claimNames[:4] {
		if !seen[name] {
			return nil, fmt.Errorf("dpop: %q is missing", name)
		}
	}
	return p, nil
}

// key reads the header, which brings the key.
func key(segment string) (jws.Key, error) {
	data, err := jws.Decode(segment)
	if err != nil {
		return jws.Key{}, err
	}
	h, err := jws.ParseHeader(data)
	if err != nil {
		return jws.Key{}, err
	}
	alg := jws.Canonical(h.Algorithm)
	switch {
	case !h.TypeIs("dpop+jwt"):
		return jws.Key{}, errors.New("dpop: \"typ\" is not dpop+jwt")
	case !supported(alg):
		return jws.Key{}, errors.New("dpop: \"alg\" is not supported")
	case h.JWK == nil:
		return jws.Key{}, errors.New("dpop: \"jwk\" is missing")
	case h.KeyByReference:
		return jws.Key{}, errors.New("dpop: a key besides \"jwk\"")
	}
	k, err := jws.ParseJWK(h.JWK, alg)
	if err != nil {
		return jws.Key{}, err
	}
	if k.Algorithm != alg {
		return jws.Key{}, errors.New("dpop: \"alg\" does not fit the key")
	}
	return k, nil
}

func supported(alg string) bool { return slices.Contains(Algorithms, alg) }

func (p *Proof) claim(name string, value []byte) error {
	var dst *string
	switch name {
	case "iat":
		whole, fraction, _ := strings.Cut(string(value), ".")
		seconds, err := strconv.ParseInt(whole, 10, 64)
		if err != nil || strings.Trim(fraction, "0123456789") != "" {
			return errors.New("dpop: \"iat\" is not a number of seconds")
		}
		p.IssuedAt = seconds
		return nil
	case "jti":
		dst = &p.ID
	case "htm":
		dst = &p.Method
	case "htu":
		dst = &p.URL
	case "ath":
		dst = &p.TokenHash
	case "nonce":
		dst = &p.Nonce
	default:
		return nil
	}
	text, ok := jws.String(value)
	if !ok || text == "" {
		return fmt.Errorf("dpop: %q is not a string, or an empty one", name)
	}
	*dst = text
	switch name {
	case "jti":
		if len(text) > MaxIDBytes {
			return errors.New("dpop: \"jti\" is too long")
		}
	case "htu":
		normal, err := Normal(text)
		if err != nil {
			return err
		}
		p.URL = normal
	}
	return nil
}

// Verify checks the signature.
func (p *Proof) Verify() error {
	return jws.Verify(p.Key.Algorithm, p.Key.Public, p.input, p.signature)
}

// Normal returns an absolute http or https URL in the form in which URLs are
// compared (RFC 9449, section 4.3; RFC 3986, section 6.2.2 and 6.2.3): without
// query and fragment, scheme and host in lower case, without the scheme's own
// port, with "/" for no path, and with only those bytes escaped that must be.
// Dot segments stay: no server that this package guards serves them.
func Normal(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" {
		return "", errors.New("dpop: \"htu\" is not an absolute URL")
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	default:
		return "", errors.New("dpop: \"htu\" is neither http nor https")
	}
	return scheme + "://" + strings.TrimSuffix(host, ":") + NormalPath(u.EscapedPath()), nil
}

// NormalPath returns the path of a URL in the form in which paths are
// compared; see [Normal].
func NormalPath(escaped string) string {
	if escaped == "" {
		return "/"
	}
	if strings.IndexByte(escaped, '%') < 0 {
		return escaped
	}
	var b strings.Builder
	for i := 0; i < len(escaped); i++ {
		c := escaped[i]
		if c != '%' || i+2 >= len(escaped) {
			b.WriteByte(c)
			continue
		}
		n, err := strconv.ParseUint(escaped[i+1:i+3], 16, 8)
		switch {
		case err != nil:
			b.WriteByte(c)
			continue
		case unreserved(byte(n)):
			b.WriteByte(byte(n))
		default:
			b.WriteString(strings.ToUpper(escaped[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

// unreserved reports whether a byte need not be escaped (RFC 3986, section
// 2.3).
func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
