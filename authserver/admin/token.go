package admin

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/sneckauth/sneck/authserver"
)

// A Token is what is known of a token that is still good, but for the token
// and its key.
type Token struct {
	// Kind is "access" or "refresh".
	Kind string `json:"kind"`
	// ID is the "jti" that introspection reports.
	ID string `json:"jti"`
	// Family joins all that was issued from one approval.
	Family string `json:"family,omitempty"`
	// Client is the client that it was issued to.
	Client string `json:"client_id"`
	// Subject is the person, or the client itself.
	Subject string `json:"sub"`
	// Scope is what it allows, with spaces between.
	Scope string `json:"scope"`
	// Audience is who it is meant for.
	Audience []string `json:"aud"`
	// Issued is when it was issued.
	Issued time.Time `json:"issued"`
	// Expires is when it ends; zero for never.
	Expires time.Time `json:"expires,omitzero"`
}

// A TokenSelector selects the tokens that have all of the fields that are set.
type TokenSelector struct {
	// ID is the "jti" that introspection reports.
	ID string `json:"jti,omitempty"`
	// Family joins all that was issued from one approval.
	Family string `json:"family,omitempty"`
	// Client is the client that they were issued to.
	Client string `json:"client_id,omitempty"`
	// Subject is the person, or the client itself.
	Subject string `json:"sub,omitempty"`
}

func (s TokenSelector) records() authserver.Selector {
	return authserver.Selector{Family: s.Family, Client: s.Client, Subject: s.Subject}
}

func tokenOf(r authserver.Record) Token {
	t := Token{
		Kind: string(r.Kind), ID: r.TokenID(), Family: r.Family, Client: r.Client, Subject: r.Subject,
		Scope: r.Scopes.String(), Audience: append([]string{}, r.Audience...), Issued: r.Issued.UTC(),
	}
	if !r.Expires.IsZero() {
		t.Expires = r.Expires.UTC()
	}
	return t
}

var errNoSelector = refuse(ErrInvalid, "nothing says which tokens (hint: client_id, sub, family or jti)")

// Tokens returns up to limit tokens that are still good and that the selector
// selects, and what to begin the next page after; empty if there are no more.
// The selector must name a client, subject or family. The order is always the
// same and means nothing. A bounded number of records is looked at, so there
// may be fewer than limit, or none, and more to come.
func (o *Operations) Tokens(ctx context.Context, which TokenSelector, after string, limit int) (page []Token, next string, err error) {
	from, err := parsePosition(after)
	if err != nil {
		return nil, "", err
	}
	if which.records().IsZero() {
		return nil, "", refuse(ErrInvalid, "nothing says which tokens (hint: client_id, sub or family)")
	}
	page, limit = []Token{}, pageSize(limit)
	now := o.config.Now()
	for looked := 0; looked < maxLooks; looked += MaxPage {
		records, err := o.config.Store.List(ctx, "", which.records(), from, MaxPage)
		if err != nil {
			return nil, "", fmt.Errorf("admin: list tokens: %w", err)
		}
		for i, r := range records {
			from = r.Key
			if !live(r, now) || which.ID != "" && which.ID != r.TokenID() {
				continue
			}
			if page = append(page, tokenOf(r)); len(page) < limit {
				continue
			}
			if i == len(records)-1 && len(records) < MaxPage {
				return page, "", nil
			}
			return page, position(from), nil
		}
		if len(records) < MaxPage {
			return page, "", nil
		}
	}
	return page, position(from), nil
}

// live reports whether a record is a token that is still good.
func live(r authserver.Record, now time.Time) bool {
	return (r.Kind == authserver.KindAccess || r.Kind == authserver.KindRefresh) && r.Spent.IsZero() && !r.ExpiredAt(now)
}

// positionLen bytes of a key say where a page has ended. That is not the key,
// and of 2^64 no two tokens share them.
const positionLen = 8

func position(k authserver.Key) string {
	return base64.RawURLEncoding.EncodeToString(k[:positionLen])
}

