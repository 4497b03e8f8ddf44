package admin

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
)

// Operations is what can be done to one server. Make it with [New], and say
// with As who does it. It is safe for concurrent use.
type Operations struct {
	config Config
	// writing is held while a client is read, changed and written. All that As
	// returns share it.
	writing *sync.Mutex
	by      string
}

// Config configures [Operations]. Server, Store and Clients are mandatory;
// what is nil besides can not be done.
type Config struct {
	// Server checks clients, and knows the scopes.
	Server *authserver.Server
	// Store and Clients are those of the server.
	Store   authserver.Lister
	Clients authserver.ClientRegistry
	// Accounts are those of the pages.
	Accounts *pages.Accounts
	// AllowNoAdmin lets the last administrator go, for callers who can make
	// another without being one, as they have the database.
	AllowNoAdmin bool
	// Keys are the server's signing keys, if they are kept in the store.
	Keys *authserver.KeyRing
	// AuditPath names the audit log. What it was renamed to, with more behind
	// the name, is searched as well.
	AuditPath string
	// Record takes every change; nil means Server.Record.
	Record func(ctx context.Context, e authserver.Event) error
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// New returns the operations, or every mistake in the config.
func New(c Config) (*Operations, error) {
	var errs []error
	if c.Server == nil {
		errs = append(errs, errors.New("admin: Server is missing"))
	}
	if c.Store == nil || c.Clients == nil {
		errs = append(errs, errors.New("admin: Store or Clients is missing (hint: those of the server)"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if c.Record == nil {
		c.Record = c.Server.Record
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Operations{config: c, writing: new(sync.Mutex)}, nil
}

// As returns the same operations, done by somebody: the subject of whoever has
// asked for it, or what a command calls itself.
func (o *Operations) As(by string) *Operations {
	as := *o
	as.by = by
	return &as
}

// record reports what was done.
func (o *Operations) record(ctx context.Context, e authserver.Event) error {
	if err := o.report(ctx, e); err != nil {
		return fmt.Errorf("%w: %w", ErrNotRecorded, err)
	}
	return nil
}

func (o *Operations) report(ctx context.Context, e authserver.Event) error {
	e.By, e.Time = o.by, o.config.Now().UTC()
	// It was done, whether somebody still waits or not.
	return o.config.Record(context.WithoutCancel(ctx), e)
}

// takenBack returns the error for something new that is not on record and was
// taken back, unless undo says that it is still there.
func takenBack(recorded, undo error) error {
	if undo != nil {
		return fmt.Errorf("%w: %w", ErrNotRecorded, errors.Join(recorded, undo))
	}
	return fmt.Errorf("%w: %w", ErrTakenBack, recorded)
}

// MaxPage is the most that a list returns at a time; it is also what a limit
// of zero means.
const MaxPage = 200

func pageSize(limit int) int {
	if limit <= 0 || limit > MaxPage {
		return MaxPage
	}
	return limit
}
