// Package authserver is an OAuth 2.0 authorization server: an [http.Handler]
// that issues access tokens, introspects them for resource servers (RFC
// 7662), revokes them (RFC 7009) and describes itself (RFC 8414).
//
// [New] makes a [Server] of a [Config]. It answers below the path of its
// issuer:
//
//	POST /token                                    every Grant (RFC 6749)
//	POST /introspect                               for clients with Introspect set, signed
//	                                               if they ask for it (RFC 9701)
//	POST /revoke                                   a client's own tokens
//	GET  /.well-known/oauth-authorization-server   metadata
//	GET  /jwks                                     public keys, if there are Keys (RFC 7517)
//	     /authorize                                codes, if there is a Login (RFC 6749, RFC 7636)
//	POST /device_authorization                     device codes, if there is a Login (RFC 8628)
//	     /device                                   where a user connects a device
//
// Tokens are random and recognizable by a prefix and a checksum; [WellFormed]
// tells them from garbage. They live in a [Store], which keeps digests only,
// and clients come from [Clients]; [Memory] is both, and [Server] is the
// sneck.Verifier of its own tokens. For clients that are to have them, tokens
// are JWTs (RFC 9068), signed with the keys of a [KeySource]; they live in the
// store, too.
//
// Clients authenticate by a secret, by a JWT that they sign (RFC 7523) or by a
// certificate (RFC 8705). Tokens are bound to a key if the client proves to
// hold it (RFC 9449).
//
// Scripts of every origin can read the metadata and the keys, and ask where
// clients come with a form, but for introspection (CORS): none of this goes by a
// cookie. They can not read the pages at /authorize and /device.
//
// Limits keep clients and addresses from asking too often, and no limit can be
// used to lock others out. All that happens is an [Event], for Config.Observe
// and, durably, for Config.Audit: see package audit.
package authserver
