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
	"github.com/sneckauth/sneck/internal/brief"
	"github.com/sneckauth/sneck/scopes"
)

// A Decision says whether a request may pass, and why. It holds nothing that
// lets anyone use the token. The zero Decision is a refusal.
type Decision struct {
	// Allowed is true if the request may pass.
	Allowed bool
	// Reason is why; it never changes its spelling.
	Reason Reason
	// Rule is the Name of the policy that decided; if it has none, it is the
	// pattern under which a [http.ServeMux] in front of the guard files it.
	Rule string
	// Source is where the token was; empty if there was none.
	Source Source
	// Scheme is the authentication scheme of the token, "Bearer" or "DPoP";
	// empty if there was none.
	Scheme string
	// Token is what the Verifier said, also if the request is refused for a
	// reason found later; nil if there was no verdict.
	Token *sneck.Token
	// Required is the alternative of the requirement that needs the fewest
	// further scopes, and Missing those of them that the token lacks. They
	// are set for [ReasonScope], and Required for each 401 if the Config has
	// ScopesInChallenges.
	Required, Missing scopes.Set
	// ACR and MaxAge are how the user must sign in; only for [ReasonStepUp].
	ACR    []string
	MaxAge time.Duration
	// Age is how long ago the authority was asked about the token.
	Age time.Duration
	// Took is how long it took to decide. It is only measured for Observe.
	Took time.Duration
	// RetryAfter is when to try again; only for a 503.
	RetryAfter time.Duration
	// Nonce is the DPoP nonce to hand out with the answer; empty for none.
	Nonce string
	// Challenge is a further challenge of the policy, for a 401.
	Challenge string
	// Shadow is true if the request is refused, but let through.
	Shadow bool
	// Err is the cause, for logs and not for clients: the Verifier's error,
	// or what is wrong with a proof.
	Err error
}

// A Reason is why a request was admitted or refused: one word for logs,
// metrics and tests.
type Reason string

// The reasons to admit a request.
const (
	ReasonAdmitted  Reason = "admitted"  // the token passes
	ReasonAnonymous Reason = "anonymous" // no token, and none is demanded
	ReasonOtherwise Reason = "otherwise" // authenticated by something else than a token
	ReasonPreflight Reason = "preflight" // a CORS preflight request, where allowed
	ReasonPublic    Reason = "public"    // a route that is open to everybody
)

// The reasons to refuse a request.
const (
	ReasonNoToken   Reason = "no_token"   // no credentials, or of another scheme: 401
	ReasonSignIn    Reason = "sign_in"    // Policy.Otherwise refused the credentials: 401
	ReasonMalformed Reason = "malformed"  // not exactly one token after the scheme: 400
	ReasonTwoTokens Reason = "two_tokens" // more than one token, header or method: 400
	ReasonTooLong   Reason = "too_long"   // longer than sneck.MaxTokenBytes: 400
	ReasonPath      Reason = "path"       // the path can be read in two ways: 400
	ReasonRequest   Reason = "request"    // Policy.ScopesOf can not tell what is asked for: 400

	ReasonInvalid      Reason = "invalid"       // the Verifier refused the token: 401
	ReasonUnrecognized Reason = "unrecognized"  // no Verifier knows the token: 401
	ReasonExpired      Reason = "expired"       // now is at or after its expiry: 401
	ReasonNotYet       Reason = "not_yet_valid" // now is before its first moment: 401
	ReasonAudience     Reason = "audience"      // meant for another resource server: 401
	ReasonBinding      Reason = "binding"       // bound to a key that was not proven: 401

	ReasonProof  Reason = "proof"  // no DPoP proof, or not one for this: 401
	ReasonNonce  Reason = "nonce"  // a DPoP proof without the nonce it needs: 401
	ReasonReplay Reason = "replay" // a DPoP proof that was used before: 401

	ReasonCrossOrigin Reason = "cross_origin" // another site had the browser send the cookie: 403

	ReasonStepUp Reason = "step_up" // the user must sign in anew, or better: 401

	ReasonScope     Reason = "scope"     // the token lacks scopes: 403
	ReasonForbidden Reason = "forbidden" // no token may do this, such as by a method not listed: 403
	ReasonNoRoute   Reason = "no_route"  // no route matches, so no token may do this: 403

	ReasonStale       Reason = "stale"       // only a verdict that is too old can be had: 503
	ReasonUnavailable Reason = "unavailable" // the Verifier could not find out: 503
	ReasonGone        Reason = "client_gone" // the client left before there was a verdict: 503
	ReasonBroken      Reason = "broken"      // the Verifier panicked or said nothing: 503
)

// An outcome is what a reason looks like from outside. The descriptions are
// for people, and say no more than the code does: a client must not learn
// which check a token failed (RFC 6750, section 5.3).
type outcome struct {
	status      int
	code        string // RFC 6750, section 3.1; RFC 9449, section 7.1 and 9; RFC 9470, section 3
	description string
}

