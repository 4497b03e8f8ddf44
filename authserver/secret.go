package authserver

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"
)

const (
	// MinSecretLength is the shortest generated client secret, in base62
	// characters: 128 bits need 22.
	MinSecretLength = 22
	// DefaultSecretLength is the length of generated client secrets.
	DefaultSecretLength = 128
	// maxSecret is the longest secret that is looked at.
	maxSecret = 1024
)

// A Secret is a client secret at rest.
type Secret struct {
	// Hash is the hashed secret, as returned by [HashGenerated] or
	// [HashChosen]. Hashes of other systems are understood as well: argon2id
	// in PHC format, bcrypt, and PBKDF2 with SHA-256 as Django has it. If the
	// clients implement SecretUpgrader, they are replaced when they are used.
	Hash string
	// Expires is the first moment the secret is no longer accepted; zero for
	// never.
	Expires time.Time
}

// A SecretUpgrader is a [Clients] that can replace the hash of a secret by a
// better one of the same secret.
type SecretUpgrader interface {
	// UpgradeSecret replaces the hash from by the hash to, if the client still
	// has it.
	UpgradeSecret(ctx context.Context, clientID, from, to string) error
}

// Matches reports whether the presented secret is the one that was hashed,
// whether or not it has expired. With a hash of [HashChosen] that takes tens of
// milliseconds and 19 MiB, so callers bound how many run at a time. An error
// means that the hash is of no known kind.
func (s Secret) Matches(presented string) (bool, error) {
	h, err := parseHash(s.Hash)
	if err != nil {
		return false, err
	}
	return len(presented) <= maxSecret && h.matches(presented), nil
}

// Outdated reports whether a chosen secret would be hashed in another way
// today: whoever knows it should call [HashChosen] and store the result.
func (s Secret) Outdated() bool {
	h, err := parseHash(s.Hash)
	return err == nil && !h.current()
}

func (s Secret) check() error {
	_, err := parseHash(s.Hash)
	return err
}

func (s Secret) expiredAt(now time.Time) bool {
	return !s.Expires.IsZero() && !now.Before(s.Expires)
}

// checkSecret refuses a generated secret that is too easily guessed or can
// not be sent.
func checkSecret(secret string) error {
	if len(secret) < MinSecretLength || len(secret) > maxSecret || !isVSCHAR(secret) {
		return fmt.Errorf("authserver: a generated secret must have %d to %d visible ASCII characters", MinSecretLength, maxSecret)
	}
	return nil
}

// A keeper verifies secrets. Digests of generated secrets cost nothing; for
// the hashes of chosen ones, which are slow on purpose, it remembers what it
// has verified, and lets only some verifications run at a time.
type keeper struct {
	slots chan struct{}
	key   [32]byte // known to this process only

	mu       sync.Mutex
	verified map[[32]byte]time.Time // until when
}

const (
	// rememberFor is how long a verified secret needs no verification again.
	// It does not delay revocation: what is remembered is that a secret fits a
	// hash, which remains true.
	rememberFor = time.Minute
	maxVerified = 10000
)

func newKeeper() *keeper {
	k := &keeper{
		slots:    make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		verified: map[[32]byte]time.Time{},
	}
	rand.Read(k.key[:]) // never fails
	return k
}

// verify reports whether the presented secret is one of the client's, and
// which. Other errors mean that it could not find out in time.
func (k *keeper) verify(ctx context.Context, c *Client, presented string, now time.Time) (*Secret, error) {
	if len(presented) > maxSecret {
		return nil, errWrongSecret
	}
	if c == nil || c.Public() {
		sha256Hash{}.matches(presented) // takes as long as if there were one
		return nil, errWrongSecret
	}
	for i := range c.Secrets {
		s := &c.Secrets[i]
		if s.expiredAt(now) {
			continue
		}
		ok, err := k.fits(ctx, s.Hash, presented, now)
		if err != nil {
			return nil, err
		}
		if ok {
			return s, nil
		}
	}
	return nil, errWrongSecret
}

var errWrongSecret = errors.New("unknown client or wrong secret")

func (k *keeper) fits(ctx context.Context, text, presented string, now time.Time) (bool, error) {
	h, err := parseHash(text)
	if err != nil {
		return false, err
	}
	if fast, ok := h.(sha256Hash); ok {
		return fast.matches(presented), nil
	}
	id := k.id(text, presented)
	if k.remembers(id, now) {
		return true, nil
	}
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	// Somebody else may have verified the same while this one has waited.
	if k.remembers(id, now) {
		return true, nil
	}
	if !h.matches(presented) {
		return false, nil
	}
	k.remember(id, now)
	return true, nil
}

// id identifies a pair of hash and secret, for this process only.
func (k *keeper) id(text, presented string) (id [32]byte) {
	mac := hmac.New(sha256.New, k.key[:])
	mac.Write([]byte(text))
	mac.Write([]byte{0})
	mac.Write([]byte(presented))
	mac.Sum(id[:0])
	return id
}

func (k *keeper) remembers(id [32]byte, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	until, ok := k.verified[id]
	return ok && now.Before(until)
}

func (k *keeper) remember(id [32]byte, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.verified) >= maxVerified {
		for old, until := range k.verified {
			// If nothing is outdated, any one has to go.
			if delete(k.verified, old); now.Before(until) {
				break
			}
		}
	}
	k.verified[id] = now.Add(rememberFor)
}

// upgrade replaces a hash that is not as good as it could be. The secret has
// just been verified.
func (s *Server) upgrade(ctx context.Context, c *Client, secret *Secret, plain string) {
	clients, ok := s.config.Clients.(SecretUpgrader)
	if !ok || strings.HasPrefix(secret.Hash, sha256Prefix) {
		return
	}
	if h, err := parseHash(secret.Hash); err != nil || h.current() || len(plain) < minChosen {
		return
	}
	better, err := HashChosen(plain)
	if err == nil {
		err = clients.UpgradeSecret(ctx, c.ID, secret.Hash, better)
	}
	if err != nil {
		// The old hash goes on to work.
		s.config.Logger.LogAttrs(ctx, slog.LevelError, "secret not upgraded", slog.String("client", c.ID), slog.Any("cause", err))
	}
}
