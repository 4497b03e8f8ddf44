package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/sneckauth/sneck/scopes"
)

// RefreshTokenPrefix begins every refresh token of the built-in generator.
const RefreshTokenPrefix = "sneck_rt_"

const (
	// NoRefreshTokens as a RefreshTokenTTL means that none are issued.
	NoRefreshTokens time.Duration = -1
	// Never as a RefreshTokenTTL means that they do not expire.
	Never time.Duration = math.MaxInt64
)

// A ReusePolicy says what happens if a refresh token is used again after it
// was rotated, outside of the grace period: either its client or somebody
// else has an old copy.
type ReusePolicy int

const (
	// RevokeFamily revokes every token that came from the same approval (RFC
	// 9700, section 4.14.2).
	RevokeFamily ReusePolicy = iota
	// InsecureRefuseOnly refuses the old token and lets its successors live,
	// whoever has them.
	InsecureRefuseOnly
)

// refreshExtra is what a refresh token's record keeps besides.
type refreshExtra struct {
	// Until is when the family ends, in microseconds since 1970, which may be
	// later than the token for an idle limit; 0 for never.
	Until int64 `json:"until,omitempty"`
	// Claims is handed on to access tokens.
	Claims json.RawMessage `json:"claims,omitempty"`
	// Generation counts the rotations since the approval.
	Generation int `json:"generation,omitempty"`
	// Bound are the keys that a public client must prove to hold: it has
	// nothing else to authenticate by (RFC 9449, section 5; RFC 8705, section
	// 4).
	Bound confirmation `json:"cnf,omitzero"`
	// Registered is what of the audience the client was registered for when the
	// token, or one before it, was issued.
	Registered []string `json:"registered,omitempty"`
}

// refreshes reports whether the client gets refresh tokens.
func (s *Server) refreshes(c *Client) bool {
	return s.grantsType(GrantRefreshToken) && c.MayUse(GrantRefreshToken) && s.config.RefreshTokenTTL > 0
}

// refreshRecord returns the record of the refresh token of an issue, but for
// its key.
func (s *Server) refreshRecord(now time.Time, request *GrantRequest, issue *Issue) (Record, error) {
	r := Record{
		Kind: KindRefresh, Family: issue.Family, Client: request.Client.ID, Subject: issue.Subject,
		Scopes: issue.Scopes, Audience: issue.Audience, Issued: now,
	}
	if issue.RefreshScopes != nil {
		r.Scopes = issue.RefreshScopes
	}
	if issue.RefreshAudience != nil {
		r.Audience = issue.RefreshAudience
	}
	until := issue.RefreshUntil
	if until.IsZero() && s.config.RefreshTokenTTL != Never {
		until = now.Add(s.config.RefreshTokenTTL)
	}
	r.Expires = until
	if idle := s.config.RefreshTokenIdle; idle > 0 && (until.IsZero() || now.Add(idle).Before(until)) {
		r.Expires = now.Add(idle)
	}
	extra := refreshExtra{Claims: issue.Claims, Generation: issue.generation}
	for _, aud := range r.Audience {
		if contains(issue.registered, aud) || request.Client.registeredFor(aud) {
			extra.Registered = append(extra.Registered, aud)
		}
	}
	if request.Client.Public() {
		extra.Bound = request.proved
	}
	if !until.IsZero() {
		extra.Until = until.UnixMicro()
	}
	var err error
	r.Extra, err = json.Marshal(extra)
	return r, err
}

// RefreshToken is the grant of a client that has a refresh token (RFC 6749,
// section 6). The token is rotated: it is spent, and a successor comes with
// the new access token. A token that is used again reveals that there are two
// who have it, so its whole family is revoked (RFC 9700, section 4.14.2),
// unless Config.RefreshGrace forgives it.
func RefreshToken() Grant { return Grant{Type: GrantRefreshToken, Public: true, Handle: handleRefresh} }

