package authserver

import (
	"context"
	"log/slog"
	"time"

	"github.com/sneckauth/sneck/scopes"
)

// Config configures a [Server]. Issuer, Store and Clients are mandatory; the
// zero value of every other field is the safe choice.
type Config struct {
	// Issuer is the URL that identifies the server: https, or http on a
	// loopback host, with neither query nor fragment (RFC 8414, section 2).
	// The endpoints are below it.
	Issuer string
	// Store keeps what is issued.
	Store Store
	// Clients knows the clients.
	Clients Clients

	// AccessTokenTTL is the life of access tokens in whole seconds; zero means
	// one hour. It counts unless the client's record has another.
	AccessTokenTTL time.Duration
	// TokenExpiresIn, if set, decides over the life of each token, whatever
	// the fields say. It must return whole seconds; what is not positive
	// leaves the decision to the fields.
	TokenExpiresIn func(ctx context.Context, r *TokenRequest) time.Duration
	// AccessTokenFormat is the form of access tokens; if empty, they are
	// opaque. A client's record may say otherwise. JWTs need Keys.
	AccessTokenFormat TokenFormat
	// Keys are what JWTs are signed with, and what is published for those who
	// verify them.
	Keys KeySource
	// AccessToken, if set, makes up opaque access tokens instead of the
	// built-in generator, and RecognizeToken should be set as well.
	AccessToken TokenGenerator
	// RecognizeToken reports whether an opaque token may be one of this
	// server's; the store is not asked for others. If nil, it is [WellFormed], or always
	// true if AccessToken is set.
	RecognizeToken func(token string) bool

	// Login says who the user is and whether they approve. Without it, there
	// is no authorization endpoint.
	Login LoginFunc
	// Pages replaces the plain pages that are shown besides.
	Pages Pages
	// ApprovalPrompt says when users are asked for consent; zero means every
	// time.
	ApprovalPrompt ApprovalPrompt
	// AuthorizationCodeTTL is the life of authorization codes: zero means one
	// minute, more than ten are refused.
	AuthorizationCodeTTL time.Duration
	// PKCERequired decides which clients have to use PKCE (RFC 7636); nil
	// means all. Public clients always have to.
	PKCERequired func(clientID string) bool
	// InsecureAllowPlainPKCE allows the method "plain" besides "S256": who
	// sees the request can then use the code.
	InsecureAllowPlainPKCE bool
	// RedirectSchemes lists the schemes that redirect URIs may have; nil means
	// https and http, the latter for loopback hosts.
	RedirectSchemes []string
	// InsecureHTTPRedirects allows http redirect URIs of any host: who listens
	// gets the code.
	InsecureHTTPRedirects bool

	// DeviceCodeTTL is how long a user has to connect a device, in whole
	// seconds; zero means ten minutes, more than an hour is refused.
	DeviceCodeTTL time.Duration

	// RefreshTokenTTL is how long after the approval its refresh tokens can be
	// used, however often they are rotated; zero means 30 days. See
	// NoRefreshTokens and Never.
	RefreshTokenTTL time.Duration
	// RefreshTokenIdle is how long a refresh token can be used after it was
	// issued; zero sets no such limit. As every use yields a new one, this
	// ends what is not used.
	RefreshTokenIdle time.Duration
	// RefreshGrace is how long after its first use a refresh token may be used
	// again by the same client, which may have lost the answer; it gets a
	// further pair of tokens. Zero forgives nothing.
	RefreshGrace time.Duration
	// RefreshReuse says what reuse outside of the grace period leads to.
	RefreshReuse ReusePolicy
	// RotateRefreshToken decides whether a refresh token is replaced when it
	// is used; nil replaces it always. Those of public clients always are.
	RotateRefreshToken func(ctx context.Context, refresh Record) bool
	// RefreshToken, if set, makes up refresh tokens instead of the built-in
	// generator.
	RefreshToken TokenGenerator

	// Grants lists the grant types that the token endpoint answers; nil means
	// all that are built in and have what they need.
	Grants []Grant

	// Decoder reads the parameters of requests that do not come from a
	// browser; nil means DecodeForm.
	Decoder Decoder
	// Hooks are called at each step.
	Hooks Hooks

	// Scopes says which scopes there are; nil means the zero scopes.Static,
	// which has "read" and "write".
	Scopes scopes.Backend
	// DefaultScopes are granted to a request that names none, unless the
	// client or the scope backend has defaults of its own. AllScopes stands
	// for all of them but IntrospectionScope and AdminScope. Each must be
	// one that Scopes knows.
	DefaultScopes []string
	// Audience is who the tokens of clients without an audience of their own
	// are meant for. If it is empty too, such a client gets no token until it
	// asks for a resource: a token for everybody is not issued.
	Audience []string

	// ClientID makes up client identifiers for NewClient; nil means 32 random
	// base62 characters.
	ClientID func() string
	// ClientSecret makes up client secrets for NewClient; nil means random
	// base62 characters of ClientSecretLength.
	ClientSecret func() string
	// ClientSecretLength is the number of characters of generated secrets:
	// zero means DefaultSecretLength, less than MinSecretLength is refused.
	ClientSecretLength int

	// Sealer encrypts the secrets of clients that authenticate by
	// "client_secret_jwt". Without it, there are none.
	Sealer *Sealer
	// Assertions says how clients authenticate with JWTs.
	Assertions Assertions
	// DPoPNonceKey, if set, has the token endpoint demand DPoP proofs that hold
	// a nonce which it handed out not long ago (RFC 9449, section 8), so that
	// nobody can make proofs ahead of time. Who sends another is answered with
	// "use_dpop_nonce" and the nonce, and every answer to a proof of a client
	// that has authenticated has the next one. It is a secret of at least 32 bytes, the same for all servers with
	// the issuer.
	DPoPNonceKey []byte
	// DPoPNonceTTL is how long a nonce is good, at least; five minutes if zero.
	// It is good for at most twice as long.
	DPoPNonceTTL time.Duration
	// MutualTLS says how certificates of clients are taken; nil takes none.
	MutualTLS *MutualTLS
	// SecretHasher, if set, hashes client secrets in place of the built-in
	// ways.
	SecretHasher SecretHasher
	// SecretPeppers are keys of 16 random bytes or more for the digests of
	// generated client secrets: without them, what is in the database does
	// not help to find a secret. The first is for new digests. The others are
	// old ones, still accepted; what is under them, or under none, gets the
	// first when it is used.
	SecretPeppers [][]byte

	// Limits says how often clients and addresses may ask.
	Limits Limits
	// Proxies says which proxies stand in front of the server, for the limits,
	// for events, and for MutualTLS.Header.
	Proxies Proxies

	// Observe, if set, is called with every Event, before the answer is sent.
	// It must not block.
	Observe func(ctx context.Context, e Event)
	// Audit, if set, is called with every Event too, and returns when the
	// event is on record; package audit has one. If that fails, the server
	// logs an error and goes on, and once it works again, an EventAuditLost
	// says how many are missing.
	Audit func(ctx context.Context, e Event) error
	// AuditRequired refuses with 503 what can not be audited.
	AuditRequired bool
	// ObserveIntrospections has introspections observed and audited, too.
	ObserveIntrospections bool

	// Sweep says how Run and DeleteExpired clean up.
	Sweep Sweep

	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Logger gets the causes of refusals and failures; nil is silent. Tokens
	// and secrets are never logged.
	Logger *slog.Logger

	recognizeRefresh func(token string) bool
	// ownTokens and ownRefreshTokens are set if the built-in generators make
	// them up.
	ownTokens, ownRefreshTokens bool
}

const (
	// AllScopes among the DefaultScopes stands for every scope that there is,
	// but for IntrospectionScope and AdminScope.
	AllScopes = "__all__"
	// IntrospectionScope is the scope of a token that may introspect others.
	// It has to be asked for by name.
	IntrospectionScope = "introspection"
	// AdminScope is the scope of a token that may administer the server: see
	// package admin. It has to be asked for by name, and is never a default.
	AdminScope = "sneck:admin"
)
