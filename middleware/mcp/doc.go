// Package mcp protects MCP servers (Model Context Protocol) that speak
// Streamable HTTP, whatever SDK or proxy is behind it:
//
//	guard, err := mcp.New(mcp.Config{
//		Resource:             "https://mcp.example.com/mcp",
//		AuthorizationServers: []string{"https://auth.example.com"},
//		Verifier:             verifier,
//		Scopes:               scopes.All("songs:read"),
//		Tools:                map[string]scopes.Requirement{"list_songs": scopes.AnyToken(), "delete_song": scopes.All("songs:write")},
//	})
//	http.Handle("/mcp", guard.Protect(server))
//	http.Handle("/.well-known/", guard.Metadata())
//
// A [Guard] is a [middleware.Guard] that reads what a request asks for from
// its JSON-RPC message, so that every tool has scopes of its own. It meets
// what the MCP specification demands of a server, in its revisions up to
// 2026-07-28; in the tests, each of these has one that is named after it:
//
//   - It serves protected resource metadata (RFC 9728) that names at least one
//     authorization server, and every 401 and 403 says where.
//   - Every request needs a token, those within a session too; only the
//     Authorization header is looked at, never the query.
//   - Tokens are validated, and must be issued for this server: Resource is in
//     their audience. Others are neither taken nor handed on.
//   - The answer is 401 for no token or an invalid one, 403 for scopes that
//     are missing, 400 for what is malformed. An outage is 503.
//   - 401 and 403 name the scopes, a 403 all that the operation needs at once.
//     offline_access is not among them.
//   - A scope that includes others is taken for them ([scopes.Hierarchy]).
//   - Requests that pages of other origins send are refused, and those whose
//     Mcp-Method or Mcp-Name is not what their body says.
//
// # What is refused
//
// The guard and the server behind it read the same bytes with two parsers, so
// a message that they might understand differently is refused with 400 and a
// JSON-RPC error: duplicate members at any depth, known members in another
// case, invalid UTF-8, data behind the message, nesting deeper than 32, more
// or less than one of method, result and error, names that are empty, longer
// than 1024 bytes or have control characters, and batches of none or more than
// 64. If there are rules for tools, the name of another must be visible ASCII
// and must not be like one of theirs in another case. A body must be of the
// type application/json without other charset or encoding (415) and no longer
// than configured (413). GET and DELETE have no body; other methods get 405.
//
// It is read only for clients whose token is good in all other ways. That is
// why a 401 tells the Scopes of the [Config] rather than those of the tool.
//
// # What is not decided here
//
// The guard sees requests, not answers: tools/list shows all tools to everyone
// who may ask, and an answer that takes long may end after its token has
// expired. Sessions are the server's, which must bind them to the user that
// began them; package adapter/mcp does it for the official SDK.
package mcp
