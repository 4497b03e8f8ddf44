package jws_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/internal/jws"
)

func TestSplit(t *testing.T) {
	for token, want := range map[string]*jws.Compact{
		"a.b.c":                    {Header: "a", Payload: "b", Signature: "c", Input: "a.b"},
		"a.b.":                     {Header: "a", Payload: "b", Input: "a.b"},
		"":                         nil,
		".":                        nil,
		"..":                       nil,
		"a..c":                     nil,
		".b.c":                     nil,
		"a.b":                      nil,
		"a.b.c.":                   nil,
		"a.b.c.d":                  nil,
		"a.b.c.d.e":                nil,
		strings.Repeat(".", 1<<20): nil,
	} {
		got, err := jws.Split(token)
		if want == nil {
			assert.ErrorIs(t, err, jws.ErrNotCompact, "%.20q", token)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, *want, got)
	}
}

// A million dots and a header of a megabyte cost no memory.
func TestSplitAllocatesNothing(t *testing.T) {
	dots, header := strings.Repeat(".", 1e6), strings.Repeat("a", 1<<20)+".b.c"
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		jws.Split(dots)
		jws.Split(header)
	}))
}

func TestDecode(t *testing.T) {
	for segment, want := range map[string]string{
		"":     "",
		"YQ":   "a",
		"YWI":  "ab",
		"YWJj": "abc",
		"-_-_": "\xfb\xff\xbf",
	} {
		got, err := jws.Decode(segment)
		require.NoError(t, err, segment)
		assert.Equal(t, want, string(got))
	}
	for _, segment := range []string{"Y", "YQ==", "YR", "YWJ", "+/+/", "YQ\n", "\nYQ", "YWJj\r\n\r\n", "Y Q", "YQ.", "YQ\x00", "é", "YWJjY"} {
		_, err := jws.Decode(segment)
		assert.Error(t, err, "%q", segment)
	}
}

// There is one spelling for any bytes.
func FuzzDecode(f *testing.F) {
	f.Add("YQ")
	f.Add("YR")
	f.Add("YWJj\n")
	f.Fuzz(func(t *testing.T, segment string) {
		got, err := jws.Decode(segment)
		if err == nil && base64.RawURLEncoding.EncodeToString(got) != segment {
			t.Errorf("%q is a second spelling of %q", segment, got)
		}
	})
}

func TestMembers(t *testing.T) {
	var got []string
	err := jws.Members([]byte(` {"a" : 1, "b":{"c":[null,{}]}, "\u0064":"x\n", "":true } `), func(name, value []byte) error {
		got = append(got, string(name)+"="+string(value))
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"a=1", `b={"c":[null,{}]}`, `d="x\n"`, "=true"}, got)

	for _, object := range []string{
		``, ` `, `null`, `[]`, `"x"`, `1`, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{"a":1}x`, `{"a":1}{}`, `{"a":01}`, `{"a":tru}`,
		`{"a":1,"a":1}`, `{"a":1,"\u0061":1}`, `{"x":{"a":1,"a":1}}`, "{\"a\":\"\xff\"}", "{\"\xff\":1}", `{"a":"\ud800"}`, "\ufeff{}", "{\"a\":\"\x01\"}",
		`{"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`,
	} {
		assert.Error(t, jws.Members([]byte(object), func(_, _ []byte) error { return nil }), "%q", object)
	}
	assert.ErrorIs(t, jws.Members([]byte(`{"a":1}`), func(_, _ []byte) error { return assert.AnError }), assert.AnError)
}

// An error must not quote what was read: it may be a claim of somebody.
func TestMembersErrorsQuoteNothing(t *testing.T) {
	for _, object := range []string{`{"secret":1,"secret":2}`, `{"secret":secret}`, `{"secret":"secret`} {
		err := jws.Members([]byte(object), func(_, _ []byte) error { return nil })
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "secret")
	}
}

