// Package cache remembers what a [sneck.Verifier] said about a token.
//
// A [Cache] is itself a Verifier and wraps any other. It keeps definite
// answers only: an active token for the shorter of the configured time and
// the token's own expiry, a refused token briefly and in a separate bounded
// part, and an outage never. However many requests bring a token at once, its
// authority is asked once. A token in use is asked about again in the
// background before its answer grows too old.
//
// How long a revoked token can live is a stated bound: an answer is used only
// while the question is younger than TTL, younger than what the route allows
// ([sneck.WithMaxStaleness]), and not older than a revocation that was
// reported with [Cache.Revoke].
package cache
