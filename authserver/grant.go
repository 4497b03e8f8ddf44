package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/internal/dpop"
	"github.com/sneckauth/sneck/internal/strictjson"
	"github.com/sneckauth/sneck/scopes"
)

// A Grant is a way to get tokens: a grant type of the token endpoint. The
// built-in ones are values like any other: [ClientCredentials],
// [AuthorizationCode], [RefreshToken] and [DeviceCode]; [JWTBearer], which has to
// be told whom to trust; and, for those who can not do without them yet,
// [LegacyPassword] and [LegacyImplicit].
type Grant struct {
	// Type is the "grant_type", a name of RFC 6749 or an absolute URI.
	Type string
	// Public allows the grant to public clients, which do not authenticate.
	Public bool
	// Handle decides over a request of a client that is authenticated and has
	// the grant type in its record. It changes nothing: whatever has to happen
	// when the tokens are issued is in the Issue, so that it happens with it
	// or not at all. To refuse, it returns an *Error; other errors are
	// reported as an outage.
	Handle func(ctx context.Context, r *GrantRequest) (*Issue, error)
}

// A GrantRequest is a request to the token endpoint. It is read-only.
type GrantRequest struct {
	Client *Client
	Form   Form

	server *Server
	// proved are the keys that the client has proved to hold.
	proved confirmation
	// proof is how, as long as it is not spent.
	proof   *dpop.Proof
	request *http.Request // nil at the authorization endpoint
	from    netip.Addr
}

// An Issue says what is to be issued.
type Issue struct {
	// Subject is the resource owner; empty for the client itself.
	Subject string
	// Scopes is what the access token grants. If nil, the server grants what
	// the request asks for and the client may have.
	Scopes scopes.Set
	// Audience is who the access token is meant for. If nil, the server takes
	// the resources of the request, or the default.
	Audience []string
	// Claims is said about the access token besides: a JSON object without
	// the members that the server sets itself, or nil.
	Claims json.RawMessage
	// Family joins the tokens with what they were issued from; the server
	// makes one up where there is a resource owner or a refresh token.
	Family string
	// Refresh asks for a refresh token, which the client gets if it may use
	// the grant type. RefreshScopes and RefreshAudience are those of the
	// refresh token where it keeps more than the access token has.
	Refresh         bool
	RefreshScopes   scopes.Set
	RefreshAudience []string
	// RefreshUntil is when the family ends at the latest; zero lets the
	// server count from now.
	RefreshUntil time.Time
	// Spend is what is used up by this, or nil. The server sets its Now and
	// Yield. A record that can no longer be used is refused as invalid_grant.
	Spend *Spend
	// Reused is called if the record was spent before, and may be nil. It is
	// where what the first use has yielded gets revoked.
	Reused func(ctx context.Context, r Record) error

	// own says that it is for the client itself. That the subject is the client
	// does not: a grant may know somebody by that name.
	own bool
	// keep is a refresh token that stays valid and is reported again.
	keep string
	// generation counts the rotations of a refresh token.
	generation int
	// registered is what of the audience of a refresh token its client was
	// registered for before.
	registered []string
	// taken is called if a key that is to be written is taken, other than by
	// bad luck, before the next attempt; or nil.
	taken func(ctx context.Context) error
}

// ClientCredentials is the grant of a client that acts for nobody but itself.
// It yields no refresh token (RFC 6749, section 4.4).
func ClientCredentials() Grant {
	return Grant{
		Type: GrantClientCredentials,
		Handle: func(context.Context, *GrantRequest) (*Issue, error) {
			return &Issue{}, nil
		},
	}
}

// The built-in grant types (RFC 6749, sections 4.1.3, 4.4.2 and 6).
const (
	GrantClientCredentials = "client_credentials"
	GrantAuthorizationCode = "authorization_code"
	GrantRefreshToken      = "refresh_token"
)

const typeBearer = "Bearer"

// complete fills in what the grant has left to the server.
func (s *Server) complete(ctx context.Context, grantType string, r *GrantRequest, issue *Issue) error {
	var err error
	if issue.Subject == "" {
		issue.Subject, issue.own = r.Client.ID, true
	}
	issue.own = issue.own || grantType == GrantClientCredentials && issue.Subject == r.Client.ID
	if issue.Audience == nil {
		if issue.Audience, err = s.audience(r.Client, r.Form.Resources()); err != nil {
			return err
		}
	}
	if issue.Scopes == nil {
		issue.Scopes, err = s.grantScopes(ctx, r.Client, r.Form.Get("scope"), scopes.Request{
			ClientID: r.Client.ID, GrantType: grantType, Subject: issue.Subject, Audience: issue.Audience,
		})
		if err != nil {
			return err
		}
	}
	return checkClaims(issue.Claims)
}

// reserved are the members of an introspection answer that the server sets.
var reserved = []string{
	"active", "scope", "client_id", "token_type", "exp", "iat", "nbf", "sub", "aud", "iss", "jti", "cnf",
}

// checkClaims refuses claims that would contradict what the server says.
func checkClaims(claims json.RawMessage) error {
	if claims == nil {
		return nil
	}
	var members map[string]json.RawMessage
	if err := strictjson.Unmarshal(claims, &members); err != nil || members == nil {
		return errors.New("the claims of a token are not a JSON object with distinct members")
	}
	for name := range maps.Keys(members) {
		// Some readers take no notice of the case.
		if slices.ContainsFunc(reserved, func(r string) bool { return strings.EqualFold(r, name) }) {
			return fmt.Errorf("the claims of a token have %q, which the server sets", name)
		}
	}
	return nil
}

