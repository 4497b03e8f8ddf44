package mcp_test

import (
	"context"
	"log"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sneckauth/sneck"
	adapter "github.com/sneckauth/sneck/adapter/mcp"
	"github.com/sneckauth/sneck/middleware"
	guardmcp "github.com/sneckauth/sneck/middleware/mcp"
	"github.com/sneckauth/sneck/scopes"
)

var verifier sneck.Verifier // an introspection client behind a cache, or a JWT verifier

// A guard before the SDK's handler. The tool asks for more than its scope.
func ExampleWithTokenInfo() {
	guard, err := guardmcp.New(guardmcp.Config{
		Resource:             "https://mcp.example/mcp",
		AuthorizationServers: []string{"https://auth.example"},
		Verifier:             verifier,
		Tools:                map[string]scopes.Requirement{"delete_song": scopes.All("songs:write")},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "songs", Version: "1"}, nil)
	server.AddReceivingMiddleware(adapter.TokenInContext)
	mcp.AddTool(server, &mcp.Tool{Name: "delete_song"}, func(ctx context.Context, _ *mcp.CallToolRequest, in struct{ Owner string }) (*mcp.CallToolResult, any, error) {
		if sneck.FromContext(ctx).Subject != in.Owner {
			return &mcp.CallToolResult{IsError: true}, nil, nil
		}
		return &mcp.CallToolResult{}, nil, nil
	})
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)
	http.Handle("/mcp", guard.Protect(adapter.WithTokenInfo(handler)))
	http.Handle("/.well-known/", guard.Metadata())
}

// The SDK's own middleware, with a guard that says what tokens are.
func ExampleTokenVerifier() {
	guard, err := middleware.New(middleware.Config{Verifier: verifier, Audience: []string{"https://mcp.example/mcp"}})
	if err != nil {
		log.Fatal(err)
	}
	var handler http.Handler // mcp.NewStreamableHTTPHandler(…)
	protect := auth.RequireBearerToken(adapter.TokenVerifier(guard), &auth.RequireBearerTokenOptions{Scopes: []string{"songs:read"}})
	http.Handle("/mcp", protect(handler))
}
