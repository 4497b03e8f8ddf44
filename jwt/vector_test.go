package jwt_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"hash"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/jws"
	"github.com/sneckauth/sneck/jwt"
)

// A vector is one stanza of a file in testdata/token; see the README there.
type vector map[string]string

// readVectors reads the stanzas of a file. set and del lines may repeat; they
// are joined by line breaks.
func readVectors(t testing.TB, path string) []vector {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var vectors []vector
	for stanza := range strings.SplitSeq(strings.TrimSuffix(string(data), "\n"), "\n\n") {
		v := vector{}
		for line := range strings.SplitSeq(stanza, "\n") {
			name, value, ok := strings.Cut(line, ": ")
			require.True(t, ok, "%s: line %q", path, line)
			if _, again := v[name]; again {
				value = v[name] + "\n" + value
			}
			v[name] = value
		}
		require.NotEmpty(t, v["name"], path)
		require.NotEmpty(t, v["expect"], path)
		vectors = append(vectors, v)
	}
	return vectors
}

// runVectors runs the vectors of a rule.
func runVectors(t *testing.T, rule string) {
	t.Helper()
	path := filepath.Join("testdata", "token", strings.ToLower(strings.ReplaceAll(rule, "-", ""))+".txt")
	for _, v := range readVectors(t, path) {
		t.Run(v["name"], func(t *testing.T) { assert.Equal(t, v["expect"], v.outcome(t)) })
	}
}

func (v vector) signer() signer {
	if v["alg"] != "" {
		return signers()[v["alg"]]
	}
	return signers()["ES256"]
}

// outcome verifies the token of a vector and names the kind of the answer.
func (v vector) outcome(t *testing.T) string {
	keys := allKeys(t)
	if v["keys"] != "" {
		var err error
		if keys, err = jwt.ParseJWKS([]byte(v.expand(v["keys"]))); err != nil {
			return "no-keys"
		}
	}
	verifier := newVerifier(t, keys, func(c *jwt.Config) {
		if v["profile"] == "legacy" {
			c.Issuers[0].Profile = jwt.Legacy
		}
		c.Issuers[0].Algorithms = strings.Fields(v["allow"])
		if v["max-lifetime"] != "" {
			var err error
			c.MaxLifetime, err = time.ParseDuration(v["max-lifetime"])
			require.NoError(t, err)
		}
	})
	token := v.token()
	got, err := verifier.Verify(t.Context(), token)
	if err != nil {
		assert.Nil(t, got)
		assert.Contains(t, err.Error(), v["because"])
		assert.NotContains(t, err.Error(), token, "an error must not quote the token")
	}
	outcome := kind(err)
	if again, err := verifier.Verify(t.Context(), token); outcome != kind(err) {
		t.Errorf("the second answer is another: %v, %v", again, err)
	}
	return outcome
}

// kind names the kind of an answer.
func kind(err error) string {
	var unavailable *sneck.UnavailableError
	switch {
	case err == nil:
		return "valid"
	case errors.Is(err, sneck.ErrUnrecognized):
		return "unrecognized"
	case errors.Is(err, sneck.ErrInvalid):
		return "invalid"
	case errors.As(err, &unavailable):
		return "unavailable"
	}
	return "an error of no kind: " + err.Error()
}

// token builds the token.
func (v vector) token() string {
	s := v.signer()
	header, claims := s.header(), v.claims()
	if h := v["header"]; h != "" {
		header = v.expand(h)
	}
	if v["sign"] == "invalid-utf8" {
		claims = strings.Replace(claims, "alice", "\xff", 1)
	}
	h, p := b64(header), b64(claims)
	if v["sign"] == "newline-payload" {
		p = p[:4] + "\r\n\r\n" + p[4:]
	}
	sig := v.signature(h + "." + p)
	if v["token"] == "" {
		return h + "." + p + "." + sig
	}
	return strings.NewReplacer("$H", h, "$P", p, "$S", sig).Replace(v["token"])
}

