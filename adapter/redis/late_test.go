package redis_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/redis/internal/redistest"
	"github.com/sneckauth/sneck/cache"
)

// A process that starts after a revocation finds an answer of before it in
// Redis. It is asked at once, and admits nobody.
func TestLateProcessAdmitsNothingThatWasRevoked(t *testing.T) {
	t.Parallel()
	address := redistest.Address(t)
	rounds := 100
	if testing.Short() {
		rounds = 20
	}
	cfg := at(address)
	aged(t, cfg, address)
	var first, second authority
	one, client := sharing(t, &first, connect(t, cfg)), raw(t, address)
	admitted := 0
	for i := range rounds {
		token := fmt.Sprint("good-", i)
		require.Equal(t, "sub-"+token, ask(one, token))
		shared(t, client, cfg, i+1)
		first.revoked.Store(token, true)
		second.revoked.Store(token, true)
		require.NoError(t, one.Revoke(t.Context(), cache.Revocation{Subject: "sub-" + token}))
		r := connect(t, cfg) // it answers: a lookup in Redis would find something
		late := starting(t, patience, &second, r)
		if ask(late, token) != "invalid" {
			admitted++
		}
		require.NoError(t, late.Close())
		require.NoError(t, r.Close())
	}
	assert.Zero(t, admitted, "revoked tokens that were admitted, of %d", rounds)
}

// The same where the message of the revocation is gone. The answer is still
// there, under the same key, and as good as it was.
func TestLateProcessNoticesWhatTheBusLost(t *testing.T) {
	t.Parallel()
	forget := func(server *redistest.Server, bus string) {
		for _, line := range strings.Split(server.CLI("--raw", "XREVRANGE", bus, "+", "-", "COUNT", "1"), "\n")[:1] {
			server.CLI("XDEL", bus, line)
		}
	}
	for name, lose := range map[string]func(server *redistest.Server, bus string){
		"evicted":                     func(server *redistest.Server, bus string) { server.CLI("DEL", bus) },
		"trimmed":                     func(server *redistest.Server, bus string) { server.CLI("XTRIM", bus, "MAXLEN", "0") },
		"a failover without the last": func(server *redistest.Server, bus string) { forget(server, bus); server.CLI("DEBUG", "CHANGE-REPL-ID") },
		"trimmed, and others publish": func(server *redistest.Server, bus string) {
			server.CLI("DEL", bus)
			for i := range 100 {
				server.CLI("XADD", bus, "*", "m", fmt.Sprint(i))
			}
		},
		"a failover of a shy server": func(server *redistest.Server, bus string) {
			forget(server, bus)
			server.CLI("ACL", "SETUSER", "default", "-info")
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t, "--enable-debug-command", "yes")
			cfg := at(server.Address)
			aged(t, cfg, server.Address)
			var first, second authority
			r := connect(t, cfg)
			one := sharing(t, &first, r)
			require.Equal(t, "sub-good-1", ask(one, "good-1"))
			shared(t, raw(t, server.Address), cfg, 1)
			for _, a := range []*authority{&first, &second} {
				a.revoked.Store("good-1", true)
			}
			require.NoError(t, one.Revoke(t.Context(), cache.Revocation{Subject: "sub-good-1"}))
			require.NoError(t, one.Close())
			require.NoError(t, r.Close())
			lose(server, cfg.Prefix+"bus")
			late := sharing(t, &second, connect(t, cfg))
			assert.Equal(t, "invalid", ask(late, "good-1"))
			assert.Equal(t, []uint64{0, 0}, []uint64{late.Stats().SharedHits, late.Stats().SharedErrors})
		})
	}
}

// A process that is cut off the bus, but not off the values, asks for itself
// until it has heard all that it missed.
func TestCutOffProcessAsksForItself(t *testing.T) {
	address := redistest.Address(t)
	cfg := at(address)
	aged(t, cfg, address)
	link := newLink(t, address)
	cutOff := cfg
	cutOff.Addresses = []string{link.address}
	var first, second authority
	one, store, bus := sharing(t, &first, connect(t, cfg)), connect(t, cfg), connect(t, cutOff)
	two, err := cache.New(cache.Config{
		Verifier: &second, TTL: time.Minute,
		Shared: &cache.Shared{Store: store, Bus: bus, Namespace: "test", Secret: secret, Timeout: patience},
	})
	require.NoError(t, err)
	defer two.Close()
	joined := func() bool { return two.Stats().SharedJoined }
	redistest.Wait(t, "the process to have joined", joined)
	for i := range 10 {
		require.Equal(t, fmt.Sprint("sub-good-", i), ask(one, fmt.Sprint("good-", i)))
	}
	shared(t, raw(t, address), cfg, 10)

	link.cut()
	redistest.Wait(t, "the process to notice", func() bool { return !joined() })
	for i := range 10 {
		token := fmt.Sprint("good-", i)
		first.revoked.Store(token, true)
		second.revoked.Store(token, true)
		require.NoError(t, one.Revoke(t.Context(), cache.Revocation{Token: token}))
		assert.Equal(t, "invalid", ask(two, token))
	}
	assert.Zero(t, two.Stats().SharedHits)
	link.mend()
	redistest.Wait(t, "the process to have joined again", joined)
	require.Equal(t, "sub-good-more", ask(one, "good-more"))
	shared(t, raw(t, address), cfg, 11)
	require.Equal(t, "sub-good-more", ask(two, "good-more"))
	assert.Equal(t, []uint64{1, 0}, []uint64{two.Stats().SharedHits, two.Stats().SharedErrors})
}
