package pages

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sneckauth/sneck/authserver"
)

// An Account is a person who can sign in.
type Account struct {
	// ID is the subject of what is issued for the account: it never changes,
	// and nobody else ever gets it.
	ID string `json:"id"`
	// Username is what the person signs in with.
	Username string `json:"username"`
	// Created is when the account was made.
	Created time.Time `json:"created"`
}

// Accounts keeps accounts as records in a store: one for the name, one for the
// ID, and one for each password and passkey. All of an account share a family,
// so they come and go together, and a new password is one record that makes
// the older ones count for nothing. Of a password there is an argon2id hash, or
// one of a hasher: see [Accounts.Hashing].
//
// Make one with [NewAccounts]. It is safe for concurrent use, also by several
// processes that share the store.
type Accounts struct {
	store authserver.Lister
	now   func() time.Time
	// slots bounds how many passwords are hashed at a time.
	slots chan struct{}
	// hash and matches are what a password is hashed and verified with.
	hash     func(ctx context.Context, password string) (string, error)
	matches  func(ctx context.Context, hash, password string) (bool, error)
	outdated func(hash string) bool
	// stranger is the hash that is verified for an account that is not there:
	// of no password that anybody knows, and as expensive as any other.
	stranger string
	// failed is told why the hash of a password could not be replaced.
	failed func(context.Context, *Account, error)
}

// nobody is the ID that no account has.
const nobody = "nobody"

const stranger = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// The kinds of the records of an account.
const (
	kindAccount  authserver.Kind = "account"
	kindName     authserver.Kind = "account_name"
	kindPassword authserver.Kind = "password"
	kindPasskey  authserver.Kind = "passkey"
	kindAdmin    authserver.Kind = "account_admin"
	kindTurn     authserver.Kind = "account_admin_turn"

	// directory is the subject of all accounts' records, to list them by. It
	// is no subject of a token: those have no spaces.
	directory = "accounts of this server"
)

var (
	// ErrWrongPassword means that there is no such account or that the
	// password is another; nobody learns which.
	ErrWrongPassword = errors.New("pages: unknown account or wrong password")
	// ErrUsernameTaken means that there is an account with the name.
	ErrUsernameTaken = errors.New("pages: the name is taken")
	// ErrNoAccount means that there is no such account.
	ErrNoAccount = errors.New("pages: no such account")
	// ErrLastAdmin means that nobody else may administer the server.
	ErrLastAdmin = errors.New("pages: nobody else may administer the server")
)

const (
	// MinPassword and MaxPassword are the bounds for passwords, in bytes.
	MinPassword = 10
	MaxPassword = 1024
	maxUsername = 128
)

// NewAccounts returns the accounts in a store. If now is nil, it is time.Now.
func NewAccounts(store authserver.Lister, now func() time.Time) (*Accounts, error) {
	if store == nil {
		return nil, errors.New("pages: there is no store for accounts")
	}
	if now == nil {
		now = time.Now
	}
	return &Accounts{
		store: store, now: now,
		slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		hash:  func(_ context.Context, password string) (string, error) { return authserver.HashChosen(password) },
		matches: func(_ context.Context, hash, password string) (bool, error) {
			return authserver.Secret{Hash: hash}.Matches(password)
		},
		outdated: func(hash string) bool { return authserver.Secret{Hash: hash}.Outdated() },
		stranger: stranger, failed: func(context.Context, *Account, error) {},
	}, nil
}

func accountKey(id string) authserver.Key { return authserver.KeyOf("account " + id) }

func nameKey(username string) authserver.Key {
	return authserver.KeyOf("account name " + strings.ToLower(username))
}

func accountFamily(id string) string { return "account " + id }

// CheckUsername returns what is wrong with the name of an account, or nil: people
// must be able to type it and to tell it apart.
func CheckUsername(name string) error {
	if name == "" || len(name) > maxUsername || !utf8.ValidString(name) ||
		strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		return fmt.Errorf("pages: the name must have 1 to %d bytes of visible characters without spaces", maxUsername)
	}
	return nil
}

// CheckPassword returns what is wrong with a password that somebody has
// chosen, or nil. A long one is good whatever it is made of (NIST SP 800-63B,
// section 3.1.1).
func CheckPassword(password string) error {
	if len(password) < MinPassword || len(password) > MaxPassword || !utf8.ValidString(password) {
		return fmt.Errorf("pages: a password must have %d to %d bytes (hint: a few words make a good one)", MinPassword, MaxPassword)
	}
	return nil
}

// Create makes an account. It returns ErrUsernameTaken if there is one with
// the name, whatever the case of its letters.
func (a *Accounts) Create(ctx context.Context, username, password string) (*Account, error) {
	if err := errors.Join(CheckUsername(username), CheckPassword(password)); err != nil {
		return nil, err
	}
	account := &Account{ID: "u_" + rand.Text(), Username: username, Created: a.now().UTC().Truncate(time.Second)}
	data, err := json.Marshal(account)
	if err != nil {
		return nil, err
	}
	secret, err := a.passwordRecord(ctx, account.ID, password)
	if err != nil {
		return nil, err
	}
	family := accountFamily(account.ID)
	err = a.store.Create(ctx,
		authserver.Record{Key: nameKey(username), Kind: kindName, Family: family, Issued: account.Created, Extra: data},
		authserver.Record{Key: accountKey(account.ID), Kind: kindAccount, Family: family, Subject: directory, Issued: account.Created, Extra: data},
		secret,
	)
	if errors.Is(err, authserver.ErrExists) {
		return nil, ErrUsernameTaken
	}
	return account, err
}

