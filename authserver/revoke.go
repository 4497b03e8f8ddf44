package authserver

import (
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
	if err = ErrNotFound; sneck.ValidToken(token) && (s.config.RecognizeToken(token) || s.config.recognizeRefresh(token)) {
		record, err = s.config.Store.Get(ctx, KeyOf(token))
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
			Token: tokenID(record.Key), Family: record.Family, Address: s.address(r), Reason: string(record.Kind), Count: n,
		})
		if err != nil {
			return client, err
		}
	}
	noStore(w)
	w.WriteHeader(http.StatusOK)
	return client, nil
}
