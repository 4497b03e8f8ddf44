package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/scopes"
)

// A Decision says whether a request may pass, and why. It holds nothing that
// lets anyone use the token. The zero Decision is a refusal.
type Decision struct {
	// Allowed is true if the request may pass.
	Allowed bool
	// Reason is why; it never changes its spelling.
	Reason Reason
	// Source is where the token was; empty if there was none.
	Source Source
	// Token is what the Verifier said, also if the request is refused for a
	// reason found later; nil if there was no verdict.
	Token *sneck.Token
	// Required is the alternative of the requirement that needs the fewest
	// further scopes, and Missing those of them that the token lacks; only
	// for [ReasonScope].
	Required, Missing scopes.Set
	// Age is how long ago the authority was asked about the token.
	Age time.Duration
	// RetryAfter is when to try again; only for a 503.
	RetryAfter time.Duration
	// Err is the Verifier's error. It is for logs, not for clients.
	Err error
}

// A Reason is why a request was admitted or refused: one word for logs,
// metrics and tests.
type Reason string

// The reasons to admit a request.
const (
	ReasonAdmitted  Reason = "admitted"  // the token passes
	ReasonAnonymous Reason = "anonymous" // no token, and none is demanded
)

// The reasons to refuse a request.
const (
	ReasonNoToken   Reason = "no_token"   // no credentials, or of another scheme: 401
	ReasonMalformed Reason = "malformed"  // not exactly one token after the scheme: 400
	ReasonTwoTokens Reason = "two_tokens" // more than one token, header or method: 400
	ReasonTooLong   Reason = "too_long"   // longer than sneck.MaxTokenBytes: 400

	ReasonInvalid      Reason = "invalid"       // the Verifier refused the token: 401
	ReasonUnrecognized Reason = "unrecognized"  // no Verifier knows the token: 401
	ReasonExpired      Reason = "expired"       // now is at or after its expiry: 401
	ReasonNotYet       Reason = "not_yet_valid" // now is before its first moment: 401
	ReasonAudience     Reason = "audience"      // meant for another resource server: 401
	ReasonBinding      Reason = "binding"       // bound to a key that was not proven: 401

	ReasonCrossOrigin Reason = "cross_origin" // another site had the browser send the cookie: 403

	ReasonScope     Reason = "scope"     // the token lacks scopes: 403
	ReasonForbidden Reason = "forbidden" // no token may do this, such as by a method not listed: 403

	ReasonUnavailable Reason = "unavailable" // the Verifier could not find out: 503
	ReasonGone        Reason = "client_gone" // the client left before there was a verdict: 503
	ReasonBroken      Reason = "broken"      // the Verifier panicked or said nothing: 503
)

// An outcome is what a reason looks like from outside. The descriptions are
// for people, and say no more than the code does: a client must not learn
// which check a token failed (RFC 6750, section 5.3).
type outcome struct {
	status      int
	code        string // RFC 6750, section 3.1
	description string
}

var (
	needsToken     = outcome{http.StatusUnauthorized, "", ""}
	invalidRequest = outcome{http.StatusBadRequest, "invalid_request", "The request must carry exactly one well-formed access token"}
	invalidToken   = outcome{http.StatusUnauthorized, "invalid_token", "The access token is expired, revoked, malformed, or not valid here"}
	crossOrigin    = outcome{http.StatusForbidden, "invalid_request", "The request came from another site"}
	noScope        = outcome{http.StatusForbidden, "insufficient_scope", "The access token does not grant what this request needs"}
	unavailable    = outcome{http.StatusServiceUnavailable, "temporarily_unavailable", "The access token could not be checked, try again later"}
)

func (r Reason) outcome() *outcome {
	switch r {
	case ReasonNoToken:
		return &needsToken
	case ReasonMalformed, ReasonTwoTokens, ReasonTooLong:
		return &invalidRequest
	case ReasonInvalid, ReasonUnrecognized, ReasonExpired, ReasonNotYet, ReasonAudience, ReasonBinding:
		return &invalidToken
	case ReasonCrossOrigin:
		return &crossOrigin
	case ReasonScope, ReasonForbidden:
		return &noScope
	}
	return &unavailable // whatever has no answer of its own is not known
}

// Status returns the HTTP status that the decision is answered with, or 0 for
// a request that is allowed.
func (d Decision) Status() int {
	if d.Allowed {
		return 0
	}
	return d.Reason.outcome().status
}

// Code returns the error code that the client gets, which is empty if the
// request is allowed or had no credentials (RFC 6750, section 3.1).
func (d Decision) Code() string {
	if d.Allowed {
		return ""
	}
	return d.Reason.outcome().code
}

// String explains the decision to an operator. It may say more than a client
// should know.
func (d Decision) String() string {
	var b strings.Builder
	verb := "refused"
	if d.Allowed {
		verb = "allowed"
	}
	fmt.Fprintf(&b, "%s: %s", verb, d.Reason)
	if len(d.Missing) > 0 {
		fmt.Fprintf(&b, "; the token lacks %s", strings.Join(d.Missing, " and "))
	}
	if d.Reason == ReasonAudience {
		fmt.Fprintf(&b, "; the token is meant for %q", d.Token.Audience)
	}
	if d.Err != nil {
		fmt.Fprintf(&b, "; %v", d.Err)
	}
	return b.String()
}

// LogValue returns the decision as attributes. Neither subject nor username
// is among them, as logs outlive their owners' consent.
func (d Decision) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.Bool("allowed", d.Allowed),
		slog.String("reason", string(d.Reason)),
		slog.Int("status", d.Status()),
	}
	if d.Token != nil {
		attrs = append(attrs,
			slog.String("source", string(d.Source)),
			slog.String("issuer", d.Token.Issuer),
			slog.String("client_id", d.Token.ClientID),
			slog.Duration("age", d.Age))
	}
	if len(d.Missing) > 0 {
		attrs = append(attrs, slog.String("missing", d.Missing.String()))
	}
	if d.Err != nil {
		attrs = append(attrs, slog.String("error", d.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// report tells the Observer about every decision and the Logger about every
// refusal.
func (g *Guard) report(r *http.Request, d *Decision) {
	if g.config.Observe != nil {
		g.config.Observe(r.Context(), *d)
	}
	if g.config.Logger == nil || d.Allowed {
		return
	}
	level := slog.LevelInfo
	switch d.Reason {
	case ReasonUnavailable:
		level = slog.LevelWarn
	case ReasonBroken:
		level = slog.LevelError
	}
	g.log(r.Context(), level, r, d)
}

func (g *Guard) log(ctx context.Context, level slog.Level, r *http.Request, d *Decision) {
	if !g.config.Logger.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", r.Method),
		slog.String("route", r.Pattern),
		slog.Any("decision", *d),
	}
	var panicked *panicError
	if errors.As(d.Err, &panicked) {
		attrs = append(attrs, slog.String("stack", string(panicked.stack)))
	}
	g.config.Logger.LogAttrs(ctx, level, "request refused", attrs...)
}
