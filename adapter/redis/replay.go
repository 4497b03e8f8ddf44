package redis

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/redis/rueidis"

	"github.com/sneckauth/sneck/middleware"
)

// ReplayConfig describes a [Replays].
type ReplayConfig struct {
	// Redis is where the proofs are remembered. It is required.
	Redis *Redis
	// Namespace separates guards that serve different URLs. Those that serve
	// the same must have the same one. It is required.
	Namespace string
	// Secret is known to the guards and to nobody else: 32 random bytes or
	// more. It is required. Without it, what is in Redis says nothing about
	// keys and proofs.
	Secret []byte
	// Timeout bounds the wait for Redis; 100 ms if zero. The deadline of the
	// request counts if it is sooner.
	Timeout time.Duration
}

const (
	replayTimeout = 100 * time.Millisecond
	// replayMargin is how much longer than asked for a proof is remembered:
	// the clocks of the guards may differ.
	replayMargin = 2 * time.Second
	// maxReplay bounds how long a proof is remembered. That of a guard is
	// good for twice its window at most, which is twenty minutes.
	maxReplay = time.Hour
)

// A Replays is a [middleware.ReplayStore] that many processes share: a DPoP
// proof that one of them has seen is good at none. It is safe for concurrent
// use. Make one with [NewReplays]; it needs no closing, but must not be used
// after its Redis is closed.
//
// Each proof is one key of a fixed length, under the Prefix of the Redis and
// the Namespace, that Redis drops when the proof is good no more. If Redis
// does not answer in time, or has no room, Spend fails, and a guard answers
// with 503: whether a proof was used could not be found out, and admitting it
// would let whoever can hinder Redis use a stolen one again. The client comes
// back with a new proof, as clients do for every request.
//
// Redis may forget a proof early: when it evicts, is restarted without its
// data, or fails over to a replica that lacks the last writes. Then a proof can
// be used twice within its window, a minute by default. Where that is too much,
// give it a server with maxmemory-policy noeviction and appendfsync always, or
// set NonceKey of the guards and a short Window.
type Replays struct {
	redis   *Redis
	prefix  string
	key     []byte // of the HMAC that proofs are named by
	timeout time.Duration
}

var _ middleware.ReplayStore = (*Replays)(nil)

// NewReplays returns a Replays, or an error that lists every mistake in cfg.
func NewReplays(cfg ReplayConfig) (*Replays, error) {
	var errs []error
	if cfg.Redis == nil {
		errs = append(errs, errors.New("redis: ReplayConfig.Redis is missing (hint: redis.New makes one)"))
	}
	if cfg.Namespace == "" {
		errs = append(errs, errors.New("redis: ReplayConfig.Namespace is missing (hint: name what the guards guard)"))
	}
	if len(cfg.Secret) < 32 {
		errs = append(errs, errors.New("redis: ReplayConfig.Secret is shorter than 32 bytes (hint: openssl rand -hex 32)"))
	}
	if cfg.Timeout < 0 {
		errs = append(errs, errors.New("redis: ReplayConfig.Timeout is negative"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = replayTimeout
	}
	key, err := hkdf.Key(sha256.New, cfg.Secret, []byte(cfg.Namespace), "sneck redis v1 replay", 32)
	if err != nil {
		return nil, err
	}
	return &Replays{cfg.Redis, cfg.Redis.key("r:" + cfg.Namespace + ":"), key, cfg.Timeout}, nil
}

// Spend implements [middleware.ReplayStore]. After an error the proof may be
// spent or not. One that is to be remembered for more than an hour is an error.
func (s *Replays) Spend(ctx context.Context, holder, id string, until time.Time) (fresh bool, err error) {
	left := time.Until(until)
	if left > maxReplay {
		return false, fmt.Errorf("redis: a proof is to be remembered for %v, and not for %v at most", left.Round(time.Second), maxReplay)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	key, ttl := s.name(holder, id), max(left+replayMargin, time.Millisecond).Milliseconds()
	fresh, err = do(ctx, s.redis, func(ctx context.Context, client rueidis.Client) (bool, error) {
		err := client.Do(ctx, client.B().Set().Key(key).Value(mark).Nx().PxMilliseconds(ttl).Build()).Error()
		if rueidis.IsRedisNil(err) {
			return false, nil // it was there
		}
		return err == nil, err
	})
	if err != nil {
		return false, fmt.Errorf("redis: spend: %w", err)
	}
	return fresh, nil
}

// name is where the proof stands. The length keeps two pairs of strings from
// looking like one.
func (s *Replays) name(holder, id string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(holder))))
	mac.Write([]byte(holder))
	mac.Write([]byte(id))
	return s.prefix + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
