package authserver_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
)

func peppered(t *testing.T, peppers ...string) authserver.SecretHasher {
	t.Helper()
	list := make([][]byte, len(peppers))
	for i, p := range peppers {
		list[i] = []byte(strings.Repeat(p, 16))
	}
	h, err := authserver.NewPepperedHasher(list)
	require.NoError(t, err)
	return h
}

func TestPepperedHasher(t *testing.T) {
	ctx := t.Context()
	verifies := func(h authserver.SecretHasher, hash, secret string) bool {
		t.Helper()
		ok, err := h.VerifySecret(ctx, hash, secret)
		require.NoError(t, err)
		return ok
	}
	old, rotated := peppered(t, "a"), peppered(t, "b", "a")
	hash, err := old.HashSecret(ctx, "correct horse", false)
	require.NoError(t, err)
	assert.Regexp(t, `^\$x-hmac-argon2id\$[A-Za-z0-9+/]{8}\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`, hash)
	assert.True(t, verifies(old, hash, "correct horse"))
	assert.False(t, verifies(old, hash, "correct horsf"))
	assert.False(t, verifies(old, hash, strings.Repeat("x", 2000)))
	assert.True(t, verifies(rotated, hash, "correct horse"))
	assert.Equal(t, []bool{false, true}, []bool{old.Outdated(hash), rotated.Outdated(hash)})
	assert.True(t, old.Outdated(strings.Replace(hash, "t=2", "t=1", 1)))

	// The database alone does not help to test a guess.
	plain := strings.Replace(hash, hash[:len("$x-hmac-argon2id$12345678")], "$argon2id", 1)
	ok, err := authserver.Secret{Hash: plain}.Matches("correct horse")
	require.NoError(t, err)
	assert.False(t, ok)

	_, err = peppered(t, "b").VerifySecret(ctx, hash, "correct horse")
	require.EqualError(t, err, "authserver: the pepper of a hash is not configured (hint: keep old peppers until all secrets have been used)")
	for _, damaged := range []string{"", "$x-", "$x-hmac-argon2id$", hash[:40], strings.Replace(hash, "m=19456", "m=99999999", 1)} {
		_, err = old.VerifySecret(ctx, damaged, "correct horse")
		require.Error(t, err, damaged)
		assert.False(t, old.Outdated(damaged))
	}
	_, err = old.HashSecret(ctx, "short", false)
	require.EqualError(t, err, "authserver: a chosen secret must have 8 to 1024 bytes")
	for _, wrong := range [][][]byte{nil, {[]byte("short")}} {
		_, err = authserver.NewPepperedHasher(wrong)
		require.ErrorContains(t, err, "(hint: ")
	}
}
