// Package jws reads, verifies and signs objects in the JWS compact serialization
// (RFC 7515, section 7.1) and the public keys they are signed with (RFC 7517).
//
// It knows asymmetric algorithms only, and takes each from the key: the "alg"
// of a token is compared with it and never chooses (RFC 8725, section 3.1).
// What a payload means is the business of the packages that use it: access
// tokens, DPoP proofs, signed introspection answers.
package jws
