package jwt_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
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
