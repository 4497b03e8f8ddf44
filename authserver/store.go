package authserver

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"

	"github.com/sneckauth/sneck/scopes"
)

// A Store keeps the records of everything that was issued. It is all that
// OAuth asks of a database; package storetest says whether an implementation
// is right.
//
// A record never changes after it was written, but for two marks: it may be
// spent, and it may be revoked. So what is read with Get may be relied on for
// everything but these marks, and the one step in which they matter, Spend,
// looks at them and writes what follows from them as one atomic operation.
//
// Every method must be safe for concurrent use. When it returns nil, its
// effect is durable and visible to every later call, on whichever server that
// shares the data. Many callers wait at a time, so an implementation may
// commit several calls together, as long as each succeeds or fails alone. An
// error other than the ones named here means that the store could not do it;
// it may or may not have happened. After ctx is done a method returns soon,
// with an error that wraps that of ctx.
//
// A store must not log keys: they are digests, but of what somebody holds.
type Store interface {
	// Create writes the records, all or none of them. It returns ErrExists
	// if the key of one is taken, whether by a live record or by one that is
	// expired or spent and still there. It need not look for the key of a record
	// that says it is Random.
	Create(ctx context.Context, records ...Record) error

	// Get returns the record with the key, or ErrNotFound if there is none or
	// it was revoked. Expired and spent records are returned until they are
	// deleted: the caller looks at Expires and Spent.
	Get(ctx context.Context, key Key) (Record, error)

	// Spend uses a record that may be used once, and in the same atomic step
	// writes what it yields. See [Spend] for the rules and [Spend.Key] for
	// the errors. It returns the record as it was before.
	Spend(ctx context.Context, s Spend) (Record, error)

	// Revoke makes every record that the selector matches as if it had never
	// been, and returns how many there were. A Spend or Create at the same
	// time happens wholly before, and what it wrote is revoked too, or wholly
	// after. The zero Selector is an error, so that a forgotten field does
	// not revoke everything.
	Revoke(ctx context.Context, which Selector) (int64, error)

	// DeleteExpired deletes records whose Expires is set and not after before,
	// about limit of them, and returns how many. Zero means that there is
	// nothing to delete now; after any other number callers call it again.
	//
	// A store that deletes many at the price of few, as by emptying a
	// partition, may exceed the limit, and may keep expired records until all
	// that it deletes together have expired. It must not keep other callers
	// waiting for long.
	DeleteExpired(ctx context.Context, before time.Time, limit int) (int64, error)
}

// An ExpiredCounter is a [Store] that can say beforehand what DeleteExpired
// would delete, for those who want to look first or to see how far it is.
type ExpiredCounter interface {
	// CountExpired returns how many records DeleteExpired would delete with
	// the same time, called until it returns zero. A large number may be an
	// estimate.
	CountExpired(ctx context.Context, before time.Time) (int64, error)
}

var (
	// ErrNotFound means that there is no such record or client, or that it
	// was revoked.
	ErrNotFound = errors.New("authserver: not found")
	// ErrExists means that a key is taken.
	ErrExists = errors.New("authserver: key exists")
	// ErrSpent means that a record was used before.
	ErrSpent = errors.New("authserver: already spent")
	// ErrExpired means that a record can no longer be used.
	ErrExpired = errors.New("authserver: expired")
)

// A Key is the SHA-256 digest of what was issued. Tokens and codes themselves
// are stored nowhere. They have 256 random bits, so a plain digest can not be
// searched for its origin.
type Key [sha256.Size]byte

// KeyOf returns the key of a token or code.
func KeyOf(issued string) Key { return sha256.Sum256([]byte(issued)) }

// A Kind says what a record is.
type Kind string

// The kinds of the built-in grants. Others may add their own.
const (
	KindAccess  Kind = "access"
	KindRefresh Kind = "refresh"
	KindCode    Kind = "code"
)

// A Record is something that was issued: a token, a code.
//
// Stores keep times to the microsecond at least and may return them in any
// location. The zero time is kept as such, and an empty list may come back
// nil.
type Record struct {
	Key Key
	// Random tells the store to which the record is given that its key is of
	// 256 bits just made by chance, so that nobody can have it yet. The mark is
	// not kept: what a store returns does not have it.
	Random bool
	Kind   Kind
	// Family joins everything that was issued from one approval, so that it
	// can be revoked together; empty for what stands alone. Tokens for a
	// resource owner have one, and an access token of the client itself has
	// none.
	Family string
	// Client is the identifier of the client it was issued to.
	Client string
	// Subject is the resource owner, or the client itself.
	Subject string
	// Scopes is what was granted.
	Scopes scopes.Set
	// Audience lists the resource servers it is meant for.
	Audience []string
	// Issued is when it was issued, and NotBefore the first moment it is
	// valid; zero if that is at once.
	Issued, NotBefore time.Time
	// Expires is the first moment it is no longer valid; zero for never.
	Expires time.Time
	// Spent is when it was used, if it may be used once; else zero. It is
	// set by Spend only.
	Spent time.Time
	// Extra is a JSON object or nil. For an access token, it holds further
	// claims; what other kinds keep in it is their own affair.
	Extra json.RawMessage
}

// ExpiredAt reports whether the record is expired: now is at or after Expires.
func (r Record) ExpiredAt(now time.Time) bool {
	return !r.Expires.IsZero() && !now.Before(r.Expires)
}

// A Spend is one atomic step: look at the marks of a record, mark it as spent,
// write what it yields. If any part is refused, nothing is changed.
type Spend struct {
	// Key names the record. The step is refused, in this order, with
	// ErrNotFound if there is none or it was revoked, ErrExpired if it is
	// expired, ErrSpent if it was spent (but see Grace), and ErrExists if the
	// key of a yielded record is taken. With ErrExpired and ErrSpent the
	// record is returned too.
	Key Key
	// Now is the time of the step, which becomes the record's Spent.
	Now time.Time
	// Grace is how long after it was first spent a record may be spent again,
	// for clients that have lost the answer: while Now is before Spent plus
	// Grace. Spent remains the time of the first use. Without Grace it may
	// never, even if Now is before Spent: of two steps at a time the later one
	// may take place first, and clocks of servers differ.
	Grace time.Duration
	// Keep means that the record must be usable, but is not marked as spent.
	Keep bool
	// Yield holds the records to write.
	Yield []Record
}

// Refusal returns ErrExpired or ErrSpent if the step is to be refused because of
// the marks of the record, and else nil. Stores use it where nothing else can
// change these marks before they are written.
func (s Spend) Refusal(r Record) error {
	switch {
	case r.ExpiredAt(s.Now):
		return ErrExpired
	case !r.Spent.IsZero() && (s.Grace <= 0 || !s.Now.Before(r.Spent.Add(s.Grace))):
		return ErrSpent
	}
	return nil
}

// A Selector matches the records that have all of the non-zero fields.
type Selector struct {
	Key     Key
	Family  string
	Client  string
	Subject string
}

// IsZero reports whether no field is set.
func (s Selector) IsZero() bool { return s == Selector{} }

// Match reports whether the selector matches the record.
func (s Selector) Match(r Record) bool {
	return (s.Key == Key{} || s.Key == r.Key) &&
		(s.Family == "" || s.Family == r.Family) &&
		(s.Client == "" || s.Client == r.Client) &&
		(s.Subject == "" || s.Subject == r.Subject)
}
