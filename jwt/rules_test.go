package jwt_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/jwt"
	"github.com/sneckauth/sneck/scopes"
)

func TestRJ01_TypeIsThatOfAnAccessToken(t *testing.T)   { runVectors(t, "RJ-01") }
func TestRJ02_IssuerIsExact(t *testing.T)               { runVectors(t, "RJ-02") }
func TestRJ04_Expiry(t *testing.T)                      { runVectors(t, "RJ-04") }
func TestRJ05_NotBefore(t *testing.T)                   { runVectors(t, "RJ-05") }
func TestRJ06_SignatureOfTheIssuer(t *testing.T)        { runVectors(t, "RJ-06") }
func TestRJ07_OneAlgorithmForEachKey(t *testing.T)      { runVectors(t, "RJ-07") }
func TestRJ08_NoSymmetricAlgorithm(t *testing.T)        { runVectors(t, "RJ-08") }
func TestRJ09_NoKeyFromTheHeader(t *testing.T)          { runVectors(t, "RJ-09") }
func TestRJ11_NothingCriticalIsUnderstood(t *testing.T) { runVectors(t, "RJ-11") }
func TestRJ12_StrictCompactSerialization(t *testing.T)  { runVectors(t, "RJ-12") }
func TestRJ13_NoDuplicateMembers(t *testing.T)          { runVectors(t, "RJ-13") }
func TestRJ14_NamesAreCaseSensitive(t *testing.T)       { runVectors(t, "RJ-14") }
func TestRJ15_PayloadIsOneObject(t *testing.T)          { runVectors(t, "RJ-15") }
func TestRJ16_ECDSAByTheBook(t *testing.T)              { runVectors(t, "RJ-16") }
func TestRJ17_NoWeakRSAKeys(t *testing.T)               { runVectors(t, "RJ-17") }
func TestRJ18_SaltAndUse(t *testing.T)                  { runVectors(t, "RJ-18") }
func TestRJ19_UnknownKeysAreSkipped(t *testing.T)       { runVectors(t, "RJ-19") }
func TestRJ20_NoTokenForAnotherPurpose(t *testing.T)    { runVectors(t, "RJ-20") }
func TestRJ21_ClaimsOfTheProfile(t *testing.T)          { runVectors(t, "RJ-21") }
func TestRJ23_NoEncryptedTokens(t *testing.T)           { runVectors(t, "RJ-23") }
func TestRJ27_SaneTimes(t *testing.T)                   { runVectors(t, "RJ-27") }

// The audience is read here and compared by the Guard.
func TestRJ03_AudienceIsWellFormed(t *testing.T) {
	runVectors(t, "RJ-03")
	v := newVerifier(t, allKeys(t))
	s := signers()["ES256"]
	got, err := v.Verify(t.Context(), s.sign(s.header(), vector{"set": `aud ["https://api.evil","https://api"]`}.claims()))
	require.NoError(t, err)
	assert.True(t, got.MeantFor("https://api"))
	for _, other := range []string{"https://api.", "https://ap", "HTTPS://API", "https://api/", "https://api.evi", ""} {
		assert.False(t, got.MeantFor(other), other)
	}
}

func TestRJ10_KeyIDIsOpaque(t *testing.T) {
	runVectors(t, "RJ-10")
	var asked []string
	v := newVerifier(t, keyFunc(func(alg, kid string) (*jwt.Key, error) {
		asked = append(asked, alg+" "+kid)
		return nil, jwt.ErrNoKey
	}))
	s := signers()["ES256"]
	for _, kid := range []string{`../../etc/passwd`, `https://evil.example/`, `' OR 1=1`} {
		_, err := v.Verify(t.Context(), s.sign(`{"typ":"at+jwt","alg":"ES256","kid":"`+kid+`"}`, validClaims))
		require.ErrorIs(t, err, sneck.ErrInvalid)
	}
	assert.Equal(t, []string{`ES256 ../../etc/passwd`, `ES256 https://evil.example/`, `ES256 ' OR 1=1`}, asked, "the source gets it as it is")
}

func TestRJ22_ScopesAreExact(t *testing.T) {
	runVectors(t, "RJ-22")
	for _, test := range []struct {
		profile jwt.Profile
		set     string
		want    scopes.Set
	}{
		{jwt.RFC9068, `scope "orders:read  orders:write orders:read"`, scopes.Set{"orders:read", "orders:write"}},
		{jwt.RFC9068, `scope ""`, nil},
		{jwt.RFC9068, `scp "admin"`, scopes.Set{"orders:read", "orders:write"}},
		{jwt.Legacy, `scp "admin"`, scopes.Set{"orders:read", "orders:write"}},
	} {
		got := mustVerify(t, test.profile, vector{"set": test.set}.claims())
		assert.Equal(t, test.want, got.Scopes, test.set)
		for _, part := range []string{"orders", "orders:rea", "Orders:read", "orders:read orders:write", "admin", ""} {
			assert.False(t, got.Has(part), part)
		}
	}
	for scp, want := range map[string]scopes.Set{
		`"a b"`:     {"a", "b"},
		`["a","b"]`: {"a", "b"},
		`["a b"]`:   {"a", "b"},
		`[]`:        {},
		`7`:         nil,
	} {
		claims := vector{"del": "scope", "set": "scp " + scp}.claims()
		assert.Equal(t, want, mustVerify(t, jwt.Legacy, claims).Scopes, scp)
		assert.Nil(t, mustVerify(t, jwt.RFC9068, claims).Scopes, scp)
	}
}

// The keys of one issuer do not verify the tokens of another, whatever their
// IDs are.
func TestRJ28_IssuerFirst(t *testing.T) {
	mine, other := signers()["ES256"], stranger
	other.kid = mine.kid
	keys := func(s signer) jwt.KeySource {
		set, err := jwt.ParseJWKS([]byte(jwks(s.jwk(""))))
		require.NoError(t, err)
		return set
	}
	v, err := jwt.New(jwt.Config{
		Issuers: []jwt.Issuer{{ID: issuerID, Keys: keys(mine)}, {ID: "https://other.example", Keys: keys(other)}},
		Now:     fixedNow,
	})
	require.NoError(t, err)
	otherClaims := vector{"set": `iss "https://other.example"`}.claims()
	for _, test := range []struct {
		name, token, want string
	}{
		{"mine", mine.token(), "valid"},
		{"other's", other.sign(other.header(), otherClaims), "valid"},
		{"mine, signed by the other", other.sign(other.header(), validClaims), "invalid"},
		{"other's, signed by mine", mine.sign(mine.header(), otherClaims), "invalid"},
		{"nobody's", mine.sign(mine.header(), vector{"set": `iss "https://third.example"`}.claims()), "unrecognized"},
	} {
		got, err := v.Verify(t.Context(), test.token)
		assert.Equal(t, test.want, kind(err), test.name)
		if err == nil {
			assert.Equal(t, map[string]string{"mine": issuerID, "other's": "https://other.example"}[test.name], got.Issuer)
		}
	}
}

// mustVerify verifies claims under a profile.
func mustVerify(t *testing.T, p jwt.Profile, claims string) *sneck.Token {
	t.Helper()
	s := signers()["ES256"]
	v := newVerifier(t, allKeys(t), func(c *jwt.Config) { c.Issuers[0].Profile = p })
	got, err := v.Verify(t.Context(), s.sign(s.header(), claims))
	require.NoError(t, err)
	return got
}
