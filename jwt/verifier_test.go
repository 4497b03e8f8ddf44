package jwt_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/jwt"
	"github.com/sneckauth/sneck/scopes"
)

// A keyFunc is a KeySource.
type keyFunc func(alg, kid string) (*jwt.Key, error)

func (f keyFunc) Key(_ context.Context, alg, kid string) (*jwt.Key, error) { return f(alg, kid) }

func TestVerifyReadsEveryClaim(t *testing.T) {
	const claims = `{"iss":"https://as.example","sub":"alice","aud":["https://api.example","b"],"exp":1795521900.5,"iat":1795521500,` +
		`"nbf":1795521400,"jti":"t1","client_id":"app","scope":"b a","auth_time":1795521300,"acr":"gold","username":"Alice",` +
		`"cnf":{"jkt":"thumb","x5t#S256":"cert"},"tenant":{"id":7}}`
	got := mustVerify(t, jwt.RFC9068, claims)
	assert.Equal(t, &sneck.Token{
		Issuer: issuerID, Subject: "alice", ClientID: "app", Username: "Alice", ID: "t1",
		Audience:     []string{"https://api.example", "b"},
		Scopes:       scopes.Set{"b", "a"},
		IssuedAt:     time.Unix(1795521500, 0).UTC(),
		NotBefore:    time.Unix(1795521400, 0).UTC(),
		Expires:      time.Unix(1795521900, 5e8).UTC(),
		AuthTime:     time.Unix(1795521300, 0).UTC(),
		ACR:          "gold",
		Confirmation: &sneck.Confirmation{JKT: "thumb", X5TS256: "cert"},
		VerifiedAt:   now,
		Source:       "jwt",
		RawClaims:    []byte(claims),
	}, got)
	var own struct{ Tenant struct{ ID int } }
	require.NoError(t, got.Claims(&own))
	assert.Equal(t, 7, own.Tenant.ID)
}

func TestVerifyLegacyNames(t *testing.T) {
	claims := `{"iss":"https://as.example","exp":1795521900,"azp":"app","scp":["a","b"],"preferred_username":"al"}`
	got := mustVerify(t, jwt.Legacy, claims)
	assert.Equal(t, "app", got.ClientID)
	assert.Equal(t, "al", got.Username)
	assert.Equal(t, scopes.Set{"a", "b"}, got.Scopes)
	assert.Empty(t, got.Audience)
}

// A confirmation that is not understood must not be lost: the Guard refuses
// it.
func TestVerifyConfirmation(t *testing.T) {
	for cnf, want := range map[string]*sneck.Confirmation{
		`{"jkt":"a"}`:                {JKT: "a"},
		`{}`:                         {},
		`{"jkt":"a","JKT":"b"}`:      {JKT: "a", Unknown: true},
		`{"jwk":{"kty":"EC"}}`:       {Unknown: true},
		`{"x5t#s256":"a"}`:           {Unknown: true},
		`{"jkt":"a","kid":"b"}`:      {JKT: "a", Unknown: true},
		`{"x5t#S256":"a","jkt":"b"}`: {JKT: "b", X5TS256: "a"},
	} {
		assert.Equal(t, want, mustVerify(t, jwt.RFC9068, vector{"set": "cnf " + cnf}.claims()).Confirmation, cnf)
	}
	v := newVerifier(t, allKeys(t))
	s := signers()["ES256"]
	for _, cnf := range []string{`null`, `"jkt"`, `[]`, `{"jkt":1}`, `{"jkt":null}`} {
		_, err := v.Verify(t.Context(), s.sign(s.header(), vector{"set": "cnf " + cnf}.claims()))
		assert.ErrorIs(t, err, sneck.ErrInvalid, cnf)
	}
}

func TestVerifyLeeway(t *testing.T) {
	s := signers()["ES256"]
	at := func(leeway, expiry time.Duration, set string) string {
		v := newVerifier(t, allKeys(t), func(c *jwt.Config) { c.Leeway, c.ExpiryLeeway = leeway, expiry })
		_, err := v.Verify(t.Context(), s.sign(s.header(), vector{"set": set}.claims()))
		return kind(err)
	}
	assert.Equal(t, "valid", at(-1, 0, "nbf 1795521600"))
	assert.Equal(t, "invalid", at(-1, 0, "nbf 1795521601"))
	assert.Equal(t, "invalid", at(-1, 0, "iat 1795521600.001"))
	assert.Equal(t, "valid", at(time.Minute, 0, "iat 1795521660"))
	assert.Equal(t, "invalid", at(time.Minute, 0, "iat 1795521661"))
	assert.Equal(t, "invalid", at(time.Minute, 0, "exp 1795521600"), "Leeway is not for expiry")
	assert.Equal(t, "valid", at(0, 10*time.Second, "exp 1795521591"))
	assert.Equal(t, "invalid", at(0, 10*time.Second, "exp 1795521590"))
}

// What was let pass as the clock of the issuer is ahead must not be refused
// later by who compares NotBefore.
func TestNotBeforeIsNotInTheFuture(t *testing.T) {
	for nbf, want := range map[string]int64{"1795521599": 1795521599, "1795521600": 1795521600, "1795521625": 1795521600} {
		got := mustVerify(t, jwt.RFC9068, vector{"set": "nbf " + nbf}.claims()).NotBefore
		assert.Equal(t, time.Unix(want, 0).UTC(), got.UTC(), nbf)
	}
}

