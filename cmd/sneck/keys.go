package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/admin"
)

// keysCommands are "sneck keys …".
type keysCommands struct {
	List   listKeysCommand  `cmd:"" help:"Print the keys that tokens are signed with."`
	Show   showKeyCommand   `cmd:"" help:"Print what is known of a key, with its public half."`
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

// A showKeyCommand is "sneck keys show".
type showKeyCommand struct {
	ID string `arg:"" name:"key" help:"Key ID, as \"sneck keys list\" prints it."`
	ringFlags
}

// Help is printed below the flags.
func (*showKeyCommand) Help() string {
	return `All times are in UTC. The public half is a JWK, as the server publishes it; the
private half nothing prints.

Example:

    sneck keys show --data ./data --sealing-key ./sealing.key 3kZ...
`
}

// Run prints the key.
func (c *showKeyCommand) Run(ctx context.Context, con *console) error {
	store, ring, err := c.open(ctx, con, false, "")
	if err != nil {
		return err
	}
	defer store.Close()
	keys, err := ring.List(ctx)
	if err != nil {
		return err
	}
	i := indexOfKey(keys, c.ID)
	if i < 0 {
		return c.noKey(c.ID, keys)
	}
	jwk, err := json.Marshal(keys[i].Public)
	if err != nil {
		return err
	}
	k := admin.KeyOf(keys[i], time.Now())
	out := table{{"key", k.ID}, {"algorithm", k.Algorithm}, {"state", k.State}, {"published", utc(k.Published)}, {"signs from", utc(k.Signs)}}
	if !k.Retires.IsZero() {
		out = append(out, table{{"signs until", utc(k.Retires)}, {"published until", utc(k.Gone)}}...)
	}
	return writeRecord(con, c.JSON, struct {
		admin.Key
		JWK json.RawMessage `json:"jwk"`
	}{k, jwk}, append(out, table{{"public", string(jwk)}}...))
}

// indexOfKey returns where a key is in a list, or -1.
func indexOfKey(keys []authserver.RingKey, id string) int {
	return slices.IndexFunc(keys, func(k authserver.RingKey) bool { return k.ID == id })
}

// noKey says that there is no such key, and names those that may be meant.
func (f *ringFlags) noKey(id string, keys []authserver.RingKey) error {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	return fmt.Errorf("there is no key %q in %s (hint: %ssneck keys list)", id, dataName(f.Data), meant(id, ids))
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