// maxAttempts is how often tokens are made up before a generator that yields
// nothing but tokens that exist is given up.
const maxAttempts = 10

// issue makes up the tokens and writes their records, in one step with what is
// spent for them.
func (s *Server) issue(ctx context.Context, grantType string, r *GrantRequest, issue *Issue) (*tokenAnswer, error) {
	request := &TokenRequest{
		GrantType: grantType, Client: r.Client,
		Subject: issue.Subject, Scopes: issue.Scopes, Audience: issue.Audience,
	}
	if err := s.hookSubject(ctx, r.Client, issue.Subject); err != nil {
		return nil, err
	}
	if err := s.hookScopes(ctx, request); err != nil {
		return nil, err
	}
	issue.Scopes = request.Scopes
	claims, err := s.hookClaims(ctx, request, issue.Claims)
	if err == nil {
		claims, err = r.proved.claims(claims)
	}
	if err != nil {
		return nil, err
	}
	keys, err := s.signing(ctx, r.Client)
	if err != nil {
		return nil, err
	}
	now := s.config.Now()
	ttl := s.ttl(ctx, request)
	if keys != nil && keys.maxTTL > 0 {
		ttl = min(ttl, keys.maxTTL)
	}
	a := &tokenAnswer{TokenType: r.proved.tokenType(), ExpiresIn: int64(ttl / time.Second), Scope: issue.Scopes.String(), RefreshToken: issue.keep}

	withRefresh := issue.Refresh && issue.keep == "" && s.refreshes(r.Client)
	if issue.Family == "" && (withRefresh || !issue.own) {
		issue.Family = string(appendRandom(nil, familyLen))
	}
	yield := []Record{{
		Kind: KindAccess, Family: issue.Family, Client: r.Client.ID, Subject: issue.Subject,
		Scopes: issue.Scopes, Audience: issue.Audience,
		Issued: now.Truncate(time.Second), Expires: wholeSecond(now).Add(ttl),
	}}
	if withRefresh {
		refresh, err := s.refreshRecord(now, r, issue)
		if err != nil {
			return nil, err
		}
		yield = append(yield, refresh)
	}
	for range maxAttempts {
		var err error
		if a.AccessToken, err = s.accessToken(ctx, keys, request, &yield[0], claims); err != nil {
			return nil, err
		}
		if withRefresh {
			if a.RefreshToken, err = s.generate(ctx, s.config.RefreshToken, request); err != nil {
				return nil, err
			}
			yield[1].Key, yield[1].Random = KeyOf(a.RefreshToken), s.config.ownRefreshTokens
		}
		err = s.write(ctx, now, issue, yield)
		if err == nil {
			a.id = publicID(yield[0])
			return a, nil
		}
		if errors.Is(err, ErrExists) && issue.taken != nil {
			err = issue.taken(ctx)
		}
		if err != nil && !errors.Is(err, ErrExists) {
			return nil, err
		}
	}
	return nil, unavailable(errors.New("the token generator yields only tokens that exist"))
}

// familyLen base62 characters carry 131 bits.
const familyLen = 22

func (s *Server) generate(ctx context.Context, f TokenGenerator, r *TokenRequest) (string, error) {
	token, err := f(ctx, r)
	if err != nil {
		return "", unavailable(fmt.Errorf("generate a token: %w", err))
	}
	if !sneck.ValidToken(token) {
		return "", unavailable(errors.New("the generated token is not a b64token"))
	}
	return token, nil
}

// write creates the records, in one step with what is spent for them. It
// returns ErrExists if a key is taken.
func (s *Server) write(ctx context.Context, now time.Time, issue *Issue, yield []Record) error {
	if issue.Spend == nil {
		err := s.config.Store.Create(ctx, yield...)
		switch {
		case errors.Is(err, ErrExists):
			return err
		case err != nil:
			return unavailable(fmt.Errorf("store a token: %w", err))
		}
		return s.confirmOwners(ctx, yield)
	}
	spend := *issue.Spend
	spend.Now, spend.Yield = now, append(yield[:len(yield):len(yield)], spend.Yield...)
	record, err := s.config.Store.Spend(ctx, spend)
	switch {
	case err == nil, errors.Is(err, ErrExists):
		return err
	case errors.Is(err, ErrSpent):
		if issue.Reused != nil {
			if err := issue.Reused(ctx, record); err != nil {
				return unavailable(fmt.Errorf("revoke after reuse: %w", err))
			}
		}
		return invalidGrant(err)
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrExpired):
		return invalidGrant(err)
	}
	return unavailable(fmt.Errorf("spend a record: %w", err))
}

// reused revokes all that was issued from the same approval as a record that
// was used again.
func (r *GrantRequest) reused(ctx context.Context, record Record) error {
	s := r.server
	which := Selector{Family: record.Family}
	if record.Family == "" {
		which = Selector{Key: record.Key}
	}
	n, err := s.config.Store.Revoke(ctx, which)
	if err != nil {
		return err
	}
	s.logReuse(ctx, record, n)
	s.hookRevoked(ctx, record, n)
	return s.observe(ctx, Event{
		Kind: EventReuseDetected, Client: record.Client, Subject: record.Subject, Scopes: record.Scopes, Audience: record.Audience,
		Token: tokenID(record.Key), Family: record.Family, Address: r.from, Reason: string(record.Kind), Count: n,
	})
}
