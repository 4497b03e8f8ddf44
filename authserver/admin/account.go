package admin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sneckauth/sneck/authserver"
	"github.com/sneckauth/sneck/authserver/pages"
)

// An Account is a person who can sign in.
type Account struct {
	// ID is the subject of what is issued for the person.
	ID string `json:"sub"`
	// Username is what the person signs in with.
	Username string `json:"username"`
	// Created is when the account was made.
	Created time.Time `json:"created"`
	// Admin says that the person may administer the server.
	Admin bool `json:"admin"`
	// Password is the password that was made up; empty in any other answer.
	Password string `json:"password,omitempty"`
}

// A NewAccount is an account that is to be made.
type NewAccount struct {
	// Username is what the person signs in with.
	Username string `json:"username"`
	// Password is made up if it is empty.
	Password string `json:"password,omitempty"`
	// Admin lets the person administer the server.
	Admin bool `json:"admin,omitempty"`
}

func (o *Operations) accounts() (*pages.Accounts, error) {
	if o.config.Accounts == nil {
		return nil, refuse(ErrAbsent, "the server has no accounts of its own (hint: people sign in elsewhere)")
	}
	return o.config.Accounts, nil
}

// accountError puts errors of accounts in words of operations.
func accountError(err error, who string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pages.ErrNoAccount):
		return refuse(ErrNotFound, "there is no account %q (hint: list the accounts)", who)
	case errors.Is(err, pages.ErrLastAdmin):
		return refuse(ErrInvalid, "account %q is the last administrator's (hint: make somebody else an administrator first)", who)
	case errors.Is(err, pages.ErrUsernameTaken):
		return refuse(ErrExists, "there is an account %q (hint: choose another name)", who)
	}
	return fmt.Errorf("admin: %w", err)
}

func (o *Operations) viewAccount(ctx context.Context, a *pages.Account) (*Account, error) {
	admin, err := o.config.Accounts.Admin(ctx, a.ID)
	if err != nil {
		return nil, accountError(err, a.ID)
	}
	return &Account{ID: a.ID, Username: a.Username, Created: a.Created.UTC(), Admin: admin}, nil
}

// Account returns the account with the ID, or ErrNotFound.
func (o *Operations) Account(ctx context.Context, id string) (*Account, error) {
	accounts, err := o.accounts()
	if err != nil {
		return nil, err
	}
	a, err := accounts.ByID(ctx, id)
	if err != nil {
		return nil, accountError(err, id)
	}
	return o.viewAccount(ctx, a)
}

// AccountByName returns the account with the name, or ErrNotFound.
func (o *Operations) AccountByName(ctx context.Context, username string) (*Account, error) {
	accounts, err := o.accounts()
	if err != nil {
		return nil, err
	}
	a, err := accounts.ByName(ctx, username)
	if err != nil {
		return nil, accountError(err, username)
	}
	return o.viewAccount(ctx, a)
}

// Accounts returns up to limit accounts whose name or ID contains the text, and
// what to begin the next page after; empty if there are no more. The order is
// not that of names. There may be fewer than limit, or none, and more to come.
func (o *Operations) Accounts(ctx context.Context, text, after string, limit int) (page []*Account, next string, err error) {
	accounts, err := o.accounts()
	if err != nil {
		return nil, "", err
	}
	list, next, err := accounts.Page(ctx, text, after, pageSize(limit))
	if err != nil {
		return nil, "", accountError(err, "")
	}
	page = make([]*Account, len(list))
	for i, a := range list {
		if page[i], err = o.viewAccount(ctx, a); err != nil {
			return nil, "", err
		}
	}
	return page, next, nil
}

// CreateAccount makes an account. A password that is made up is in the result.
// It returns ErrTakenBack if the account is not on record.
func (o *Operations) CreateAccount(ctx context.Context, n NewAccount) (*Account, error) {
	accounts, err := o.accounts()
	if err != nil {
		return nil, err
	}
	password, made := n.Password, ""
	if password == "" {
		made = newPassword()
		password = made
	}
	if err := errors.Join(pages.CheckUsername(n.Username), pages.CheckPassword(password)); err != nil {
		return nil, invalid(err)
	}
	a, err := accounts.Create(ctx, n.Username, password)
	if err != nil {
		return nil, accountError(err, n.Username)
	}
	v := &Account{ID: a.ID, Username: a.Username, Created: a.Created.UTC(), Admin: n.Admin, Password: made}
	err = o.report(ctx, authserver.Event{Kind: authserver.EventAccountCreated, Subject: a.ID})
	if err == nil && n.Admin {
		if err := accounts.SetAdmin(ctx, a.ID, true); err != nil {
			return nil, errors.Join(accountError(err, a.ID), accounts.Delete(context.WithoutCancel(ctx), a.ID))
		}
		err = o.report(ctx, adminChanged(a.ID, true))
	}
	if err == nil {
		return v, nil
	}
	// Nobody has its password yet, so it can go without harm.
	if err = takenBack(err, accounts.Delete(context.WithoutCancel(ctx), a.ID)); errors.Is(err, ErrTakenBack) {
		v = nil
	}
	return v, err
}

