// Package authserver is an OAuth 2.0 authorization server: an [http.Handler]
// that issues access tokens, introspects them for resource servers (RFC
// 7662), revokes them (RFC 7009) and describes itself (RFC 8414).
//
// [New] makes a [Server] of a [Config]. It answers below the path of its
// issuer:
//
//	POST /token                                    client_credentials (RFC 6749, section 4.4)
//	POST /introspect                               for clients with Introspect set
//	POST /revoke                                   a client's own tokens
//	GET  /.well-known/oauth-authorization-server   metadata
//
// Tokens are random and recognizable by a prefix and a checksum; [WellFormed]
// tells them from garbage. They live in a [Store], which keeps digests only,
// and clients come from [Clients]; [Memory] is both, and [Server] is the
// sneck.Verifier of its own tokens.
package authserver
