package authserver_test

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

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

func settingHasher(t *testing.T) {
	t.Run("peppers", settingPeppers)
	t.Run("own", settingOwnHasher)
	t.Run("built in", func(t *testing.T) {
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
				for _, wrong := range []string{"", plain + "x"} {
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
		"$hmac-sha256$", "$hmac-sha256$AAAAAAAA", "$hmac-sha256$AAAAAAAA$AAAA", "$hmac-sha256$AAAA$" + strings.Repeat("A", 43), "$hmac-sha256$!$" + strings.Repeat("A", 43),
		"$x-" + strings.Repeat("x", 1022), "$2a$31$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuuabcdefghijklmnopqrstuu", "$2a$04$short",
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

// A countingHasher counts its verifications, and those under way.
type countingHasher struct {
	leave    chan struct{} // each verification takes one; nil if none does
	verified atomic.Int64
	running  atomic.Int64
	most     atomic.Int64
	stale    string        // what is outdated
	finish   chan struct{} // each hash takes one; nil if none does
	begun    atomic.Int64  // hashes
}

func (h *countingHasher) HashSecret(_ context.Context, secret string, generated bool) (string, error) {
	h.begun.Add(1)
	if h.finish != nil {
		<-h.finish
	}
	if secret == "broken" {
		return "", errBroken
	}
	return fmt.Sprintf("$x-test$%v$%x", generated, sha256.Sum256([]byte(secret))), nil
}

func (h *countingHasher) VerifySecret(_ context.Context, hash, secret string) (bool, error) {
	h.verified.Add(1)
	n := h.running.Add(1)
	defer h.running.Add(-1)
	for most := h.most.Load(); n > most && !h.most.CompareAndSwap(most, n); most = h.most.Load() {
	}
	if h.leave != nil {
		<-h.leave
	}
	if hash == "$x-broken" {
		return false, errBroken
	}
	return strings.HasSuffix(hash, fmt.Sprintf("%x", sha256.Sum256([]byte(secret)))), nil
}

func (h *countingHasher) Outdated(hash string) bool {
	return h.stale != "" && strings.Contains(hash, h.stale)
}

// A secret that many use at the same time is hashed anew once, and nobody waits
// for that but the first; of different ones, only some are at a time.
func TestUpgradesAreLimited(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(6))
	const slots, asking, clients = 3, 12, 8
	synctest.Test(t, func(t *testing.T) {
		hasher := &countingHasher{finish: make(chan struct{})}
		w := newWorld(t, func(c *authserver.Config) { c.SecretHasher = hasher })
		statuses := make(chan int, asking*clients)
		for i := range clients {
			withHash(t, w, authserver.HashGenerated(secret))
			c, err := w.memory.Client(t.Context(), "c")
			require.NoError(t, err)
			other := *c
			other.ID = fmt.Sprint("c", i)
			require.NoError(t, w.memory.PutClient(t.Context(), &other))
			for range asking {
				go func() { statuses <- w.post("/token", credentialsGrant, as(other.ID)...).status }()
			}
		}
		synctest.Wait()
		assert.EqualValues(t, slots, hasher.begun.Load())
		assert.Len(t, statuses, (asking-1)*clients)
		close(hasher.finish)
		synctest.Wait()
		assert.EqualValues(t, clients, hasher.begun.Load())
		for range asking * clients {
			assert.Equal(t, 200, <-statuses)
		}
		for i := range clients {
			c, err := w.memory.Client(t.Context(), fmt.Sprint("c", i))
			require.NoError(t, err)
			assert.Regexp(t, `^\$x-test\$true\$`, c.Secrets[0].Hash)
		}
	})
}

// Only some verifications run at a time. Who waits and goes away gets no
// verdict, and the others go on.
func TestVerificationIsLimitedAndCancellable(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(6))
	const slots, asking = 3, 12
	synctest.Test(t, func(t *testing.T) {
		hasher := &countingHasher{leave: make(chan struct{})}
		w := newWorld(t, func(c *authserver.Config) {
			c.SecretHasher = hasher
		})
		withHash(t, w, "$x-test$false$")
		ctx, cancel := context.WithCancel(t.Context())
		statuses := make(chan int, asking)
		for i := range asking {
			go func() {
				r := request("/introspect", "token=x", basic("c", fmt.Sprint("wrong secret ", i))...)
				r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", i) // those of one address take turns
				if i%2 == 0 {
					r = r.WithContext(ctx)
				}
				statuses <- send(w, r).status
			}()
		}
		synctest.Wait()
		assert.EqualValues(t, slots, hasher.running.Load(), "no more at a time")
		hasher.leave <- struct{}{}
		synctest.Wait()
		assert.EqualValues(t, slots, hasher.running.Load(), "one goes, one comes")
		cancel()
		synctest.Wait()
		assert.GreaterOrEqual(t, len(statuses), asking/2-slots, "who waited and went away is not kept")
		assert.EqualValues(t, slots, hasher.running.Load())
		close(hasher.leave)
		synctest.Wait()
		count := map[int]int{}
		for range asking {
			count[<-statuses]++
		}
		assert.EqualValues(t, slots, hasher.most.Load())
		assert.Equal(t, map[int]int{401: int(hasher.verified.Load()), 503: asking - int(hasher.verified.Load())}, count, "all others got their verdict")
		assert.Positive(t, count[503])
	})
}

// A queue without an end would be a way to use up memory.
func TestVerificationQueueIsBounded(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	synctest.Test(t, func(t *testing.T) {
		hasher := &countingHasher{leave: make(chan struct{})}
		w := newWorld(t, func(c *authserver.Config) {
			c.SecretHasher = hasher
		})
		withHash(t, w, "$x-test$false$")
		statuses := make(chan int, 1100)
		for i := range cap(statuses) {
			go func() { statuses <- w.post("/introspect", "token=x", basic("c", fmt.Sprint("wrong ", i))...).status }()
		}
		synctest.Wait()
		assert.Len(t, statuses, 99, "one runs and a thousand wait")
		close(hasher.leave)
		synctest.Wait()
		count := map[int]int{}
		for range cap(statuses) {
			count[<-statuses]++
		}
		assert.Equal(t, map[int]int{401: 1001, 503: 99}, count)
	})
}

// Peppers can be added and rotated, and whoever has only the database can not
// test a guess.
func settingPeppers(t *testing.T) {
	old, fresh := []byte("old pepper, 16 b"), []byte("new pepper with more bytes")
	open := func(peppers ...[]byte) *world {
		return newWorld(t, func(c *authserver.Config) { c.SecretPeppers = peppers })
	}
	under := func(w *world) string {
		hash, err := w.HashSecret(t.Context(), secret, true)
		require.NoError(t, err)
		return hash
	}
	plain, underOld, underNew := under(open()), under(open(old)), under(open(fresh, old))
	assert.Equal(t, authserver.HashGenerated(secret), plain)
	assert.Regexp(t, `^\$hmac-sha256\$[A-Za-z0-9+/]{8}\$[A-Za-z0-9+/]{43}$`, underOld)
	assert.Regexp(t, `^\$hmac-sha256\$[A-Za-z0-9+/]{8}\$[A-Za-z0-9+/]{43}$`, underNew)
	assert.NotEqual(t, underOld, underNew)
	c, made, err := open(fresh, old).NewClient(t.Context(), authserver.Client{}, true)
	require.NoError(t, err)
	assert.Equal(t, underNew[:22], c.Secrets[0].Hash[:22], "new clients have it at once")
	assert.NotContains(t, c.Secrets[0].Hash, made)

	for _, test := range []struct {
		name    string
		peppers [][]byte
		hash    string
		status  int
		after   string
	}{
		{"none", nil, plain, 200, plain},
		{"added", [][]byte{old}, plain, 200, underOld},
		{"kept", [][]byte{old}, underOld, 200, underOld},
		{"rotated", [][]byte{fresh, old}, underOld, 200, underNew},
		{"rotated and used", [][]byte{fresh, old}, underNew, 200, underNew},
		{"rolled back", [][]byte{old, fresh}, underNew, 200, underOld},
		{"forgotten", [][]byte{fresh}, underOld, 503, underOld},
		{"taken away", nil, underOld, 503, underOld},
	} {
		w := open(test.peppers...)
		withHash(t, w, test.hash)
		if test.status == 200 {
			assert.Equal(t, 401, w.post("/token", credentialsGrant, basic("c", "wrong")...).status, test.name)
		}
		assert.Equal(t, test.status, w.post("/token", credentialsGrant, basic("c", secret)...).status, test.name)
		c, err := w.memory.Client(t.Context(), "c")
		require.NoError(t, err)
		assert.Equal(t, []authserver.Secret{{Hash: test.after}}, c.Secrets, test.name)
		assert.Equal(t, test.status, w.post("/token", credentialsGrant, basic("c", secret)...).status, test.name)
	}

	// One that can not be verified does not keep the others from it.
	w := open(fresh)
	withHash(t, w, underOld, underNew)
	assert.Equal(t, 200, w.post("/token", credentialsGrant, basic("c", secret)...).status)

	m := authserver.NewMemory()
	for want, config := range map[string]authserver.Config{
		"authserver: SecretPeppers[1] has fewer than 16 bytes (hint: openssl rand -hex 32)": {SecretPeppers: [][]byte{old, old[:15]}},
		"authserver: SecretPeppers[1] is there twice":                                       {SecretPeppers: [][]byte{old, old}},
		"authserver: SecretHasher and SecretPeppers are both set (hint: a SecretHasher has peppers of its own)": {
			SecretPeppers: [][]byte{old}, SecretHasher: &countingHasher{},
		},
	} {
		config.Issuer, config.Store, config.Clients = issuer, m, m
		_, err := authserver.New(config)
		require.EqualError(t, err, want)
	}
}

// A hasher of one's own hashes what is new, and takes over the rest on use.
func settingOwnHasher(t *testing.T) {
	hasher := &countingHasher{stale: "$x-test$stale"}
	w := newWorld(t, func(c *authserver.Config) { c.SecretHasher = hasher })
	c, plain, err := w.NewClient(t.Context(), authserver.Client{}, true)
	require.NoError(t, err)
	own := func(generated bool, secret string) string {
		return fmt.Sprintf("$x-test$%v$%x", generated, sha256.Sum256([]byte(secret)))
	}
	assert.Equal(t, []authserver.Secret{{Hash: own(true, plain)}}, c.Secrets)
	const chosen = "correct horse"
	for before, after := range map[string]string{
		own(false, chosen):                         own(false, chosen),
		authserver.HashGenerated(chosen):           own(true, chosen),
		django(t, chosen, 1000):                    own(false, chosen),
		"$x-test$stale$" + own(false, chosen)[14:]: own(false, chosen),
	} {
		withHash(t, w, before)
		assert.Equal(t, 401, w.post("/token", credentialsGrant, basic("c", "wrong")...).status, before)
		assert.Equal(t, 200, w.post("/token", credentialsGrant, basic("c", chosen)...).status, before)
		c, err := w.memory.Client(t.Context(), "c")
		require.NoError(t, err)
		assert.Equal(t, []authserver.Secret{{Hash: after}}, c.Secrets, before)
		assert.Equal(t, 200, w.post("/token", credentialsGrant, basic("c", chosen)...).status, before)
	}

	withHash(t, w, "$x-broken")
	assert.Equal(t, 503, w.post("/token", credentialsGrant, basic("c", chosen)...).status)
	_, err = w.HashSecret(t.Context(), "broken", false)
	require.ErrorIs(t, err, errBroken)
	without := newWorld(t)
	withHash(t, without, own(false, chosen))
	assert.Equal(t, 503, without.post("/token", credentialsGrant, basic("c", chosen)...).status, "nobody can read it")
	wrong := newWorld(t, func(c *authserver.Config) { c.SecretHasher = plainHasher{hasher} })
	_, err = wrong.HashSecret(t.Context(), chosen, false)
	require.EqualError(t, err, "authserver: the hash of SecretHasher does not begin with $x-")
}

// A plainHasher makes what could be taken for another kind.
type plainHasher struct{ *countingHasher }

func (plainHasher) HashSecret(context.Context, string, bool) (string, error) { return "$2a$", nil }
