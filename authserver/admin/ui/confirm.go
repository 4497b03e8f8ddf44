package ui

import (
	"net/http"
	"slices"

	"github.com/sneckauth/sneck/authserver/admin"
)

// An act is something that is done after it was shown what that is about: to
// end, delete or replace something. What it is about is in the parameters of
// its address, for both.
type act struct {
	// name is in the keys of its texts: "admin.act.NAME.title", "….lead" and
	// "….button", and "admin.done.NAME".
	name, tab string
	// about returns what is known of it, and where to go if nothing is done. It
	// fails if there is nothing to do it with.
	about func(*visit) ([]fact, string, error)
	// do returns where to go then, without the parameter that says what was
	// done.
	do func(*visit) (path string, params []string, err error)
}

// acts returns all of them, by their paths below Path.
func acts() map[string]act {
	return map[string]act{
		"client/retire":   {"secret_retired", "clients", aboutSecret, retireSecret},
		"client/delete":   {"client_deleted", "clients", aboutClient, deleteClient},
		"person/password": {"password_made", "people", aboutPerson, newPassword},
		"person/admin":    {"admin_given", "people", aboutPerson, giveAdmin},
		"person/no-admin": {"admin_taken", "people", aboutPerson, takeAdmin},
		"person/end":      {"session_ended", "people", aboutSession, endSession},
		"person/end-all":  {"sessions_ended", "people", aboutPerson, endSessions},
		"person/delete":   {"person_deleted", "people", aboutPerson, deletePerson},
		"tokens/revoke":   {"tokens_revoked", "tokens", aboutTokens, revokeTokens},
		"keys/rotate":     {"key_added", "keys", aboutKeys, rotateKey},
		"keys/retire":     {"key_retired", "keys", aboutKey, retireKey},
	}
}

// statuses returns what a page can say that was done.
func statuses() []string {
	all := []string{"client_created", "client_changed", "secrets_ended", "secret_added", "secret_instead", "person_created"}
	for _, a := range acts() {
		all = append(all, a.name)
	}
	slices.Sort(all)
	return all
}

// A confirmation is what the page "admin-confirm" is about.
type confirmation struct {
	Title, Lead, Button string
	Facts               []fact
	Back                string
}

func (a act) confirm(v *visit) error {
	facts, back, err := a.about(v)
	if err != nil {
		return err
	}
	key := "admin.act." + a.name
	return v.show(http.StatusOK, "admin-confirm", confirmation{v.t(key + ".title"), v.t(key + ".lead"), v.t(key + ".button"), facts, back})
}

func (a act) perform(v *visit) error {
	path, params, err := a.do(v)
	if err != nil {
		return err
	}
	return v.goTo(v.path(path, append(params, "done", a.name)...))
}

// itself is refused: nobody locks themselves out by a click.
func (v *visit) notItself(id string) error {
	if id == v.Account.ID {
		return refusal{admin.ErrInvalid, "this account is your own (hint: ask another administrator)"}
	}
	return nil
}

// A refusal is an error of the pages, in words for the person.
type refusal struct {
	kind error
	text string
}

func (r refusal) Error() string { return r.text }
func (r refusal) Unwrap() error { return r.kind }
