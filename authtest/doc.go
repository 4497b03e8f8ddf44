// Package authtest helps to test services that are protected by tokens.
//
// [MapVerifier] is for unit tests: a map of tokens. [NewServer] is for
// everything else: the real authorization server, on a loopback port, with
// clients that are ready to use.
package authtest
