package pages

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// Hashing returns the same accounts with a hasher for new passwords. Older ones
// are verified as before, and hashed anew when they are used. All that use the
// accounts should have the same hasher: who has none can not verify what it has
// hashed. As long as some passwords are not hashed anew, a hasher that takes
// another time than argon2id shows by that whether there is an account.
func (a *Accounts) Hashing(hasher authserver.SecretHasher) (*Accounts, error) {
	hash := func(ctx context.Context, password string) (string, error) {
		hash, err := hasher.HashSecret(ctx, password, false)
		if err == nil && !strings.HasPrefix(hash, authserver.ForeignPrefix) {
			err = fmt.Errorf("pages: the hash of Hasher does not begin with %s", authserver.ForeignPrefix)
		}
		return hash, err
	}
	stranger, err := hash(context.Background(), rand.Text())
	if err != nil {
		return nil, fmt.Errorf("pages: Hasher: %w", err)
	}
	b := *a
	b.hash, b.stranger = hash, stranger
	b.matches = func(ctx context.Context, hash, password string) (bool, error) {
		if strings.HasPrefix(hash, authserver.ForeignPrefix) {
			return hasher.VerifySecret(ctx, hash, password)
		}
		return a.matches(ctx, hash, password)
	}
	b.outdated = func(hash string) bool {
		return !strings.HasPrefix(hash, authserver.ForeignPrefix) || hasher.Outdated(hash)
	}
	return &b, nil
}

// rehash replaces the hash of a password that was just verified by a better
// one. It is hardly newer than the old one, so that a password that somebody
// sets meanwhile is what counts.
func (a *Accounts) rehash(ctx context.Context, account *Account, old authserver.Record, password string) error {
	if err := CheckPassword(password); err != nil {
		return err
	}
	better, err := a.passwordRecord(ctx, account.ID, password)
	if err != nil {
		return err
	}
	better.Issued = old.Issued.Add(time.Microsecond)
	_, err = a.store.Spend(ctx, authserver.Spend{Key: old.Key, Now: a.now(), Yield: []authserver.Record{better}})
	switch {
	case errors.Is(err, authserver.ErrNotFound), errors.Is(err, authserver.ErrSpent):
		return nil // somebody else has replaced it
	case err != nil:
		return fmt.Errorf("pages: store a password: %w", err)
	}
	_, err = a.store.Revoke(ctx, authserver.Selector{Key: old.Key})
	return err
}