var (
	needsToken     = outcome{http.StatusUnauthorized, "", ""}
	invalidRequest = outcome{http.StatusBadRequest, "invalid_request", "The request must carry exactly one well-formed access token"}
	unclear        = outcome{http.StatusBadRequest, "invalid_request", "The request is malformed, so what it needs is not known"}
	invalidToken   = outcome{http.StatusUnauthorized, "invalid_token", "The access token is expired, revoked, malformed, or not valid here"}
	invalidProof   = outcome{http.StatusUnauthorized, "invalid_dpop_proof", "The DPoP proof is missing, malformed, or not for this request"}
	needsNonce     = outcome{http.StatusUnauthorized, "use_dpop_nonce", "The DPoP proof must hold the nonce of this answer"}
	stepUp         = outcome{http.StatusUnauthorized, "insufficient_user_authentication", "The user must sign in again"}
	crossOrigin    = outcome{http.StatusForbidden, "invalid_request", "The request came from another site"}
	noScope        = outcome{http.StatusForbidden, "insufficient_scope", "The access token does not grant what this request needs"}
	unavailable    = outcome{http.StatusServiceUnavailable, "temporarily_unavailable", "The access token could not be checked, try again later"}
)

// outcomes are all refusals with a challenge.
var outcomes = []*outcome{&needsToken, &invalidRequest, &unclear, &invalidToken, &invalidProof, &needsNonce, &stepUp, &crossOrigin, &noScope}

func (r Reason) outcome() *outcome {
	switch r {
	case ReasonNoToken, ReasonSignIn:
		return &needsToken
	case ReasonMalformed, ReasonTwoTokens, ReasonTooLong:
		return &invalidRequest
	case ReasonRequest, ReasonPath:
		return &unclear
	case ReasonInvalid, ReasonUnrecognized, ReasonExpired, ReasonNotYet, ReasonAudience, ReasonBinding:
		return &invalidToken
	case ReasonProof, ReasonReplay:
		return &invalidProof
	case ReasonNonce:
		return &needsNonce
	case ReasonStepUp:
		return &stepUp
	case ReasonCrossOrigin:
		return &crossOrigin
	case ReasonScope, ReasonForbidden, ReasonNoRoute:
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

// Description returns the text for people that the client gets with the Code.
// It is empty where that is.
func (d Decision) Description() string {
	if d.Allowed {
		return ""
	}
	return d.Reason.outcome().description
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
	if d.Rule != "" {
		fmt.Fprintf(&b, ", by %q", d.Rule)
	}
	if len(d.Missing) > 0 {
		fmt.Fprintf(&b, "; the token lacks %s", strings.Join(d.Missing, " and "))
	}
	if d.Reason == ReasonAudience {
		fmt.Fprintf(&b, "; the token is meant for %q", d.Token.Audience)
	}
	if d.Err != nil {
		fmt.Fprintf(&b, "; %v", d.Err)
	}
	if hint := d.Hint(); hint != "" {
		fmt.Fprintf(&b, " (hint: %s)", hint)
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
	if d.Rule != "" {
		attrs = append(attrs, slog.String("rule", d.Rule))
	}
	if d.Token != nil {
		attrs = append(attrs,
			slog.String("source", string(d.Source)),
			slog.String("issuer", d.Token.Issuer),
			slog.String("client_id", d.Token.ClientID),
			slog.Duration("age", d.Age))
	}
	if d.Shadow {
		attrs = append(attrs, slog.Bool("shadow", true))
	}
	if len(d.Missing) > 0 {
		attrs = append(attrs, slog.String("missing", d.Missing.String()))
	}
	if d.Err != nil {
		attrs = append(attrs, slog.String("error", d.Err.Error()))
	}
	if hint := d.Hint(); hint != "" {
		attrs = append(attrs, slog.String("hint", hint))
	}
	return slog.GroupValue(attrs...)
}

// begin returns the time if somebody wants to know how long a decision took.
func (g *Guard) begin() time.Time {
	if g.config.Observe == nil {
		return time.Time{}
	}
	return g.config.Now()
}

// report tells the Observer about every decision and the Logger about every
// refusal.
func (g *Guard) report(r *http.Request, d *Decision, begun time.Time) {
	if g.config.Observe != nil {
		d.Took = g.config.Now().Sub(begun)
		g.config.Observe(r.Context(), *d)
	}
	if g.config.Logger == nil || d.Allowed {
		return
	}
	level := slog.LevelInfo
	switch d.Reason {
	case ReasonUnavailable, ReasonStale:
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
		slog.String("method", brief.Method(r)),
		slog.Any("decision", *d),
	}
	var panicked *panicError
	if errors.As(d.Err, &panicked) {
		attrs = append(attrs, slog.String("stack", string(panicked.stack)))
	}
	message := "request refused"
	if d.Shadow {
		message = "request let through that the policy refuses"
	}
	g.config.Logger.LogAttrs(ctx, level, message, attrs...)
}
