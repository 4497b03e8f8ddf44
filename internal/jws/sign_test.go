package jws_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/internal/jws"
)

func signingKeys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	keys := map[string]crypto.Signer{}
	for alg, curve := range map[string]elliptic.Curve{jws.ES256: elliptic.P256(), jws.ES384: elliptic.P384(), jws.ES512: elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		keys[alg] = key
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	keys[jws.EdDSA] = edwards
	return keys
}

// withRSA adds keys that take long to make.
func withRSA(t testing.TB, keys map[string]crypto.Signer) map[string]crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, jws.MinRSABits)
	require.NoError(t, err)
	for _, alg := range []string{jws.RS256, jws.RS384, jws.RS512, jws.PS256, jws.PS384, jws.PS512} {
		keys[alg] = key
	}
	return keys
}

// What is signed verifies, by whoever signs at the same time.
func TestSign(t *testing.T) {
	for alg, key := range withRSA(t, signingKeys(t)) {
		s, err := jws.NewSigner(alg, key, "at+jwt", `k"1`)
		require.NoError(t, err, alg)
		var signing sync.WaitGroup
		for _, payload := range []string{"", `{"a":1}`, strings.Repeat("x", 5000)} {
			signing.Go(func() {
				token, err := s.Sign([]byte(payload))
				if !assert.NoError(t, err, alg) {
					return
				}
				first, second := strings.IndexByte(token, '.'), strings.LastIndexByte(token, '.')
				header, err := jws.Decode(token[:first])
				assert.NoError(t, err, alg)
				assert.Equal(t, `{"alg":"`+alg+`","kid":"k\"1","typ":"at+jwt"}`, string(header))
				body, err := jws.Decode(token[first+1 : second])
				assert.NoError(t, err, alg)
				assert.Equal(t, payload, string(body))
				signature, err := jws.Decode(token[second+1:])
				assert.NoError(t, err, alg)
				assert.NoError(t, jws.Verify(alg, key.Public(), token[:second], signature), alg)
				signature[len(signature)-1] ^= 1
				assert.Error(t, jws.Verify(alg, key.Public(), token[:second], signature), alg)
			})
		}
		signing.Wait()
	}
}

func TestNewSignerRefuses(t *testing.T) {
	keys := signingKeys(t)
	for alg, other := range map[string]string{jws.ES256: jws.ES384, jws.RS256: jws.ES256, jws.EdDSA: jws.ES512, "none": jws.ES256} {
		_, err := jws.NewSigner(alg, keys[other], "at+jwt", "k")
		assert.Error(t, err, alg)
	}
}

// A remote signs whatever it likes, such as a key management service.
type remote struct {
	crypto.Signer
	signature string // hexadecimal
	err       error
}

func (r remote) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	signature, err := hex.DecodeString(r.signature)
	return signature, errors.Join(r.err, err)
}

func TestSignatureOfOthers(t *testing.T) {
	key := signingKeys(t)[jws.ES256]
	full := strings.Repeat("7f", 32)
	broken := errors.New("out of order")
	for _, test := range []struct {
		remote
		want, err string
	}{
		{remote{signature: "3006020101020102"}, strings.Repeat("00", 31) + "01" + strings.Repeat("00", 31) + "02", ""},
		{remote{signature: "30250220" + full + "020103"}, full + strings.Repeat("00", 31) + "03", ""},
		{remote{signature: "302602210080" + full[2:] + "020103"}, "80" + full[2:] + strings.Repeat("00", 31) + "03", ""},
		{remote{err: broken}, "", "out of order"},
		{remote{}, "", "no ECDSA signature"},
		{remote{signature: full + full}, "", "no ECDSA signature"},
		{remote{signature: "300602010102010200"}, "", "no ECDSA signature"}, // more behind it
		{remote{signature: "3003020101"}, "", "no ECDSA signature"},
		{remote{signature: "30060201010201ff"}, "", "no ECDSA signature"}, // negative
		{remote{signature: "3026022101" + full + "020103"}, "", "too long"},
	} {
		test.Signer = key
		s, err := jws.NewSigner(jws.ES256, test.remote, "at+jwt", "k")
		require.NoError(t, err)
		token, err := s.Sign([]byte("{}"))
		if test.err != "" {
			assert.ErrorContains(t, err, test.err, test.signature)
			assert.Empty(t, token)
			continue
		}
		require.NoError(t, err, test.signature)
		signature, err := jws.Decode(token[strings.LastIndexByte(token, '.')+1:])
		require.NoError(t, err)
		assert.Equal(t, test.want, hex.EncodeToString(signature))
	}
}

func BenchmarkSign(b *testing.B) {
	keys := withRSA(b, signingKeys(b))
	for _, alg := range []string{jws.ES256, jws.EdDSA, jws.RS256} {
		s, err := jws.NewSigner(alg, keys[alg], "at+jwt", "k")
		require.NoError(b, err)
		payload := []byte(strings.Repeat("x", 300))
		b.Run(alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Sign(payload); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(alg+" alone", func(b *testing.B) {
			b.ReportAllocs()
			digest, opts := make([]byte, 32), crypto.SHA256
			if alg == jws.EdDSA {
				digest, opts = payload, 0
			}
			for b.Loop() {
				if _, err := keys[alg].Sign(rand.Reader, digest, opts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
