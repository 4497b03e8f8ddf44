package cache

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sneckauth/sneck"
)

// A Store is a table of opaque bytes that several processes share, such as
// Redis. It is trusted with nothing: values are sealed, keys are hashes, and
// what it loses, delays, swaps or makes up costs a question at most. Package
// cachetest has the conformance kit.
//
// Methods return soon after ctx is done and are safe for concurrent use.
type Store interface {
	// Get returns the value of the key, or nil if there is none.
	Get(ctx context.Context, key string) ([]byte, error)
	// Set keeps the value for about ttl, which is positive.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Delete removes the key if it is there.
	Delete(ctx context.Context, key string) error
}

// A Bus carries revocations between processes. It is a log rather than a
// radio: a process that starts must learn what was revoked before, as answers
// from before that may still be in the Store.
type Bus interface {
	// Publish sends a message to every subscriber, those that are cut off at
	// the moment or join within the Retention included.
	Publish(ctx context.Context, message []byte) error
	// Subscribe calls receive for every message, until ctx is done: first for
	// those of the Retention before, and all in the order in which they were
	// published, so that whoever receives a message of its own has received
	// all from before it. It mends lost connections itself and then delivers
	// what was missed; where it can't know what was missed, it calls lost. It
	// may deliver a message more than once. It returns an error only if it can
	// never succeed.
	Subscribe(ctx context.Context, receive func(message []byte), lost func()) error
	// Retention is how long a message is kept at least.
	Retention() time.Duration
}

// Shared configures the tier that several processes share.
type Shared struct {
	// Store keeps the answers. It is required.
	Store Store
	// Bus carries revocations; nil if they come to every process by other
	// means, or not at all. Until a process has received all that was sent
	// before it started, it asks instead of taking answers from the Store. Its
	// Retention must be as long as an answer may be in use: TTL and
	// StaleIfError.
	Bus Bus
	// Namespace separates caches whose answers are not interchangeable: use
	// one for each authority and each set of credentials that it is asked
	// with. It is required.
	Namespace string
	// Secret is known to the processes and to nobody else: 32 random bytes
	// or more. It is required. Whoever holds the Store but not the Secret can
	// neither read nor forge an answer.
	Secret []byte
	// Timeout bounds every operation of Store and Publish; 50 ms if zero.
	Timeout time.Duration
}

// check returns the mistakes, where an answer may be in use for so long.
func (s *Shared) check(use time.Duration) error {
	var errs []error
	if s.Bus != nil && s.Bus.Retention() < use {
		errs = append(errs, fmt.Errorf("cache: Shared.Bus forgets revocations after %v, but an answer may be in use for %v (hint: a longer retention, or a shorter TTL)", s.Bus.Retention(), use))
	}
	if s.Store == nil {
		errs = append(errs, errors.New("cache: Shared.Store is missing"))
	}
	if s.Namespace == "" {
		errs = append(errs, errors.New("cache: Shared.Namespace is missing (hint: name the authority and the client it is asked as)"))
	}
	if len(s.Secret) < 32 {
		errs = append(errs, errors.New("cache: Shared.Secret is shorter than 32 bytes (hint: openssl rand -hex 32)"))
	}
	if s.Timeout < 0 {
		errs = append(errs, errors.New("cache: Shared.Timeout is negative"))
	}
	return errors.Join(errs...)
}

// maxSealed bounds a value that is read from the Store.
const maxSealed = 128 << 10

// clockSkew is how far the clocks of the processes may differ without a
// revocation being missed, or an answer being taken for one of the future.
const clockSkew = time.Second

// A sealer turns verdicts into bytes that only a process with the secret can
// read, and only together with the token.
type sealer struct {
	namespace string
	index     []byte // key of the HMAC that tokens are named by
	seal      []byte // key that the keys of values are derived from
	message   cipher.AEAD
}

func newSealer(namespace string, secret []byte) (*sealer, error) {
	derive := func(use string) ([]byte, error) {
		return hkdf.Key(sha256.New, secret, []byte(namespace), "sneck cache v1 "+use, 32)
	}
	index, err := derive("index")
	if err != nil {
		return nil, err
	}
	seal, err := derive("seal")
	if err != nil {
		return nil, err
	}
	bus, err := derive("bus")
	if err != nil {
		return nil, err
	}
	message, err := gcmOf(bus)
	return &sealer{namespace, index, seal, message}, err
}

func gcmOf(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// ref names a token without giving it away.
func (s *sealer) ref(token string) string {
	mac := hmac.New(sha256.New, s.index)
	mac.Write([]byte(token))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// key is where the verdict of the token stands in the Store.
func (s *sealer) key(ref string) string { return s.namespace + ":" + ref }

// of returns the cipher for the verdict of one token. Its key is derived from
// the token too, so that a value is of no use even to the processes until
// someone presents the token.
func (s *sealer) of(token string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, append(s.seal[:32:32], token...), nil, "sneck cache v1 value", 32)
	if err != nil {
		return nil, err
	}
	return gcmOf(key)
}

// wire is the sealed form of a verdict. Refusals are not shared: they are
// short-lived, and a flood of them would only fill the Store.
type wire struct {
	Asked int64
	Hard  time.Duration
	Soft  time.Duration
	Token *sneck.Token
}

func (s *sealer) close(token string, v *verdict) ([]byte, error) {
	aead, err := s.of(token)
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(wire{v.asked.wall, v.hard, v.soft, v.token})
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, plain, []byte(s.key(v.ref))), nil
}

var errForged = errors.New("cache: shared value was not sealed for this token")

// open returns the verdict in a sealed value, or an error for what is not
// from us, not for this token, or from the future.
func (s *sealer) open(token, ref string, sealed []byte, now moment) (*verdict, error) {
	if len(sealed) > maxSealed {
		return nil, errForged
	}
	aead, err := s.of(token)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, sealed, []byte(s.key(ref)))
	if err != nil {
		return nil, errForged
	}
	var w wire
	if err := json.Unmarshal(plain, &w); err != nil || w.Token == nil {
		return nil, errForged
	}
	age := time.Duration(now.wall - w.Asked)
	if age < -clockSkew {
		return nil, errForged
	}
	v := &verdict{token: w.Token, ref: ref, imported: true, soft: w.Soft, hard: w.Hard, life: life(w.Token, w.Asked)}
	// The asking process may have been a little ahead of us: for a
	// revocation, its question counts as that much older.
	v.asked = moment{w.Asked, now.mono - int64(max(age, 0)) - int64(clockSkew)}
	return v, nil
}

// life returns how long after asking the token itself expires.
func life(t *sneck.Token, asked int64) time.Duration {
	if t.Expires.IsZero() {
		return forever
	}
	return t.Expires.Sub(time.Unix(0, asked))
}

// sealMessage makes a message of the bus that others can not forge.
func (s *sealer) sealMessage(r notice) ([]byte, error) {
	plain, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return s.message.Seal(nil, nil, plain, []byte(s.namespace)), nil
}

func (s *sealer) openMessage(sealed []byte) (r notice, ok bool) {
	if len(sealed) > maxSealed {
		return notice{}, false
	}
	plain, err := s.message.Open(nil, nil, sealed, []byte(s.namespace))
	if err != nil || json.Unmarshal(plain, &r) != nil {
		return notice{}, false
	}
	return r, true
}

// origin returns a number that tells this process's messages from others'.
func origin() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}
