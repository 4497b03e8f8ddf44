package jwt_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/sneckauth/sneck/internal/jws"
)

var benchAlgorithms = []string{"RS256", "ES256", "EdDSA"}

// BenchmarkVerify is the whole of a verification, with keys and header known.
func BenchmarkVerify(b *testing.B) {
	for _, alg := range benchAlgorithms {
		b.Run(alg, func(b *testing.B) {
			token := signers()[alg].token()
			v := newVerifier(b, allKeys(b))
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(ctx, token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRaw is the signature alone, by the standard library, of the same
// bytes.
func BenchmarkRaw(b *testing.B) {
	for _, alg := range benchAlgorithms {
		b.Run(alg, func(b *testing.B) {
			s := signers()[alg]
			token := s.token()
			dot := strings.LastIndexByte(token, '.')
			input := []byte(token[:dot])
			signature, err := jws.Decode(token[dot+1:])
			check(err)
			digest := func() []byte { d := sha256.Sum256(input); return d[:] }
			verify := map[string]func() bool{
				"RS256": func() bool {
					return rsa.VerifyPKCS1v15(s.private.Public().(*rsa.PublicKey), crypto.SHA256, digest(), signature) == nil
				},
				"ES256": func() bool {
					return ecdsa.VerifyASN1(s.private.Public().(*ecdsa.PublicKey), digest(), signature)
				},
				"EdDSA": func() bool {
					return ed25519.Verify(s.private.Public().(ed25519.PublicKey), input, signature)
				},
			}[alg]
			if alg == "ES256" {
				d := sha256.Sum256(input)
				signature, err = s.private.Sign(nil, d[:], crypto.SHA256)
				check(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if !verify() {
					b.Fatal("signature does not verify")
				}
			}
		})
	}
}
