package pages

import "context"

// CountPasswords has every verification of a password counted.
func (a *Accounts) CountPasswords(n *int) {
	matches := a.matches
	a.matches = func(ctx context.Context, hash, password string) (bool, error) {
		*n++
		return matches(ctx, hash, password)
	}
}

// WeakenHashes makes verifications cheap that are not what a test is about.
func (a *Accounts) WeakenHashes() {
	a.hash = func(_ context.Context, password string) (string, error) { return "weak " + password, nil }
	a.matches = func(_ context.Context, hash, password string) (bool, error) { return hash == "weak "+password, nil }
}

const Stranger = stranger

var AcceptedTags = acceptedTags

// PageData is what the data of each page is, as docs/pages.md has it.
var PageData = map[string]any{
	"signin": signIn{}, "consent": consent{}, "device": device{}, "account": overview{}, "passkey": ceremony{}, "error": failure{},
}
