package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
)

// A rotateKeyCommand is "sneck keys rotate".
type rotateKeyCommand struct {
	ringFlags
	Algorithm string `default:"ES256" placeholder:"ALG" help:"Algorithm of the new key: ES256, ES384, ES512, EdDSA, RS256, PS256."`
}

// Help is printed below the flags.
func (*rotateKeyCommand) Help() string {
	return `A running server makes a new key every 30 days by itself. This makes one now, and
with another algorithm if need be. The server publishes it, and signs with it
when every verifier must have seen it; the old one stays published until the
last token that it signed has expired. To give up a key that somebody else has,
see "sneck keys retire".

Example:

    sneck keys rotate --data ./data --sealing-key ./sealing.key
`
}

// Run adds a new key.
func (c *rotateKeyCommand) Run(ctx context.Context, con *console) error {
	return c.rotate(ctx, con, nil, c.Algorithm)
}

func (f *ringFlags) rotate(ctx context.Context, con *console, key *authserver.SigningKey, algorithm string) error {
	return f.with(ctx, con, true, algorithm, func(ring *authserver.KeyRing) error {
		added, err := ring.Rotate(ctx, key)
		if err != nil {
			return err
		}
		record := admin.KeyOf(added, time.Now())
		return errors.Join(
			f.record(ctx, authserver.Event{Kind: authserver.EventKeyAdded, Reason: added.ID}),
			writeDone(con, f.JSON, record, fmt.Sprintf("added key %s (%s), which signs from %s", printable(record.ID), record.Algorithm, utc(record.Signs))))
	})
}

// An addKeyCommand is "sneck keys add".
type addKeyCommand struct {
	ringFlags
	File string `arg:"" help:"File with a private key: a JWK, or PEM."`
}

// Help is printed below the flags.
func (*addKeyCommand) Help() string {
	return `The key is copied into the database; the file is not needed any more.

Example:

    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem
    sneck keys add --data ./data --sealing-key ./sealing.key key.pem
`
}

// Run adds the key.
func (c *addKeyCommand) Run(ctx context.Context, con *console) error {
	data, err := readFile(c.File)
	if err != nil {
		return err
	}
	key, err := authserver.ParseSigningKey(data)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	return c.rotate(ctx, con, &key, "")
}

// A retireKeyCommand is "sneck keys retire".
type retireKeyCommand struct {
	ID string `arg:"" name:"key" help:"Key ID, as \"sneck keys list\" prints it."`
	ringFlags
	yesFlag
}

// Help is printed below the flags.
func (*retireKeyCommand) Help() string {
	return `For a key that somebody else may have: it signs no more, its private half is
deleted, and tokens that it signed are refused from now on. Running servers
notice within minutes, and verifiers when they next ask for the keys. If it was
the one that signs, the one that waits, or a new one, signs at once. To change
keys without losing tokens, use "sneck keys rotate".

Example:

    sneck keys retire --data ./data --sealing-key ./sealing.key 3kZ...
`
}

// Run retires the key.
func (c *retireKeyCommand) Run(ctx context.Context, con *console) error {
	return c.with(ctx, con, false, "", func(ring *authserver.KeyRing) error { return c.retire(ctx, con, ring) })
}

func (c *retireKeyCommand) retire(ctx context.Context, con *console, ring *authserver.KeyRing) error {
	keys, err := ring.List(ctx)
	if err != nil {
		return err
	}
	if indexOfKey(keys, c.ID) < 0 {
		return c.noKey(c.ID, keys)
	}
	what := fmt.Sprintf("This takes back key %s, one of %d, and all tokens that it signed", printable(c.ID), len(keys))
	if err := c.confirm(ctx, con, what); err != nil {
		return err
	}
	err = ring.Retire(ctx, c.ID)
	if errors.Is(err, authserver.ErrNoSuchKey) {
		return c.noKey(c.ID, nil)
	}
	if err != nil {
		return err
	}
	return errors.Join(
		c.record(ctx, authserver.Event{Kind: authserver.EventKeyRetired, Reason: c.ID}),
		writeDone(con, c.JSON, map[string]string{"kid": c.ID, "state": "gone"},
			fmt.Sprintf("retired key %s, and all tokens that it signed", printable(c.ID))))
}
