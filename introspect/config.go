package introspect

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// Config describes an authority and how to ask it. Credential and one of
// Endpoint and Issuer are required; the zero value of every other field is the
// safe choice.
type Config struct {
	// Endpoint is the URL of the introspection endpoint (RFC 7662, section
	// 2). If it is empty, the metadata of Issuer name it (RFC 8414, or OpenID
	// Connect Discovery): they are fetched for the first question, and
	// fetched again in the background about every hour.
	Endpoint string
	// Failover are further endpoints of the same authority, which know the
	// same tokens and take the same credentials. They are asked, in their
	// order, if those before them have failed or take more than half of the
	// Timeout to begin with an answer.
	Failover []string
	// Issuer is the issuer identifier of the authority. If it is set, an
	// answer that names another is refused (RFC 7662, section 4), and one
	// that names none is taken to be from it.
	Issuer string
	// Credential proves who is asking. An authority that answers anybody is
	// a token oracle (RFC 7662, section 4), so there is always one.
	Credential Credential

	// TokenTypeHint is sent as token_type_hint, such as "access_token", if
	// it is set (RFC 7662, section 2.1).
	TokenTypeHint string
	// Parameters are added to the form, and Header to the header, of every
	// request.
	Parameters url.Values
	Header     http.Header
	// Signed asks for signed answers (RFC 9701); nil for plain JSON.
	Signed *SignedAnswers

	// Timeout bounds one question in all, from the wait for its turn to the
	// last byte of the answer; 2 s if zero. The deadline of the asker counts
	// if it is sooner.
	Timeout time.Duration
	// Concurrency is how many questions may be with the authority at the
	// same time; 64 if zero. Others wait, first come first served, within
	// their Timeout.
	Concurrency int
	// Rate is how many questions per second may be asked about unknown tokens,
	// and Burst how many at once; a question above it is refused without a
	// call, so that a flood of forged tokens does not reach the authority.
	// There is no limit if Rate is zero; Burst is as many as Rate gives in a
	// second if zero. A cache around the Client says which tokens are known
	// ([sneck.WithKnown]); without one every request is a question about an
	// unknown token.
	Rate  float64
	Burst int
	// BreakAfter is how many calls in a row must fail (no answer, none in
	// time, or a status of 500 and more) for an endpoint to be left alone for
	// a second, twice as long after each probe that fails too, 30 s at most;
	// 10 if zero, never if negative.
	BreakAfter int

	// Recognize looks at the form of a token before it is shown to the
	// authority, so that garbage and other authorities' tokens are not; nil
	// shows every [sneck.ValidToken].
	Recognize Recognizer
	// InvalidTokenOn400 takes every answer with status 400 that does not
	// blame our credentials for a refusal of the token, which some old
	// authorities mean by it. Otherwise only the error codes invalid_token
	// and unsupported_token_type are taken so, and any other 400 is a fault,
	// as RFC 7662, section 2.2, has an authority answer 200 for a bad token.
	InvalidTokenOn400 bool
	// NotBeforeLeeway is how far the authority's clock may be ahead of ours
	// for a token that begins now ("nbf"); 5 s if zero, none if negative, 1
	// min at most. There is none for "exp".
	NotBeforeLeeway time.Duration
	// ExpZone is for an authority that sends in "exp" the reading of a clock
	// on its wall as if it were UTC; nil is UTC, as it should be (RFC 7519,
	// section 2). A reading that the zone has twice means the earlier moment.
	ExpZone *time.Location

	// TLS is the client side of TLS: roots, the client certificate. It must
	// not be given together with Transport. TLS 1.2 is the least in any case.
	TLS *tls.Config
	// Transport carries the requests; nil makes one that keeps a connection
	// for each of the concurrent questions, bounds the header of an answer
	// and uses no proxy.
	Transport http.RoundTripper
	// WrapTransport returns what carries the requests instead, by means of the
	// given transport: say, to trace them. Each try is a request. They hold
	// tokens and our own credentials.
	WrapTransport func(http.RoundTripper) http.RoundTripper
	// InsecureHTTP allows an endpoint with the http scheme on another host
	// than this one, where tokens and secrets can be read by anybody on the
	// way.
	InsecureHTTP bool

	// Logger is told about faults that somebody should look at, without
	// tokens and secrets; nil is silent.
	Logger *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}
