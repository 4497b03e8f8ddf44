package authserver_test

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/scopes"
)

func withHash(t *testing.T, w *world, hashes ...string) {
	t.Helper()
	c := authserver.Client{ID: "c", Grants: []string{authserver.GrantClientCredentials}, Scopes: scopes.Set{"read"}, Audience: []string{api}}
	for _, h := range hashes {
		c.Secrets = append(c.Secrets, authserver.Secret{Hash: h})
	}
	require.NoError(t, w.memory.PutClient(t.Context(), &c))
}

func django(t *testing.T, secret string, iterations int) string {
	t.Helper()
	sum, err := pbkdf2.Key(sha256.New, secret, []byte("seasalt2"), iterations, 32)
	require.NoError(t, err)
	return "pbkdf2_sha256$1000$seasalt2$" + base64.StdEncoding.EncodeToString(sum)
}

func TestHasherSettings(t *testing.T) {
	t.Run("client_secret_hasher", func(t *testing.T) {
		const chosen = "correct horse"
		argon, err := authserver.HashChosen(chosen)
		require.NoError(t, err)
		assert.Regexp(t, `^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`, argon)
		again, err := authserver.HashChosen(chosen)
		require.NoError(t, err)
		assert.NotEqual(t, argon, again, "salted")
		blowfish, err := bcrypt.GenerateFromPassword([]byte(chosen), bcrypt.MinCost)
		require.NoError(t, err)

		for name, test := range map[string]struct {
			hash     string
			upgraded bool
		}{
			"generated": {authserver.HashGenerated(chosen), false},
			"argon2id":  {argon, false},
			// From the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1
			"weak argon2id": {"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", true},
			"bcrypt":        {string(blowfish), true},
			"pbkdf2":        {django(t, chosen, 1000), true},
		} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				withHash(t, w, test.hash)
				plain := chosen
				if name == "weak argon2id" {
					plain = "password"
				}
				for _, wrong := range []string{"", plain + "x", plain[1:], strings.ToUpper(plain)} {
					assert.Equal(t, 401, w.post("/token", credentialsGrant, basic("c", wrong)...).status)
				}
				assert.Equal(t, issued("read"), w.post("/token", credentialsGrant, basic("c", plain)...))
				c, err := w.memory.Client(t.Context(), "c")
				require.NoError(t, err)
				if test.upgraded {
					assert.Contains(t, c.Secrets[0].Hash, "$argon2id$v=19$m=19456,t=2,p=1$")
				} else {
					assert.Equal(t, test.hash, c.Secrets[0].Hash)
				}
				assert.Equal(t, 200, w.post("/token", credentialsGrant, basic("c", plain)...).status)
				assert.Equal(t, 401, w.post("/token", credentialsGrant, basic("c", plain+"x")...).status)
			})
		}
	})
}

func TestBcryptDoesNotIgnoreTheEnd(t *testing.T) {
	long := strings.Repeat("x", 72)
	h, err := bcrypt.GenerateFromPassword([]byte(long), bcrypt.MinCost)
	require.NoError(t, err)
	w := newWorld(t)
	withHash(t, w, string(h))
	assert.Equal(t, 401, w.post("/token", credentialsGrant, basic("c", long+"y")...).status)
	assert.Equal(t, 200, w.post("/token", credentialsGrant, basic("c", long)...).status)
}

func TestHashesThatAreRefused(t *testing.T) {
	for _, hash := range []string{
		"", "plain", "$md5$x", "$sha256$", "$sha256$" + strings.Repeat("A", 44), "$argon2id$", "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=16$m=256,t=2,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=256,t=2$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=256,t=0,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=256,t=2,p=0$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=256,t=99,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=9999999,t=2,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$AAAA", "$argon2id$v=19$m=256,t=2,p=1$$AAAAAAAAAAAAAAAAAAAAAA",
		"pbkdf2_sha256$0$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "pbkdf2_sha256$99999999$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"pbkdf2_sha256$1$$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "pbkdf2_sha256$1$salt$AAAA", "pbkdf2_sha256$1$salt",
		"$2a$31$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuuabcdefghijklmnopqrstuu", "$2a$04$short",
	} {
		c := authserver.Client{ID: "c", Secrets: []authserver.Secret{{Hash: hash}}}
		require.Error(t, c.Check(), hash)
	}
	for _, secret := range []string{"", "1234567", strings.Repeat("x", 1025)} {
		_, err := authserver.HashChosen(secret)
		require.EqualError(t, err, "authserver: a chosen secret must have 8 to 1024 bytes")
	}
}

// A chosen secret costs once, not with every request.
func TestVerificationIsRemembered(t *testing.T) {
	const chosen = "correct horse"
	argon, err := authserver.HashChosen(chosen)
	require.NoError(t, err)
	w := newWorld(t)
	withHash(t, w, argon, authserver.HashGenerated(secret))
	var before, after runtime.MemStats
	require.Equal(t, 200, w.post("/token", credentialsGrant, basic("c", chosen)...).status)
	runtime.ReadMemStats(&before)
	for range 20 {
		require.Equal(t, 200, w.post("/token", credentialsGrant, basic("c", chosen)...).status)
	}
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(19<<20), "not the memory of one more verification")

	// The secret that was taken away is refused at once.
	withHash(t, w, authserver.HashGenerated(secret))
	assert.Equal(t, 401, w.post("/token", credentialsGrant, basic("c", chosen)...).status)
	assert.Equal(t, 200, w.post("/token", credentialsGrant, basic("c", secret)...).status)
}

// Who waits for a slow verification and goes away gets no verdict, and the
// others go on.
func TestVerificationIsLimitedAndCancellable(t *testing.T) {
	argon, err := authserver.HashChosen("correct horse")
	require.NoError(t, err)
	w := newWorld(t)
	withHash(t, w, argon)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var cancelled atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r := request("/introspect", "token=x", basic("c", "wrong secret")...)
			if i%2 == 0 {
				r = r.WithContext(ctx)
			}
			switch send(w, r).status {
			case 503:
				cancelled.Add(1)
			case 401:
			default:
				t.Errorf("got another status")
			}
		})
	}
	wg.Wait()
	assert.Positive(t, cancelled.Load())
}
