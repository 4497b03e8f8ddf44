package redis_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/redis"
	"github.com/sneckauth/sneck/adapter/redis/internal/redistest"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/cache/cachetest"
)

// connect returns a Redis that answers, and is closed with the test.
func connect(t testing.TB, cfg redis.Config) *redis.Redis {
	t.Helper()
	r, err := redis.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, r.Ping(ctx))
	return r
}

// at returns the configuration for a server, with keys of the test's own.
func at(address string) redis.Config {
	return redis.Config{Addresses: []string{address}, Prefix: "sneck-test-" + rand.Text() + ":", Retention: time.Minute}
}

// raw returns a client that sees what is stored.
func raw(t testing.TB, address string) rueidis.Client {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{address}, ForceSingleClient: true, DisableCache: true})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func kits(t *testing.T, cfg redis.Config) {
	t.Run("store", func(t *testing.T) {
		cachetest.TestStore(t, func(t *testing.T) cache.Store { return connect(t, cfg) })
	})
	t.Run("bus", func(t *testing.T) {
		cachetest.TestBus(t, func(t *testing.T) (a, b cache.Bus) { return connect(t, cfg), connect(t, cfg) })
	})
}

func TestConformance(t *testing.T) {
	t.Parallel()
	kits(t, at(redistest.Address(t)))
}

func TestConformanceWithOddPrefix(t *testing.T) {
	t.Parallel()
	cfg := at(redistest.Address(t))
	cfg.Prefix += "a b\r\n*1\r\n\x00%s{é\xff:"
	kits(t, cfg)
}

func TestConformanceOnCluster(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t)
	cfg := at(nodes[0].Address)
	cfg.Cluster = true
	kits(t, cfg)
	spread := 0
	for _, node := range nodes {
		if strings.TrimSpace(node.CLI("DBSIZE")) != "0" {
			spread++
		}
	}
	assert.Equal(t, 3, spread, "values stand on every node")
}

func TestConformanceWithLogin(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	// The commands that the package doc names, and no more.
	server.CLI("ACL", "SETUSER", "app", "on", ">pass%word", "~sneck-test-*", "resetchannels", "-@all",
		"+getrange", "+set", "+del", "+xadd", "+xread", "+xrange", "+xtrim", "+pexpire", "+eval", "+info", "+ping")
	server.CLI("ACL", "SETUSER", "default", "off")
	cfg := at("")
	cfg.Addresses, cfg.URL = nil, "redis://app:pass%25word@"+server.Address+"/0"
	kits(t, cfg)
}

func TestConfigReportsEveryMistake(t *testing.T) {
	_, err := redis.New(redis.Config{
		Addresses: []string{"nowhere", "127.0.0.1:1"}, Username: "user", Database: -1,
		DialTimeout: -1, Retention: time.Millisecond, MaxValueBytes: 2 << 20,
	})
	for _, part := range []string{
		`address "nowhere" is not host:port`, "several Addresses", "Username without a Password", "Database is not",
		"DialTimeout is negative", "Retention is shorter", "MaxValueBytes is not",
	} {
		assert.ErrorContains(t, err, part)
	}
	for _, cfg := range []redis.Config{
		{},
		{Addresses: []string{"127.0.0.1:1"}, Cluster: true, MasterSet: "main"},
		{Addresses: []string{"127.0.0.1:1"}, Cluster: true, Database: 1},
		{URL: "http://127.0.0.1"},
		{URL: "redis://127.0.0.1:1/x"},
		{URL: "redis://127.0.0.1:1?skip_verify=true"},
		{URL: "redis://127.0.0.1:1?max_retires=0"},
	} {
		_, err := redis.New(cfg)
		assert.Error(t, err, "%+v", cfg)
		assert.Equal(t, err, cfg.Check())
	}
	assert.NoError(t, redis.Config{URL: "redis://127.0.0.1:1"}.Check())
}

func TestErrorsDoNotShowThePassword(t *testing.T) {
	for _, url := range []string{"redis://user:hunter2@host:port", "redis://user:hunter2@host:1/x/y", "redis://user:hunter2%zz@host", "hunter2://host"} {
		_, err := redis.New(redis.Config{URL: url})
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "hunter2")
	}
}

func TestLoginThatFailsIsAnErrorOfOperations(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "right")
	cfg := at(server.Address)
	cfg.Password = "wrong-hunter2"
	r, err := redis.New(cfg)
	require.NoError(t, err)
	defer r.Close()
	_, err = r.Get(t.Context(), "key")
	require.ErrorContains(t, err, "WRONGPASS")
	assert.NotContains(t, err.Error(), "hunter2")
}

func TestDeadAtStart(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	r, err := redis.New(at(server.Address))
	require.NoError(t, err)
	defer r.Close()
	start := time.Now()
	_, err = r.Get(t.Context(), "key")
	require.ErrorContains(t, err, "can not connect")
	assert.Less(t, time.Since(start), slack)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, r.Ping(ctx), "no answer")
	server.Restart()
	require.NoError(t, r.Ping(t.Context()))
	require.NoError(t, r.Set(t.Context(), "key", []byte("value"), time.Minute))
}

