package jwt_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/jwt"
)

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
