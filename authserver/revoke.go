package authserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/sneckauth/sneck"
)

// serveRevoke revokes a token of the client that asks (RFC 7009). A token that
// is not known is as good as revoked.
func (s *Server) serveRevoke(w http.ResponseWriter, r *http.Request, form Form) (*Client, error) {
	ctx := r.Context()
	client, err := s.authenticate(r, form)
	if err != nil {
		return nil, err
	}
	if err := s.limitClient(r, &s.limits.revoke, client); err != nil {
		return client, err
	}
	token := form.Get("token")
	if token == "" {
		return client, invalidRequest("token is missing")
	}
	var record Record
	known, err := s.recognize(ctx, token)
	switch {
	case err != nil:
	case known || sneck.ValidToken(token) && s.config.recognizeRefresh(token):
		record, err = s.config.Store.Get(ctx, KeyOf(token))
	default:
		err = ErrNotFound
	}
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return client, unavailable(fmt.Errorf("ask the store: %w", err))
	case record.Client != client.ID:
		return client, &Error{Code: codeInvalidGrant, Description: "the token was issued to another client"}
	default:
		// With a refresh token, all of its family ends (RFC 7009, section 2.1).
		which := Selector{Key: record.Key}
		if record.Kind == KindRefresh && record.Family != "" {
			which = Selector{Family: record.Family}
		}
		n, err := s.config.Store.Revoke(ctx, which)
		if err != nil {
			return client, unavailable(fmt.Errorf("revoke a token: %w", err))
		}
		s.hookRevoked(ctx, record, n)
		s.config.Logger.LogAttrs(ctx, slog.LevelInfo, "token revoked",
			slog.String("client", client.ID), slog.String("kind", string(record.Kind)))
		err = s.observe(ctx, Event{
			Kind: EventTokenRevoked, Client: client.ID, Subject: record.Subject, Scopes: record.Scopes, Audience: record.Audience,
			Token: publicID(record), Family: record.Family, Address: s.address(r), Reason: string(record.Kind), Count: n,
		})
		if err != nil {
			return client, err
		}
	}
	noStore(w)
	w.WriteHeader(http.StatusOK)
	return client, nil
}

// confirmOwners takes records back if their client was deleted meanwhile, or their
// user must not get tokens any more. Who deletes either revokes what it has
// after that, so of one that is still there now nothing is missed. What is spent
// for tokens would be gone by then.
func (s *Server) confirmOwners(ctx context.Context, records []Record) error {
	client, err := s.config.Clients.Client(ctx, records[0].Client)
	refusal := error(invalidClient("client authentication failed", errors.New("the client was deleted meanwhile")))
	if err == nil {
		if err = s.hookSubject(ctx, client, records[0].Subject); err == nil {
			return nil
		}
		refusal = err
	}
	if e := (*Error)(nil); !errors.Is(err, ErrNotFound) && !errors.As(err, &e) {
		return unavailable(fmt.Errorf("look up the client and user of a token: %w", err)) // nobody gets what it is about
	}
	for _, r := range records {
		if _, err := s.config.Store.Revoke(ctx, Selector{Key: r.Key}); err != nil {
			return unavailable(fmt.Errorf("take back a token: %w", err))
		}
	}
	return refusal
}
