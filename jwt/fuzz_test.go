package jwt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/strictjson"
	"github.com/sneckauth/sneck/jwt"
	"github.com/sneckauth/sneck/scopes"
)

// The fuzz tests below hold every verdict against that of go-jose. What is
// taken here must be taken there: no exceptions. What is refused here and
// taken there must be one of the following, each on purpose.
var argued = []struct {
	why string
	is  func(header, payload []byte) bool
}{
	{"bytes that are not UTF-8 are read differently by different readers (RFC 8725, section 3.7)", func(h, p []byte) bool {
		return !utf8.Valid(h) || !utf8.Valid(p) || escapesSurrogate(h) || escapesSurrogate(p)
	}},
	{"bounds of size, nesting and members", func(h, p []byte) bool {
		return len(h) > 4096 || len(h)+len(p) > 6000 || depth(h) > 16 || depth(p) > 16 || len(members(p)) > 256 || len(members(h)) > 256
	}},
	{"a JOSE header begins with its brace; nobody writes white space there", func(h, _ []byte) bool {
		return len(h) > 0 && h[0] != '{'
	}},
	{"headers that are not understood, or bring a key, are refused even where a library could ignore them", func(h, _ []byte) bool {
		return anyOf(members(h), "crit", "b64", "enc", "zip", "jwk", "jku", "x5u", "x5c")
	}},
	{"names in another case", func(h, p []byte) bool {
		return folds(members(h), "alg", "kid", "typ", "cty", "crit", "b64", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "enc", "zip", "epk", "nonce") ||
			folds(members(p), "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "cnf", "auth_time", "acr", "username",
				"preferred_username", "azp", "cid", "scp", "typ", "token_use", "nonce", "events")
	}},
	{"null is not a string, a number or a list", func(h, p []byte) bool {
		return hasNull(members(h), "kid", "typ", "cty", "alg") ||
			hasNull(members(p), "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "cnf", "auth_time", "acr", "username", "preferred_username")
	}},
	{"wrong types in claims and headers that the oracle was not asked to read", func(h, p []byte) bool {
		return !allStrings(members(h), "typ", "cty", "kid") || !allStrings(members(p), "acr", "username", "preferred_username") ||
			!isNumber(members(p)["auth_time"]) || !isObject(members(p)["cnf"])
	}},
	{"duplicate names inside members that the oracle skips", func(h, p []byte) bool {
		return duplicate(h) || duplicate(p)
	}},
	{"dates before 1970 or after 9999", func(_, p []byte) bool {
		for _, name := range []string{"exp", "nbf", "iat", "auth_time"} {
			var f float64
			if err := json.Unmarshal(members(p)[name], &f); members(p)[name] != nil && (err != nil || f < 0 || f > 253402300799) {
				return true
			}
		}
		return false
	}},
	{"an audience with an empty name", func(_, p []byte) bool {
		var list []string
		if json.Unmarshal(members(p)["aud"], &list) != nil {
			return string(members(p)["aud"]) == `""`
		}
		for _, aud := range list {
			if aud == "" {
				return true
			}
		}
		return len(list) == 0
	}},
	{"scopes with characters that a scope may not have (RFC 6749, section 3.3)", func(_, p []byte) bool {
		var s string
		if json.Unmarshal(members(p)["scope"], &s) != nil {
			return false
		}
		_, err := scopes.Parse(s)
		return err != nil
	}},
	{"a key ID of more than 512 bytes", func(h, _ []byte) bool { return len(members(h)["kid"]) > 512 }},
}

// compare fails unless both verdicts are the same or the difference is argued.
func compare(t *testing.T, header, payload []byte, ours, theirs error) {
	t.Helper()
	switch {
	case (ours == nil) == (theirs == nil):
	case ours == nil:
		t.Errorf("taken here, refused by go-jose (%v)\n%q\n%q", theirs, header, payload)
	default:
		for _, a := range argued {
			if a.is(header, payload) {
				return
			}
		}
		t.Errorf("refused here (%v), taken by go-jose\n%q\n%q", ours, header, payload)
	}
}

// oracle is the same profile, by go-jose and its own JSON package.
func oracle(token string) error {
	parsed, err := josejwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return err
	}
	var c struct {
		Issuer   string           `json:"iss"`
		Subject  string           `json:"sub"`
		Audience josejwt.Audience `json:"aud"`
		Expiry   float64          `json:"exp"`
		Before   float64          `json:"nbf"`
		Issued   *float64         `json:"iat"`
		ID       string           `json:"jti"`
		Client   string           `json:"client_id"`
		Scope    string           `json:"scope"`
	}
	if err := parsed.Claims(signers()["ES256"].private.Public(), &c); err != nil {
		return err
	}
	h := parsed.Headers[0]
	typ, _ := h.ExtraHeaders[jose.HeaderType].(string)
	typ = strings.ToLower(typ)
	at := float64(now.Unix())
	switch {
	case typ != "at+jwt" && typ != "application/at+jwt":
		return errors.New("typ")
	case h.KeyID != "" && h.KeyID != "es256":
		return errors.New("kid")
	case c.Issuer != issuerID || c.Subject == "" || c.Audience == nil || c.ID == "" || c.Client == "" || c.Issued == nil:
		return errors.New("claims")
	case c.Expiry <= at || c.Before > at+30 || *c.Issued > at+30:
		return errors.New("time")
	}
	return nil
}

