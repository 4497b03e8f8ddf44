// Package sneck answers one question on every request: may this bearer token
// pass here?
//
// It is the vocabulary of the module. A [Verifier] says what a token is; the
// Guard of package middleware says whether it may pass; nobody else decides
// anything. Verifiers live in sibling packages that do not know each other:
// introspect asks an authorization server (RFC 7662), jwt checks the token
// locally (RFC 9068), authserver looks into its own store, and cache wraps any
// of them and remembers the answers.
package sneck
