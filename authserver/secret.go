package authserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	// Hash is the hashed secret, as returned by Server.HashSecret, or without
	// a server by [HashGenerated] or [HashChosen]. Hashes of other systems are
	// understood as well: argon2id in PHC format, bcrypt, and PBKDF2 with
	// SHA-256 as Django has it. If the clients implement SecretUpgrader, what
	// is not as HashSecret would have it is replaced when it is used.
	Hash string
	// Sealed is there instead of a Hash for a client that authenticates by
	// "client_secret_jwt": what it sends is made with the secret, so the
	// server has to know that. Server.NewClient seals it.
	Sealed string
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
// means that the hash is of no known kind, or that it takes a pepper or a
// SecretHasher to tell.
func (s Secret) Matches(presented string) (bool, error) {
	h, err := parseHash(s.Hash)
	if err != nil {
		return false, err
	}
	switch h.(type) {
	case pepperedHash, foreignHash:
		return false, errors.New("the hash of a secret is not one that can be verified without its pepper or hasher")
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
	if s.Sealed != "" {
		if s.Hash != "" {
			return errors.New("a secret has both Hash and Sealed")
		}
		_, _, err := parseSealed(s.Sealed)
		return err
	}
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

// HashSecret returns the form in which the server stores a secret: what
// Config.SecretHasher makes of it; or else for a generated one, which has 128
// random bits or more, its digest, keyed by Config.SecretPeppers if there are
// any; and for one that a person chose, that of [HashChosen].
func (s *Server) HashSecret(ctx context.Context, secret string, generated bool) (string, error) {
	hasher := s.config.SecretHasher
	if hasher != nil || !generated { // slow, maybe
		done, err := s.keeper.slot(ctx)
		if err != nil {
			return "", err
		}
		defer done()
	}
	switch {
	case hasher != nil:
		hash, err := hasher.HashSecret(ctx, secret, generated)
		if err == nil && !isForeign(hash) {
			err = fmt.Errorf("authserver: the hash of SecretHasher does not begin with %s", ForeignPrefix)
		}
		return hash, err
	case !generated:
		return HashChosen(secret)
	case len(s.keeper.peppers) > 0:
		return s.keeper.peppers[0].hash(secret), nil
	}
	return HashGenerated(secret), nil
}

// upgrade replaces a hash that is not as good as it could be. The secret has
// just been verified. Of those who use it at the same time, one does that.
func (s *Server) upgrade(ctx context.Context, c *Client, secret *Secret, plain string) {
	clients, ok := s.config.Clients.(SecretUpgrader)
	if !ok || !s.keeper.outdated(secret.Hash) {
		return
	}
	generated := isGenerated(secret.Hash)
	if !generated && len(plain) < minChosen {
		return // a new hash would be of no use to it
	}
	key := [2]string{c.ID, secret.Hash}
	if _, busy := s.upgrades.LoadOrStore(key, true); busy {
		return
	}
	defer s.upgrades.Delete(key)
	better, err := s.HashSecret(ctx, plain, generated)
	if err == nil {
		err = clients.UpgradeSecret(ctx, c.ID, secret.Hash, better)
	}
	if err != nil {
		// The old hash goes on to work.
		s.config.Logger.LogAttrs(ctx, slog.LevelError, "secret not upgraded", slog.String("client", c.ID), cause(err))
		return
	}
	_ = s.observe(ctx, Event{Kind: EventSecretUpgraded, Client: c.ID}) // what was asked for is on record by itself
}