func (a *Accounts) passwordRecord(ctx context.Context, id, password string) (authserver.Record, error) {
	var hash string
	err := a.slot(ctx, func() (err error) {
		hash, err = a.hash(ctx, password)
		return err
	})
	if err != nil {
		return authserver.Record{}, err
	}
	extra, err := json.Marshal(passwordExtra{hash})
	return authserver.Record{
		Key: authserver.KeyOf("password " + rand.Text()), Kind: kindPassword, Family: accountFamily(id), Issued: a.now(), Extra: extra,
	}, err
}

type passwordExtra struct {
	Hash string `json:"hash"`
}

// slot runs f when not too many others do the same.
func (a *Accounts) slot(ctx context.Context, f func() error) error {
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
		return f()
	case <-ctx.Done():
		return fmt.Errorf("pages: too many passwords at a time: %w", ctx.Err())
	}
}

// ByID returns the account with the ID, or ErrNoAccount.
func (a *Accounts) ByID(ctx context.Context, id string) (*Account, error) {
	return a.get(ctx, accountKey(id), kindAccount)
}

// ByName returns the account with the name, or ErrNoAccount. The case of
// letters does not matter.
func (a *Accounts) ByName(ctx context.Context, username string) (*Account, error) {
	return a.get(ctx, nameKey(username), kindName)
}

func (a *Accounts) get(ctx context.Context, key authserver.Key, kind authserver.Kind) (*Account, error) {
	record, err := a.store.Get(ctx, key)
	if errors.Is(err, authserver.ErrNotFound) || err == nil && record.Kind != kind {
		return nil, ErrNoAccount
	}
	if err != nil {
		return nil, fmt.Errorf("pages: look up an account: %w", err)
	}
	return decode[Account](record)
}

// decode reads what a record keeps besides.
func decode[T any](r authserver.Record) (*T, error) {
	v := new(T)
	if err := json.Unmarshal(r.Extra, v); err != nil {
		return nil, fmt.Errorf("pages: a record of kind %s is damaged: %w", r.Kind, err)
	}
	return v, nil
}

// maxList is how many records are read at a time, and maxRecords how many at
// all where people look at them.
const (
	maxList    = 200
	maxRecords = 2000
)

// list returns the records of a kind that the selector matches, up to a limit.
func list(ctx context.Context, store authserver.Lister, kind authserver.Kind, which authserver.Selector, limit int) ([]authserver.Record, error) {
	var all []authserver.Record
	var after authserver.Key
	for len(all) < limit {
		some, err := store.List(ctx, kind, which, after, min(maxList, limit-len(all)))
		if err != nil {
			return nil, fmt.Errorf("pages: list records: %w", err)
		}
		all = append(all, some...)
		if len(some) < maxList {
			break
		}
		after = some[len(some)-1].Key
	}
	return all, nil
}

