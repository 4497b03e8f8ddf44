package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/adapter/redis"
	"github.com/sneckauth/sneck/adapter/redis/internal/redistest"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/scopes"
)

// An authority knows tokens that begin with "good", unless they are revoked,
// and counts the questions.
type authority struct {
	calls   atomic.Int64
	revoked sync.Map // of tokens
}

func (a *authority) Verify(ctx context.Context, token string) (*sneck.Token, error) {
	a.calls.Add(1)
	asked := time.Now()
	if _, revoked := a.revoked.Load(token); revoked || !strings.HasPrefix(token, "good") {
		return nil, fmt.Errorf("inactive: %w", sneck.ErrInvalid)
	}
	return &sneck.Token{Subject: "sub-" + token, ClientID: "client", Scopes: scopes.MustParse("read"), VerifiedAt: asked}, nil
}

var secret = bytes.Repeat([]byte("secret.."), 4)

// hurry is how long an operation on Redis may take where it does not answer; where
// it does, patience is, so that a busy machine asks for no answer twice.
const hurry = 100 * time.Millisecond

// starting returns a cache in front of a that is about to share through r.
func starting(t testing.TB, timeout time.Duration, a sneck.Verifier, r *redis.Redis) *cache.Cache {
	t.Helper()
	return startingOn(t, timeout, a, r, r)
}

// startingOn is starting with a bus that is not r itself.
func startingOn(t testing.TB, timeout time.Duration, a sneck.Verifier, r *redis.Redis, bus cache.Bus) *cache.Cache {
	t.Helper()
	c, err := cache.New(cache.Config{
		Verifier: a, TTL: time.Minute, MaxBytes: 4 << 20, // large tables take long to make
		Shared: &cache.Shared{Store: r, Bus: bus, Namespace: "test", Secret: secret, Timeout: timeout},
	})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// sharing returns a cache in front of a that uses what others share.
func sharing(t testing.TB, a sneck.Verifier, r *redis.Redis) *cache.Cache {
	t.Helper()
	return joined(t, starting(t, patience, a, r))
}

// joined waits until the cache uses what others share.
func joined(t testing.TB, c *cache.Cache) *cache.Cache {
	t.Helper()
	redistest.Wait(t, "the process to have joined", func() bool { return c.Stats().SharedJoined })
	return c
}

// ask verifies and returns the subject, or the kind of the error.
func ask(c sneck.Verifier, token string) string {
	t, err := c.Verify(context.Background(), token)
	switch {
	case err == nil:
		return t.Subject
	case errors.Is(err, sneck.ErrInvalid):
		return "invalid"
	}
	return err.Error()
}

// shared waits until the answer to the token is in Redis.
func shared(t testing.TB, client rueidis.Client, cfg redis.Config, n int) {
	t.Helper()
	redistest.Wait(t, "answers to be shared", func() bool {
		keys, err := client.Do(t.Context(), client.B().Keys().Pattern(cfg.Prefix+"v:*").Build()).AsStrSlice()
		return err == nil && len(keys) >= n
	})
}

func TestProcessesShareAnswers(t *testing.T) {
	address := redistest.Address(t)
	cfg := at(address)
	aged(t, cfg, address)
	var first, second authority
	one, two := sharing(t, &first, connect(t, cfg)), sharing(t, &second, connect(t, cfg))
	require.Equal(t, "sub-good-1", ask(one, "good-1"))
	shared(t, raw(t, address), cfg, 1)
	require.Equal(t, "sub-good-1", ask(two, "good-1"))
	assert.Zero(t, second.calls.Load(), "the first process has asked")
	assert.EqualValues(t, 1, two.Stats().SharedHits)
	assert.Equal(t, "invalid", ask(two, "bad"))
}

func TestProcessesShareOnCluster(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t)
	cfg := at("")
	cfg.Cluster, cfg.Addresses = true, []string{nodes[0].Address, nodes[1].Address}
	aged(t, cfg, nodes[0].Address, nodes[1].Address, nodes[2].Address)
	var first, second authority
	one, two := sharing(t, &first, connect(t, cfg)), sharing(t, &second, connect(t, cfg))
	for i := range 20 {
		token := fmt.Sprint("good-", i)
		require.Equal(t, "sub-"+token, ask(one, token))
		redistest.Wait(t, "the answer to be shared", func() bool {
			keys := 0
			for _, node := range nodes {
				var n int
				fmt.Sscan(node.CLI("DBSIZE"), &n)
				keys += n
			}
			return keys >= i+2 // and the stream
		})
		require.Equal(t, "sub-"+token, ask(two, token))
	}
	// A lookup that was out of time, on a busy machine, is a question.
	stats := two.Stats()
	assert.LessOrEqual(t, uint64(second.calls.Load()), stats.SharedErrors+stats.SharedSkipped+stats.SharedBehind)
	assert.GreaterOrEqual(t, stats.SharedHits, uint64(10))
	second.revoked.Store("good-1", true)
	require.NoError(t, one.Revoke(t.Context(), cache.Revocation{Subject: "sub-good-1"}))
	redistest.Wait(t, "the revocation to arrive", func() bool { return ask(two, "good-1") == "invalid" })
}

