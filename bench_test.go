package sneck_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/introspect"
	"github.com/sneckauth/sneck/jwt"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// Each promise about speed is a benchmark beside a floor, the least that could
// be written by hand, and a third that takes turns between the two and reports
// their ratio: machines change their speed from one second to the next, and in
// turns that meets both.

// inTurns runs blocks of ours and of the floor by turns and reports the ratio
// of the median times.
func inTurns(b *testing.B, block int, ours, floor func()) {
	times := [2][]time.Duration{}
	for b.Loop() {
		for i, f := range [2]func(){ours, floor} {
			began := time.Now()
			for range block {
				f()
			}
			times[i] = append(times[i], time.Since(began))
		}
	}
	for i := range times {
		slices.Sort(times[i])
	}
	b.ReportMetric(float64(times[0][len(times[0])/2])/float64(times[1][len(times[1])/2]), "floors")
	b.ReportMetric(0, "ns/op") // of a block of both, which says nothing
}

// again runs f for a benchmark of its own.
func again(b *testing.B, f func()) {
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}

// The two kinds of token that the promises are about: an opaque one of 48
// characters, and a JWT of 850.
var benchTokens = []struct{ name, token string }{
	{"opaque", strings.Repeat("opaque42", 6)},
	{"jwt", "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9." + strings.Repeat("x", 466) + "." + strings.Repeat("y", 342)},
}

func benchVerdict(context.Context, string) (*sneck.Token, error) {
	return &sneck.Token{
		Issuer: "https://as.example", Subject: "alice", ClientID: "app", Audience: []string{"https://api.example"}, Type: "Bearer",
		Scopes: scopes.MustParse("notes:read notes:write profile"), Expires: time.Now().Add(time.Hour),
	}, nil
}

// BenchmarkHit is the whole way of a request whose token is remembered: guard,
// cache, scopes, and the handler with the token in its context.
func BenchmarkHit(b *testing.B) {
	for _, kind := range benchTokens {
		b.Run(kind.name, func(b *testing.B) { again(b, hit(b, kind.token)) })
	}
}

// BenchmarkFloor is what no guard with a cache can go below: read the header,
// SHA-256 of the token, one look into a map, one context for the handler.
func BenchmarkFloor(b *testing.B) {
	for _, kind := range benchTokens {
		b.Run(kind.name, func(b *testing.B) { again(b, hitFloor(b, kind.token)) })
	}
}

// BenchmarkHitPerFloor takes turns between BenchmarkHit and BenchmarkFloor.
func BenchmarkHitPerFloor(b *testing.B) {
	for _, kind := range benchTokens {
		b.Run(kind.name, func(b *testing.B) { inTurns(b, 200, hit(b, kind.token), hitFloor(b, kind.token)) })
	}
}

// BenchmarkCache is the part of BenchmarkHit that the cache takes.
func BenchmarkCache(b *testing.B) {
	for _, kind := range benchTokens {
		b.Run(kind.name, func(b *testing.B) {
			c := benchCache(b)
			again(b, func() {
				if _, err := c.Verify(b.Context(), kind.token); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

func benchCache(tb testing.TB) *cache.Cache {
	c, err := cache.New(cache.Config{Verifier: sneck.VerifierFunc(benchVerdict), TTL: time.Hour})
	require.NoError(tb, err)
	tb.Cleanup(func() { c.Close() })
	return c
}

func hit(tb testing.TB, token string) func() {
	g, err := middleware.New(middleware.Config{Verifier: benchCache(tb), Audience: []string{"https://api.example"}})
	require.NoError(tb, err)
	return serve(tb, g.Require(scopes.All("notes:read"))(admitted), token)
}

func hitFloor(tb testing.TB, token string) func() {
	type key struct{}
	verdict, _ := benchVerdict(context.Background(), token)
	known := map[[sha256.Size]byte]*sneck.Token{sha256.Sum256([]byte(token)): verdict}
	return serve(tb, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		// Without a copy, which would double the time for a JWT.
		t, ok := known[sha256.Sum256(unsafe.Slice(unsafe.StringData(bearer), len(bearer)))]
		if !ok {
			tb.Fatal("unknown token")
		}
		admitted.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, t)))
	}), token)
}

// admitted is the handler behind the guard. It is a variable, so that the
// compiler can't see that it does nothing and leave out the request's copy.
var admitted http.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

// serve returns a function that serves one request again, in a heap of the
// size that a server has: in one of a few megabytes the collector runs all the
// time, and what is measured is its share. Nor is it new to the process: who
// ran first paid for every page that the kernel had to find, a third of all.
func serve(tb testing.TB, h http.Handler, token string) func() {
	heap, garbage := make([]byte, 128<<20), make([]byte, 192<<20)
	for i := 0; i < len(garbage); i += 4096 {
		garbage[i] = 1
	}
	runtime.GC() // the garbage
	tb.Cleanup(func() { runtime.KeepAlive(heap) })
	r := httptest.NewRequest("GET", "/notes", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(tb, http.StatusOK, w.Code)
	return func() { h.ServeHTTP(w, r) }
}

// BenchmarkMiss is what a question costs whose answer nobody remembers, to a
// server on loopback.
func BenchmarkMiss(b *testing.B) { again(b, miss(b)) }

// BenchmarkMissFloor is a POST by hand with net/http: no retry, no strictness,
// no deadline of its own.
func BenchmarkMissFloor(b *testing.B) { again(b, missFloor(b)) }

// BenchmarkMissPerFloor takes turns between the two.
func BenchmarkMissPerFloor(b *testing.B) { inTurns(b, 1, miss(b), missFloor(b)) }

const benchAnswer = `{"active":true,"iss":"https://as.example.com","sub":"248289761001","client_id":"s6BhdRkqt3","username":"ada",` +
	`"aud":"https://api.example.com","scope":"read write","jti":"Zq8f","token_type":"Bearer","iat":1700000000,"exp":4000000000}`

func benchAuthority(b *testing.B) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			b.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, benchAnswer)
	}))
	b.Cleanup(s.Close)
	return s.URL
}

