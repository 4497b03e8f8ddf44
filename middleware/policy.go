package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/scopes"
)

// A Policy is what one route demands of a request. The zero Policy admits
// nobody, since the zero [scopes.Requirement] is met by no token.
type Policy struct {
	// Name is what decisions call the policy ([Decision.Rule]).
	Name string
	// Scopes is what the token must grant.
	Scopes scopes.Requirement
	// ScopesOf, if set, says what the token must grant instead of Scopes, for
	// a resource whose operations are told apart by more than method and
	// path, such as by the body. It is called for a token that is good in
	// every other way but for ACR and MaxAge. It may read the body if it puts
	// that back ([http.Request.Body]), and must bound what it reads. If it
	// returns an error, the request is refused with 400. Scopes is then what
	// clients are told that have no token yet.
	ScopesOf func(*http.Request, *sneck.Token) (scopes.Requirement, error)
	// Audience, if set, lists the identifiers of which the token must be meant
	// for one, instead of those of the [Config].
	Audience []string
	// Optional admits a request without a token; the handler then finds no
	// token in its context. A token that is there must still pass, so that
	// a client learns of its mistake instead of being served as a stranger.
	Optional bool

	// MaxStaleness is how long before the request the authority may have
	// been asked about the token. An older verdict is asked for anew, and if
	// it can not be had, the request is refused like in an outage. Zero
	// leaves it to the Verifier.
	MaxStaleness time.Duration
	// AlwaysAsk has the authority asked for this very request.
	AlwaysAsk bool

	// SenderConstrained admits only tokens that are bound to a key which the
	// sender proved to hold, as DPoP or MTLS of the [Config] allow.
	SenderConstrained bool
	// ACR lists the authentication contexts of which the user's sign-in must
	// have reached one, in order of preference (RFC 9470).
	ACR []string
	// MaxAge is how long ago the user may have signed in, in whole seconds.
	// Zero does not ask.
	MaxAge time.Duration

	// Otherwise, if set, is asked first whether the request is authenticated
	// by something else than a token, such as a session or a client's name
	// and password. It may return:
	//
	//   - who it is, as a Token that has whatever the handler should find:
	//     the request is admitted without further checks;
	//   - nil and no error: the request has no such credentials, and needs a
	//     token;
	//   - an error that wraps [sneck.ErrInvalid]: the credentials are wrong,
	//     and the request is refused with 401;
	//   - any other error: the request is refused with 503.
	//
	// Browsers send sessions along with requests that other sites make: see
	// [http.CrossOriginProtection].
	Otherwise func(*http.Request) (*sneck.Token, error)
	// OtherwiseChallenge is the value of a further WWW-Authenticate field of
	// a 401, such as `Basic realm="clients"`; empty for none.
	OtherwiseChallenge string

	// DangerouslyShadow admits what the policy refuses, with no token in the
	// context. Decisions are reported as ever, so that a policy can be tried
	// on real traffic before it is enforced.
	DangerouslyShadow bool

	unmatched bool // it stands for the lack of a route
	ambiguous bool // and of it that there may be several
}

// empty reports whether nothing but the Name is set.
func (p Policy) empty() bool {
	p.Name = ""
	return reflect.ValueOf(p).IsZero()
}

// check returns every mistake in the policy.
func (p *Policy) check(c *Config) error {
	var errs []error
	mistake := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("middleware: "+format, args...))
	}
	if err := p.Scopes.Check(); err != nil {
		mistake("%w", err)
	}
	if slices.Contains(p.Audience, "") {
		mistake("Policy.Audience has an empty identifier")
	}
	if p.MaxStaleness < 0 {
		mistake("MaxStaleness %v is negative (hint: AlwaysAsk)", p.MaxStaleness)
	}
	if p.AlwaysAsk && p.MaxStaleness != 0 {
		mistake("AlwaysAsk and MaxStaleness contradict each other")
	}
	if p.SenderConstrained && !c.DPoP.Mode.on() && !c.MTLS.Mode.on() {
		mistake("SenderConstrained needs DPoP or MTLS in the Config")
	}
	for _, acr := range p.ACR {
		if acr == "" || strings.Contains(acr, " ") || !quotable(acr) {
			mistake("ACR %q is not a value without spaces", acr)
		}
	}
	if p.MaxAge < 0 || p.MaxAge%time.Second != 0 {
		mistake("MaxAge %v is not a number of whole seconds", p.MaxAge)
	}
	if !quotable(p.OtherwiseChallenge) || p.OtherwiseChallenge != "" && p.Otherwise == nil {
		mistake("OtherwiseChallenge %q is malformed, or without Otherwise", p.OtherwiseChallenge)
	}
	return errors.Join(errs...)
}

// signedIn reports whether the user signed in as the policy demands (RFC
// 9470, section 6). What a token does not say does not count.
func (p *Policy) signedIn(t *sneck.Token, now time.Time) bool {
	if p.MaxAge > 0 && (t.AuthTime.IsZero() || now.Sub(t.AuthTime) > p.MaxAge) {
		return false
	}
	if len(p.ACR) == 0 {
		return true
	}
	for _, acr := range p.ACR {
		if acr == t.ACR {
			return true
		}
	}
	return false
}

// tooStale reports whether a verdict is older than a request of the given
// time may use. One of unknown age is.
func (p *Policy) tooStale(t *sneck.Token, start time.Time) bool {
	return (p.AlwaysAsk || p.MaxStaleness > 0) && start.Sub(t.VerifiedAt) > p.MaxStaleness
}
