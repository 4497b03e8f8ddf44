// Grpc protects the methods of a gRPC server.
package main

import (
	"context"
	"log"
	"net"
	"os"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/sneckauth/sneck"
	guardgrpc "github.com/sneckauth/sneck/adapter/grpc"
	pb "github.com/sneckauth/sneck/examples/grpc/songspb"
	"github.com/sneckauth/sneck/examples/internal/songs"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

func main() {
	guard, err := songs.NewGuard(os.Getenv("INTROSPECTION_URL"), os.Getenv("INTROSPECTION_SECRET"))
	check(err)
	server, err := newServer(guard)
	check(err)
	listener, err := net.Listen("tcp", os.Getenv("LISTEN"))
	check(err)
	log.Fatal(server.Serve(listener))
}

// newServer returns a server all of whose methods have a rule.
func newServer(guard *middleware.Guard) (*grpc.Server, error) {
	calls, err := guardgrpc.New(guardgrpc.Config{
		Guard: guard,
		Rules: map[string]middleware.Policy{
			"/songs.v1.Songs/":        {Scopes: scopes.All("songs:read")},
			"/songs.v1.Songs/Add":     {Scopes: scopes.All("songs:write")},
			"/songs.v1.Songs/OfUser":  {Scopes: scopes.Any("songs:read", "songs:admin")},
			"/songs.v1.Songs/Welcome": {Scopes: scopes.AnyToken(), Optional: true},
		},
		Unguarded: []string{"/grpc.health.v1.Health/"},
	})
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer(calls.ServerOptions()...)
	pb.RegisterSongsServer(server, &service{})
	healthpb.RegisterHealthServer(server, health.NewServer())
	return server, calls.CheckServices(server.GetServiceInfo())
}

// A service has songs. It needs not ask for tokens or scopes.
type service struct {
	pb.UnimplementedSongsServer

	mu  sync.Mutex
	all []*pb.Song
}

func (s *service) List(context.Context, *pb.ListRequest) (*pb.ListResponse, error) {
	return &pb.ListResponse{Songs: s.of("")}, nil
}

func (s *service) Add(ctx context.Context, r *pb.AddRequest) (*pb.AddResponse, error) {
	song := &pb.Song{Title: r.Title, User: sneck.FromContext(ctx).Subject}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, song)
	return &pb.AddResponse{Song: song}, nil
}

// OfUser is open to the user, and to others with songs:admin: whose songs are
// asked for is in the message, which rules do not see.
func (s *service) OfUser(ctx context.Context, r *pb.OfUserRequest) (*pb.ListResponse, error) {
	token := sneck.FromContext(ctx)
	if !token.Has("songs:admin") && token.Subject != r.User {
		return nil, status.Error(codes.PermissionDenied, "these are the songs of somebody else")
	}
	return &pb.ListResponse{Songs: s.of(r.User)}, nil
}

// Watch sends the songs there are, and goes on until the client leaves or its
// token expires.
func (s *service) Watch(_ *pb.ListRequest, stream grpc.ServerStreamingServer[pb.Song]) error {
	for _, song := range s.of("") {
		if err := stream.Send(song); err != nil {
			return err
		}
	}
	<-stream.Context().Done()
	return nil
}

func (s *service) Welcome(ctx context.Context, _ *pb.WelcomeRequest) (*pb.WelcomeResponse, error) {
	if token := sneck.FromContext(ctx); token != nil {
		return &pb.WelcomeResponse{Text: "hello " + token.Subject}, nil
	}
	return &pb.WelcomeResponse{Text: "hello stranger"}, nil
}

// of returns the songs of a user, or of all.
func (s *service) of(user string) []*pb.Song {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*pb.Song
	for _, song := range s.all {
		if user == "" || song.User == user {
			list = append(list, song)
		}
	}
	return list
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
