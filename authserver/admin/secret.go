package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// A Secret is a client secret, without itself.
type Secret struct {
	// ID names the secret among those of the client. It changes if the server
	// hashes the secret in a better way.
	ID string `json:"id"`
	// Expires is the first moment it is no longer accepted; zero for never.
	Expires time.Time `json:"expires,omitzero"`
	// Expired says that this moment has come.
	Expired bool `json:"expired"`
}

// A NewSecret is a secret that was made.
type NewSecret struct {
	Secret
	// Value is the secret itself, which is in no other answer.
	Value string `json:"client_secret"`
}

// maxSecrets is how many secrets a client may have at a time: each is looked
// at when it authenticates.
const maxSecrets = 10

func secretOf(s authserver.Secret, now time.Time) Secret {
	// What is hashed is no secret itself, but is not shown either.
	sum := sha256.Sum256([]byte("name of a secret: " + s.Hash + s.Sealed))
	v := Secret{ID: hex.EncodeToString(sum[:8]), Expired: !s.Expires.IsZero() && !now.Before(s.Expires)}
	if !s.Expires.IsZero() {
		v.Expires = s.Expires.UTC()
	}
	return v
}

// AddSecret makes a further secret for a client, and drops those that have
// expired: so a client gets another secret without ever being without one that
// works. A zero expires means never.
func (o *Operations) AddSecret(ctx context.Context, id string, expires time.Time) (*NewSecret, error) {
	if err := o.expires(expires); err != nil {
		return nil, err
	}
	made := new(NewSecret)
	_, err := o.change(ctx, id, "", "secret added", func(c *authserver.Client) error {
		if c.Public() || !usesSecret(c.AuthMethod) {
			return refuse(ErrInvalid, "client %q does not authenticate by a secret (hint: token_endpoint_auth_method)", id)
		}
		now := o.config.Now()
		c.Secrets = slices.DeleteFunc(slices.Clone(c.Secrets), func(s authserver.Secret) bool { return secretOf(s, now).Expired })
		if len(c.Secrets) >= maxSecrets {
			return refuse(ErrInvalid, "client %q has %d secrets (hint: retire one first)", id, maxSecrets)
		}
		complete, plain, err := o.config.Server.NewClient(ctx, *c, true)
		if err != nil {
			return clientError(err)
		}
		last := &complete.Secrets[len(complete.Secrets)-1]
		last.Expires = expires
		*made = NewSecret{secretOf(*last, now), plain}
		*c = *complete
		return nil
	})
	// A secret that is not on record works all the same.
	if err != nil && !errors.Is(err, ErrNotRecorded) {
		return nil, err
	}
	return made, err
}

// RetireSecret ends a secret of a client: at a moment in the future, or at once
// if that is zero. One that ends sooner by itself still does. The last one that
// works can not be ended at once.
func (o *Operations) RetireSecret(ctx context.Context, id, secret string, at time.Time) (*Client, error) {
	if err := o.expires(at); err != nil {
		return nil, err
	}
	return o.change(ctx, id, "", "secret retired", func(c *authserver.Client) error {
		now := o.config.Now()
		working := 0
		for _, s := range c.Secrets {
			if !secretOf(s, now).Expired {
				working++
			}
		}
		i := slices.IndexFunc(c.Secrets, func(s authserver.Secret) bool { return secretOf(s, now).ID == secret })
		switch {
		case i < 0:
			return refuse(ErrNotFound, "client %q has no secret %q (hint: read it again)", id, secret)
		case at.IsZero() && (len(c.Secrets) == 1 || working == 1 && !secretOf(c.Secrets[i], now).Expired):
			return refuse(ErrInvalid, "client %q has no other secret that works (hint: add one first, or delete the client)", id)
		case !at.IsZero() && secretOf(c.Secrets[i], now).Expired: // it would work again
			return refuse(ErrInvalid, "secret %q of client %q has expired already (hint: add another one)", secret, id)
		}
		c.Secrets = slices.Clone(c.Secrets)
		if at.IsZero() {
			c.Secrets = slices.Delete(c.Secrets, i, i+1)
		} else {
			endBy(&c.Secrets[i], at)
		}
		return nil
	})
}

// endBy has a secret end at a moment, unless it ends sooner by itself.
func endBy(s *authserver.Secret, at time.Time) {
	if s.Expires.IsZero() || s.Expires.After(at) {
		s.Expires = at
	}
}

// RetireOtherSecrets has all secrets of a client but one, which is to be kept,
// end at a moment in the future. Those that end sooner by themselves still do.
func (o *Operations) RetireOtherSecrets(ctx context.Context, id, keep string, at time.Time) (*Client, error) {
	if at.IsZero() {
		return nil, refuse(ErrInvalid, "nothing says when the other secrets end (hint: a moment in the future)")
	}
	if err := o.expires(at); err != nil {
		return nil, err
	}
	return o.change(ctx, id, "", "other secrets retired", func(c *authserver.Client) error {
		now, found := o.config.Now(), false
		c.Secrets = slices.Clone(c.Secrets)
		for i := range c.Secrets {
			s := &c.Secrets[i]
			if secretOf(*s, now).ID == keep {
				found = true
			} else {
				endBy(s, at)
			}
		}
		if !found {
			return refuse(ErrNotFound, "client %q has no secret %q (hint: read it again)", id, keep)
		}
		return nil
	})
}
