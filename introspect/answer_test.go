package introspect_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/lyingserver"
	"github.com/sneckauth/sneck/introspect"
)

// now is the clock of the tests of answers.
var now = time.Unix(1_700_000_000, 0)

func clockAndIssuer(cfg *introspect.Config) {
	cfg.Now = func() time.Time { return now }
	cfg.Issuer = "https://as.example.com"
}

func answered(t testing.TB, body string, change ...func(*introspect.Config)) (*sneck.Token, error) {
	t.Helper()
	s := lyingserver.New(t, lyingserver.Answer(body))
	return asking(t, s, append([]func(*introspect.Config){clockAndIssuer}, change...)...).Verify(t.Context(), "abc")
}

func TestIC04_OnlyTheBooleanTrueIsActive(t *testing.T) {
	for _, test := range []struct{ name, body string }{
		{"string", `{"active":"true"}`},
		{"number", `{"active":1}`},
		{"null", `{"active":null}`},
		{"array", `{"active":[]}`},
		{"object", `{"active":{}}`},
		{"missing", `{}`},
		{"odd case", `{"Active":true}`},
		{"capitals", `{"ACTIVE":true}`},
		{"twice", `{"active":false,"active":true}`},
		{"twice by escape", `{"active":false,"\u0061ctive":true}`},
		{"nested", `{"token_introspection":{"active":true}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := answered(t, test.body)
			requireUnavailable(t, got, err)
		})
	}
	t.Run("false beside another case", func(t *testing.T) {
		got, err := answered(t, `{"active":false,"ACTIVE":true}`)
		requireInvalid(t, got, err)
	})
	t.Run("false whatever else it says", func(t *testing.T) {
		got, err := answered(t, `{"active":false,"exp":"soon","scope":7}`)
		requireInvalid(t, got, err)
	})
}

func TestIC05_EnforcedLocally(t *testing.T) {
	for _, test := range []struct{ name, members string }{
		{"expired", `"exp":1699999999`},
		{"expires now", `"exp":1700000000`},
		{"expired by a fraction", `"exp":1699999999.9`},
		{"exp zero", `"exp":0`},
		{"exp negative", `"exp":-1`},
		{"exp very negative", `"exp":-1e300`},
		{"not yet", `"nbf":1700000006`},
		{"other issuer", `"iss":"https://as.example.com.evil"`},
		{"issuer with a slash", `"iss":"https://as.example.com/"`},
		{"refresh token", `"token_type":"refresh_token"`},
		{"refresh token by URI", `"token_type":"urn:ietf:params:oauth:token-type:refresh_token"`},
		{"id token", `"token_type":"id_token"`},
		{"token_use refresh", `"token_use":"refresh_token"`},
		{"token_use id", `"token_use":"id"`},
		{"token_use unknown", `"token_use":"vp"`},
		{"typ Refresh", `"typ":"Refresh"`},
		{"typ Offline", `"typ":"Offline"`},
		{"typ ID", `"typ":"ID"`},
		{"typ of a logout token", `"typ":"application/logout+jwt"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := answered(t, `{"active":true,`+test.members+`}`)
			requireInvalid(t, got, err)
		})
	}
}

