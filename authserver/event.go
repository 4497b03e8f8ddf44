package authserver

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/sneckauth/sneck/scopes"
)

// An Event is something that has happened. It never holds a token, a code or a
// secret, nor what an unknown client has sent or somebody unknown has typed.
type Event struct {
	Kind EventKind `json:"kind"`
	Time time.Time `json:"time"`
	// Client is the identifier of the client it is about; empty if it is not
	// known.
	Client string `json:"client,omitempty"`
	// Subject is the resource owner, or the client itself.
	Subject string `json:"subject,omitempty"`
	// Grant is the grant type.
	Grant string `json:"grant,omitempty"`
	// Scopes and Audience are what was granted.
	Scopes   scopes.Set `json:"scopes,omitempty"`
	Audience []string   `json:"audience,omitempty"`
	// Token is the "jti" of the token, as introspection reports it. It does
	// not lead back to the token.
	Token string `json:"token,omitempty"`
	// Family joins all that was issued from one approval.
	Family string `json:"family,omitempty"`
	// Address is where the request came from: see Config.Proxies.
	Address netip.Addr `json:"address,omitzero"`
	// Reason says more, in constant words: why authentication failed, which
	// limit is reached.
	Reason string `json:"reason,omitempty"`
	// Count is how many records it is about, if that is not one.
	Count int64 `json:"count,omitempty"`
	// By is who did it, if that is an administrator: the subject of whoever
	// has asked, or what a command calls itself.
	By string `json:"by,omitempty"`
}

// An EventKind says what has happened. The names stay the same.
type EventKind string

// The kinds of events.
const (
	// EventTokenIssued and EventTokenRefreshed: the token endpoint has
	// answered with an access token, and maybe a refresh token.
	EventTokenIssued    EventKind = "token_issued"
	EventTokenRefreshed EventKind = "token_refreshed"
	// EventTokenRevoked: a client or an administrator has revoked a token, and
	// with it Count records. Of what an administrator has revoked, the fields
	// that are set say what was selected.
	EventTokenRevoked EventKind = "token_revoked"
	// EventReuseDetected: a code or refresh token was used again, so Count
	// records of its family are revoked.
	EventReuseDetected EventKind = "reuse_detected"
	// EventTokenIntrospected: a live token was introspected. It is reported
	// if Config.ObserveIntrospections is set.
	EventTokenIntrospected EventKind = "token_introspected"
	// EventAuthenticationFailed: a client could not authenticate.
	EventAuthenticationFailed EventKind = "authentication_failed"
	// EventRateLimited: Reason is the limit. It is reported once a minute for
	// each client or address. Of the pages, Subject is the account that was
	// named, if there is such an account.
	EventRateLimited EventKind = "rate_limited"
	// EventAuthorizationApproved and EventAuthorizationDenied: a user, or what
	// they have consented to before, has decided at the authorization
	// endpoint.
	EventAuthorizationApproved EventKind = "authorization_approved"
	EventAuthorizationDenied   EventKind = "authorization_denied"
	// EventDeviceRequested: a device asks for codes. EventDeviceApproved and
	// EventDeviceDenied: a user has decided about it.
	EventDeviceRequested EventKind = "device_requested"
	EventDeviceApproved  EventKind = "device_approved"
	EventDeviceDenied    EventKind = "device_denied"
	// EventClientCreated, EventClientChanged and EventClientDeleted come from
	// ObserveClients, and from package admin. Reason is "secret added" or
	// "secret retired" if that is what was changed; Count is how many records
	// of what was issued were revoked.
	EventClientCreated EventKind = "client_created"
	EventClientChanged EventKind = "client_changed"
	EventClientDeleted EventKind = "client_deleted"
	// EventAccountCreated, EventAccountChanged and EventAccountDeleted: Subject
	// is the account. Reason says what was changed: "admin" or "no admin".
	EventAccountCreated EventKind = "account_created"
	EventAccountChanged EventKind = "account_changed"
	EventAccountDeleted EventKind = "account_deleted"
	// EventPasswordChanged: the account of Subject has a new password.
	EventPasswordChanged EventKind = "password_changed"
	// EventSignedIn: Subject has proved at the pages who they are; Reason is
	// "password" or "passkey". It is on record before the session begins.
	EventSignedIn EventKind = "signed_in"
	// EventSignInFailed: somebody could not. Subject is the account that was
	// named, if there is such an account; Reason is "wrong password", "wrong
	// passkey" or, for who is signed in already, "wrong current password".
	EventSignInFailed EventKind = "sign_in_failed"
	// EventSignedOut: Subject has ended the session that they were using.
	EventSignedOut EventKind = "signed_out"
	// EventSessionEnded: Count sessions of Subject were ended. Reason is
	// "cookie used twice" if nobody has asked for it.
	EventSessionEnded EventKind = "session_ended"
	// EventPasskeyAdded and EventPasskeyRemoved: Subject has changed with what
	// they sign in.
	EventPasskeyAdded   EventKind = "passkey_added"
	EventPasskeyRemoved EventKind = "passkey_removed"
	// EventConsentRevoked: Subject has taken back what Client was allowed, and
	// with it Count records.
	EventConsentRevoked EventKind = "consent_revoked"
	// EventKeyAdded and EventKeyRetired: there is a new signing key, or one was
	// taken back with all that it signed. Here and below, Reason is the ID of
	// the key. EventKeySigns: a server that shares
	// it begins to sign with it, or has started and does so. EventKeyDeleted: its private half is gone.
	EventKeyAdded   EventKind = "key_added"
	EventKeyRetired EventKind = "key_retired"
	EventKeySigns   EventKind = "key_signs"
	EventKeyDeleted EventKind = "key_deleted"
	// EventSecretUpgraded: the hash of a client's secret was replaced by a
	// better one of the same secret.
	EventSecretUpgraded EventKind = "secret_upgraded"
	// EventSwept: Count expired records were deleted.
	EventSwept EventKind = "swept"
	// EventAuditLost: the audit could not take Count events before this one.
	EventAuditLost EventKind = "audit_lost"
)

