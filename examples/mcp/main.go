// Mcp is an MCP server, made with the official SDK, that any MCP client can
// log in to: songs:read lists songs, songs:write deletes them.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/sneckauth/sneck"
	adapter "github.com/sneckauth/sneck/adapter/mcp"
	"github.com/sneckauth/sneck/cache"
	"github.com/sneckauth/sneck/introspect"
	guardmcp "github.com/sneckauth/sneck/middleware/mcp"
	"github.com/sneckauth/sneck/scopes"
)

func main() {
	authority, err := introspect.New(introspect.Config{
		Issuer:     os.Getenv("ISSUER"),
		Credential: introspect.Basic("songs", os.Getenv("INTROSPECTION_SECRET")),
	})
	check(err)
	remembered, err := cache.New(cache.Config{Verifier: authority, TTL: time.Minute})
	check(err)
	check(protect(newServer(), remembered))
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), nil))
}

func protect(server *mcp.Server, verifier sneck.Verifier) error {
	guard, err := guardmcp.New(guardmcp.Config{
		Resource:             os.Getenv("RESOURCE"), // such as https://mcp.example.com/mcp
		AuthorizationServers: []string{os.Getenv("ISSUER")},
		Verifier:             verifier,
		Scopes:               scopes.All("songs:read"), // all that most clients need
		Tools: map[string]scopes.Requirement{
			"list_songs":  scopes.AnyToken(),
			"delete_song": scopes.All("songs:write"),
		},
	})
	if err != nil {
		return err
	}
	server.AddReceivingMiddleware(adapter.TokenInContext)
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)
	http.Handle("/mcp", guard.Protect(adapter.WithTokenInfo(handler)))
	http.Handle("/.well-known/", guard.Metadata())
	return nil
}

func newServer() *mcp.Server {
	server := mcp.NewServer(&mcp.Implementation{Name: "songs", Version: "1.0.0"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "list_songs", Description: "List all songs"}, listSongs)
	mcp.AddTool(server, &mcp.Tool{Name: "delete_song", Description: "Delete a song"}, deleteSong)
	return server
}

func listSongs(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
	return say("Imagine, Yesterday"), nil, nil
}

type song struct {
	Title string `json:"title" jsonschema:"the title of the song"`
}

func deleteSong(ctx context.Context, _ *mcp.CallToolRequest, s song) (*mcp.CallToolResult, any, error) {
	return say(fmt.Sprintf("%s has deleted %q", sneck.FromContext(ctx).Subject, s.Title)), nil, nil
}

func say(text string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