func TestBounds(t *testing.T) {
	address := redistest.Address(t)
	cfg := at(address)
	cfg.MaxValueBytes = 1000
	r, client := connect(t, cfg), raw(t, address)
	ctx := t.Context()
	require.ErrorContains(t, r.Set(ctx, "key", make([]byte, 1001), time.Minute), "too large")
	require.ErrorContains(t, r.Publish(ctx, make([]byte, 1001)), "too large")
	require.NoError(t, r.Set(ctx, "key", make([]byte, 1000), time.Minute))
	got, err := r.Get(ctx, "key")
	require.NoError(t, err)
	assert.Len(t, got, 1000)
	key := client.Do(ctx, client.B().Keys().Pattern(cfg.Prefix+"*").Build())
	keys, err := key.AsStrSlice()
	require.NoError(t, err)
	require.Equal(t, []string{cfg.Prefix + "v:key"}, keys)

	// What did not come from Set is an empty value.
	for name, plant := range map[string]rueidis.Completed{
		"one byte too many": client.B().Setrange().Key(keys[0]).Offset(1001).Value("x").Build(),
		"no mark":           client.B().Set().Key(keys[0]).Value("value").Build(),
		"a list":            client.B().Rpush().Key(keys[0] + "2").Element("value").Build(),
	} {
		require.NoError(t, client.Do(ctx, plant).Error())
		at := "key"
		if name == "a list" {
			at = "key2"
		}
		got, err = r.Get(ctx, at)
		require.NoError(t, err, name)
		assert.Equal(t, []byte{}, got, name)
	}
}

// Nothing stays behind after Close, whatever was under way.
func TestCloseEndsEverything(t *testing.T) {
	server := redistest.Start(t)
	hanging := hang(t)
	for name, address := range map[string]string{"answering": server.Address, "hanging": hanging, "absent": "127.0.0.1:1"} {
		t.Run(name, func(t *testing.T) {
			r, err := redis.New(at(address))
			require.NoError(t, err)
			subscribed, got := make(chan error, 1), make(chan error, 1)
			go func() { subscribed <- r.Subscribe(context.Background(), deaf()) }()
			tried := make(chan struct{})
			begin := sync.OnceFunc(func() { close(tried) })
			go func() {
				for {
					begin()
					ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
					_, err := r.Get(ctx, "key")
					cancel()
					if errors.Is(err, redis.ErrClosed) {
						got <- err
						return
					}
				}
			}()
			<-tried
			start := time.Now()
			require.NoError(t, r.Close())
			assert.Less(t, time.Since(start), 5*time.Second)
			assert.ErrorIs(t, <-subscribed, redis.ErrClosed)
			assert.ErrorIs(t, <-got, redis.ErrClosed)
			assert.ErrorIs(t, r.Publish(context.Background(), nil), redis.ErrClosed)
			require.NoError(t, r.Close())
			redistest.Wait(t, "goroutines to end", func() bool { return ours() == "" })
		})
	}
}

// ours returns the stacks of goroutines of this module or of rueidis, other
// than tests.
func ours() string {
	buffer := make([]byte, 1<<20)
	var out []string
	for stack := range strings.SplitSeq(string(buffer[:runtime.Stack(buffer, true)]), "\n\n") {
		if !strings.Contains(stack, "testing.") && (strings.Contains(stack, "rueidis") || strings.Contains(stack, "adapter/redis.")) {
			out = append(out, stack)
		}
	}
	return strings.Join(out, "\n\n")
}

// deaf returns a Subscriber that does not care.
func deaf() cache.Subscriber {
	return cache.Subscriber{Receive: func([]byte) {}, Current: func(time.Time) {}, Behind: func() {}}
}

// aged makes the bus of cfg as it is if somebody has used it for half a minute
// on one of the servers: an answer from before a bus began is not used.
func aged(t testing.TB, cfg redis.Config, addresses ...string) {
	t.Helper()
	for _, address := range addresses {
		client := raw(t, address)
		id, err := client.Do(t.Context(), client.B().Eval().Script(`return string.match(redis.call('INFO','replication'),'master_replid:(%x+)')`).Numkeys(0).Build()).ToString()
		require.NoError(t, err)
		at := fmt.Sprint(time.Now().Add(-30 * time.Second).UnixMilli())
		err = client.Do(t.Context(), client.B().Xadd().Key(cfg.Prefix+"bus").Id(at).FieldValue().FieldValue("a", id).Build()).Error()
		if err == nil {
			return
		}
		require.ErrorContains(t, err, "MOVED") // another node of the Cluster has it
	}
	t.Fatal("no server has the stream")
}

// hang returns the address of a server that accepts and never answers.
func hang(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
		}
	}()
	return listener.Addr().String()
}

func TestHangingServerObeysTheContext(t *testing.T) {
	t.Parallel()
	r, err := redis.New(at(hang(t)))
	require.NoError(t, err)
	defer r.Close()
	for name, op := range map[string]func(context.Context) error{
		"Get":     func(ctx context.Context) error { _, err := r.Get(ctx, "key"); return err },
		"Set":     func(ctx context.Context) error { return r.Set(ctx, "key", nil, time.Minute) },
		"Delete":  func(ctx context.Context) error { return r.Delete(ctx, "key") },
		"Publish": func(ctx context.Context) error { return r.Publish(ctx, nil) },
	} {
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			start := time.Now()
			err := op(ctx)
			took := time.Since(start)
			cancel()
			require.Error(t, err, name)
			assert.Less(t, took, slack, name)
		}
	}
}

func ExampleNew() {
	shared, err := redis.New(redis.Config{URL: "rediss://app:password@redis.example:6379"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shared.Close()
	_ = &cache.Shared{
		Store:     shared,
		Bus:       shared,
		Namespace: "https://as.example as api",
		Secret:    []byte("32 random bytes of a secret store"),
	}
	fmt.Println("started, whether Redis is there or not")
	// Output: started, whether Redis is there or not
}