// parsePosition returns the last key with the position.
func parsePosition(text string) (k authserver.Key, err error) {
	if text == "" {
		return k, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != positionLen {
		return k, refuse(ErrInvalid, "%q is not where a page has ended (hint: the next of an answer)", text)
	}
	for i := range k {
		k[i] = 0xFF
	}
	copy(k[:], raw)
	return k, nil
}

// RevokeTokens revokes tokens, and whatever else could yield such: codes, and
// what people have consented to. It returns how many records that were. Of a
// selector with an ID it is that token; a refresh token takes its family with
// it (RFC 7009, section 2.1). It is ErrNotFound if an ID is not there.
//
// Sessions of people go on. To find an ID without any other field, the tokens
// of all clients are looked at.
func (o *Operations) RevokeTokens(ctx context.Context, which TokenSelector) (int64, error) {
	if which == (TokenSelector{}) {
		return 0, errNoSelector
	}
	event := authserver.Event{
		Kind: authserver.EventTokenRevoked, Client: which.Client, Subject: which.Subject, Family: which.Family, Token: which.ID,
	}
	var err error
	if which.ID == "" {
		event.Count, err = o.revokeGranted(ctx, which.records())
	} else {
		var r authserver.Record
		if r, err = o.findToken(ctx, which); err != nil {
			return 0, err
		}
		event.Client, event.Subject, event.Family = r.Client, r.Subject, r.Family
		event.Scopes, event.Audience, event.Reason = r.Scopes, r.Audience, string(r.Kind)
		selector := authserver.Selector{Key: r.Key}
		if r.Kind == authserver.KindRefresh && r.Family != "" {
			selector = authserver.Selector{Family: r.Family, Client: r.Client}
		}
		event.Count, err = o.config.Store.Revoke(ctx, selector)
	}
	if err != nil && event.Count == 0 {
		return 0, fmt.Errorf("admin: revoke tokens: %w", err)
	}
	if recordErr := o.record(ctx, event); err == nil {
		err = recordErr
	}
	return event.Count, err
}

// revokeGranted revokes what was granted to clients. There are other records
// with a client, which only say that something was used, and must stay; and
// some with a subject, as sessions, which are of no client.
func (o *Operations) revokeGranted(ctx context.Context, which authserver.Selector) (n int64, err error) {
	for after := (authserver.Key{}); ; {
		records, err := o.config.Store.List(ctx, "", which, after, MaxPage)
		if err != nil {
			return n, err
		}
		done := map[authserver.Selector]bool{}
		for _, r := range records {
			after = r.Key
			one := which
			switch one.Client = r.Client; {
			case r.Client == "" || r.Subject == "" && r.Family == "":
				continue
			case which.Family != "":
			case r.Subject != "":
				one.Subject = r.Subject
			default:
				one.Family = r.Family
			}
			if done[one] {
				continue
			}
			done[one] = true
			revoked, err := o.config.Store.Revoke(ctx, one)
			n += revoked
			if err != nil {
				return n, err
			}
		}
		if len(records) < MaxPage {
			return n, nil
		}
	}
}

// findToken returns the live token with the ID.
func (o *Operations) findToken(ctx context.Context, which TokenSelector) (authserver.Record, error) {
	if !which.records().IsZero() {
		return o.findAmong(ctx, which.records(), which.ID)
	}
	for after := ""; ; {
		clients, err := o.config.Clients.ListClients(ctx, after, MaxPage)
		if err != nil {
			return authserver.Record{}, fmt.Errorf("admin: list clients: %w", err)
		}
		for _, c := range clients {
			after = c.ID
			r, err := o.findAmong(ctx, authserver.Selector{Client: c.ID}, which.ID)
			if !isNotFound(err) {
				return r, err
			}
		}
		if len(clients) < MaxPage {
			return authserver.Record{}, noToken(which.ID)
		}
	}
}

func (o *Operations) findAmong(ctx context.Context, which authserver.Selector, id string) (authserver.Record, error) {
	now := o.config.Now()
	for after := (authserver.Key{}); ; {
		records, err := o.config.Store.List(ctx, "", which, after, MaxPage)
		if err != nil {
			return authserver.Record{}, fmt.Errorf("admin: list tokens: %w", err)
		}
		for _, r := range records {
			after = r.Key
			if live(r, now) && r.TokenID() == id {
				return r, nil
			}
		}
		if len(records) < MaxPage {
			return authserver.Record{}, noToken(id)
		}
	}
}

func noToken(id string) error {
	return refuse(ErrNotFound, "there is no live token %q (hint: it may have expired, or be revoked already)", id)
}
