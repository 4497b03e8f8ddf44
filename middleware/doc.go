// Package middleware guards HTTP handlers with OAuth access tokens.
//
// A [Guard] takes the token from a request, has a [sneck.Verifier] say what
// the token is, and decides whether it may pass here: audience, expiry,
// sender binding, age of the verdict and scopes are checked for every request
// anew, whatever the Verifier remembers. The decision ([Guard.Check]) and the
// answer ([Guard.Refuse]) are two steps, so that a decision can be logged,
// counted, explained, or answered in another protocol.
//
// Answers follow RFC 6750: 401 with a challenge, 403 with the scopes needed,
// 400 for what is not a well-formed request, and 503 with Retry-After if the
// Verifier could not find out. An outage is never reported as a bad token.
package middleware