// claims returns the claims as they are given, or the valid ones as they are
// changed: "set: name value", "del: name".
func (v vector) claims() string {
	if c := v["claims"]; c != "" {
		return c
	}
	members := strings.Split(strings.Trim(validClaims, "{}"), `,"`)
	for i := range members {
		members[i] = `"` + strings.TrimPrefix(members[i], `"`)
	}
	remove := func(name string) {
		for i, m := range members {
			if strings.HasPrefix(m, `"`+name+`":`) {
				members = append(members[:i:i], members[i+1:]...)
				return
			}
		}
	}
	if v["del"] != "" {
		remove(v["del"])
	}
	if v["set"] != "" {
		name, value, _ := strings.Cut(v["set"], " ")
		remove(name)
		members = append(members, `"`+name+`":`+value)
	}
	return "{" + strings.Join(members, ",") + "}"
}

var stranger = signer{"ES256", "stranger", func() crypto.Signer {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	return k
}()}

// expand puts keys in the place of their names.
func (v vector) expand(s string) string {
	for alg, signer := range signers() {
		s = strings.ReplaceAll(s, "$members:"+alg, publicMembers(signer.private.Public()))
		s = strings.ReplaceAll(s, "$"+alg, signer.jwk(""))
	}
	s = strings.ReplaceAll(s, "$STRANGER", stranger.jwk(""))
	enc := base64.RawURLEncoding.EncodeToString
	point, err := signers()["ES256"].private.Public().(*ecdsa.PublicKey).Bytes()
	check(err)
	s = strings.ReplaceAll(s, "$x:ES256", enc(point[1:33]))
	s = strings.ReplaceAll(s, "$y:ES256", enc(point[33:]))
	s = strings.ReplaceAll(s, "$n", enc(signers()["RS256"].private.Public().(*rsa.PublicKey).N.Bytes()))
	for {
		before, after, ok := strings.Cut(s, "$random:")
		if !ok {
			return s
		}
		digits, rest, _ := strings.Cut(after, `"`)
		n, err := strconv.Atoi(digits)
		check(err)
		modulus := bytes.Repeat([]byte{0xc5}, n)
		s = before + enc(modulus) + `"` + rest
	}
}

