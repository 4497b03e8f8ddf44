package dpop_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/internal/dpop"
	"github.com/sneckauth/sneck/internal/dpop/dpoptest"
)

type object = map[string]any

// claims returns good claims after a change; nil removes one.
func claims(change object) object {
	c := object{"jti": "id-1", "htm": "GET", "htu": "https://api.example/a?b#c", "iat": 1770000000, "ath": "hash", "nonce": "n"}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func TestParse(t *testing.T) {
	for _, alg := range dpop.Algorithms {
		t.Run(alg, func(t *testing.T) {
			s := dpoptest.New(t, alg)
			p, err := dpop.Parse(s.Proof(t, nil, claims(nil)))
			require.NoError(t, err)
			assert.Equal(t, "id-1", p.ID)
			assert.Equal(t, "GET", p.Method)
			assert.Equal(t, "https://api.example/a", p.URL)
			assert.EqualValues(t, 1770000000, p.IssuedAt)
			assert.Equal(t, "hash", p.TokenHash)
			assert.Equal(t, "n", p.Nonce)
			assert.Equal(t, s.Thumbprint(t), p.Key.Thumbprint())
			require.NoError(t, p.Verify())

			other := dpoptest.New(t, alg)
			p, err = dpop.Parse(other.Proof(t, object{"jwk": s.JWK}, claims(nil)))
			require.NoError(t, err)
			assert.Error(t, p.Verify(), "signed with another key")
		})
	}
}

func TestParseOptional(t *testing.T) {
	s := dpoptest.New(t, "ES256")
	p, err := dpop.Parse(s.Proof(t, object{"typ": "application/DPoP+jwt", "kid": "any"},
		claims(object{"ath": nil, "nonce": nil, "iat": json.Number("1770000000.75"), "extra": object{"a": 1}})))
	require.NoError(t, err)
	assert.Empty(t, p.TokenHash+p.Nonce)
	assert.EqualValues(t, 1770000000, p.IssuedAt)
}

// signed returns a proof with a claim of this JSON.
func signed(t *testing.T, s *dpoptest.Signer, payload string) string {
	header, err := json.Marshal(object{"typ": "dpop+jwt", "alg": "ES256", "jwk": s.JWK})
	require.NoError(t, err)
	return s.Sign(t, header, []byte(payload))
}

func TestParseRefuses(t *testing.T) {
	s := dpoptest.New(t, "ES256")
	rsa := dpoptest.New(t, "RS256")
	private := object{"d": "AAAA"}
	maps.Copy(private, s.JWK)
	offCurve := maps.Clone(s.JWK)
	offCurve["x"] = s.JWK["y"]
	use := maps.Clone(s.JWK)
	use["use"] = "enc"
	wrongAlg := maps.Clone(s.JWK)
	wrongAlg["alg"] = "ES384"
	good := s.Proof(t, nil, claims(nil))
	parts := strings.Split(good, ".")

	for name, proof := range map[string]string{
		"empty":              "",
		"dots":               "..",
		"two segments":       parts[0] + "." + parts[1],
		"four segments":      good + "." + parts[2],
		"padding":            good + "=",
		"line break":         good + "\n",
		"no signature":       parts[0] + "." + parts[1] + ".",
		"too long":           s.Proof(t, nil, claims(object{"extra": strings.Repeat("a", dpop.MaxBytes)})),
		"a million dots":     strings.Repeat(".", 1_000_000),
		"typ missing":        s.Proof(t, object{"typ": nil}, claims(nil)),
		"typ JWT":            s.Proof(t, object{"typ": "JWT"}, claims(nil)),
		"typ at+jwt":         s.Proof(t, object{"typ": "at+jwt"}, claims(nil)),
		"alg none":           s.Proof(t, object{"alg": "none"}, claims(nil)),
		"alg HS256":          s.Proof(t, object{"alg": "HS256"}, claims(nil)),
		"alg of another key": s.Proof(t, object{"alg": "ES384"}, claims(nil)),
		"alg in lower case":  s.Proof(t, object{"alg": "es256"}, claims(nil)),
		"alg RS384":          rsa.Proof(t, object{"alg": "RS384"}, claims(nil)),
		"alg RS256 with EC":  s.Proof(t, object{"alg": "RS256"}, claims(nil)),
		"alg missing":        s.Proof(t, object{"alg": nil}, claims(nil)),
		"jwk missing":        s.Proof(t, object{"jwk": nil}, claims(nil)),
		"jwk not an object":  s.Proof(t, object{"jwk": "x"}, claims(nil)),
		"jwk private":        s.Proof(t, object{"jwk": private}, claims(nil)),
		"jwk secret":         s.Proof(t, object{"jwk": object{"kty": "oct", "k": "AAAA"}}, claims(nil)),
		"jwk off the curve":  s.Proof(t, object{"jwk": offCurve}, claims(nil)),
		"jwk for encryption": s.Proof(t, object{"jwk": use}, claims(nil)),
		"jwk of another alg": s.Proof(t, object{"jwk": wrongAlg}, claims(nil)),
		"jku":                s.Proof(t, object{"jku": "https://evil.example"}, claims(nil)),
		"x5c":                s.Proof(t, object{"x5c": []string{"AAAA"}}, claims(nil)),
		"crit":               s.Proof(t, object{"crit": []string{"exp"}, "exp": 1}, claims(nil)),
		"b64":                s.Proof(t, object{"b64": false}, claims(nil)),
		"jti missing":        s.Proof(t, nil, claims(object{"jti": nil})),
		"jti empty":          s.Proof(t, nil, claims(object{"jti": ""})),
		"jti a number":       s.Proof(t, nil, claims(object{"jti": 7})),
		"jti too long":       s.Proof(t, nil, claims(object{"jti": strings.Repeat("a", dpop.MaxIDBytes+1)})),
		"htm missing":        s.Proof(t, nil, claims(object{"htm": nil})),
		"htu missing":        s.Proof(t, nil, claims(object{"htu": nil})),
		"htu relative":       s.Proof(t, nil, claims(object{"htu": "/a"})),
		"htu with a user":    s.Proof(t, nil, claims(object{"htu": "https://u@api.example/a"})),
		"htu ftp":            s.Proof(t, nil, claims(object{"htu": "ftp://api.example/a"})),
		"htu opaque":         s.Proof(t, nil, claims(object{"htu": "https:api.example"})),
		"iat missing":        s.Proof(t, nil, claims(object{"iat": nil})),
		"iat a string":       s.Proof(t, nil, claims(object{"iat": "1770000000"})),
		"iat with exponent":  s.Proof(t, nil, claims(object{"iat": json.Number("1.77e9")})),
		"iat huge":           s.Proof(t, nil, claims(object{"iat": json.Number("99999999999999999999")})),
		"iat true":           s.Proof(t, nil, claims(object{"iat": true})),
		"ath empty":          s.Proof(t, nil, claims(object{"ath": ""})),
		"nonce a list":       s.Proof(t, nil, claims(object{"nonce": []string{"n"}})),
		"claim twice":        signed(t, s, `{"jti":"a","jti":"b","htm":"GET","htu":"https://a/","iat":1}`),
		"claim in capitals":  signed(t, s, `{"jti":"a","htm":"GET","htu":"https://a/","iat":1,"HTM":"POST"}`),
		"payload a list":     signed(t, s, `[]`),
		"payload trailing":   signed(t, s, `{"jti":"a","htm":"GET","htu":"https://a/","iat":1}{}`),
		"payload not UTF-8":  signed(t, s, "{\"jti\":\"\xff\",\"htm\":\"GET\",\"htu\":\"https://a/\",\"iat\":1}"),
	} {
		t.Run(name, func(t *testing.T) {
			p, err := dpop.Parse(proof)
			require.Error(t, err)
			assert.Nil(t, p)
			if len(proof) > 20 {
				assert.NotContains(t, err.Error(), proof[:20])
			}
		})
	}
}

func TestVerifyRefusesChangedProofs(t *testing.T) {
	s := dpoptest.New(t, "ES256")
	a := strings.Split(s.Proof(t, nil, claims(nil)), ".")
	b := strings.Split(s.Proof(t, nil, claims(object{"htm": "POST"})), ".")
	p, err := dpop.Parse(a[0] + "." + b[1] + "." + a[2])
	require.NoError(t, err)
	assert.Error(t, p.Verify())
}

func TestNormal(t *testing.T) {
	for raw, want := range map[string]string{
		"https://api.example":                   "https://api.example/",
		"HTTPS://API.Example:443/A":             "https://api.example/A",
		"http://api.example:80/":                "http://api.example/",
		"http://api.example:443/":               "http://api.example:443/",
		"https://api.example:/":                 "https://api.example/",
		"https://api.example:8443/a/?q=1#f":     "https://api.example:8443/a/",
		"https://api.example/%7ea%2fb%c3%a9":    "https://api.example/~a%2Fb%C3%A9",
		"https://api.example/a%41":              "https://api.example/aA",
		"https://[::1]:443/":                    "https://[::1]/",
		"https://api.example/a/../b":            "https://api.example/a/../b",
		"https://api.example/%61/%2E%2e/;p=%20": "https://api.example/a/../;p=%20",
	} {
		got, err := dpop.Normal(raw)
		require.NoError(t, err, raw)
		assert.Equal(t, want, got, raw)
		again, err := dpop.Normal(got)
		require.NoError(t, err)
		assert.Equal(t, got, again)
	}
	for _, raw := range []string{"", "/a", "api.example/a", "https://", "https:///a", "https://u:p@a/", "ftp://a/", "https://a/%zz", "https://a b/"} {
		_, err := dpop.Normal(raw)
		assert.Error(t, err, raw)
	}
}

func FuzzParse(f *testing.F) {
	s := dpoptest.New(f, "ES256")
	f.Add(s.Proof(f, nil, claims(nil)))
	f.Add(dpoptest.New(f, "EdDSA").Proof(f, nil, claims(nil)))
	f.Add("..")
	f.Fuzz(func(t *testing.T, compact string) {
		p, err := dpop.Parse(compact)
		if err != nil {
			require.Nil(t, p)
			return
		}
		require.NotEmpty(t, p.ID)
		require.NotEmpty(t, p.Method)
		require.NotEmpty(t, p.Key.Thumbprint())
		normal, err := dpop.Normal(p.URL)
		require.NoError(t, err)
		require.Equal(t, p.URL, normal)
		_ = p.Verify()
	})
}
