package introspect_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/introspect"
)

func jwt(payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(payload)) + "." + encode([]byte("signature"))
}

func TestIC17_TokensOfOtherAuthoritiesAreNotShown(t *testing.T) {
	ours := introspect.All(introspect.HasPrefix("ours_", "old_"), introspect.HasLength(8, 12),
		introspect.WellFormed(func(token string) bool { return strings.HasSuffix(token, "7") }))
	of := introspect.JWTForm{Issuers: []string{"https://a.example.com", "https://b.example.com"}, Now: func() time.Time { return now }}.Recognize
	foreign, refused := sneck.ErrUnrecognized, sneck.ErrInvalid
	for _, test := range []struct {
		name      string
		recognize introspect.Recognizer
		token     string
		want      error
	}{
		{"ours", ours, "ours_xx7", nil},
		{"old", ours, "old_xxx7", nil},
		{"prefix of another", ours, "theirs_7", foreign},
		{"prefix in another case", ours, "OURS_xx7", foreign},
		{"too short", ours, "ours_x7", foreign},
		{"too long", ours, "ours_xxxxxxx7", foreign},
		{"damaged", ours, "ours_xx8", refused},
		{"opaque", introspect.Opaque, "2YotnFZFEjr1zCsicMWpAA", nil},
		{"opaque with dots", introspect.Opaque, "a.b.c", nil},
		{"not opaque", introspect.Opaque, jwt(`{}`), foreign},
		{"issuer", of, jwt(`{"iss":"https://a.example.com"}`), nil},
		{"other issuer of the same", of, jwt(`{"iss":"https://b.example.com","exp":1700000001}`), nil},
		{"issuer of another", of, jwt(`{"iss":"https://c.example.com"}`), foreign},
		{"issuer with a slash", of, jwt(`{"iss":"https://a.example.com/"}`), foreign},
		{"issuer twice", of, jwt(`{"iss":"https://c.example.com","iss":"https://a.example.com"}`), foreign},
		{"issuer by escape", of, jwt(`{"iss":"https:\/\/a.example.com"}`), nil},
		{"no issuer", of, jwt(`{"sub":"https://a.example.com"}`), foreign},
		{"issuer array", of, jwt(`{"iss":["https://a.example.com"]}`), foreign},
		{"no JWT", of, "abc", foreign},
		{"no JSON", of, jwt(`abc`), foreign},
		{"four parts", of, jwt(`{"iss":"https://a.example.com"}`) + ".x", foreign},
		{"expired", of, jwt(`{"iss":"https://a.example.com","exp":1700000000}`), refused},
		{"expired long ago", of, jwt(`{"iss":"https://a.example.com","exp":-1}`), refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.recognize(test.token)
			assert.Equal(t, test.want == nil, err == nil)
			assert.True(t, errors.Is(err, test.want), "%v", err)
			if err != nil {
				assert.NotContains(t, err.Error(), test.token)
			}
		})
	}
}

func ExampleConfig_recognize() {
	// Tokens of this authority have a prefix, a fixed length, and a checksum
	// that the package of the authority knows.
	wellFormed := func(token string) bool { return strings.Count(token, "x")%2 == 0 }
	recognize := introspect.All(introspect.HasPrefix("acme_"), introspect.HasLength(9, 9), introspect.WellFormed(wellFormed))

	fmt.Println(recognize("acme_xx34"))
	fmt.Println(errors.Is(recognize("gh_abcdef"), sneck.ErrUnrecognized))
	fmt.Println(errors.Is(recognize("acme_x234"), sneck.ErrInvalid))
	// Output:
	// <nil>
	// true
	// true
}

func FuzzRecognize(f *testing.F) {
	f.Add("abc")
	f.Add(jwt(`{"iss":"https://a.example.com","exp":1e400}`))
	of := introspect.JWTForm{Issuers: []string{"https://a.example.com"}}.Recognize
	f.Fuzz(func(t *testing.T, token string) {
		if of(token) == nil {
			assert.ErrorIs(t, introspect.Opaque(token), sneck.ErrUnrecognized)
		}
	})
}