// EventKinds returns all kinds of events.
func EventKinds() []EventKind {
	return []EventKind{
		EventTokenIssued, EventTokenRefreshed, EventTokenRevoked, EventReuseDetected,
		EventTokenIntrospected, EventAuthenticationFailed, EventRateLimited,
		EventAuthorizationApproved, EventAuthorizationDenied,
		EventDeviceRequested, EventDeviceApproved, EventDeviceDenied,
		EventClientCreated, EventClientChanged, EventClientDeleted,
		EventAccountCreated, EventAccountChanged, EventAccountDeleted,
		EventPasswordChanged, EventPasskeyAdded, EventPasskeyRemoved, EventConsentRevoked,
		EventSignedIn, EventSignInFailed, EventSignedOut, EventSessionEnded,
		EventKeyAdded, EventKeySigns, EventKeyRetired, EventKeyDeleted,
		EventSecretUpgraded, EventSwept, EventAuditLost,
	}
}

// Record hands on what has happened beside the endpoints of the server: to
// Config.Observe, and to Config.Audit. It sets the time. With
// Config.AuditRequired, an error means that it is not on record.
func (s *Server) Record(ctx context.Context, e Event) error { return s.observe(ctx, e) }

// observe hands an event on. The error is to be answered: the event has to be
// in the audit, and is not.
func (s *Server) observe(ctx context.Context, e Event) error {
	e.Time = s.config.Now().UTC()
	if s.config.Observe != nil {
		s.config.Observe(ctx, e)
	}
	if s.config.Audit == nil {
		return nil
	}
	// It has happened, whether the client still waits or not.
	ctx = context.WithoutCancel(ctx)
	err := s.auditLost(ctx)
	if err == nil {
		err = s.config.Audit(ctx, e)
	}
	if err == nil {
		return nil
	}
	s.lost.Add(1)
	if s.firstThisMinute(ctx, "audit") {
		s.config.Logger.LogAttrs(ctx, slog.LevelError, "audit failed, events are lost", cause(err))
	}
	if s.config.AuditRequired {
		return unavailable(err)
	}
	return nil // the operator has chosen to be served rather than to have all on record
}

// observes reports whether anybody wants to know of events.
func (s *Server) observes() bool { return s.config.Observe != nil || s.config.Audit != nil }

// auditLost tells the audit how many events it has lost, if any.
func (s *Server) auditLost(ctx context.Context) error {
	n := s.lost.Swap(0)
	if n == 0 {
		return nil
	}
	err := s.config.Audit(ctx, Event{Kind: EventAuditLost, Time: s.config.Now().UTC(), Count: n})
	if err != nil {
		s.lost.Add(n)
	}
	return err
}

// auditable refuses what would have to be in the audit, as long as that does
// not work, before anything is done or spent for it.
func (s *Server) auditable(ctx context.Context) error {
	if !s.config.AuditRequired || s.config.Audit == nil {
		return nil
	}
	if err := s.auditLost(context.WithoutCancel(ctx)); err != nil {
		return unavailable(err)
	}
	return nil
}

// observeFailure reports that a client could not authenticate. Who it claims
// to be is reported only if there is such a client: it could be a secret in
// the wrong place.
func (s *Server) observeFailure(r *http.Request, claimed string, e *Error) {
	if !s.observes() {
		return
	}
	event := Event{Kind: EventAuthenticationFailed, Address: s.address(r), Reason: e.Description}
	if claimed != "" {
		if c, err := s.config.Clients.Client(r.Context(), claimed); err == nil && c != nil {
			event.Client = c.ID
		}
	}
	_ = s.observe(r.Context(), event) // the request is refused anyway
}

// observeLimit reports that a limit is reached, and logs it, once a minute.
func (s *Server) observeLimit(r *http.Request, e *limitError) {
	key := e.key
	key.What = "event." + key.What
	if wait, _ := s.local.Take(r.Context(), key, 1, Rate{Count: 1, Per: time.Minute}); wait > 0 {
		return
	}
	event := Event{Kind: EventRateLimited, Address: s.address(r), Reason: e.key.What}
	attrs := []slog.Attr{slog.String("limit", e.key.What), slog.Any("address", event.Address)}
	if e.key.Client != "" {
		if c, err := s.config.Clients.Client(r.Context(), e.key.Client); err == nil && c != nil {
			event.Client = c.ID
			attrs = append(attrs, slog.String("client", c.ID))
		}
	}
	s.config.Logger.LogAttrs(r.Context(), slog.LevelWarn, "limit reached", attrs...)
	_ = s.observe(r.Context(), event) // the request is refused anyway
}

// firstThisMinute reports whether something that would fill the log has not
// happened for a minute.
func (s *Server) firstThisMinute(ctx context.Context, what string) bool {
	wait, _ := s.local.Take(ctx, LimitKey{What: "log." + what}, 1, Rate{Count: 1, Per: time.Minute})
	return wait == 0
}
