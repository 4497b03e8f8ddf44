package pages_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
)

// A rot is a hasher that is quick and keeps no secret: which hashes are made
// when is what these tests are about.
type rot struct {
	version string
	down    error
	made    int
}

func (r *rot) HashSecret(_ context.Context, secret string, generated bool) (string, error) {
	if generated {
		return "", errors.New("a password is chosen")
	}
	r.made++
	return "$x-" + r.version + "-" + secret, r.down
}

func (r *rot) VerifySecret(_ context.Context, hash, secret string) (bool, error) {
	return strings.HasSuffix(hash, "-"+secret), r.down
}

func (r *rot) Outdated(hash string) bool { return !strings.HasPrefix(hash, "$x-"+r.version+"-") }

// hashes returns what the store has of the passwords of an account.
func hashes(t *testing.T, m *authserver.Memory, id string) (list []string) {
	t.Helper()
	records, err := m.List(t.Context(), "password", authserver.Selector{Family: "account " + id}, authserver.Key{}, 10)
	require.NoError(t, err)
	for _, r := range records {
		list = append(list, strings.TrimSuffix(strings.TrimPrefix(string(r.Extra), `{"hash":"`), `"}`))
	}
	return list
}

func TestHashing(t *testing.T) {
	m := authserver.NewMemory()
	plain, err := pages.NewAccounts(m, func() time.Time { return epoch })
	require.NoError(t, err)
	alice, err := plain.Create(t.Context(), "alice", password)
	require.NoError(t, err)
	h := &rot{version: "1"}
	accounts, err := plain.Hashing(h)
	require.NoError(t, err)
	signIn := func(a *pages.Accounts, name, password string) error {
		_, err := a.SignIn(t.Context(), name, password)
		return err
	}

	// What was there before is replaced when it is used, and not when it is
	// not right.
	require.ErrorIs(t, signIn(accounts, "alice", "wrong password"), pages.ErrWrongPassword)
	assert.Contains(t, hashes(t, m, alice.ID)[0], "$argon2id$")
	require.NoError(t, signIn(accounts, "alice", password))
	assert.Equal(t, []string{"$x-1-" + password}, hashes(t, m, alice.ID))
	require.NoError(t, signIn(accounts, "alice", password))
	assert.Equal(t, 2, h.made, "one for strangers, and no more than one for alice")
	h.version = "2"
	require.NoError(t, signIn(accounts, "alice", password))
	assert.Equal(t, []string{"$x-2-" + password}, hashes(t, m, alice.ID))

	// A password that is set afterwards counts, also in the same moment.
	require.NoError(t, accounts.SetPassword(t.Context(), alice.ID, "another password", ""))
	assert.Equal(t, []string{"$x-2-another password"}, hashes(t, m, alice.ID))
	require.ErrorIs(t, signIn(accounts, "alice", password), pages.ErrWrongPassword)
	require.NoError(t, signIn(accounts, "alice", "another password"))

	require.ErrorIs(t, signIn(accounts, "nobody", password), pages.ErrWrongPassword)
	require.ErrorContains(t, signIn(plain, "alice", "another password"), "without its pepper or hasher", "without the hasher nobody can tell")
	h.down = errors.New("the vault is sealed")
	require.ErrorIs(t, signIn(accounts, "alice", "another password"), h.down)
	require.ErrorIs(t, signIn(accounts, "nobody", "another password"), h.down)
	_, err = plain.Hashing(h)
	require.ErrorIs(t, err, h.down)
}

// With peppers, from the page to the store and back.
func TestHasherOfTheSite(t *testing.T) {
	hasher, err := authserver.NewPepperedHasher([][]byte{[]byte("0123456789abcdef")})
	require.NoError(t, err)
	m := authserver.NewMemory()
	site, err := pages.New(pages.Config{Issuer: issuer, Store: m, Clients: m, Hasher: hasher})
	require.NoError(t, err)
	alice, err := site.Accounts().Create(t.Context(), "alice", password)
	require.NoError(t, err)
	assert.Regexp(t, `^\$x-hmac-argon2id\$`, hashes(t, m, alice.ID)[0])
	_, err = site.Accounts().SignIn(t.Context(), "alice", password)
	require.NoError(t, err)
	_, err = site.Accounts().SignIn(t.Context(), "alice", password+"!")
	require.ErrorIs(t, err, pages.ErrWrongPassword)
}

// A hash that can not be replaced goes on to work, and the log says so.
func TestHashIsNotReplaced(t *testing.T) {
	m := authserver.NewMemory()
	plain, err := pages.NewAccounts(m, nil)
	require.NoError(t, err)
	alice, err := plain.Create(t.Context(), "alice", password)
	require.NoError(t, err)
	var log strings.Builder
	h := &rot{version: "1"}
	site, err := pages.New(pages.Config{Issuer: issuer, Store: m, Clients: m, Hasher: h, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	h.down = errors.New("the vault is sealed")
	_, err = site.Accounts().SignIn(t.Context(), "alice", password)
	require.NoError(t, err)
	assert.Contains(t, hashes(t, m, alice.ID)[0], "$argon2id$")
	assert.Contains(t, log.String(), `level=ERROR msg="password not hashed anew" subject=`+alice.ID+` cause="the vault is sealed"`)
}
