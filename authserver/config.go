package authserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
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
	// AccessToken, if set, makes up access tokens instead of the built-in
	// generator, and RecognizeToken should be set as well.
	AccessToken TokenGenerator
	// RecognizeToken reports whether a token may be one of this server's; the
	// store is not asked for others. If nil, it is [WellFormed], or always
	// true if AccessToken is set.
	RecognizeToken func(token string) bool

	// Scopes says which scopes there are; nil means the zero scopes.Static,
	// which has "read" and "write".
	Scopes scopes.Backend
	// DefaultScopes are granted to a request that names none, unless the
	// client or the scope backend has defaults of its own. AllScopes stands
	// for all of them but IntrospectionScope. Each must be one that Scopes
	// knows.
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

	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Logger gets the causes of refusals and failures; nil is silent. Tokens
	// and secrets are never logged.
	Logger *slog.Logger
}

const (
	// AllScopes among the DefaultScopes stands for every scope that there is,
	// but for IntrospectionScope.
	AllScopes = "__all__"
	// IntrospectionScope is the scope of a token that may introspect others.
	// It has to be asked for by name.
	IntrospectionScope = "introspection"
)

const defaultAccessTokenTTL = time.Hour

// prepare returns a copy of c with all defaults filled in, and every mistake.
func (c Config) prepare() (Config, error) {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("authserver: "+format, args...))
	}
	if err := checkIssuer(c.Issuer); err != nil {
		bad("Issuer: %w", err)
	}
	if c.Store == nil {
		bad("Store is missing (hint: NewMemory for a start, or an adapter)")
	}
	if c.Clients == nil {
		bad("Clients is missing (hint: NewMemory for a start, or an adapter)")
	}
	if err := checkTTL("AccessTokenTTL", c.AccessTokenTTL); err != nil {
		bad("%w", err)
	}
	if c.AccessTokenTTL == 0 {
		c.AccessTokenTTL = defaultAccessTokenTTL
	}
	if c.RecognizeToken == nil {
		c.RecognizeToken = WellFormed
		if c.AccessToken != nil {
			c.RecognizeToken = func(string) bool { return true }
		}
	}
	if c.AccessToken == nil {
		c.AccessToken = func(context.Context, *TokenRequest) (string, error) { return NewAccessToken(), nil }
	}
	if c.Scopes == nil {
		c.Scopes = scopes.Static{}
	}
	var err error
	if c.DefaultScopes, err = expandDefaults(c.Scopes, c.DefaultScopes); err != nil {
		bad("DefaultScopes: %w", err)
	}
	if slices.Contains(c.Audience, "") {
		bad("Audience has an empty entry")
	}
	c.Audience = slices.Clone(c.Audience)
	if c.ClientSecretLength != 0 && (c.ClientSecretLength < MinSecretLength || c.ClientSecretLength > maxSecret) {
		bad("ClientSecretLength %d is not in %d to %d", c.ClientSecretLength, MinSecretLength, maxSecret)
	}
	if c.ClientSecretLength == 0 {
		c.ClientSecretLength = DefaultSecretLength
	}
	if c.ClientID == nil {
		c.ClientID = func() string { return string(appendRandom(nil, 32)) }
	}
	if c.ClientSecret == nil {
		n := c.ClientSecretLength
		c.ClientSecret = func() string { return string(appendRandom(nil, max(n, 0))) }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, errors.Join(errs...)
}

// checkIssuer refuses what is not an issuer identifier (RFC 8414, section 2)
// in the one spelling that clients compare byte by byte.
func checkIssuer(issuer string) error {
	if issuer == "" {
		return errors.New("is missing (hint: the URL under which clients reach the server, such as https://auth.example.com)")
	}
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || !isVSCHAR(issuer) || strings.ContainsAny(issuer, ` "\`):
		return fmt.Errorf("%q is not a URL", issuer)
	case strings.ContainsAny(issuer, "?#"):
		return fmt.Errorf("%q has a query or a fragment", issuer)
	case u.User != nil:
		return errors.New("has user information")
	case strings.HasSuffix(u.Path, "/"):
		return fmt.Errorf("%q ends with a slash (hint: leave it out)", issuer)
	case u.EscapedPath() != u.Path || hasDotSegment(u.Path) || strings.Contains(u.Path, "//"):
		return fmt.Errorf("the path of %q is not in its plain form", issuer)
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("%q is not https (hint: http is for loopback hosts only)", issuer)
	}
	return fmt.Errorf("%q is not https", issuer)
}

func hasDotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// expandDefaults checks the default scopes against those that exist.
func expandDefaults(backend scopes.Backend, names []string) ([]string, error) {
	all, err := backend.All(context.Background())
	if err != nil {
		return nil, fmt.Errorf("ask for all scopes: %w", err)
	}
	if err := scopes.CheckDescribed(all); err != nil {
		return nil, err
	}
	known := make(scopes.Set, len(all))
	for i, d := range all {
		known[i] = d.Name
	}
	var expanded []string
	for _, name := range names {
		if name == AllScopes {
			expanded = append(expanded, known.Without(scopes.Set{IntrospectionScope})...)
		} else {
			expanded = append(expanded, name)
		}
	}
	set, err := scopes.Of(expanded...)
	if err != nil {
		return nil, err
	}
	if unknown := set.Without(known); len(unknown) > 0 {
		return nil, fmt.Errorf("%q are not among the scopes %q", []string(unknown), []string(known))
	}
	return set, nil
}
