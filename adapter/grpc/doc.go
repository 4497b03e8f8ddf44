// Package grpc guards gRPC servers with OAuth access tokens.
//
// A [Guard] lets a [middleware.Guard] decide about each call, by the same
// checks as about an HTTP request: audience, expiry, sender binding, age of
// the verdict, scopes. Every method needs a rule, its own or its service's;
// what has none is refused.
//
// # What the guard sees
//
// A gRPC call is an HTTP/2 request, and that is what the middleware gets: a
// POST to the path "/package.Service/Method", with the metadata as its header
// and the TLS state of the connection. The token is in the metadata
// "authorization". All settings of the middleware hold as they are: mTLS
// binding takes the certificate of the connection, or of a trusted proxy's
// header, and DPoP proofs, if they are turned on, are in the metadata "dpop"
// for the method POST and the URL of the path (RFC 9449). Without that, a
// token that is bound to a DPoP key is refused.
//
// Interceptors run after gRPC has read the one message of a unary call. The
// server's [grpc.MaxRecvMsgSize] bounds what strangers can make it read.
//
// # Answers
//
//	HTTP   gRPC                when
//	400    InvalidArgument     not exactly one well-formed token
//	401    Unauthenticated     no token, or one that is not good here; step-up
//	403    PermissionDenied    the token lacks scopes, or there is no rule
//	503    Unavailable         the token could not be checked
//
// The challenge of RFC 6750 is in the trailer "www-authenticate". If there
// was a token, the status has an ErrorInfo whose reason is the error code of
// RFC 6750 and its kin in upper case, such as INVALID_TOKEN or
// INSUFFICIENT_SCOPE, of the domain [Domain]. As over HTTP, it does not say
// which check a token failed. Unavailable has a RetryInfo, and the trailer
// "grpc-retry-pushback-ms", which clients with a retry policy obey. A call
// whose client went away meanwhile ends with Canceled or DeadlineExceeded.
package grpc