// A heard is a bus that says when a subscriber has taken a message.
type heard struct {
	*redis.Redis
	taken chan struct{}
}

func (h heard) Subscribe(ctx context.Context, to cache.Subscriber) error {
	receive, seen := to.Receive, map[string]bool{}
	to.Receive = func(message []byte) {
		receive(message)
		if !seen[string(message)] { // once more is allowed
			seen[string(message)] = true
			h.taken <- struct{}{}
		}
	}
	return h.Redis.Subscribe(ctx, to)
}

// A revocation by one process is a message, which the other one waits for at the
// server: it is not found at the next look. With it the token is refused, and
// what else is remembered stays.
func TestRevocationSpreads(t *testing.T) {
	server := redistest.Start(t)
	cfg := at(server.Address)
	var first, second authority
	one := sharing(t, &first, connect(t, cfg))
	r := connect(t, cfg)
	const rounds = 20
	bus := heard{r, make(chan struct{}, 4*rounds)}
	two := joined(t, startingOn(t, patience, &second, r, bus))
	require.Equal(t, "sub-good", ask(two, "good"))
	for i := range rounds {
		token := fmt.Sprint("good-", i)
		require.Equal(t, "sub-"+token, ask(one, token))
		require.Equal(t, "sub-"+token, ask(two, token))
		first.revoked.Store(token, true)
		second.revoked.Store(token, true)
		redistest.Wait(t, "both to wait for a message", func() bool { return strings.Contains(server.CLI("INFO", "clients"), "blocked_clients:2\r") })
		require.Equal(t, "sub-"+token, ask(two, token), "nobody has said so")
		require.Empty(t, bus.taken)

		require.NoError(t, one.Revoke(t.Context(), cache.Revocation{Subject: "sub-" + token}))
		redistest.Wait(t, "the revocation to arrive", func() bool { return len(bus.taken) > 0 })
		before := second.calls.Load()
		require.Equal(t, "invalid", ask(two, token))
		require.Equal(t, before+1, second.calls.Load())
		require.Equal(t, "sub-good", ask(two, "good"))
		require.Equal(t, before+1, second.calls.Load(), "the other one is remembered")
		require.Equal(t, "invalid", ask(one, token))
		// Each of them tells in its turn what it has been told.
		redistest.Wait(t, "three messages", func() bool { return len(bus.taken) >= 3 })
		for range 3 {
			<-bus.taken
		}
	}
}

// A process that starts after a revocation finds an answer of before it in
// Redis, and must not use it.
func TestLateProcessHearsOfEarlierRevocations(t *testing.T) {
	address := redistest.Address(t)
	cfg := at(address)
	aged(t, cfg, address)
	var first, second authority
	one := sharing(t, &first, connect(t, cfg))
	require.Equal(t, "sub-good-1", ask(one, "good-1"))
	shared(t, raw(t, address), cfg, 1)
	first.revoked.Store("good-1", true)
	second.revoked.Store("good-1", true)
	require.NoError(t, one.Revoke(t.Context(), cache.Revocation{Subject: "sub-good-1"}))

	for range 20 {
		two := starting(t, patience, &second, connect(t, cfg))
		assert.Equal(t, "invalid", ask(two, "good-1"), "with its first request")
		assert.Zero(t, two.Stats().SharedHits)
		three := sharing(t, &second, connect(t, cfg))
		assert.Equal(t, "invalid", ask(three, "good-1"), "and when it has joined")
		assert.Zero(t, three.Stats().SharedHits)
	}
}

