// Package mcp tells servers made with the official Go SDK of the Model Context
// Protocol who calls them.
//
// [WithTokenInfo] belongs between a guard and the SDK's handler. The guard
// checks the token, package middleware/mcp also the scopes of each tool; the
// SDK then binds sessions to the user, and tools know the token:
//
//	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)
//	server.AddReceivingMiddleware(adapter.TokenInContext)
//	http.Handle("/mcp", guard.Protect(adapter.WithTokenInfo(handler)))
//
// [TokenVerifier] is for those who keep the SDK's own RequireBearerToken. That
// answers more coarsely than a guard; see there.
package mcp
