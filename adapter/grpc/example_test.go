package grpc_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sneckauth/sneck"
	adapter "github.com/sneckauth/sneck/adapter/grpc"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

var verifier sneck.Verifier = tokens // an introspection client behind a cache, or a JWT verifier

func ExampleNew() {
	decides, err := middleware.New(middleware.Config{Verifier: verifier, Audience: []string{"https://songs.example"}})
	if err != nil {
		log.Fatal(err)
	}
	guard, err := adapter.New(adapter.Config{
		Guard: decides,
		Rules: map[string]middleware.Policy{
			"/grpc.testing.TestService/":          {Scopes: scopes.All("read")},
			"/grpc.testing.TestService/EmptyCall": {Scopes: scopes.All("write")},
		},
		Unguarded: []string{"/grpc.health.v1.Health/"},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(guard.ServerOptions()...)
	pb.RegisterTestServiceServer(server, &songs{})
	fmt.Println(guard.CheckServices(server.GetServiceInfo()))
	// Output:
	// adapter/grpc: the rule /grpc.health.v1.Health/ is for nothing that the server has
}

// A client learns from the trailer what its token lacks.
func ExampleGuard_ServerOptions() {
	decides, err := middleware.New(middleware.Config{Verifier: verifier, Audience: []string{"https://songs.example"}})
	if err != nil {
		log.Fatal(err)
	}
	guard, err := adapter.New(adapter.Config{Guard: decides, Rules: map[string]middleware.Policy{
		"/grpc.testing.TestService/UnaryCall": {Scopes: scopes.All("write")},
	}})
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(guard.ServerOptions()...)
	pb.RegisterTestServiceServer(server, &songs{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(listener)
	defer server.Stop()

	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	for _, token := range []string{"writer", "reader"} {
		ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)
		var trailer metadata.MD
		answer, err := pb.NewTestServiceClient(conn).UnaryCall(ctx, &pb.SimpleRequest{}, grpc.Trailer(&trailer))
		fmt.Printf("%v %q\n", status.Code(err), answer.GetUsername())
		for _, challenge := range trailer.Get("www-authenticate") {
			fmt.Println(challenge)
		}
	}
	// Output:
	// OK "bob"
	// PermissionDenied ""
	// Bearer realm="api", error="insufficient_scope", error_description="The access token does not grant what this request needs", scope="write"
}