func handleRefresh(ctx context.Context, r *GrantRequest) (*Issue, error) {
	s := r.server
	token := r.Form.Get("refresh_token")
	if token == "" {
		return nil, invalidRequest("refresh_token is missing")
	}
	now := s.config.Now()
	record, err := r.present(ctx, token, KindRefresh, s.config.recognizeRefresh)
	if err != nil {
		return nil, err
	}
	var extra refreshExtra
	if err := json.Unmarshal(record.Extra, &extra); err != nil {
		return nil, fmt.Errorf("the record of a refresh token is damaged: %w", err)
	}
	// Who does not hold the key must not be able to end the family either, so
	// this comes before reuse.
	if !r.proved.meets(extra.Bound) {
		return nil, invalidGrant(errors.New("the refresh token is bound to another key"))
	}
	if !record.Spent.IsZero() && !now.Before(record.Spent.Add(s.config.RefreshGrace)) {
		if err := r.refreshReused(ctx, record); err != nil {
			return nil, unavailable(err)
		}
		return nil, invalidGrant(ErrSpent)
	}
	if record.ExpiredAt(now) {
		return nil, invalidGrant(ErrExpired)
	}
	granted, audience, err := s.narrow(ctx, r, record, extra.Registered)
	if err != nil {
		return nil, err
	}
	issue := &Issue{
		Subject: record.Subject, Scopes: granted, Audience: audience, Claims: extra.Claims, Family: record.Family,
		Refresh: true, RefreshScopes: record.Scopes, RefreshAudience: record.Audience,
		Spend:  &Spend{Key: record.Key, Grace: s.config.RefreshGrace},
		Reused: r.refreshReused, registered: extra.Registered,
	}
	if extra.Until != 0 {
		issue.RefreshUntil = time.UnixMicro(extra.Until)
	}
	// Public clients rotate in any case (RFC 9700, section 2.2.2).
	if rotate := s.config.RotateRefreshToken; rotate != nil && !r.Client.Public() && !rotate(ctx, record) {
		issue.Spend.Keep, issue.keep = true, token
		return issue, nil
	}
	issue.generation = extra.Generation + 1
	if s.config.RefreshGrace > 0 && record.Spent.IsZero() {
		issue.taken = func(ctx context.Context) error { return r.oneBranch(ctx, record, extra.Generation, issue) }
		return issue, issue.taken(ctx)
	}
	return issue, nil
}

// oneBranch sees to it that of several tokens of one generation, which there
// are after a grace period was used, only one has successors: who comes with
// another one later is somebody else (RFC 9700, section 4.14.2). The first
// that is used leaves a mark with a key that all of the generation share.
func (r *GrantRequest) oneBranch(ctx context.Context, record Record, generation int, issue *Issue) error {
	s := r.server
	now := s.config.Now()
	mark := Record{
		Key: KeyOf(fmt.Sprintf("generation %d of %s", generation, record.Family)), Kind: kindGeneration,
		Family: record.Family, Client: record.Client, Subject: record.Subject, Issued: now, Expires: record.Expires,
	}
	used, err := s.config.Store.Get(ctx, mark.Key)
	switch {
	case errors.Is(err, ErrNotFound):
		issue.Spend.Yield = []Record{mark}
		return nil
	case err != nil:
		return unavailable(fmt.Errorf("ask the store: %w", err))
	case now.Before(used.Issued.Add(s.config.RefreshGrace)):
		issue.Spend.Yield = nil
		return nil
	}
	if err := r.spendProof(ctx); err != nil {
		return err
	}
	if err := r.refreshReused(ctx, record); err != nil {
		return unavailable(err)
	}
	return invalidGrant(errors.New("another token of the same generation was used before"))
}

// kindGeneration is the kind of the marks of oneBranch.
const kindGeneration Kind = "generation"

