package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
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

// sealFlags say how secrets in the database are encrypted.
type sealFlags struct {
	SealingKey string `from:"SNECK_SEALING_KEY" placeholder:"FILE" help:"File with the key that encrypts private keys and secrets in the database: 32 random bytes in base64; further lines are old ones ($$SNECK_SEALING_KEY)."`
}

// unsealedFlag does without.
type unsealedFlag struct {
	InsecureUnsealed bool `help:"Do without a sealing key: who can read the database can sign tokens."`
}

const sealHint = "--sealing-key FILE, made by: openssl rand -base64 32"

// sealer returns the sealer of the file, or nil if there is none.
func (f *sealFlags) sealer() (*authserver.Sealer, error) {
	sealer, err := readSealer(f.SealingKey)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hinted(err, "look at --sealing-key")
	}
	return sealer, err
}

// readSealer returns the sealer with the keys in a file, nil for no file.
func readSealer(path string) (*authserver.Sealer, error) {
	if path == "" {
		return nil, nil
	}
	keys, err := readKeys(path)
	if err != nil {
		return nil, hinted(err, sealHint)
	}
	sealer, err := authserver.NewSealer(keys[0], keys[1:]...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return sealer, nil
}

// readKeys returns the keys in a file, one or more, a line of base64 each.
func readKeys(path string) ([][]byte, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	for line := range strings.FieldsSeq(string(data)) {
		key, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil {
			return nil, fmt.Errorf("line %d of %s is not base64", len(keys)+1, path)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("there is no key in %s", path)
	}
	return keys, nil
}

// maxFile is the longest file with keys that is read, in bytes.
const maxFile = 256 << 10

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxFile)
	}
	return data, err
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
	store, ring, err := c.open(ctx, con, false, "")
	if err != nil {
		return err
	}
	defer store.Close()
	keys, err := ring.List(ctx)
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
	store, ring, err := f.open(ctx, con, true, algorithm)
	if err != nil {
		return err
	}
	defer store.Close()
	added, err := ring.Rotate(ctx, key)
	if err != nil {
		return err
	}
	record := admin.KeyOf(added, time.Now())
	return errors.Join(
		f.record(ctx, authserver.Event{Kind: authserver.EventKeyAdded, Reason: added.ID}),
		writeDone(con, f.JSON, record, fmt.Sprintf("added key %s (%s), which signs from %s", printable(record.ID), record.Algorithm, utc(record.Signs))),
		store.Close())
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
	store, ring, err := c.open(ctx, con, false, "")
	if err != nil {
		return err
	}
	defer store.Close()
	keys, err := ring.List(ctx)
	if err != nil {
		return err
	}
	noKey := fmt.Errorf("there is no key %q in %s (hint: sneck keys list)", c.ID, dataName(c.Data))
	if !slices.ContainsFunc(keys, func(k authserver.RingKey) bool { return k.ID == c.ID }) {
		return noKey
	}
	what := fmt.Sprintf("This takes back key %s, one of %d, and all tokens that it signed", printable(c.ID), len(keys))
	if err := c.confirm(ctx, con, what); err != nil {
		return err
	}
	err = ring.Retire(ctx, c.ID)
	if errors.Is(err, authserver.ErrNoSuchKey) {
		return noKey
	}
	if err != nil {
		return err
	}
	return errors.Join(
		c.record(ctx, authserver.Event{Kind: authserver.EventKeyRetired, Reason: c.ID}),
		writeDone(con, c.JSON, map[string]string{"kid": c.ID, "state": "gone"},
			fmt.Sprintf("retired key %s, and all tokens that it signed", printable(c.ID))),
		store.Close())
}

// source returns the keys for a store: those of the files, or those in the
// store, or none if there are none and nobody has asked for any.
func (s *keySettings) source(ctx context.Context, config authserver.KeyRingConfig) (authserver.KeySource, error) {
	if s.SigningKeyFile != "" {
		return authserver.NewFileKeys(authserver.FileKeysConfig{Signing: s.SigningKeyFile, Others: s.OtherKeysFile, Logger: config.Logger})
	}
	config.InsecureUnsealed, config.Algorithm, config.RotateEvery = s.InsecureUnsealed, s.KeyAlgorithm, s.RotateKeys
	if s.RotateKeys == 0 {
		config.RotateEvery = authserver.Never
	}
	if config.Sealer == nil && !s.InsecureUnsealed {
		return nil, noKeys(ctx, config)
	}
	ring, err := authserver.NewKeyRing(config)
	if err != nil {
		return nil, usageError(err, "sneck serve --help")
	}
	// A key that can not be opened is found out now, and the first one made.
	if _, err := ring.KeySet(ctx); err != nil {
		return nil, hinted(err, "is --sealing-key the right one?")
	}
	return ring, nil
}

// noKeys returns an error if there are keys in the store, though there is
// nothing to open them with.
func noKeys(ctx context.Context, config authserver.KeyRingConfig) error {
	config.InsecureUnsealed = true
	ring, err := authserver.NewKeyRing(config)
	if err != nil {
		return usageError(err, "sneck serve --help")
	}
	if keys, err := ring.List(ctx); err != nil || len(keys) > 0 {
		return usageError(errors.New("--sealing-key is missing, and there are signing keys in the database"), "the file that they were made with")
	}
	return nil
}
