package redis_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sneckauth/sneck/adapter/redis"
	"github.com/sneckauth/sneck/adapter/redis/internal/redistest"
	"github.com/sneckauth/sneck/cache"
)

// Whoever owns Redis can make processes ask for themselves, and no more.
func TestHostileValues(t *testing.T) {
	address := redistest.Address(t)
	do := func(t *testing.T, client rueidis.Client, cmd rueidis.Completed) rueidis.RedisResult {
		t.Helper()
		result := client.Do(t.Context(), cmd)
		if err := result.Error(); err != nil {
			require.True(t, rueidis.IsRedisNil(err), "%v", err)
		}
		return result
	}
	for name, spoil := range map[string]func(t *testing.T, client rueidis.Client, keys []string, values map[string]string){
		"flipped bits": func(t *testing.T, client rueidis.Client, keys []string, values map[string]string) {
			for i, key := range keys {
				value := []byte(values[key])
				value[1+i*7%(len(value)-1)] ^= 1 << (i % 8)
				do(t, client, client.B().Set().Key(key).Value(string(value)).Build())
			}
		},
		"swapped values": func(t *testing.T, client rueidis.Client, keys []string, values map[string]string) {
			for i, key := range keys {
				do(t, client, client.B().Set().Key(key).Value(values[keys[(i+1)%len(keys)]]).Build())
			}
		},
		"cut and grown": func(t *testing.T, client rueidis.Client, keys []string, values map[string]string) {
			for i, key := range keys {
				do(t, client, client.B().Set().Key(key).Value([]string{"s", values[key][:20], values[key] + "x", strings.Repeat("x", 1000)}[i%4]).Build())
			}
		},
		"100 MB": func(t *testing.T, client rueidis.Client, keys []string, _ map[string]string) {
			for _, key := range keys {
				do(t, client, client.B().Setrange().Key(key).Offset(100<<20).Value("x").Build())
			}
		},
		"other types": func(t *testing.T, client rueidis.Client, keys []string, _ map[string]string) {
			for i, key := range keys {
				do(t, client, client.B().Del().Key(key).Build())
				do(t, client, []rueidis.Completed{
					client.B().Rpush().Key(key).Element("x").Build(),
					client.B().Hset().Key(key).FieldValue().FieldValue("x", "y").Build(),
					client.B().Sadd().Key(key).Member("x").Build(),
					client.B().Xadd().Key(key).Id("*").FieldValue().FieldValue("m", "x").Build(),
				}[i%4])
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := at(address)
			aged(t, cfg, address)
			client := raw(t, address)
			var first, second authority
			one := sharing(t, &first, connect(t, cfg))
			const n = 4
			for i := range n {
				token := fmt.Sprint("good-", i)
				require.Equal(t, "sub-"+token, ask(one, token))
			}
			shared(t, client, cfg, n)
			keys, err := do(t, client, client.B().Keys().Pattern(cfg.Prefix+"v:*").Build()).AsStrSlice()
			require.NoError(t, err)
			values := make(map[string]string)
			for _, key := range keys {
				values[key], err = do(t, client, client.B().Get().Key(key).Build()).ToString()
				require.NoError(t, err)
			}
			spoil(t, client, keys, values)
			t.Cleanup(func() { client.Do(t.Context(), client.B().Del().Key(keys...).Build()) })

			two := sharing(t, &second, connect(t, cfg))
			for i := range n {
				token := fmt.Sprint("good-", i)
				second.revoked.Store(token, i%2 == 0)
				if i%2 != 0 {
					second.revoked.Delete(token)
				}
				require.Equal(t, map[bool]string{true: "invalid", false: "sub-" + token}[i%2 == 0], ask(two, token))
			}
			stats := two.Stats()
			assert.EqualValues(t, n, stats.SharedForged)
			assert.Zero(t, stats.SharedHits)
			assert.Zero(t, stats.SharedErrors, "Redis is not taken for broken")
			assert.EqualValues(t, n, second.calls.Load())
		})
	}
}

