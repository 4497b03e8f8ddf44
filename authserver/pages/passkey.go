package pages

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// Passkeys makes and checks passkeys (Web Authentication, Level 3). Each
// ceremony has a beginning, which yields options for the browser and a state
// that the site keeps in between, and an end, with the answer of the browser.
// An implementation asks for user verification, so that who holds a passkey
// needs nothing else. It must be safe for concurrent use.
type Passkeys interface {
	// BeginCreate yields the options for a new passkey of the account, as JSON
	// for PublicKeyCredential.parseCreationOptionsFromJSON. known are the IDs
	// of those that it has.
	BeginCreate(account Account, known [][]byte) (options, state json.RawMessage, err error)
	// FinishCreate returns the new passkey, or ErrWrongPasskey if the answer
	// is not a good one.
	FinishCreate(account Account, state json.RawMessage, answer []byte) (Passkey, error)
	// BeginSignIn yields the options for signing in, whoever that will be, as
	// JSON for PublicKeyCredential.parseRequestOptionsFromJSON.
	BeginSignIn() (options, state json.RawMessage, err error)
	// FinishSignIn returns whose passkey has answered, or ErrWrongPasskey. It
	// calls find for the passkey with an ID and its account.
	FinishSignIn(state json.RawMessage, answer []byte, find func(id []byte) (Account, Passkey, error)) (Account, error)
}

// A Passkey is what a site keeps of one.
type Passkey struct {
	// ID is the credential's.
	ID []byte `json:"id"`
	// Credential is the public key and what else there is to keep. No secret
	// is in it.
	Credential json.RawMessage `json:"credential"`
	// Label is the browser it was made with, for people to tell them apart.
	Label string `json:"label,omitempty"`
	// Account is whose it is.
	Account string `json:"account"`
}

// ErrWrongPasskey means that an answer is not one of a passkey that is known.
var ErrWrongPasskey = errors.New("pages: not a known passkey")

// errNoChallenge is ErrWrongPasskey for an answer to no challenge, or to one
// that has expired or was answered. That is no event: challenges are limited,
// and what anybody makes up would fill the audit.
var errNoChallenge = fmt.Errorf("%w: no challenge that waits for an answer", ErrWrongPasskey)

const (
	kindChallenge authserver.Kind = "challenge"

	// ceremonyLife is how long somebody may take to answer a challenge.
	ceremonyLife = 5 * time.Minute
	maxPasskeys  = 20
)

func passkeyKey(id []byte) authserver.Key { return authserver.KeyOf(fmt.Sprintf("passkey %x", id)) }

func challengeKey(ticket, account string) authserver.Key {
	return authserver.KeyOf(fmt.Sprintf("passkey challenge %q for %q", ticket, account))
}

// A ceremony is what the page "passkey" is about.
type ceremony struct {
	// Create says that a passkey is made; else one is used.
	Create bool
	// Options is for the script.
	Options string
	// Ticket belongs into the field "ticket" of the form.
	Ticket string
	// Client is the name of the application for which to sign in, or "".
	Client string
}

// begin keeps the state of a ceremony and shows its page. account is whose
// passkey is made, or "".
func (s *Site) begin(w http.ResponseWriter, r *http.Request, who *session, account string, options, state json.RawMessage, page ceremony, formAction ...string) error {
	now := s.config.Now()
	page.Ticket, page.Options = rand.Text(), string(options)
	err := s.config.Store.Create(r.Context(), authserver.Record{
		Key: challengeKey(page.Ticket, account), Kind: kindChallenge, Issued: now, Expires: now.Add(ceremonyLife), Extra: state,
	})
	if err != nil {
		return fmt.Errorf("pages: store a challenge: %w", err)
	}
	v := s.view(r, "passkey", who)
	v.Data = page
	s.render(w, http.StatusOK, v, formAction...)
	return nil
}

// challenged returns the state of a ceremony, once.
func (s *Site) challenged(ctx context.Context, ticket, account string) (json.RawMessage, error) {
	record, err := s.config.Store.Spend(ctx, authserver.Spend{Key: challengeKey(ticket, account), Now: s.config.Now()})
	switch {
	case errors.Is(err, authserver.ErrNotFound), errors.Is(err, authserver.ErrExpired), errors.Is(err, authserver.ErrSpent):
		return nil, errNoChallenge
	case err != nil:
		return nil, fmt.Errorf("pages: look up a challenge: %w", err)
	}
	return record.Extra, nil
}

// beginPasskey asks for a passkey to sign in with.
func (s *Site) beginPasskey(w http.ResponseWriter, r *http.Request, page signIn, formAction ...string) error {
	// Each writes a record, so there is a limit to that as well.
	if try := s.tryPasskey(r.Context(), s.config.Address(r)); try.wait > 0 {
		try.tooMany(w, r, "")
		s.showSignIn(w, r, http.StatusTooManyRequests, page, "problem.too_many", formAction...)
		return nil
	}
	options, state, err := s.config.Passkeys.BeginSignIn()
	if err != nil {
		return err
	}
	return s.begin(w, r, nil, "", options, state, ceremony{Client: page.Client}, formAction...)
}

