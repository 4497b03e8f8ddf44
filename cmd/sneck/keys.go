package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
)

// keysCommands are "sneck keys …".
type keysCommands struct {
	List   listKeysCommand  `cmd:"" help:"Print the keys that tokens are signed with."`
	Rotate rotateKeyCommand `cmd:"" help:"Make a new key, which signs once everybody can know it."`
	Add    addKeyCommand    `cmd:"" help:"As rotate, with a key from a file."`
	Retire retireKeyCommand `cmd:"" help:"Take a key back at once, with all tokens that it signed."`
}

// unsealedFlag does without.
type unsealedFlag struct {
	InsecureUnsealed bool `help:"Do without a sealing key: who can read the database can sign tokens."`
}

// A ringFlags says where the keys are.
type ringFlags struct {
	dataFlags
	configFlag
	sealFlags
	unsealedFlag
	auditFlags
	jsonFlag
}

// open opens the database and its key ring.
func (f *ringFlags) open(ctx context.Context, con *console, create bool, algorithm string) (database, *authserver.KeyRing, error) {
	sealer, err := f.sealer()
	if err != nil {
		return nil, nil, err
	}
	if sealer == nil && !f.InsecureUnsealed {
		return nil, nil, usageError(errors.New("--sealing-key is missing"), sealHint)
	}
	config := authserver.KeyRingConfig{
		Store: authserver.NewMemory(), Sealer: sealer, InsecureUnsealed: f.InsecureUnsealed, Algorithm: algorithm,
		Record: f.record,
	}
	// What is wrong is said before there is a database.
	if _, err := authserver.NewKeyRing(config); err != nil {
		return nil, nil, usageError(err, "sneck keys --help")
	}
	store, err := f.dataFlags.open(ctx, con, create)
	if err != nil {
		return nil, nil, err
	}
	config.Store = store
	ring, err := authserver.NewKeyRing(config)
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return store, ring, nil
}

// with calls do with the key ring of the database.
func (f *ringFlags) with(ctx context.Context, con *console, create bool, algorithm string, do func(*authserver.KeyRing) error) error {
	store, ring, err := f.open(ctx, con, create, algorithm)
	if err != nil {
		return err
	}
	return errors.Join(do(ring), store.Close())
}

// record adds an event to the audit log, if there is one.
func (f *ringFlags) record(ctx context.Context, e authserver.Event) error {
	log, err := f.auditFlags.open()
	if log == nil {
		return err
	}
	e.By, e.Time = operatorName, time.Now().UTC()
	return errors.Join(log.Record(context.WithoutCancel(ctx), e), log.Close())
}

func utc(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.DateTime + "Z")
}

// A listKeysCommand is "sneck keys list".
type listKeysCommand struct{ ringFlags }

// Help is printed below the flags.
func (*listKeysCommand) Help() string {
	return `All times are in UTC. A key is published for some time before it signs, and
until the last token that it signed has expired.

Example:

    sneck keys list --data ./data --sealing-key ./sealing.key
`
}

// Run prints the keys.
func (c *listKeysCommand) Run(ctx context.Context, con *console) error {
	var keys []authserver.RingKey
	err := c.with(ctx, con, false, "", func(ring *authserver.KeyRing) (err error) {
		keys, err = ring.List(ctx)
		return err
	})
	if err != nil {
		return err
	}
	out := listing{con: con, json: c.JSON, paint: paintState,
		header: []string{"KEY", "ALGORITHM", "STATE", "SIGNS FROM", "SIGNS UNTIL", "PUBLISHED UNTIL"}}
	now := time.Now()
	for _, k := range keys {
		r := admin.KeyOf(k, now)
		if err := out.add(r, r.ID, r.Algorithm, r.State, utc(r.Signs), utc(r.Retires), utc(r.Gone)); err != nil {
			return err
		}
	}
	return out.end()
}

// paintState shows which keys sign.
func paintState(colours palette, column int, cell string) string {
	switch {
	case column != 2:
		return cell
	case strings.TrimSpace(cell) == admin.StateSigning:
		return colours.green(cell)
	}
	return colours.faint(cell)
}
