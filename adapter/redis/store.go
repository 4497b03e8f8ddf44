package redis

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Values begin with a mark: what has none was not set by a Store, and an
// empty value is not a missing one, which GETRANGE doesn't tell apart.
const mark = "s"

// valueKey is where a value stands. The bus and the values have names that
// can't meet.
func (r *Redis) valueKey(key string) string { return r.key("v:" + key) }

// Get implements [cache.Store]. What stands at the key but was not put there
// by Set, such as a value of another type or longer than MaxValueBytes, is
// reported as an empty value and not as an error: the cache counts it as
// forged and goes on, instead of taking Redis for broken.
func (r *Redis) Get(ctx context.Context, key string) ([]byte, error) {
	return do(ctx, r, func(ctx context.Context, client rueidis.Client) ([]byte, error) {
		// GETRANGE never returns more than is asked for; one byte too many
		// shows that there is more.
		end := int64(len(mark) + r.cfg.MaxValueBytes)
		value, err := client.Do(ctx, client.B().Getrange().Key(r.valueKey(key)).Start(0).End(end).Build()).ToString()
		if failure, ok := rueidis.IsRedisErr(err); ok && wrongType(failure) {
			return []byte{}, nil
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("redis: get: %w", err)
		case value == "":
			return nil, nil
		case value[:1] != mark || int64(len(value)) > end:
			return []byte{}, nil
		}
		return []byte(value[1:]), nil
	})
}

// Set implements [cache.Store]. Redis counts the time in milliseconds; it is
// at least one. A value of more than MaxValueBytes is an error.
func (r *Redis) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if len(value) > r.cfg.MaxValueBytes {
		return fmt.Errorf("redis: set: a value of %d bytes is too large (hint: MaxValueBytes is %d)", len(value), r.cfg.MaxValueBytes)
	}
	marked := mark + string(value) // a copy: the client may write it after we returned
	_, err := do(ctx, r, func(ctx context.Context, client rueidis.Client) (struct{}, error) {
		return struct{}{}, client.Do(ctx, client.B().Set().Key(r.valueKey(key)).Value(marked).PxMilliseconds(max(ttl.Milliseconds(), 1)).Build()).Error()
	})
	if err != nil {
		return fmt.Errorf("redis: set: %w", err)
	}
	return nil
}

// Delete implements [cache.Store].
func (r *Redis) Delete(ctx context.Context, key string) error {
	_, err := do(ctx, r, func(ctx context.Context, client rueidis.Client) (struct{}, error) {
		return struct{}{}, client.Do(ctx, client.B().Del().Key(r.valueKey(key)).Build()).Error()
	})
	if err != nil {
		return fmt.Errorf("redis: delete: %w", err)
	}
	return nil
}

// wrongType reports whether the key has something of another type.
func wrongType(failure *rueidis.RedisError) bool {
	return strings.HasPrefix(failure.Error(), "WRONGTYPE")
}