// finishPasskey returns whose passkey has answered, or ErrWrongPasskey.
func (s *Site) finishPasskey(r *http.Request) (*Account, error) {
	ctx := r.Context()
	state, err := s.challenged(ctx, r.PostForm.Get("ticket"), "")
	if err != nil {
		return nil, err
	}
	account, err := s.config.Passkeys.FinishSignIn(state, []byte(r.PostForm.Get("answer")), func(id []byte) (Account, Passkey, error) {
		record, err := s.config.Store.Get(ctx, passkeyKey(id))
		if errors.Is(err, authserver.ErrNotFound) || err == nil && record.Kind != kindPasskey {
			return Account{}, Passkey{}, ErrWrongPasskey
		}
		if err != nil {
			return Account{}, Passkey{}, err
		}
		passkey, err := decode[Passkey](record)
		if err != nil {
			return Account{}, Passkey{}, err
		}
		account, err := s.accounts.ByID(ctx, passkey.Account)
		if err != nil {
			return Account{}, Passkey{}, err
		}
		return *account, *passkey, nil
	})
	if err != nil {
		return nil, err
	}
	return &account, nil
}

// addPasskey shows the page on which a passkey is made.
func (s *Site) addPasskey(w http.ResponseWriter, r *http.Request, who *session) error {
	records, err := s.passkeys(r.Context(), who.subject())
	if err != nil {
		return err
	}
	if len(records) >= maxPasskeys {
		s.tooManyPasskeys(w)
		return nil
	}
	known := make([][]byte, len(records))
	for i, p := range records {
		known[i] = p.ID
	}
	options, state, err := s.config.Passkeys.BeginCreate(*who.account(), known)
	if err != nil {
		return err
	}
	return s.begin(w, r, who, who.subject(), options, state, ceremony{Create: true})
}

// passkeyAdded keeps a passkey that was made.
func (s *Site) passkeyAdded(w http.ResponseWriter, r *http.Request, who *session) error {
	ctx := r.Context()
	var passkey Passkey
	state, err := s.challenged(ctx, r.PostForm.Get("ticket"), who.subject())
	if err == nil {
		// Any number of pages may have been opened while there were fewer.
		records, err := s.passkeys(ctx, who.subject())
		if err != nil {
			return err
		}
		if len(records) >= maxPasskeys {
			s.tooManyPasskeys(w)
			return nil
		}
	}
	if err == nil {
		passkey, err = s.config.Passkeys.FinishCreate(*who.account(), state, []byte(r.PostForm.Get("answer")))
	}
	if err == nil {
		passkey.Account, passkey.Label = who.subject(), agentName(r.UserAgent())
		var extra json.RawMessage
		if extra, err = json.Marshal(passkey); err != nil {
			return err
		}
		err = s.config.Store.Create(ctx, authserver.Record{
			Key: passkeyKey(passkey.ID), Kind: kindPasskey, Family: accountFamily(who.subject()), Issued: s.config.Now(), Extra: extra,
		})
		if err == nil {
			err = s.recordPasskey(r, who, passkey.ID)
		}
	}
	done := "passkey_added"
	switch {
	case errors.Is(err, ErrWrongPasskey), errors.Is(err, authserver.ErrExists):
		s.log(ctx, "passkey refused", "subject", who.subject(), "cause", err)
		done = "passkey_refused"
	case err != nil:
		return err
	}
	s.seeOther(w, s.base+pathAccount+"?done="+done)
	return nil
}

func (s *Site) tooManyPasskeys(w http.ResponseWriter) {
	s.seeOther(w, s.base+pathAccount+"?done=too_many_passkeys")
}

// recordPasskey records a new passkey, or takes it away again.
func (s *Site) recordPasskey(r *http.Request, who *session, id []byte) error {
	err := s.record(r, authserver.Event{Kind: authserver.EventPasskeyAdded, Subject: who.subject()})
	if err == nil {
		return nil
	}
	_, undone := s.config.Store.Revoke(context.WithoutCancel(r.Context()), authserver.Selector{Key: passkeyKey(id)})
	return errors.Join(err, undone)
}

// A keptPasskey is a passkey and since when it is there.
type keptPasskey struct {
	Passkey
	Since time.Time
	// Ref names it in forms.
	Ref string
}

func (s *Site) passkeys(ctx context.Context, id string) ([]keptPasskey, error) {
	records, err := list(ctx, s.config.Store, kindPasskey, authserver.Selector{Family: accountFamily(id)}, maxRecords)
	if err != nil {
		return nil, err
	}
	kept := make([]keptPasskey, len(records))
	for i, r := range records {
		p, err := decode[Passkey](r)
		if err != nil {
			return nil, err
		}
		kept[i] = keptPasskey{*p, r.Issued, reference(r.Key)}
	}
	return kept, nil
}
