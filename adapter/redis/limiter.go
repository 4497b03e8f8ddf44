package redis

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/sneckauth/sneck/authserver"
)

// A Limiter is an [authserver.Limiter] that several servers share. What they
// have counted together is exact, by the clock of Redis. It is one round trip
// for each question; its units come back in whole microseconds, so no rate is
// more than a million a second.
//
// While Redis does not answer in time, Take returns an error, at once for the
// next second, and each server counts for itself.
//
// Make one with [Redis.Limiter]. It is safe for concurrent use, until the
// Redis is closed. The user needs the commands EVAL, EVALSHA, TIME, GET and
// SET.
type Limiter struct {
	redis   *Redis
	timeout time.Duration
	script  *rueidis.Lua
	away    atomic.Int64 // until when nobody asks, in Unix nanoseconds
}

var _ authserver.Limiter = (*Limiter)(nil)

const (
	defaultLimiterTimeout = 50 * time.Millisecond
	limiterPause          = time.Second
)

// Limiter returns a limiter whose keys are below the Prefix. It waits for an
// answer no longer than timeout; 50 ms if that is not positive. What is stored
// of a client or an address is a digest, for as long as it counts.
func (r *Redis) Limiter(timeout time.Duration) *Limiter {
	if timeout <= 0 {
		timeout = defaultLimiterTimeout
	}
	return &Limiter{redis: r, timeout: timeout, script: rueidis.NewLuaScript(gcra)}
}

// gcra moves the time at which all units of a key are back, or returns the
// microseconds to wait. All numbers are below 2^53, so they are exact.
const gcra = `
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local n, interval, depth = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full = tonumber(redis.call('GET', KEYS[1]) or '0')
full = math.min(math.max(full, now), now + depth)
if n < 0 then
	local less = math.max(full + n * interval, now)
	redis.call('SET', KEYS[1], string.format('%.0f', less), 'PX', math.max(math.ceil((less - now) / 1000), 1))
	return 0
end
local after = full + math.max(n, 1) * interval
local wait = after - depth - now
if wait > 0 then return wait end
if n > 0 then
	redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
end
return 0`

// errAway means that Redis did not answer a moment ago.
var errAway = errors.New("redis: limiter: there was no answer a moment ago")

// Take implements [authserver.Limiter].
func (l *Limiter) Take(ctx context.Context, key authserver.LimitKey, n int, rate authserver.Rate) (time.Duration, error) {
	if time.Now().UnixNano() < l.away.Load() {
		return 0, errAway
	}
	interval := (rate.Interval() + time.Microsecond - 1) / time.Microsecond
	depth := int64(interval) * int64(rate.Depth())
	asking, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	wait, err := do(asking, l.redis, func(ctx context.Context, client rueidis.Client) (int64, error) {
		return l.script.Exec(ctx, client, []string{l.key(key)}, []string{
			strconv.Itoa(n), strconv.FormatInt(int64(interval), 10), strconv.FormatInt(depth, 10),
		}).AsInt64()
	})
	if most := int64(max(n, 1))*int64(interval) + depth; err == nil && (wait < 0 || wait > most) {
		err = fmt.Errorf("a wait of %d µs is impossible", wait)
	}
	if err != nil {
		if ctx.Err() == nil {
			l.away.Store(time.Now().Add(limiterPause).UnixNano())
		}
		return 0, fmt.Errorf("redis: limiter: %w", err)
	}
	return time.Duration(wait) * time.Microsecond, nil
}

// key is the name in Redis: of one length, whatever the client calls itself.
func (l *Limiter) key(key authserver.LimitKey) string {
	text := fmt.Appendf(nil, "%d %s %d %s ", len(key.What), key.What, len(key.Client), key.Client)
	if key.Address.IsValid() {
		text = key.Address.AppendTo(text)
	}
	sum := sha256.Sum256(text)
	return l.redis.key("l:" + base64.RawURLEncoding.EncodeToString(sum[:16]))
}