// present returns the record of what a client presents, whether it can still
// be used or not. If it was, and all that came of it might end, this is not for
// who repeats a request that they have seen.
func (r *GrantRequest) present(ctx context.Context, value string, kind Kind, recognize func(string) bool) (Record, error) {
	if !recognize(value) {
		return Record{}, invalidGrant(ErrNotFound)
	}
	record, err := r.server.config.Store.Get(ctx, KeyOf(value))
	switch {
	case errors.Is(err, ErrNotFound):
		return Record{}, invalidGrant(err)
	case err != nil:
		return Record{}, unavailable(fmt.Errorf("ask the store: %w", err))
	case record.Kind != kind:
		return Record{}, invalidGrant(fmt.Errorf("a %s was presented for a %s", record.Kind, kind))
	case record.Client != r.Client.ID:
		return Record{}, invalidGrant(fmt.Errorf("it was issued to client %q", record.Client))
	case !record.Spent.IsZero():
		return record, r.spendProof(ctx)
	}
	return record, nil
}

// narrow decides over scopes and audience of a new access token: no more than
// the refresh token has, and nothing that the client may not have any more.
// Refusing leaves the refresh token as it is.
func (s *Server) narrow(ctx context.Context, r *GrantRequest, record Record, registered []string) (scopes.Set, []string, error) {
	left, err := s.remaining(r.Client, record.Audience, registered)
	if err != nil {
		return nil, nil, err
	}
	audience, err := choose(r.Form.Resources(), func(resource string) bool { return contains(left, resource) })
	if err != nil {
		return nil, nil, err
	}
	if audience == nil {
		audience = left
	}
	asked, err := scopes.Parse(r.Form.Get("scope"))
	if err != nil {
		return nil, nil, &Error{Code: codeInvalidScope, Description: "the scope is malformed"}
	}
	if !record.Scopes.HasAll(asked) {
		return nil, nil, &Error{Code: codeInvalidScope, Description: "a scope was not granted before"}
	}
	allowed, err := s.allowedScopes(ctx, r.Client, scopes.Request{
		ClientID: r.Client.ID, GrantType: GrantRefreshToken, Subject: record.Subject, Audience: audience,
	})
	if err != nil {
		return nil, nil, err
	}
	if len(asked) == 0 {
		asked = record.Scopes
	}
	granted := intersect(asked, allowed)
	if len(granted) == 0 && len(asked) > 0 {
		return nil, nil, &Error{Code: codeInvalidScope, Description: "the client may have none of these scopes any more"}
	}
	if granted == nil {
		granted = scopes.Set{}
	}
	return granted, audience, nil
}

// remaining returns an audience without that for which the client was registered
// and is no longer. What it had otherwise stays: what a grant of its own has
// decided, and what was the server's default, whose change is to sign nobody out.
func (s *Server) remaining(c *Client, audience, registered []string) ([]string, error) {
	left := slices.DeleteFunc(slices.Clone(audience), func(aud string) bool {
		return contains(registered, aud) && !c.registeredFor(aud) && !contains(s.standardAudience(c), aud)
	})
	if len(left) == 0 && len(audience) > 0 {
		return nil, &Error{Code: codeInvalidTarget, Description: "the client may ask for none of these resources any more"}
	}
	return left, nil
}

// refreshReused is called when a spent refresh token is presented.
func (r *GrantRequest) refreshReused(ctx context.Context, record Record) error {
	if r.server.config.RefreshReuse == InsecureRefuseOnly {
		return nil
	}
	return r.reused(ctx, record)
}

func (s *Server) logReuse(ctx context.Context, r Record, revoked int64) {
	s.config.Logger.LogAttrs(ctx, slog.LevelWarn, "reuse detected",
		slog.String("kind", string(r.Kind)), slog.String("client", r.Client), slog.Int64("revoked", revoked))
}

func invalidGrant(cause error) *Error {
	return &Error{Code: codeInvalidGrant, Description: "what was presented is not valid, not for this client, or was used before", Err: cause}
}
