package authserver_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/authserver"
)

var nonceKey = bytes.Repeat([]byte("n"), 32)

// AP-20: nonces of the token endpoint, the same on two servers with one key.
func TestAP20_Nonces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wants := func(key []byte) *world {
			w := newWorld(t, func(c *authserver.Config) {
				c.DPoPNonceKey, c.DPoPNonceTTL, c.Now = key, time.Minute, time.Now
				c.AccessToken, c.RecognizeToken = nil, nil
			})
			w.putClient(t, authserver.Client{ID: "bound", Secrets: []authserver.Secret{{Hash: authserver.HashGenerated(secret)}}, DPoPBound: true})
			return w
		}
		w, other := wants(nonceKey), wants(nonceKey)
		k := newSigner(t, jose.ES256, "")
		post := func(w *world, change ...any) reply {
			return w.post("/token", credentialsGrant, append(as("app"), "DPoP", proof(t, k, append(change, "iat", time.Now().Unix())...))...)
		}
		nonceOf := func(got reply) string { return got.header.Get("DPoP-Nonce") }

		first := nonceOf(post(w))
		require.Len(t, first, 24)
		wanted := refusal(400, "use_dpop_nonce", "the DPoP proof must hold the nonce of this answer", "DPoP-Nonce", first)
		used := proof(t, k, "iat", time.Now().Unix())
		for range 2 { // which is not used up
			assert.Equal(t, wanted, w.post("/token", credentialsGrant, append(as("app"), "DPoP", used)...))
		}
		assert.Equal(t, wanted, post(w, "nonce", "guess"))
		assert.Equal(t, wanted, post(wants(nonceKey)), "also after a restart")
		assert.NotEqual(t, first, nonceOf(post(wants(bytes.Repeat([]byte("o"), 32)))))
		got := post(w, "nonce", first)
		assert.Equal(t, 200, got.status)
		assert.Equal(t, first, nonceOf(got))
		assert.Equal(t, 200, post(other, "nonce", first).status)

		// The next comes with an answer before the first ends.
		time.Sleep(time.Minute)
		got = post(w, "nonce", first)
		next := nonceOf(got)
		assert.Equal(t, 200, got.status)
		assert.NotEqual(t, first, next)
		time.Sleep(time.Minute)
		got = post(w, "nonce", first)
		assert.Equal(t, 400, got.status)
		assert.Equal(t, 200, post(other, "nonce", next).status)

		// Only good proofs are told what is missing, and only those who have to do
		// with it are told the nonce.
		bad := post(w, "nonce", next, "htm", "GET")
		assert.Equal(t, refusal(400, "invalid_dpop_proof", "the DPoP proof is not valid here", "DPoP-Nonce", nonceOf(got)), bad)
		assert.Empty(t, nonceOf(w.post("/token", credentialsGrant, as("app")...)))
		assert.Equal(t, nonceOf(got), nonceOf(w.post("/token", credentialsGrant, as("bound")...)), "so that its first proof has it")
		assert.Empty(t, nonceOf(w.post("/token", credentialsGrant, "Authorization", "Basic eDp5", "DPoP", used)))
	})
}

// Without a key there are none, and a nonce in a proof does not matter.
func TestNoNonces(t *testing.T) {
	w := newWorld(t)
	got := w.post("/token", credentialsGrant, append(as("app"), "DPoP", proof(t, newSigner(t, jose.ES256, ""), "nonce", "x"))...)
	assert.Equal(t, 200, got.status)
	assert.Empty(t, got.header.Get("DPoP-Nonce"))
}

func TestNonceMistakes(t *testing.T) {
	m := authserver.NewMemory()
	_, err := authserver.New(authserver.Config{
		Issuer: issuer, Store: m, Clients: m, DPoPNonceKey: []byte("short"), DPoPNonceTTL: time.Millisecond,
	})
	require.EqualError(t, err, "authserver: DPoPNonceKey has 5 bytes, fewer than 32\nauthserver: DPoPNonceTTL 1ms is under a second")
}