// An entry of before a revocation, put back after it, is not used.
func TestReplayedEntry(t *testing.T) {
	address := redistest.Address(t)
	cfg := at(address)
	aged(t, cfg, address)
	client := raw(t, address)
	var a authority
	c := sharing(t, &a, connect(t, cfg))
	require.Equal(t, "sub-good-1", ask(c, "good-1"))
	shared(t, client, cfg, 1)
	keys, err := client.Do(t.Context(), client.B().Keys().Pattern(cfg.Prefix+"v:*").Build()).AsStrSlice()
	require.NoError(t, err)
	old, err := client.Do(t.Context(), client.B().Get().Key(keys[0]).Build()).ToString()
	require.NoError(t, err)
	a.revoked.Store("good-1", true)
	require.NoError(t, c.Revoke(t.Context(), cache.Revocation{Token: "good-1"}))
	require.NoError(t, client.Do(t.Context(), client.B().Set().Key(keys[0]).Value(old).Build()).Error())
	assert.Equal(t, "invalid", ask(c, "good-1"))
	assert.Zero(t, c.Stats().SharedHits)
}

func TestHostileMessages(t *testing.T) {
	address := redistest.Address(t)
	cfg := at(address)
	client := raw(t, address)
	var first, second authority
	one, two := sharing(t, &first, connect(t, cfg)), sharing(t, &second, connect(t, cfg))
	require.Equal(t, "sub-good-1", ask(two, "good-1"))
	for _, message := range []string{"", "garbage", strings.Repeat("\x00", 1000), `{"Subject":"sub-good-1"}`} {
		require.NoError(t, client.Do(t.Context(), client.B().Xadd().Key(cfg.Prefix+"bus").Id("*").FieldValue().FieldValue("m", message).Build()).Error())
	}
	require.NoError(t, client.Do(t.Context(), client.B().Xadd().Key(cfg.Prefix+"bus").Id("*").FieldValue().FieldValue("other", "field").Build()).Error())
	redistest.Wait(t, "forgeries to be counted", func() bool { return two.Stats().SharedForged == 4 })
	require.Equal(t, "sub-good-1", ask(two, "good-1"))
	assert.EqualValues(t, 1, second.calls.Load(), "nothing was revoked")
	second.revoked.Store("good-1", true)
	require.NoError(t, one.Revoke(t.Context(), cache.Revocation{Subject: "sub-good-1"}))
	redistest.Wait(t, "the real one to arrive", func() bool { return ask(two, "good-1") == "invalid" })
}

// A server that does not keep to the protocol costs the connection: it ends
// neither the process nor its memory.
func TestHostileProtocol(t *testing.T) {
	for name, answer := range map[string]string{
		"a negative length":  "$-7\r\n",
		"a terabyte":         "$1099511627776\r\n",
		"a long array":       "*2000000000\r\n",
		"arrays in arrays":   strings.Repeat("*1\r\n", 1_000_000),
		"an endless line":    "+" + strings.Repeat("x", 1<<20),
		"an endless string":  "$?\r\n" + strings.Repeat(";4\r\nabcd\r\n", 100_000),
		"an empty push":      ">0\r\n",
		"a subscription":     ">3\r\n+subscribe\r\n+x\r\n:1\r\n",
		"an invalidation":    ">2\r\n+invalidate\r\n*1\r\n+x\r\n",
		"pushes of nonsense": ">1\r\n*0\r\n>2\r\n+message\r\n*0\r\n",
		"another protocol":   "HTTP/1.1 400 Bad Request\r\n\r\n",
		"more than asked":    strings.Repeat("+OK\r\n", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer listener.Close()
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					go serve(conn, answer)
				}
			}()
			r, err := redis.New(at(listener.Addr().String()))
			require.NoError(t, err)
			defer r.Close()
			var a authority
			c := starting(t, hurry, &a, r)
			start := time.Now()
			for i := range 20 {
				token := fmt.Sprint("good-", i)
				require.Equal(t, "sub-"+token, ask(c, token))
			}
			assert.Less(t, time.Since(start), 10*time.Second)
			assert.Zero(t, c.Stats().SharedHits)
		})
	}
}

// serve logs a client in, and then gives the answer to everything.
func serve(conn net.Conn, answer string) {
	defer conn.Close()
	buffer := make([]byte, 64<<10)
	hello := "%2\r\n+proto\r\n:3\r\n+version\r\n+7.0.0\r\n+OK\r\n+OK\r\n"
	for first := true; ; first = false {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		reply := answer
		if first && bytes.Contains(buffer[:n], []byte("HELLO")) {
			reply = hello
		}
		if _, err := io.WriteString(conn, reply); err != nil {
			return
		}
	}
}
