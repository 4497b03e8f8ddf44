package pages

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// SetAdmin says whether an account may administer the server: see package
// authserver/admin. It takes that from the last one, too; TakeAdmin does not.
// It returns ErrNoAccount if there is none with the ID.
func (a *Accounts) SetAdmin(ctx context.Context, id string, admin bool) error {
	if _, err := a.ByID(ctx, id); err != nil {
		return err
	}
	records, err := a.administrators(ctx, authserver.Selector{Family: accountFamily(id)})
	switch {
	case err != nil:
		return err
	case admin && len(records) == 0:
		// The key is never the same: what TakeAdmin spends, nobody needs again.
		err = a.store.Create(ctx, authserver.Record{
			Key: authserver.KeyOf("account admin " + rand.Text()), Kind: kindAdmin, Family: accountFamily(id), Subject: directory, Issued: a.now(),
		})
	case !admin:
		for _, r := range records {
			_, revokeErr := a.store.Revoke(ctx, authserver.Selector{Key: r.Key})
			err = errors.Join(err, revokeErr)
		}
	}
	if err != nil {
		return fmt.Errorf("pages: change an account: %w", err)
	}
	return nil
}

// Admin reports whether an account may administer the server. It is false if
// there is none with the ID.
func (a *Accounts) Admin(ctx context.Context, id string) (bool, error) {
	records, err := a.administrators(ctx, authserver.Selector{Family: accountFamily(id)})
	return len(records) > 0, err
}

// administrators returns the records that let somebody administer the server;
// of one account there may be several. Those that are spent count no more.
func (a *Accounts) administrators(ctx context.Context, which authserver.Selector) ([]authserver.Record, error) {
	records, err := list(ctx, a.store, kindAdmin, which, maxRecords)
	return slices.DeleteFunc(records, func(r authserver.Record) bool { return !r.Spent.IsZero() }), err
}

// TakeAdmin has an account not administer the server any more, unless nobody
// else may: then it returns ErrLastAdmin. However many do so at a time, on
// whichever servers, one is left.
//
// Each takes a turn, whose number only one can have, in the step that spends
// the record of the account. So whatever was seen after the last turn had been
// is still so, but for administrators who were added.
func (a *Accounts) TakeAdmin(ctx context.Context, id string) error {
	if _, err := a.ByID(ctx, id); err != nil {
		return err
	}
	// A number can be had again once its turn has expired, long after this.
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		last, err := a.lastTurn(ctx) // before anything else is looked at
		if err != nil {
			return err
		}
		own, err := a.administrators(ctx, authserver.Selector{Family: accountFamily(id)})
		if err != nil || len(own) == 0 {
			return err
		}
		all, err := a.administrators(ctx, authserver.Selector{Subject: directory})
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(all, func(r authserver.Record) bool { return r.Family != accountFamily(id) }) {
			return ErrLastAdmin
		}
		now := a.now()
		next, err := turn(last+1, now)
		if err != nil {
			return err
		}
		_, err = a.store.Spend(ctx, authserver.Spend{Key: own[0].Key, Now: now, Yield: []authserver.Record{next}})
		switch {
		case err == nil:
			// It counts no more, whether it can be deleted or not.
			_, _ = a.store.Revoke(ctx, authserver.Selector{Key: own[0].Key})
		case errors.Is(err, authserver.ErrExists), errors.Is(err, authserver.ErrSpent), errors.Is(err, authserver.ErrNotFound):
			// Somebody else was faster.
		default:
			return fmt.Errorf("pages: change an account: %w", err)
		}
	}
}

// turnLife is how long it is known who has had a turn.
const turnLife = 24 * time.Hour

// turns is the subject of the records of turns, to list them by. It is no
// subject of a token: those have no spaces.
const turns = "turns of the administrators of this server"

type turnExtra struct {
	Number int `json:"number"`
}

func turn(number int, now time.Time) (authserver.Record, error) {
	extra, err := json.Marshal(turnExtra{number})
	return authserver.Record{
		Key: authserver.KeyOf("account admin turn " + strconv.Itoa(number)), Kind: kindTurn, Subject: turns,
		Issued: now, Expires: now.Add(turnLife), Extra: extra,
	}, err
}

// lastTurn returns the number of the last turn, 0 for none.
func (a *Accounts) lastTurn(ctx context.Context) (number int, err error) {
	records, err := list(ctx, a.store, kindTurn, authserver.Selector{Subject: turns}, math.MaxInt)
	for _, r := range records {
		extra, err := decode[turnExtra](r)
		if err != nil {
			return 0, err
		}
		number = max(number, extra.Number)
	}
	return number, err
}