// signature signs the way that "sign" says and returns the segment.
func (v vector) signature(input string) string {
	s, mode := v.signer(), v["sign"]
	enc := base64.RawURLEncoding.EncodeToString
	good := s.signature(input)
	switch mode {
	case "", "invalid-utf8", "newline-payload":
		return enc(good)
	case "flip":
		good[len(good)/2] ^= 1
		return enc(good)
	case "truncate":
		return enc(good[:len(good)-1])
	case "extend":
		return enc(append(good, 0))
	case "stranger":
		return enc(stranger.signature(input))
	case "newline":
		return enc(good[:48]) + "\n" + enc(good[48:])
	case "newline-end":
		return enc(good) + "\n"
	case "trailing-bits": // 64 bytes leave 4 bits that mean nothing in the last letter
		segment := []byte(enc(good))
		last := bytes.IndexByte([]byte(alphabet), segment[len(segment)-1])
		segment[len(segment)-1] = alphabet[last+1]
		return string(segment)
	case "standard-alphabet":
		for {
			if segment := base64.RawStdEncoding.EncodeToString(good); strings.ContainsAny(segment, "+/") {
				return segment
			}
			good = s.signature(input)
		}
	}
	switch kind, how, _ := strings.Cut(mode, "-"); kind {
	case "hmac":
		return enc(v.hmac(how, input))
	case "salt":
		return enc(salted(how, input))
	case "ec":
		return enc(odd(how, good))
	}
	panic("unknown way to sign: " + mode)
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// hmac makes a MAC with something public as the key.
func (v vector) hmac(how, input string) []byte {
	public := signers()["RS256"].private.Public().(*rsa.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	check(err)
	key := map[string][]byte{
		"pem":     pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"der":     der,
		"modulus": public.N.Bytes(),
		"jwk":     []byte(signers()["RS256"].jwk("")),
		"empty":   nil,
		"secret":  []byte("secret"),
	}[how]
	h := func() hash.Hash { return sha256.New() }
	if strings.Contains(v["header"], "HS384") {
		h = sha512.New384
	} else if strings.Contains(v["header"], "HS512") {
		h = sha512.New
	}
	mac := hmac.New(h, key)
	mac.Write([]byte(input))
	return mac.Sum(nil)
}

// salted makes a PS256 signature with a salt of another length.
func salted(how, input string) []byte {
	private := signers()["PS256"].private.(*rsa.PrivateKey)
	digest := sha256.Sum256([]byte(input))
	length := map[string]int{"0": 0, "20": 20, "longest": private.Size() - 32 - 2}[how]
	if length == 0 {
		sig := pssWithoutSalt(private, digest[:])
		check(rsa.VerifyPSS(&private.PublicKey, crypto.SHA256, digest[:], sig, nil)) // it is good for who takes any salt
		return sig
	}
	sig, err := rsa.SignPSS(rand.Reader, private, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: length})
	check(err)
	return sig
}

// pssWithoutSalt is RSASSA-PSS with an empty salt (RFC 8017, section 9.1.1),
// which crypto/rsa has no option for.
func pssWithoutSalt(private *rsa.PrivateKey, digest []byte) []byte {
	size := private.Size()
	h := sha256.Sum256(append(make([]byte, 8), digest...))
	db := make([]byte, size-32-1)
	db[len(db)-1] = 1
	var mask []byte
	for i := byte(0); len(mask) < len(db); i++ {
		block := sha256.Sum256(append(h[:], 0, 0, 0, i))
		mask = append(mask, block[:]...)
	}
	for i := range db {
		db[i] ^= mask[i]
	}
	db[0] &= 0x7f
	em := append(append(db, h[:]...), 0xbc)
	return new(big.Int).Exp(new(big.Int).SetBytes(em), private.D, private.N).FillBytes(make([]byte, size))
}

// odd turns a good ES256 signature into another with its r and s.
func odd(how string, good []byte) []byte {
	r, s := new(big.Int).SetBytes(good[:32]), new(big.Int).SetBytes(good[32:])
	n, zero := elliptic.P256().Params().N, new(big.Int)
	switch how {
	case "der":
		der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		check(err)
		return der
	case "zero":
		r, s = zero, zero
	case "zero-r":
		r = zero
	case "zero-s":
		s = zero
	case "r-n":
		r = n
	case "s-n":
		s = n
	case "ones":
		r, s = big.NewInt(1), big.NewInt(1)
	case "r-plus-n":
		if r.Add(r, n); r.BitLen() > 256 {
			r = n // it does not fit, as nearly always
		}
	case "high-s":
		s.Sub(n, s)
	case "stripped":
		return append(r.Bytes()[1:], s.Bytes()...)
	}
	return concat(elliptic.P256(), r, s)
}

// The signatures and keys that the RFCs print.
func TestPublishedExamples(t *testing.T) {
	files, err := filepath.Glob("testdata/rfc/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		for _, v := range readVectors(t, file) {
			t.Run(v["name"], func(t *testing.T) {
				key, err := jws.ParseJWK([]byte(v["key"]), v["alg"])
				require.NoError(t, err)
				c, err := jws.Split(v["token"])
				require.NoError(t, err)
				data, err := jws.Decode(c.Header)
				require.NoError(t, err)
				header, err := jws.ParseHeader(data)
				require.NoError(t, err)
				assert.Equal(t, v["alg"], header.Algorithm)
				signature, err := jws.Decode(c.Signature)
				require.NoError(t, err)
				err = jws.Verify(key.Algorithm, key.Public, c.Input, signature)
				assert.Equal(t, v["expect"] == "valid", err == nil, "%v", err)
				if want := v["thumbprint"]; want != "" {
					assert.Equal(t, want, key.Thumbprint())
				}
			})
		}
	}
}
