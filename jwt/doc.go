// Package jwt is a [sneck.Verifier] that checks JWT access tokens where they
// arrive: by the keys of their issuer, without asking it about each one.
//
// A token is first told apart, by its exact "iss", as one of the configured
// issuers' or not ours ([sneck.ErrUnrecognized]): an opaque token, an
// encrypted one, or one of an issuer that is not listed. For those nothing is
// fetched and nothing is computed. Then the JWT Profile for OAuth 2.0 Access
// Tokens is enforced (RFC 9068, section 4), or, for issuers that predate it,
// the profile [Legacy]; the practices of RFC 8725 for both:
//
//   - The algorithm follows from the key, and must be on the issuer's list;
//     the header of a token is compared with it and never chooses. There are
//     no symmetric algorithms here, and no "none".
//   - Keys come from the issuer's key set and nowhere else. A header that
//     brings a key along is refused ("jwk" always; "jku", "x5u" and "x5c"
//     under RFC 9068, and ignored under Legacy, as some issuers that predate
//     it always send them). Headers that must be understood ("crit", "b64",
//     "enc", "zip") are refused.
//   - Form is strict: three base64url segments with one spelling each, one
//     JSON object with no duplicate members and no claim that is written in
//     another case, and bounds on size, depth and members that are checked
//     before the work they bound.
//
// The audience is read and must be well formed, but is compared with the
// resource server's own identifiers by the Guard, as for every other
// verifier, and so are expiry, sender constraint and scopes, for every
// request anew. A revoked token is valid here until it expires: where that
// is too long, see [sneck.Both].
package jwt
