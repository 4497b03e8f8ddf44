// Package introspect asks an authorization server what a bearer token means
// (RFC 7662). A [Client] is a [sneck.Verifier] that makes one call for every
// question: it neither remembers answers nor merges equal questions, which is
// what package cache does around it.
//
// The authority is not trusted to be well, only to be itself. A call is
// bounded in time, bytes and number; redirects are not followed, as they
// would carry the token and our credentials elsewhere; the answer is read
// strictly, and its expiry, issuer and kind are checked here again (RFC 7662,
// section 4).
//
// The three kinds of "no":
//
//   - the authority says that the token is not active, or the answer itself
//     shows that it is not: an error that wraps [sneck.ErrInvalid];
//   - the token is another's, as [Config.Recognize] can tell from its form: an
//     error that wraps [sneck.ErrUnrecognized], without a call;
//   - everything else, a wrong answer included: a [*sneck.UnavailableError].
//     If the authority refused our own credentials, it wraps
//     [ErrCredentials].
//
// No error and no log line of this package contains a token, a secret or a
// part of an answer.
package introspect