// What is read here is what encoding/json reads, where both read anything.
func FuzzMembers(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":"\u0041","c":[{}]}`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Fuzz(func(t *testing.T, object []byte) {
		got := map[string]json.RawMessage{}
		err := jws.Members(object, func(name, value []byte) error {
			got[string(name)] = append(json.RawMessage(nil), value...)
			return nil
		})
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(object, &want))
		require.Len(t, got, len(want))
		for name, value := range want {
			assert.JSONEq(t, string(value), string(got[name]))
			var text string
			s, ok := jws.String(got[name])
			isText := value[0] == '"'
			require.Equal(t, isText, ok)
			if isText {
				require.NoError(t, json.Unmarshal(value, &text))
				assert.Equal(t, text, s)
			}
		}
	})
}

func TestParseHeader(t *testing.T) {
	h, err := jws.ParseHeader([]byte(`{"typ":"dpop+jwt","alg":"ES256","kid":"k","jwk":{"kty":"EC"},"x5c":[]}`))
	require.NoError(t, err)
	assert.Equal(t, &jws.Header{Algorithm: "ES256", KeyID: "k", Type: "dpop+jwt", JWK: []byte(`{"kty":"EC"}`), KeyByReference: true}, h)
	assert.True(t, h.TypeIs("dpop+jwt"))
	for _, typ := range []string{"\u017f", "\u212a", "application/", "application/x", ""} {
		assert.False(t, (&jws.Header{Type: typ}).TypeIs("s"), typ)
		assert.False(t, (&jws.Header{Type: typ}).TypeIs("k"), typ)
	}
	for _, none := range []string{``, `[]`, `{}`, `{"alg"`, `"alg"`, `{"kid":"x"}`, ` {"alg":"ES256"}`} {
		_, err := jws.ParseHeader([]byte(none))
		assert.ErrorIs(t, err, jws.ErrNotHeader, none)
	}
	for _, bad := range []string{
		`{"alg":null}`, `{"alg":"ES256","alg":"ES256"}`, `{"alg":"ES256","crit":[]}`, `{"alg":"ES256","x":"` + strings.Repeat("x", 4096) + `"}`,
		`{"alg":"ES256","kid":"` + strings.Repeat("x", 513) + `"}`, `{"alg":"ES256","\u212aid":"x"}`,
	} {
		_, err := jws.ParseHeader([]byte(bad))
		require.Error(t, err, bad)
		assert.NotErrorIs(t, err, jws.ErrNotHeader, bad)
	}
}

// RFC 7638, section 3.1.
func TestThumbprint(t *testing.T) {
	key, err := jws.ParseJWK([]byte(`{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`), "")
	require.NoError(t, err)
	assert.Equal(t, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", key.Thumbprint())
	assert.Empty(t, jws.Key{}.Thumbprint())
}

// A key of one type does not verify by an algorithm of another, whatever
// calls Verify forgot to check.
func TestVerifyRefusesWhatDoesNotFit(t *testing.T) {
	rsa, err := jws.ParseJWK([]byte(`{"kty":"RSA","alg":"PS256","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}`), "")
	require.NoError(t, err)
	ec, err := jws.ParseJWK([]byte(`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`), "")
	require.NoError(t, err)
	ed, err := jws.ParseJWK([]byte(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`), "")
	require.NoError(t, err)
	for _, key := range []jws.Key{rsa, ec, ed, {}} {
		for _, alg := range []string{"", "none", "HS256", "ES384", "ES512", "RS", "A", "EdDSA2"} {
			assert.Error(t, jws.Verify(alg, key.Public, "a.b", make([]byte, 256)), alg)
			assert.Error(t, jws.CheckKey(alg, key.Public), alg)
		}
	}
	assert.Error(t, jws.Verify("ES256", rsa.Public, "a.b", make([]byte, 256)))
	assert.Error(t, jws.Verify("RS256", ec.Public, "a.b", make([]byte, 64)))
	assert.Error(t, jws.Verify("EdDSA", ec.Public, "a.b", make([]byte, 64)))
	assert.Error(t, jws.Verify("ES256", ed.Public, "a.b", make([]byte, 64)))
}
