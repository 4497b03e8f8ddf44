package authtest

import (
	"bytes"
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authserver"
)

// Issue makes an opaque token as described, whatever the clients may ask for:
// for another subject, with another audience, expired, not yet valid, bound to
// a key. RawClaims may hold a JSON object of further claims.
//
// Left out, the client is [Server.Client], the subject is the client, the
// audience is [Audience], and the token is issued now for an hour. ID, Issuer,
// Type and how it was verified are the server's to say, and must be left out.
func (s *Server) Issue(t testing.TB, token sneck.Token) string {
	t.Helper()
	value := authserver.NewAccessToken()
	token = s.complete(t, token)
	s.write(t, value, token, further(t, token))
	return value
}

// IssueJWT is like [Server.Issue] and makes a JWT of the same claims (RFC
// 9068). Services can verify it by the server's keys ([jwt.Issuer] with the
// URL as ID), or introspect it: the server knows it like any other.
//
// [jwt.Issuer]: https://pkg.go.dev/github.com/sneckauth/sneck/jwt#Issuer
func (s *Server) IssueJWT(t testing.TB, token sneck.Token) string {
	t.Helper()
	if s.otherKeys {
		t.Fatal("authtest: the server signs with the test's keys, which are not here (hint: leave out Config.Keys)")
	}
	token = s.complete(t, token)
	id, claims := random(), further(t, token)
	maps.Copy(claims, map[string]any{
		"iss": s.URL, "sub": token.Subject, "client_id": token.ClientID, "aud": token.Audience,
		"iat": token.IssuedAt.Unix(), "exp": token.Expires.Unix(), "jti": id,
	})
	if len(token.Scopes) > 0 {
		claims["scope"] = token.Scopes.String()
	}
	if !token.NotBefore.IsZero() {
		claims["nbf"] = token.NotBefore.Unix()
	}
	value := s.keys.sign(t, claims)
	// Introspection must say the same of it.
	extra := further(t, token)
	extra["jti"] = id
	s.write(t, value, token, extra)
	return value
}

// complete fills in what a test has left out.
func (s *Server) complete(t testing.TB, token sneck.Token) sneck.Token {
	t.Helper()
	if token.ID != "" || token.Issuer != "" || token.Type != "" || token.Source != "" || !token.VerifiedAt.IsZero() {
		t.Fatal("authtest: ID, Issuer, Type, Source and VerifiedAt of a token are not for the test to say")
	}
	now := time.Now().Truncate(time.Second)
	if token.ClientID == "" {
		token.ClientID = s.Client.ID
	}
	if token.Subject == "" {
		token.Subject = token.ClientID
	}
	if token.Audience == nil {
		token.Audience = []string{Audience}
	}
	if token.IssuedAt.IsZero() {
		token.IssuedAt = now
	}
	if token.Expires.IsZero() {
		token.Expires = now.Add(time.Hour)
	}
	return token
}

// write makes the token known to the server, with further claims.
func (s *Server) write(t testing.TB, value string, token sneck.Token, claims map[string]any) {
	t.Helper()
	extra, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Memory.Create(t.Context(), authserver.Record{
		Key: authserver.KeyOf(value), Kind: authserver.KindAccess,
		Client: token.ClientID, Subject: token.Subject, Scopes: token.Scopes, Audience: token.Audience,
		Issued: token.IssuedAt, NotBefore: token.NotBefore, Expires: token.Expires, Extra: extra,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// standard are the claims that have a field in sneck.Token.
var standard = []string{
	"active", "iss", "sub", "aud", "client_id", "scope", "exp", "iat", "nbf", "jti", "token_type",
	"username", "acr", "auth_time", "cnf",
}

// further returns the claims that not every token has.
func further(t testing.TB, token sneck.Token) map[string]any {
	t.Helper()
	claims := map[string]any{}
	if token.RawClaims != nil {
		d := json.NewDecoder(bytes.NewReader(token.RawClaims))
		d.UseNumber() // so that none is rounded
		if err := d.Decode(&claims); err != nil {
			t.Fatalf("authtest: RawClaims is not a JSON object: %v", err)
		}
	}
	for _, name := range standard {
		if _, there := claims[name]; there {
			t.Fatalf("authtest: RawClaims has %q (hint: it is a field of the Token)", name)
		}
	}
	if token.Username != "" {
		claims["username"] = token.Username
	}
	if token.ACR != "" {
		claims["acr"] = token.ACR
	}
	if !token.AuthTime.IsZero() {
		claims["auth_time"] = token.AuthTime.Unix()
	}
	if c := token.Confirmation; c != nil {
		cnf := map[string]string{}
		if c.JKT != "" {
			cnf["jkt"] = c.JKT
		}
		if c.X5TS256 != "" {
			cnf["x5t#S256"] = c.X5TS256
		}
		if c.Unknown {
			cnf["kid"] = "unknown"
		}
		claims["cnf"] = cnf
	}
	return claims
}