// newPassword returns 100 random bits in a form that can be typed.
func newPassword() string {
	text := strings.ToLower(rand.Text()[:20])
	return strings.Join([]string{text[:5], text[5:10], text[10:15], text[15:]}, "-")
}

// SetPassword gives an account another password, which is made up if it is
// empty and then returned, and ends all of its sessions.
func (o *Operations) SetPassword(ctx context.Context, id, password string) (made string, err error) {
	accounts, err := o.accounts()
	if err != nil {
		return "", err
	}
	if password == "" {
		made = newPassword()
		password = made
	}
	if err := pages.CheckPassword(password); err != nil {
		return "", invalid(err)
	}
	if err := accounts.SetPassword(ctx, id, password, ""); err != nil {
		return "", accountError(err, id)
	}
	return made, o.record(ctx, authserver.Event{Kind: authserver.EventPasswordChanged, Subject: id})
}

// SetAdmin says whether an account may administer the server. Nobody takes that
// from the last one who may: see Config.AllowNoAdmin.
func (o *Operations) SetAdmin(ctx context.Context, id string, admin bool) error {
	accounts, err := o.accounts()
	if err != nil {
		return err
	}
	if admin || o.config.AllowNoAdmin {
		err = accounts.SetAdmin(ctx, id, admin)
	} else {
		err = accounts.TakeAdmin(ctx, id)
	}
	if err != nil {
		return accountError(err, id)
	}
	return o.record(ctx, adminChanged(id, admin))
}

func adminChanged(id string, admin bool) authserver.Event {
	reason := "admin"
	if !admin {
		reason = "no admin"
	}
	return authserver.Event{Kind: authserver.EventAccountChanged, Subject: id, Reason: reason}
}

// DeleteAccount deletes an account and revokes everything that was issued for
// it. That of the last administrator stays: see Config.AllowNoAdmin.
func (o *Operations) DeleteAccount(ctx context.Context, id string) error {
	accounts, err := o.accounts()
	if err != nil {
		return err
	}
	if !o.config.AllowNoAdmin {
		if err := accounts.TakeAdmin(ctx, id); err != nil {
			return accountError(err, id)
		}
	}
	if err := accounts.Delete(ctx, id); err != nil {
		err = accountError(err, id)
		if !o.config.AllowNoAdmin {
			err = errors.Join(err, o.record(ctx, adminChanged(id, false)))
		}
		return err
	}
	return o.record(ctx, authserver.Event{Kind: authserver.EventAccountDeleted, Subject: id})
}

// Sessions returns where the person is signed in, the session that was used
// last first.
func (o *Operations) Sessions(ctx context.Context, id string) ([]pages.Session, error) {
	accounts, err := o.accounts()
	if err != nil {
		return nil, err
	}
	if _, err := accounts.ByID(ctx, id); err != nil {
		return nil, accountError(err, id)
	}
	sessions, err := accounts.Sessions(ctx, id)
	if err != nil {
		return nil, accountError(err, id)
	}
	for i := range sessions {
		sessions[i].Since, sessions[i].Seen = sessions[i].Since.UTC(), sessions[i].Seen.UTC()
	}
	return sessions, nil
}

// EndSession ends one session of a person, and EndSessions all of them. What
// applications were allowed stays.
func (o *Operations) EndSession(ctx context.Context, id, ref string) error {
	accounts, err := o.accounts()
	if err != nil {
		return err
	}
	ended, err := accounts.EndSession(ctx, id, ref)
	if err != nil {
		return accountError(err, id)
	}
	if !ended {
		return refuse(ErrNotFound, "account %q has no session %q (hint: list the sessions)", id, ref)
	}
	return o.record(ctx, authserver.Event{Kind: authserver.EventSessionEnded, Subject: id, Count: 1})
}

// EndSessions signs a person out everywhere, and returns of how many sessions.
func (o *Operations) EndSessions(ctx context.Context, id string) (int, error) {
	sessions, err := o.Sessions(ctx, id)
	if err != nil {
		return 0, err
	}
	if err := o.config.Accounts.EndSessions(ctx, id); err != nil {
		return 0, accountError(err, id)
	}
	return len(sessions), o.record(ctx, authserver.Event{Kind: authserver.EventSessionEnded, Subject: id, Count: int64(len(sessions))})
}
