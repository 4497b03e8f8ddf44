package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/sneckauth/sneck"
)

// A Config is what a [Guard] is made from. Every zero field is the safe
// choice; Verifier and Audience have none and must be set.
type Config struct {
	// Verifier says what a token is.
	Verifier sneck.Verifier

	// Audience lists the identifiers of this resource server. A token must
	// be meant for at least one of them, compared byte by byte, or it is
	// refused as invalid (RFC 9700, section 2.3).
	Audience []string
	// DangerouslyAnyAudience takes tokens that were issued for any other
	// resource server of the same authority. Any of those servers can then
	// replay its callers' tokens here. It excludes Audience.
	DangerouslyAnyAudience bool

	// AllowFormBody also takes the token from the parameter access_token of
	// a form in the body of a POST, PUT or PATCH request (RFC 6750, section
	// 2.2). The guard then reads up to 64 KiB of every such body before it
	// knows who sent it, and hands the handler a copy.
	AllowFormBody bool
	// AllowQuery also takes the token from the parameter access_token in the
	// query of a GET request (RFC 6750, section 2.3). URLs end up in logs,
	// browser histories and Referer headers, and their tokens with them: of
	// three ways this is the worst (RFC 9700, section 4.3.2). The answer is
	// marked "Cache-Control: private", and the handler gets a URL without
	// the token.
	AllowQuery bool
	// AllowCookie also takes the token from the cookie of this name. Browsers
	// send cookies along with requests that other sites make, so the guard
	// refuses those unless they are safe ([http.CrossOriginProtection]). Do
	// not change anything on a GET.
	AllowCookie string

	// Realm names the protection space in challenges; "api" if empty.
	Realm string
	// ErrorWithScopes adds required_scopes to the JSON body of a 403. The
	// scope parameter of the challenge is there in any case.
	ErrorWithScopes bool
	// RetryAfter is sent with a 503 if the Verifier does not know better; one
	// second if zero. Fractions are rounded up, and no answer says more than
	// an hour.
	RetryAfter time.Duration

	// Logger gets a record of every refusal; nil is silent.
	Logger *slog.Logger
	// Observe is called with every decision before it is acted on; nil is
	// not called. It runs on the request's goroutine, so it must be quick
	// and safe for concurrent use.
	Observe func(context.Context, Decision)
	// Now returns the current time; nil is [time.Now].
	Now func() time.Time
}

const (
	defaultRealm      = "api"
	defaultRetryAfter = time.Second
	maxRetryAfter     = time.Hour
)

func (c *Config) check() error {
	var errs []error
	mistake := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("middleware: "+format, args...))
	}
	if c.Verifier == nil {
		mistake("Verifier is missing")
	}
	switch {
	case len(c.Audience) == 0 && !c.DangerouslyAnyAudience:
		mistake("Audience is missing (hint: name this resource server as the authorization server does, or set DangerouslyAnyAudience)")
	case len(c.Audience) > 0 && c.DangerouslyAnyAudience:
		mistake("Audience and DangerouslyAnyAudience contradict each other")
	case slices.Contains(c.Audience, ""):
		mistake("Audience has an empty identifier")
	}
	if c.AllowCookie != "" && (&http.Cookie{Name: c.AllowCookie}).Valid() != nil {
		mistake("AllowCookie %q is not the name of a cookie", c.AllowCookie)
	}
	if !quotable(c.Realm) {
		mistake("Realm %q has characters outside of printable ASCII", c.Realm)
	}
	if c.RetryAfter < 0 || c.RetryAfter > maxRetryAfter {
		mistake("RetryAfter %v is not between 0 and %v", c.RetryAfter, maxRetryAfter)
	}
	return errors.Join(errs...)
}