func TestOddAnswersThatAreFaults(t *testing.T) {
	for _, test := range []struct{ name, body string }{
		{"sub twice", `{"active":true,"sub":"a","sub":"b"}`},
		{"exp string", `{"active":true,"exp":"1800000000"}`},
		{"exp object", `{"active":true,"exp":{}}`},
		{"exp true", `{"active":true,"exp":true}`},
		{"exp over 2^53", `{"active":true,"exp":9007199254740993}`},
		{"exp in milliseconds", `{"active":true,"exp":1800000000000}`},
		{"exp 1e400", `{"active":true,"exp":1e400}`},
		{"iat negative", `{"active":true,"iat":-1}`},
		{"iat string", `{"active":true,"iat":"now"}`},
		{"nbf 1e400", `{"active":true,"nbf":1e400}`},
		{"auth_time array", `{"active":true,"auth_time":[]}`},
		{"aud number", `{"active":true,"aud":7}`},
		{"aud array with a number", `{"active":true,"aud":["a",7]}`},
		{"aud array with null", `{"active":true,"aud":[null]}`},
		{"aud of a hundred and one", `{"active":true,"aud":[` + strings.Repeat(`"a",`, 100) + `"a"]}`},
		{"scope number", `{"active":true,"scope":7}`},
		{"scope array with an object", `{"active":true,"scope":[{}]}`},
		{"scope array with a space", `{"active":true,"scope":["a b"]}`},
		{"scope with a tab", `{"active":true,"scope":"a\tb"}`},
		{"scope with a quote", `{"active":true,"scope":"a\"b"}`},
		{"scope with CR LF", `{"active":true,"scope":"a\r\nb"}`},
		{"scope with a letter outside of ASCII", `{"active":true,"scope":"é"}`},
		{"a thousand and one scopes", `{"active":true,"scope":"` + manyScopes(1001) + `"}`},
		{"sub number", `{"active":true,"sub":7}`},
		{"sub with CR LF", `{"active":true,"sub":"a\r\nX-Admin: 1"}`},
		{"client_id array", `{"active":true,"client_id":["a"]}`},
		{"username true", `{"active":true,"username":true}`},
		{"iss number", `{"active":true,"iss":1}`},
		{"token_type number", `{"active":true,"token_type":1}`},
		{"typ number", `{"active":true,"typ":1}`},
		{"token_use number", `{"active":true,"token_use":1}`},
		{"cnf string", `{"active":true,"cnf":"x"}`},
		{"cnf jkt number", `{"active":true,"cnf":{"jkt":1}}`},
		{"invalid UTF-8", "{\"active\":true,\"sub\":\"\xff\"}"},
		{"lone surrogate", `{"active":true,"sub":"\ud800"}`},
		{"byte order mark", "\ufeff" + `{"active":true}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := answered(t, test.body)
			requireUnavailable(t, got, err)
		})
	}
}

func manyScopes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("s")
		b.WriteString(strings.Repeat("x", i%7))
		b.WriteByte(byte('a' + i%26))
		b.WriteByte(byte('a' + i/26%26))
		b.WriteByte(byte('a' + i/676%26))
		b.WriteByte(' ')
	}
	return b.String()
}

func TestOddAnswersThatAreTokens(t *testing.T) {
	base := func(change func(*sneck.Token)) *sneck.Token {
		token := &sneck.Token{Issuer: "https://as.example.com", VerifiedAt: now, Source: "introspection"}
		change(token)
		return token
	}
	for _, test := range []struct {
		name, members string
		want          func(*sneck.Token)
	}{
		{"exp 1.8e9", `"exp":1.8e9`, func(k *sneck.Token) { k.Expires = time.Unix(1_800_000_000, 0) }},
		{"exp 1800000000.5", `"exp":1800000000.5`, func(k *sneck.Token) { k.Expires = time.Unix(1_800_000_000, 5e8) }},
		{"exp a moment away", `"exp":1700000000.25`, func(k *sneck.Token) { k.Expires = time.Unix(1_700_000_000, 25e7) }},
		{"exp null", `"exp":null`, func(*sneck.Token) {}},
		{"nbf within the leeway", `"nbf":1700000005`, func(k *sneck.Token) { k.NotBefore = now }},
		{"nbf, iat, auth_time zero", `"nbf":0,"iat":0,"auth_time":0`, func(*sneck.Token) {}},
		{"aud string", `"aud":"api"`, func(k *sneck.Token) { k.Audience = []string{"api"} }},
		{"aud empty", `"aud":""`, func(*sneck.Token) {}},
		{"aud array with an empty name", `"aud":["","api"]`, func(k *sneck.Token) { k.Audience = []string{"api"} }},
		{"scope array", `"scope":["a","b"]`, func(k *sneck.Token) { k.Scopes = []string{"a", "b"} }},
		{"scope with double spaces", `"scope":" a  b "`, func(k *sneck.Token) { k.Scopes = []string{"a", "b"} }},
		{"scope empty", `"scope":""`, func(*sneck.Token) {}},
		{"scope null", `"scope":null`, func(*sneck.Token) {}},
		{"folded letter is another member", `"ſcope":"admin"`, func(*sneck.Token) {}},
		{"other case is another member", `"Scope":"admin","SUB":"root"`, func(*sneck.Token) {}},
		{"own issuer", `"iss":"https://as.example.com"`, func(*sneck.Token) {}},
		{"token_use access", `"token_use":"access"`, func(*sneck.Token) {}},
		{"typ of an access token", `"typ":"at+jwt","token_type":"Bearer"`, func(k *sneck.Token) { k.Type = "Bearer" }},
		{"cnf null", `"cnf":null`, func(*sneck.Token) {}},
		{"cnf empty", `"cnf":{}`, func(k *sneck.Token) { k.Confirmation = &sneck.Confirmation{Unknown: true} }},
		{"cnf of a certificate", `"cnf":{"x5t#S256":"d"}`, func(k *sneck.Token) { k.Confirmation = &sneck.Confirmation{X5TS256: "d"} }},
		{"cnf by another method", `"cnf":{"kid":"k"}`, func(k *sneck.Token) { k.Confirmation = &sneck.Confirmation{Unknown: true} }},
		{"cnf by one more method", `"cnf":{"jkt":"k","kid":1}`, func(k *sneck.Token) { k.Confirmation = &sneck.Confirmation{JKT: "k", Unknown: true} }},
		{"letters outside of ASCII", `"username":"Åda"`, func(k *sneck.Token) { k.Username = "Åda" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := `{"active":true,` + test.members + `}`
			got, err := answered(t, body)
			require.NoError(t, err)
			want := base(test.want)
			want.RawClaims = []byte(body)
			assert.Equal(t, want, got)
		})
	}
}

func TestNotBeforeLeeway(t *testing.T) {
	for _, test := range []struct {
		leeway time.Duration
		ahead  int64
		ok     bool
	}{
		{-1, 1, false}, {-1, 0, true}, {0, 5, true}, {0, 6, false}, {time.Minute, 60, true}, {time.Minute, 61, false},
	} {
		body, err := json.Marshal(map[string]any{"active": true, "nbf": now.Unix() + test.ahead})
		require.NoError(t, err)
		got, err := answered(t, string(body), func(cfg *introspect.Config) { cfg.NotBeforeLeeway = test.leeway })
		if test.ok {
			assert.NoError(t, err)
		} else {
			requireInvalid(t, got, err)
		}
	}
}

func TestIC06_WhatIsNoAnswer(t *testing.T) {
	for _, test := range []struct {
		name string
		lie  http.Handler
	}{
		{"201", lyingserver.Status(201, good)},
		{"204", lyingserver.Status(204, "")},
		{"404", lyingserver.Status(404, good)},
		{"500", lyingserver.Status(500, good)},
		{"HTML", lyingserver.Typed("text/html", "<title>Log in</title>")},
		{"JSON as text", lyingserver.Typed("text/plain", good)},
		{"JSON as HTML", lyingserver.Typed("text/html; charset=utf-8", good)},
		{"JSON as problem", lyingserver.Typed("application/problem+json", good)},
		{"JSON in another charset", lyingserver.Typed("application/json; charset=utf-16", good)},
		{"signed, unasked", lyingserver.Typed("application/token-introspection+jwt", "e30.e30.")},
		{"no type", lyingserver.Raw("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n" + `{"active":true}`)},
		{"two types", lyingserver.Raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n" + `{"active":true}`)},
		{"empty", lyingserver.Answer("")},
		{"white space", lyingserver.Answer(" \n")},
		{"truncated JSON", lyingserver.Answer(good[:len(good)-1])},
		{"truncated body", lyingserver.Truncated(good)},
		{"trailing value", lyingserver.Answer(good + good)},
		{"trailing letter", lyingserver.Answer(good + "x")},
		{"array", lyingserver.Answer("[" + good + "]")},
		{"null", lyingserver.Answer("null")},
		{"true", lyingserver.Answer("true")},
		{"string", lyingserver.Answer(`"active"`)},
		{"deep", lyingserver.Answer(`{"active":true,"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`)},
		{"over 64 KiB", lyingserver.Answer(`{"active":true,"x":"` + strings.Repeat("x", 64<<10) + `"}`)},
		{"endless", lyingserver.Endless()},
		{"bomb", lyingserver.Bomb()},
		{"compressed, as it says", lyingserver.Status(200, good, "Content-Encoding", "gzip")},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := asking(t, lyingserver.New(t, test.lie))
			got, err := c.Verify(t.Context(), "abc")
			requireUnavailable(t, got, err)
			assert.NotErrorIs(t, err, introspect.ErrCredentials)
		})
	}
	for _, mediaType := range []string{"application/json; charset=UTF-8", "Application/JSON", "application/json;x=y"} {
		t.Run(mediaType, func(t *testing.T) {
			c := asking(t, lyingserver.New(t, lyingserver.Typed(mediaType, good)))
			_, err := c.Verify(t.Context(), "abc")
			require.NoError(t, err)
		})
	}
	t.Run("just 64 KiB", func(t *testing.T) {
		body := `{"active":true,"x":"` + strings.Repeat("x", 64<<10-22) + `"}`
		require.Len(t, body, 64<<10)
		_, err := answered(t, body)
		require.NoError(t, err)
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(`{"active":true,"exp":1.7e9,"aud":["a"],"cnf":{"jkt":"x"},"scope":["a"]}`))
	f.Add([]byte(`{"active":false,"active":true}`))
	f.Add([]byte(`{"active":true,"nbf":-1e400,"token_use":"id"}`))
	s := &answering{}
	c, err := introspect.New(introspect.Config{
		Endpoint: "https://as.example.com/introspect", Credential: introspect.Bearer("x"), Transport: s,
		Now: func() time.Time { return now }, ExpZone: time.FixedZone("", 7200),
	})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, data []byte) {
		s.body = string(data)
		token, err := c.Verify(t.Context(), "abc")
		if err != nil {
			require.Nil(t, token)
			return
		}
		var claims map[string]json.RawMessage
		require.NoError(t, token.Claims(&claims))
		require.Equal(t, "true", string(claims["active"]))
		require.False(t, token.ExpiredAt(now))
		for _, scope := range token.Scopes {
			require.NotContains(t, scope, " ")
		}
	})
}
