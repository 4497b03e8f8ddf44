package authtest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sneckauth/sneck"
)

// A DPoPKey is the key of a client that proves to hold it (RFC 9449). It is
// safe for concurrent use.
type DPoPKey struct {
	t      testing.TB
	key    jose.JSONWebKey
	signer jose.Signer

	mu     sync.Mutex
	nonces map[string]string // by origin
}

// NewDPoPKey returns a new key, which lives as long as the test.
func NewDPoPKey(t testing.TB) *DPoPKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	options := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: private}, options)
	if err != nil {
		t.Fatal(err)
	}
	return &DPoPKey{t: t, key: jose.JSONWebKey{Key: private.Public()}, signer: signer, nonces: map[string]string{}}
}

// Confirmation is what binds a token to the key.
func (k *DPoPKey) Confirmation() *sneck.Confirmation {
	k.t.Helper()
	thumbprint, err := k.key.Thumbprint(crypto.SHA256)
	if err != nil {
		k.t.Fatal(err)
	}
	return &sneck.Confirmation{JKT: base64.RawURLEncoding.EncodeToString(thumbprint)}
}

// Proof returns a good proof for a request with the token, or for one without
// if that is empty, each time another. Claims are added to it and replace those
// that it has; a nil one is left out.
func (k *DPoPKey) Proof(method, target, token string, claims map[string]any) string {
	k.t.Helper()
	htu, _, _ := strings.Cut(target, "?")
	all := map[string]any{"jti": random(), "htm": method, "htu": htu, "iat": time.Now().Unix()}
	if token != "" {
		hash := sha256.Sum256([]byte(token))
		all["ath"] = base64.RawURLEncoding.EncodeToString(hash[:])
	}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return sign(k.t, k.signer, all)
}

// Transport sends requests through base, nil for [http.DefaultTransport], with
// the token and a proof of their own; with an empty token they are requests to
// a token endpoint, and get the proof only. A nonce that a server hands out is in
// the next proof for it; a request that is refused for want of one is sent
// once more, if its body can be read again ([http.Request.GetBody]).
func (k *DPoPKey) Transport(token string, base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &dpopTransport{k, token, base}
}

type dpopTransport struct {
	key   *DPoPKey
	token string
	base  http.RoundTripper
}

func (d *dpopTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := d.send(r, r.Body)
	if err != nil || !d.wantsNonce(resp) || r.Body != nil && r.GetBody == nil {
		return resp, err
	}
	var body io.ReadCloser
	if r.GetBody != nil {
		if body, err = r.GetBody(); err != nil {
			return resp, nil // the first answer is an answer
		}
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	return d.send(r, body)
}

func (d *dpopTransport) send(r *http.Request, body io.ReadCloser) (*http.Response, error) {
	origin := (&url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host}).String()
	d.key.mu.Lock()
	nonce := d.key.nonces[origin]
	d.key.mu.Unlock()
	claims := map[string]any{}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	r = r.Clone(r.Context())
	r.Body = body
	if d.token != "" {
		r.Header.Set("Authorization", "DPoP "+d.token)
	}
	r.Header.Set("DPoP", d.key.Proof(r.Method, r.URL.String(), d.token, claims))
	resp, err := d.base.RoundTrip(r)
	if err == nil && resp.Header.Get("DPoP-Nonce") != "" {
		d.key.mu.Lock()
		d.key.nonces[origin] = resp.Header.Get("DPoP-Nonce")
		d.key.mu.Unlock()
	}
	return resp, err
}

// wantsNonce reports whether a request was refused for want of a nonce: by a
// challenge (RFC 9449, section 9), or with an error in JSON (section 8).
func (d *dpopTransport) wantsNonce(resp *http.Response) bool {
	switch {
	case resp.Header.Get("DPoP-Nonce") == "":
		return false
	case d.token == "":
		return resp.StatusCode == http.StatusBadRequest && errorOf(resp) == "use_dpop_nonce"
	case resp.StatusCode != http.StatusUnauthorized:
		return false
	}
	for _, challenge := range resp.Header.Values("WWW-Authenticate") {
		if strings.HasPrefix(challenge, "DPoP ") && strings.Contains(challenge, `error="use_dpop_nonce"`) {
			return true
		}
	}
	return false
}

// errorOf returns the error code in an answer, whose body can still be read.
func errorOf(resp *http.Response) string {
	var answer struct {
		Error string `json:"error"`
	}
	start, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), resp.Body), resp.Body}
	if err != nil || json.Unmarshal(start, &answer) != nil {
		return ""
	}
	return answer.Error
}