func TestVerifyKeySourceErrors(t *testing.T) {
	down := &sneck.UnavailableError{Err: errors.New("down"), RetryAfter: time.Second}
	for _, test := range []struct {
		name string
		key  *jwt.Key
		err  error
		want string
	}{
		{"no such key", nil, jwt.ErrNoKey, "invalid"},
		{"other error", nil, errors.New("disk"), "unavailable"},
		{"unavailable", nil, down, "unavailable"},
		{"nothing at all", nil, nil, "unavailable"},
		{"key that NewKey did not make", new(jwt.Key), nil, "invalid"},
		{"key of another algorithm", mustKey(t, "ES384"), nil, "invalid"},
		{"context", nil, context.Canceled, "unavailable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := newVerifier(t, keyFunc(func(string, string) (*jwt.Key, error) { return test.key, test.err }))
			_, err := v.Verify(t.Context(), signers()["ES256"].token())
			assert.Equal(t, test.want, kind(err))
			if test.name == "unavailable" {
				assert.Same(t, down, err)
			}
		})
	}
}

func mustKey(t *testing.T, alg string) *jwt.Key {
	k, err := jwt.NewKey("k", alg, signers()[alg].private.Public())
	require.NoError(t, err)
	return k
}

// No key is looked for unless all that costs less has been checked.
func TestVerifyAsksForNoKeyInVain(t *testing.T) {
	v := newVerifier(t, keyFunc(func(string, string) (*jwt.Key, error) {
		t.Error("asked for a key")
		return nil, jwt.ErrNoKey
	}))
	s := signers()["ES256"]
	for _, token := range []string{
		"opaque", "a.b.c", strings.Repeat(".", 5000), strings.Repeat("a", 9000),
		s.sign(s.header(), vector{"set": `iss "https://evil.example"`}.claims()),
		s.sign(s.header(), vector{"set": `exp 1`}.claims()),
		s.sign(`{"typ":"JWT","alg":"ES256","kid":"x"}`, validClaims),
		s.sign(`{"typ":"at+jwt","alg":"HS256","kid":"x"}`, validClaims),
		s.sign(`{"typ":"at+jwt","alg":"ES256","kid":"x","jku":"https://evil.example"}`, validClaims),
		b64(s.header()) + "." + b64(validClaims) + "." + strings.Repeat("A", 3000),
	} {
		_, err := v.Verify(t.Context(), token)
		assert.Error(t, err)
	}
}

// However long it is, garbage costs nothing.
func TestVerifyGarbageIsCheap(t *testing.T) {
	v := newVerifier(t, allKeys(t))
	for name, token := range map[string]string{
		"a million dots": strings.Repeat(".", 1e6), "a megabyte of header": strings.Repeat("a", 1<<20) + ".b.c",
		"opaque": "opaque", "8000 dots": strings.Repeat("a.", 4000),
	} {
		assert.LessOrEqual(t, testing.AllocsPerRun(10, func() { v.Verify(t.Context(), token) }), 2.0, name)
	}
}

// From discovery to a new key, as a service lives through it.
func TestVerifyDiscovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{set: keysOf("old"), metadata: map[string]string{
			issuerID + "/.well-known/oauth-authorization-server": `{"issuer":"` + issuerID + `","jwks_uri":"` + jwksURL + `"}`,
		}}
		v, err := jwt.New(jwt.Config{Issuers: []jwt.Issuer{{ID: issuerID}}, Fetch: jwt.Fetch{HTTPClient: a.client()}})
		require.NoError(t, err)
		verify := func(kid string) string {
			s := withKid(kid)
			_, err := v.Verify(t.Context(), s.sign(s.header(), claimsOf(issuerID)))
			return kind(err)
		}
		assert.Equal(t, "valid", verify("old"))
		a.change(func(a *authority) { a.set = keysOf("old", "new") })
		assert.Equal(t, "valid", verify("new"))
		assert.Equal(t, "invalid", verify("made-up"))
		assert.Equal(t, 2, a.fetches())
		require.NoError(t, v.Close())
		assert.Equal(t, "unavailable", verify("new"))
	})
}

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := jwt.New(jwt.Config{})
	require.ErrorContains(t, err, "no issuers")
	_, err = jwt.New(jwt.Config{
		Issuers: []jwt.Issuer{
			{},
			{ID: "http://as.example"},
			{ID: "https://as.example?x"},
			{ID: "legacy", Keys: allKeys(t), Profile: 7, Algorithms: []string{"none", "HS256", "es256"}},
			{ID: "twice", Keys: allKeys(t)},
			{ID: "twice", Keys: allKeys(t)},
		},
		LookupTTL:    -1,
		MaxIssuers:   -1,
		Leeway:       time.Hour,
		ExpiryLeeway: -1,
		MaxLifetime:  -1,
		Fetch:        jwt.Fetch{Timeout: -1, MaxStale: time.Minute, RSAAlgorithm: "ES256", RefusePrivateAddresses: true, HTTPClient: deadClient},
	})
	require.Error(t, err)
	for _, part := range []string{
		"an issuer needs an ID", "https only", "has no query", "unknown profile 7", `algorithm "none"`, `algorithm "HS256"`, `algorithm "es256"`,
		"twice", "need Lookup", "LookupTTL is negative", "MaxIssuers is negative", "Leeway is over", "ExpiryLeeway", "MaxLifetime",
		"negative time", "MaxStale is less", "RSAAlgorithm", "RefusePrivateAddresses",
	} {
		assert.ErrorContains(t, err, part)
	}
}
