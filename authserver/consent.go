package authserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sneckauth/sneck/scopes"
)

// An ApprovalPrompt says when a user is asked for consent.
type ApprovalPrompt int

const (
	// PromptForce asks every time.
	PromptForce ApprovalPrompt = iota
	// PromptAuto does not ask for what the user has consented to before.
	PromptAuto
)

// KindConsent is the kind of the records that remember consent: one for each
// client, user and scope, which never expires and outlives every token.
const KindConsent Kind = "consent"

// Consented reports whether the user need not be asked, because they have
// consented to all of this before and an Approval said to remember it. It is
// always false with [PromptForce], if the client asks for the question
// ("prompt=consent"), and for devices. A client can make it stricter and never
// laxer.
func (a *AuthorizationRequest) Consented(ctx context.Context, subject string) (bool, error) {
	s := a.server
	if s.config.ApprovalPrompt != PromptAuto || a.UserCode != "" || slices.Contains(strings.Fields(a.Prompt), "consent") {
		return false, nil
	}
	for _, scope := range a.Scopes {
		_, err := s.config.Store.Get(ctx, consentKey(a.Client.ID, subject, scope))
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("authserver: look up consent: %w", err)
		}
	}
	return true, nil
}

// remember writes down what the user has consented to, and forgets what they
// were asked for and have left out this time.
func (s *Server) remember(ctx context.Context, r Record, asked scopes.Set) error {
	for _, scope := range asked.Without(r.Scopes) {
		if _, err := s.config.Store.Revoke(ctx, Selector{Key: consentKey(r.Client, r.Subject, scope)}); err != nil {
			return fmt.Errorf("forget consent: %w", err)
		}
	}
	for _, scope := range r.Scopes {
		err := s.config.Store.Create(ctx, Record{
			Key: consentKey(r.Client, r.Subject, scope), Kind: KindConsent,
			Client: r.Client, Subject: r.Subject, Scopes: scopes.Set{scope}, Issued: r.Issued,
		})
		if err != nil && !errors.Is(err, ErrExists) {
			return fmt.Errorf("remember consent: %w", err)
		}
	}
	return nil
}

func consentKey(client, subject, scope string) Key {
	return KeyOf(fmt.Sprintf("consent of %q to %q for %q", subject, client, scope))
}
