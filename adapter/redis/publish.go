package redis

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/rueidis"
)

const (
	// maxBatch is the number of messages that one read takes.
	maxBatch = 64
	// maxMessages bounds the stream, whatever the Retention.
	maxMessages = 1 << 16
	// messageField holds a message; anchorField makes an entry that is none.
	messageField, anchorField = "m", "a"
)

func (r *Redis) busKey() string { return r.key("bus") }

// lifetime is that of the stream in milliseconds, counted from the last
// entry: where nobody publishes nor subscribes any more, nothing stays.
func (r *Redis) lifetime() int64 { return 2 * r.cfg.Retention.Milliseconds() }

// Publish implements [cache.Bus]. The message reaches subscribers that are
// cut off now for as long as Retention. A nil error means that the server has
// it; a message of more than MaxValueBytes is an error.
func (r *Redis) Publish(ctx context.Context, message []byte) error {
	if len(message) > r.cfg.MaxValueBytes {
		return fmt.Errorf("redis: publish: a message of %d bytes is too large (hint: MaxValueBytes is %d)", len(message), r.cfg.MaxValueBytes)
	}
	value := string(message)
	_, err := do(ctx, r, func(ctx context.Context, client rueidis.Client) (struct{}, error) {
		results := client.DoMulti(ctx,
			client.B().Xadd().Key(r.busKey()).Maxlen().Almost().Threshold(strconv.Itoa(maxMessages)).Id("*").FieldValue().FieldValue(messageField, value).Build(),
			client.B().Pexpire().Key(r.busKey()).Milliseconds(r.lifetime()).Build(),
		)
		return struct{}{}, results[0].Error()
	})
	if err != nil {
		return fmt.Errorf("redis: publish: %w", err)
	}
	return nil
}

// anchor adds an entry that carries no message but the replication id of the
// server, and returns its identifier. It also drops what is older than
// Retention by the server's clock.
func (r *Redis) anchor(ctx context.Context, server string) (string, error) {
	id, err := do(ctx, r, func(ctx context.Context, client rueidis.Client) (string, error) {
		return client.Do(ctx, client.B().Xadd().Key(r.busKey()).Id("*").FieldValue().FieldValue(anchorField, server).Build()).ToString()
	})
	if err != nil {
		return "", err
	}
	at, err := millis(id)
	if err != nil {
		return "", err
	}
	oldest := strconv.FormatInt(at-r.cfg.Retention.Milliseconds(), 10)
	_, err = do(ctx, r, func(ctx context.Context, client rueidis.Client) (struct{}, error) {
		results := client.DoMulti(ctx,
			client.B().Xtrim().Key(r.busKey()).Minid().Almost().Threshold(oldest).Build(),
			client.B().Pexpire().Key(r.busKey()).Milliseconds(r.lifetime()).Build(),
		)
		return struct{}{}, results[0].Error()
	})
	return id, err
}