// The other process is a real one.
func TestTwoProcesses(t *testing.T) {
	const addressEnv, prefixEnv = "SNECK_TEST_CHILD_ADDRESS", "SNECK_TEST_CHILD_PREFIX"
	if address := os.Getenv(addressEnv); address != "" {
		cfg := at(address)
		cfg.Prefix = os.Getenv(prefixEnv)
		var a authority
		c := sharing(t, &a, connect(t, cfg))
		fmt.Println("child:", ask(c, "good-1"), "questions:", a.calls.Load())
		require.NoError(t, c.Revoke(t.Context(), cache.Revocation{ClientID: "client"}))
		return
	}
	address := redistest.Address(t)
	cfg := at(address)
	aged(t, cfg, address)
	var a authority
	c := sharing(t, &a, connect(t, cfg))
	require.Equal(t, "sub-good-1", ask(c, "good-1"))
	shared(t, raw(t, address), cfg, 1)
	a.revoked.Store("good-1", true)
	require.Equal(t, "sub-good-1", ask(c, "good-1"), "not known yet")

	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTwoProcesses$", "-test.v")
	cmd.Env = append(os.Environ(), addressEnv+"="+address, prefixEnv+"="+cfg.Prefix)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), "child: sub-good-1 questions: 0")
	redistest.Wait(t, "the revocation of the other process", func() bool { return ask(c, "good-1") == "invalid" })
}

// Whoever reads all of Redis learns no token, no part of one, and nothing of
// what it says.
func TestRedisHoldsNoToken(t *testing.T) {
	server := redistest.Start(t)
	cfg := at(server.Address)
	var a authority
	c := sharing(t, &a, connect(t, cfg))
	client := raw(t, server.Address)
	var tokens []string
	for i := range 20 {
		token := fmt.Sprintf("good-%d-JhbGciOiJFUzI1NiIsImtpZCI6IjIwMjYifQ", i)
		tokens = append(tokens, token)
		require.Equal(t, "sub-"+token, ask(c, token))
	}
	shared(t, client, cfg, len(tokens))
	require.NoError(t, c.Revoke(t.Context(), cache.Revocation{Token: tokens[0]}))
	require.NoError(t, c.Revoke(t.Context(), cache.Revocation{Subject: "sub-" + tokens[1]}))
	require.NoError(t, c.Revoke(t.Context(), cache.Revocation{ClientID: "client"}))
	a.revoked.Store(tokens[2], true)
	require.Equal(t, "invalid", ask(c, tokens[2])) // is spread, too

	var dump strings.Builder
	keys, err := client.Do(t.Context(), client.B().Keys().Pattern("*").Build()).AsStrSlice()
	require.NoError(t, err)
	messages := 0
	for _, key := range keys {
		dump.WriteString(key + "\n")
		if strings.HasSuffix(key, ":bus") {
			entries, err := client.Do(t.Context(), client.B().Xrange().Key(key).Start("-").End("+").Build()).AsXRange()
			require.NoError(t, err)
			for _, entry := range entries {
				for field, value := range entry.FieldValues {
					dump.WriteString(field + value + "\n")
				}
			}
			messages = len(entries)
			continue
		}
		value, err := client.Do(t.Context(), client.B().Get().Key(key).Build()).ToString()
		if rueidis.IsRedisNil(err) {
			continue // the refused token's was just removed
		}
		require.NoError(t, err)
		dump.WriteString(value + "\n")
		ttl, err := client.Do(t.Context(), client.B().Pttl().Key(key).Build()).AsInt64()
		require.NoError(t, err)
		assert.NotEqualValues(t, -1, ttl, "everything runs out")
	}
	require.Greater(t, messages, 3)
	for _, token := range append(tokens, "JhbGci", "sub-good", "client", string(secret)) {
		assert.NotContains(t, dump.String(), token)
	}
}
