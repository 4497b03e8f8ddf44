// Package authtest helps to test services that are protected by tokens, with
// nothing but "go test".
//
// [MapVerifier] is for unit tests: a map of tokens. [NewServer] is for
// everything else: the real authorization server on a loopback port, with
// clients that are ready to use, and in the hands of the test:
//
//   - tokens: [Server.Token] gets one in the way of a client; [Server.Issue]
//     and [Server.IssueJWT] make any, with whatever is said about it;
//   - faults: [Server.Down], [Server.Slow], [Server.Revoke],
//     [Server.RotateKeys], [Server.Advance], and [Server.Intercept] for
//     everything else that can go wrong;
//   - what the service has asked for: [Server.Introspections].
//
// [NewDPoPKey] and [NewCertificate] make clients whose tokens are bound to a
// key.
package authtest