func miss(b *testing.B) func() {
	c, err := introspect.New(introspect.Config{
		Endpoint: benchAuthority(b), Issuer: "https://as.example.com", Credential: introspect.Basic("api", "s3cr3t"),
	})
	require.NoError(b, err)
	b.Cleanup(func() { c.Close() })
	return func() {
		if _, err := c.Verify(b.Context(), benchTokens[0].token); err != nil {
			b.Fatal(err)
		}
	}
}

func missFloor(b *testing.B) func() {
	endpoint := benchAuthority(b)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	type answer struct {
		Active   bool   `json:"active"`
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		ClientID string `json:"client_id"`
		Username string `json:"username"`
		Audience string `json:"aud"`
		Scope    string `json:"scope"`
		ID       string `json:"jti"`
		Type     string `json:"token_type"`
		IssuedAt int64  `json:"iat"`
		Expires  int64  `json:"exp"`
	}
	return func() {
		form := url.Values{"token": {benchTokens[0].token}}
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, endpoint, strings.NewReader(form.Encode()))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("api", "s3cr3t")
		response, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		var a answer
		err = json.NewDecoder(response.Body).Decode(&a)
		_ = response.Body.Close()
		if err != nil || !a.Active || !time.Now().Before(time.Unix(a.Expires, 0)) {
			b.Fatal(err, a)
		}
	}
}

// BenchmarkVerify is the whole of a local verification, whose answer nobody
// remembers.
func BenchmarkVerify(b *testing.B) {
	for _, s := range benchSigners {
		b.Run(s.name, func(b *testing.B) { ours, _ := s.verify(b); again(b, ours) })
	}
}

// BenchmarkRaw is the signature alone, by the standard library, of the same
// bytes.
func BenchmarkRaw(b *testing.B) {
	for _, s := range benchSigners {
		b.Run(s.name, func(b *testing.B) { _, raw := s.verify(b); again(b, raw) })
	}
}

// BenchmarkVerifyPerRaw takes turns between the two.
func BenchmarkVerifyPerRaw(b *testing.B) {
	for _, s := range benchSigners {
		b.Run(s.name, func(b *testing.B) { ours, raw := s.verify(b); inTurns(b, 1, ours, raw) })
	}
}

// A benchSigner makes a key pair, and checks a signature with nothing else.
type benchSigner struct {
	name string
	make func() (private crypto.Signer, check func(input, signature []byte) bool)
}

var benchSigners = []benchSigner{
	{"RS256", func() (crypto.Signer, func(input, signature []byte) bool) {
		key, _ := rsa.GenerateKey(rand.Reader, 2048)
		return key, func(input, signature []byte) bool {
			digest := sha256.Sum256(input)
			return rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature) == nil
		}
	}},
	{"ES256", func() (crypto.Signer, func(input, signature []byte) bool) {
		key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		var der []byte // as the standard library takes it, made once
		return key, func(input, signature []byte) bool {
			if der == nil {
				der, _ = asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])})
			}
			digest := sha256.Sum256(input)
			return ecdsa.VerifyASN1(&key.PublicKey, digest[:], der)
		}
	}},
	{"EdDSA", func() (crypto.Signer, func(input, signature []byte) bool) {
		public, key, _ := ed25519.GenerateKey(rand.Reader)
		return key, func(input, signature []byte) bool { return ed25519.Verify(public, input, signature) }
	}},
}

// verify returns a verification of one token by us, and its raw one.
func (s benchSigner) verify(b *testing.B) (ours, raw func()) {
	private, valid := s.make()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(s.name), Key: private},
		(&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", "k"))
	require.NoError(b, err)
	now := time.Now().Unix()
	signed, err := signer.Sign(fmt.Appendf(nil, `{"iss":"https://as.example","sub":"248289761001","client_id":"s6BhdRkqt3","aud":"https://api.example",`+
		`"scope":"notes:read notes:write","jti":"Zq8fB2xL","iat":%d,"exp":%d}`, now, now+3600))
	require.NoError(b, err)
	token, err := signed.CompactSerialize()
	require.NoError(b, err)
	key, err := jwt.NewKey("k", s.name, private.Public())
	require.NoError(b, err)
	keys, err := jwt.NewKeySet(key)
	require.NoError(b, err)
	v, err := jwt.New(jwt.Config{Issuers: []jwt.Issuer{{ID: "https://as.example", Keys: keys}}})
	require.NoError(b, err)
	b.Cleanup(func() { v.Close() })

	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	require.NoError(b, err)
	input := []byte(token[:dot])
	return func() {
			if _, err := v.Verify(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}, func() {
			if !valid(input, signature) {
				b.Fatal("signature does not verify")
			}
		}
}