// List returns up to limit accounts in the order of their names.
func (a *Accounts) List(ctx context.Context, limit int) ([]*Account, error) {
	records, err := list(ctx, a.store, kindAccount, authserver.Selector{Subject: directory}, limit)
	if err != nil {
		return nil, err
	}
	accounts := make([]*Account, len(records))
	for i, r := range records {
		if accounts[i], err = decode[Account](r); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(accounts, func(a, b *Account) int { return cmp.Compare(strings.ToLower(a.Username), strings.ToLower(b.Username)) })
	return accounts, nil
}

// Page returns up to limit accounts whose name or ID contains the text,
// whatever the case of its letters, and what to begin the next call with; empty
// if there are no more. The order is always the same, but not that of names. It
// looks at a bounded number of accounts, so there may be fewer than limit, or
// none, and more to come.
func (a *Accounts) Page(ctx context.Context, text, after string, limit int) (page []*Account, next string, err error) {
	var from authserver.Key
	if after != "" {
		from = accountKey(after)
	}
	text = strings.ToLower(text)
	for range maxRecords / maxList {
		records, err := a.store.List(ctx, kindAccount, authserver.Selector{Subject: directory}, from, maxList)
		if err != nil {
			return nil, "", fmt.Errorf("pages: list records: %w", err)
		}
		for i, r := range records {
			account, err := decode[Account](r)
			if err != nil {
				return nil, "", err
			}
			from, next = r.Key, account.ID
			if !strings.Contains(strings.ToLower(account.Username), text) && !strings.Contains(strings.ToLower(account.ID), text) {
				continue
			}
			if page = append(page, account); len(page) >= limit {
				if i == len(records)-1 && len(records) < maxList {
					next = ""
				}
				return page, next, nil
			}
		}
		if len(records) < maxList {
			return page, "", nil
		}
	}
	return page, next, nil
}

// SignIn returns the account with this name and password, or ErrWrongPassword.
// It does the same work whether there is such an account or not.
func (a *Accounts) SignIn(ctx context.Context, username, password string) (*Account, error) {
	account, err := a.ByName(ctx, username)
	if err != nil && !errors.Is(err, ErrNoAccount) {
		return nil, err
	}
	id := nobody
	if account != nil {
		id = account.ID
	}
	records, err := a.passwords(ctx, id)
	if err != nil {
		return nil, err
	}
	hash := a.stranger
	if len(records) > 0 {
		extra, err := decode[passwordExtra](records[0])
		if err != nil {
			return nil, err
		}
		hash = extra.Hash
	}
	var ok bool
	err = a.slot(ctx, func() (err error) {
		ok, err = a.matches(ctx, hash, password)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case !ok || account == nil || len(records) == 0:
		return nil, ErrWrongPassword
	}
	if a.outdated(hash) {
		if err := a.rehash(ctx, account, records[0], password); err != nil {
			a.failed(ctx, account, err) // the old hash goes on to work
		}
	}
	return account, nil
}

// passwords returns the records of an account's passwords, the one that counts
// first.
func (a *Accounts) passwords(ctx context.Context, id string) ([]authserver.Record, error) {
	records, err := list(ctx, a.store, kindPassword, authserver.Selector{Family: accountFamily(id)}, maxRecords)
	slices.SortFunc(records, func(a, b authserver.Record) int {
		return cmp.Or(b.Issued.Compare(a.Issued), slices.Compare(a.Key[:], b.Key[:]))
	})
	return records, err
}

// SetPassword gives an account another password, and ends all of its sessions
// but the one of the family keep, if that is not empty. What applications were
// allowed stays. It returns ErrNoAccount if there is none with the ID.
func (a *Accounts) SetPassword(ctx context.Context, id, password, keep string) error {
	return a.setPassword(ctx, id, password, keep, authserver.Key{})
}

// errReplaced means that another password counts by now.
var errReplaced = errors.New("pages: the password was changed meanwhile")

// setPassword is SetPassword in place of the password with the key, or of any if
// that is zero. If another one counts by then, it returns errReplaced.
func (a *Accounts) setPassword(ctx context.Context, id, password, keep string, verified authserver.Key) error {
	if err := CheckPassword(password); err != nil {
		return err
	}
	if _, err := a.ByID(ctx, id); err != nil {
		return err
	}
	old, err := a.passwords(ctx, id)
	if err != nil {
		return err
	}
	record, err := a.passwordRecord(ctx, id, password)
	if err != nil {
		return err
	}
	// The newest counts, also if the clock was set back.
	if len(old) > 0 && !record.Issued.After(old[0].Issued) {
		record.Issued = old[0].Issued.Add(time.Millisecond)
	}
	if verified == (authserver.Key{}) {
		err = a.store.Create(ctx, record)
	} else if len(old) == 0 || old[0].Key != verified {
		return errReplaced
	} else {
		_, err = a.store.Spend(ctx, authserver.Spend{Key: verified, Now: a.now(), Yield: []authserver.Record{record}})
	}
	switch {
	case errors.Is(err, authserver.ErrNotFound), errors.Is(err, authserver.ErrSpent):
		return errReplaced
	case err != nil:
		return fmt.Errorf("pages: store a password: %w", err)
	}
	for _, r := range old {
		if _, err := a.store.Revoke(ctx, authserver.Selector{Key: r.Key}); err != nil {
			return fmt.Errorf("pages: forget an old password: %w", err)
		}
	}
	return a.endSessions(ctx, id, keep)
}

// endSessions ends the sessions of an account but for one: all that there are,
// as whoever knows a password can begin any number.
func (a *Accounts) endSessions(ctx context.Context, id, keep string) error {
	for after := (authserver.Key{}); ; {
		sessions, err := a.store.List(ctx, kindSession, authserver.Selector{Subject: id}, after, maxList)
		if err != nil {
			return fmt.Errorf("pages: list records: %w", err)
		}
		for _, r := range sessions {
			if after = r.Key; r.Family == keep {
				continue
			}
			// By family, as it may have been renewed since it was listed.
			if _, err := a.store.Revoke(ctx, authserver.Selector{Family: r.Family, Subject: id}); err != nil {
				return fmt.Errorf("pages: end a session: %w", err)
			}
		}
		if len(sessions) < maxList {
			return nil
		}
	}
}

// Delete deletes an account and revokes everything that was issued for it. It
// returns ErrNoAccount if there is none with the ID.
func (a *Accounts) Delete(ctx context.Context, id string) error {
	if _, err := a.ByID(ctx, id); err != nil {
		return err
	}
	// First the account, so that nothing more is issued for it.
	for _, which := range []authserver.Selector{{Family: accountFamily(id)}, {Subject: id}} {
		if _, err := a.store.Revoke(ctx, which); err != nil {
			return fmt.Errorf("pages: delete an account: %w", err)
		}
	}
	return nil
}
