// Package webauthn lets people sign in to the pages of an authserver with a
// passkey (Web Authentication, Level 3). The ceremonies are those of
// github.com/go-webauthn/webauthn, which brings modules that the pages
// themselves do without.
//
// A passkey is asked for with user verification, by its owner's finger, face or
// PIN, and for discovery, so that nobody types a name. Which make of
// authenticator it is is not asked. Its signature counter is not kept: passkeys
// that are synchronized have none, and records do not change.
package webauthn

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/sneckauth/sneck/authserver/pages"
)

// Config configures [New].
type Config struct {
	// Issuer is that of the server. Its host, a name and no IP address, is
	// what passkeys are bound to: they are of no use with another.
	Issuer string
	// Name is what browsers call the site; empty means the host.
	Name string
}

// Passkeys implements [pages.Passkeys]. Make one with [New]. It is safe for
// concurrent use.
type Passkeys struct{ library *webauthn.WebAuthn }

var _ pages.Passkeys = (*Passkeys)(nil)

// New returns passkeys for one host, or an error that says what is wrong with
// the config.
func New(c Config) (*Passkeys, error) {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("webauthn: Issuer %q is not a URL (hint: that of the server)", c.Issuer)
	}
	host := u.Hostname()
	if net.ParseIP(host) != nil {
		return nil, fmt.Errorf("webauthn: Issuer %q has an IP address, and browsers bind passkeys to names (hint: localhost, for development)", c.Issuer)
	}
	if c.Name == "" {
		c.Name = host
	}
	required := true
	library, err := webauthn.New(&webauthn.Config{
		RPID: host, RPDisplayName: c.Name, RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: &required,
			ResidentKey:        protocol.ResidentKeyRequirementRequired,
			UserVerification:   protocol.VerificationRequired,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("webauthn: %w", err)
	}
	return &Passkeys{library}, nil
}

// A user is an account as the library sees it.
type user struct {
	account     pages.Account
	credentials []webauthn.Credential
}

func (u *user) WebAuthnID() []byte                         { return []byte(u.account.ID) }
func (u *user) WebAuthnName() string                       { return u.account.Username }
func (u *user) WebAuthnDisplayName() string                { return u.account.Username }
func (u *user) WebAuthnCredentials() []webauthn.Credential { return u.credentials }

// BeginCreate implements [pages.Passkeys].
func (p *Passkeys) BeginCreate(account pages.Account, known [][]byte) (options, state json.RawMessage, err error) {
	exclude := make([]protocol.CredentialDescriptor, len(known))
	for i, id := range known {
		exclude[i] = protocol.CredentialDescriptor{Type: protocol.PublicKeyCredentialType, CredentialID: id}
	}
	creation, session, err := p.library.BeginRegistration(&user{account: account}, webauthn.WithExclusions(exclude))
	if err != nil {
		return nil, nil, fmt.Errorf("webauthn: begin a registration: %w", err)
	}
	return both(creation.Response, session)
}

// FinishCreate implements [pages.Passkeys].
func (p *Passkeys) FinishCreate(account pages.Account, state json.RawMessage, answer []byte) (pages.Passkey, error) {
	var session webauthn.SessionData
	if err := json.Unmarshal(state, &session); err != nil {
		return pages.Passkey{}, fmt.Errorf("webauthn: the state is damaged: %w", err)
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return pages.Passkey{}, wrong(err)
	}
	credential, err := p.library.CreateCredential(&user{account: account}, session, parsed)
	if err != nil {
		return pages.Passkey{}, wrong(err)
	}
	credential.Authenticator.SignCount = 0
	credential.Attestation = webauthn.CredentialAttestation{}
	data, err := json.Marshal(credential)
	if err != nil {
		return pages.Passkey{}, err
	}
	return pages.Passkey{ID: credential.ID, Credential: data}, nil
}

// BeginSignIn implements [pages.Passkeys].
func (p *Passkeys) BeginSignIn() (options, state json.RawMessage, err error) {
	assertion, session, err := p.library.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, nil, fmt.Errorf("webauthn: begin to sign in: %w", err)
	}
	return both(assertion.Response, session)
}

// FinishSignIn implements [pages.Passkeys].
func (p *Passkeys) FinishSignIn(state json.RawMessage, answer []byte, find func(id []byte) (pages.Account, pages.Passkey, error)) (pages.Account, error) {
	var session webauthn.SessionData
	if err := json.Unmarshal(state, &session); err != nil {
		return pages.Account{}, fmt.Errorf("webauthn: the state is damaged: %w", err)
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return pages.Account{}, wrong(err)
	}
	// An error of find says more than what the library makes of it.
	var failed error
	found, _, err := p.library.ValidatePasskeyLogin(func(id, _ []byte) (webauthn.User, error) {
		u := &user{}
		var passkey pages.Passkey
		if u.account, passkey, failed = find(id); failed != nil {
			return nil, failed
		}
		u.credentials = make([]webauthn.Credential, 1)
		failed = json.Unmarshal(passkey.Credential, &u.credentials[0])
		return u, failed
	}, session, parsed)
	switch {
	case failed != nil:
		return pages.Account{}, failed
	case err != nil:
		return pages.Account{}, wrong(err)
	}
	return found.(*user).account, nil
}

// both encodes what the browser gets and what the site keeps.
func both(options any, session *webauthn.SessionData) (json.RawMessage, json.RawMessage, error) {
	public, err1 := json.Marshal(options)
	state, err2 := json.Marshal(session)
	return public, state, errors.Join(err1, err2)
}

// wrong says that an answer is not a good one, with the cause for the log.
func wrong(err error) error { return fmt.Errorf("%w: %w", pages.ErrWrongPasskey, err) }