func oneKey(f *testing.F) *jwt.Verifier {
	set, err := jwt.ParseJWKS([]byte(jwks(signers()["ES256"].jwk(""))))
	check(err)
	return newVerifier(f, set)
}

// seed adds the headers and claims of all vectors.
func seed(f *testing.F, add func(v vector)) {
	for _, rule := range []string{"01", "02", "03", "04", "05", "09", "10", "11", "13", "14", "15", "21", "22", "23", "27"} {
		for _, v := range readVectors(f, "testdata/token/rj"+rule+".txt") {
			if v["profile"] == "" && v["token"] == "" {
				add(v)
			}
		}
	}
}

func FuzzHeader(f *testing.F) {
	s, v := signers()["ES256"], oneKey(f)
	f.Add([]byte(s.header()))
	seed(f, func(v vector) {
		if h := v["header"]; h != "" {
			f.Add([]byte(v.expand(h)))
		}
	})
	f.Fuzz(func(t *testing.T, header []byte) {
		token := s.sign(string(header), validClaims)
		_, ours := v.Verify(t.Context(), token)
		compare(t, header, []byte(validClaims), ours, oracle(token))
	})
}

func FuzzClaims(f *testing.F) {
	s, v := signers()["ES256"], oneKey(f)
	f.Add([]byte(validClaims))
	seed(f, func(v vector) { f.Add([]byte(v.claims())) })
	f.Fuzz(func(t *testing.T, payload []byte) {
		token := s.sign(s.header(), string(payload))
		got, ours := v.Verify(t.Context(), token)
		compare(t, []byte(s.header()), payload, ours, oracle(token))
		if ours == nil && (got.Issuer != issuerID || got.ExpiredAt(now) || !bytes.Equal(got.RawClaims, payload)) {
			t.Errorf("%+v of %q", got, payload)
		}
	})
}

// A token that is changed anywhere is not taken, and nothing panics.
func FuzzToken(f *testing.F) {
	s, v := signers()["ES256"], oneKey(f)
	token := s.token()
	f.Add(token)
	f.Add("..")
	f.Add(token + "=")
	f.Add(strings.Replace(token, ".", "\n.", 1))
	f.Fuzz(func(t *testing.T, token string) {
		_, ours := v.Verify(t.Context(), token)
		if ours != nil && !errors.Is(ours, sneck.ErrInvalid) && !errors.Is(ours, sneck.ErrUnrecognized) {
			t.Errorf("error of no kind: %v", ours)
		}
		if theirs := oracle(token); (ours == nil) != (theirs == nil) {
			// The encoding is strict here: one spelling for each signature.
			if ours == nil || sneck.ValidToken(token) && canonical(token) {
				t.Errorf("%q: here %v, go-jose %v", token, ours, theirs)
			}
		}
	})
}

// FuzzKeySet: whatever is served as a key set, it is read without a panic,
// and no key of it is weak or private.
func FuzzKeySet(f *testing.F) {
	for _, rule := range []string{"16", "17", "18", "19"} {
		for _, v := range readVectors(f, "testdata/token/rj"+rule+".txt") {
			if v["keys"] != "" {
				f.Add([]byte(v.expand(v["keys"])))
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := jwt.ParseJWKS(data)
		if (set == nil) == (err == nil) || err == nil && set.Len() == 0 {
			t.Errorf("%v, %v", set, err)
		}
	})
}

// canonical reports whether every segment of a token is spelled as an encoder
// would.
func canonical(token string) bool {
	for segment := range strings.SplitSeq(token, ".") {
		if n := len(segment); n%4 == 1 || n%4 == 2 && strings.IndexByte(alphabet, segment[n-1])&15 != 0 || n%4 == 3 && strings.IndexByte(alphabet, segment[n-1])&3 != 0 {
			return false
		}
	}
	return true
}

func members(object []byte) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	json.Unmarshal(object, &m)
	return m
}

func anyOf(m map[string]json.RawMessage, names ...string) bool {
	for _, name := range names {
		if _, ok := m[name]; ok {
			return true
		}
	}
	return false
}

func folds(m map[string]json.RawMessage, names ...string) bool {
	for have := range maps.Keys(m) {
		for _, name := range names {
			if have != name && strings.EqualFold(have, name) {
				return true
			}
		}
	}
	return false
}

func hasNull(m map[string]json.RawMessage, names ...string) bool {
	for _, name := range names {
		if string(m[name]) == "null" {
			return true
		}
	}
	return false
}

func allStrings(m map[string]json.RawMessage, names ...string) bool {
	for _, name := range names {
		if v, ok := m[name]; ok && v[0] != '"' {
			return false
		}
	}
	return true
}

func isNumber(v json.RawMessage) bool {
	var f float64
	return v == nil || json.Unmarshal(v, &f) == nil
}

func isObject(v json.RawMessage) bool {
	if v == nil {
		return true
	}
	m := members(v)
	return m != nil && allStrings(m, "jkt", "x5t#S256")
}

func duplicate(object []byte) bool {
	var m map[string]any
	return errors.Is(strictjson.Unmarshal(object, &m), jsontext.ErrDuplicateName)
}

func escapesSurrogate(data []byte) bool {
	return bytes.Contains(bytes.ToLower(data), []byte(`\ud`))
}

func depth(data []byte) int {
	d := json.NewDecoder(bytes.NewReader(data))
	deep, deepest := 0, 0
	for {
		token, err := d.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			deep++
			deepest = max(deepest, deep)
		case json.Delim('}'), json.Delim(']'):
			deep--
		}
	}
}
