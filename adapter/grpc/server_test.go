package grpc_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/sneckauth/sneck"
	adapter "github.com/sneckauth/sneck/adapter/grpc"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

const (
	audience   = "https://songs.example"
	service    = "/grpc.testing.TestService/"
	unary      = service + "UnaryCall"
	empty      = service + "EmptyCall"
	fullDuplex = service + "FullDuplexCall"
)

// tokens are what the verifier of most tests knows.
var tokens = authtest.MapVerifier{
	"reader": {Subject: "alice", Audience: []string{audience}, Type: "Bearer", Scopes: scopes.Set{"read"}},
	"writer": {Subject: "bob", Audience: []string{audience}, Type: "Bearer", Scopes: scopes.Set{"read", "write"}},
	"abroad": {Subject: "alice", Audience: []string{"https://other.example"}, Scopes: scopes.Set{"read"}},
	"bound":  {Subject: "alice", Audience: []string{audience}, Scopes: scopes.Set{"read"}, Confirmation: &sneck.Confirmation{JKT: "key"}},
	"old":    {Subject: "alice", Audience: []string{audience}, Scopes: scopes.Set{"read"}, Expires: time.Unix(1, 0)},
}

func newGuard(t testing.TB, c middleware.Config) *middleware.Guard {
	t.Helper()
	if c.Verifier == nil {
		c.Verifier = tokens
	}
	c.Audience = []string{audience}
	g, err := middleware.New(c)
	require.NoError(t, err)
	return g
}

// songs says who calls.
type songs struct {
	pb.UnimplementedTestServiceServer
	duplex func(pb.TestService_FullDuplexCallServer) error
}

func (*songs) UnaryCall(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	t := sneck.FromContext(ctx)
	if t == nil {
		return &pb.SimpleResponse{Username: "nobody"}, nil
	}
	return &pb.SimpleResponse{Username: t.Subject}, nil
}

func (*songs) EmptyCall(context.Context, *pb.Empty) (*pb.Empty, error) { return &pb.Empty{}, nil }

func (s *songs) FullDuplexCall(stream pb.TestService_FullDuplexCallServer) error {
	return s.duplex(stream)
}

// echo says who calls for every message.
func echo(stream pb.TestService_FullDuplexCallServer) error {
	for {
		switch _, err := stream.Recv(); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if err := answer(stream); err != nil {
			return err
		}
	}
}

// answer says who calls.
func answer(stream pb.TestService_FullDuplexCallServer) error {
	return stream.Send(&pb.StreamingOutputCallResponse{Payload: &pb.Payload{Body: []byte(sneck.FromContext(stream.Context()).Subject)}})
}

// serve serves on the listener until the test ends.
func serve(t testing.TB, l net.Listener, g *adapter.Guard, s *songs, options ...grpc.ServerOption) *grpc.Server {
	t.Helper()
	server := grpc.NewServer(append(options, g.ServerOptions()...)...)
	pb.RegisterTestServiceServer(server, s)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-ended)
	})
	return server
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

func dial(t testing.TB, target string, options ...grpc.DialOption) pb.TestServiceClient {
	t.Helper()
	return pb.NewTestServiceClient(connect(t, target, options...))
}

func connect(t testing.TB, target string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	if len(options) == 0 {
		options = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	conn, err := grpc.NewClient(target, options...)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// start returns a client of a server on a real port.
func start(t testing.TB, c adapter.Config, options ...grpc.ServerOption) pb.TestServiceClient {
	t.Helper()
	g, err := adapter.New(c)
	require.NoError(t, err)
	l := listen(t)
	serve(t, l, g, &songs{duplex: echo}, options...)
	return dial(t, l.Addr().String())
}

// with returns a context whose calls have the metadata "authorization".
func with(ctx context.Context, authorization ...string) context.Context {
	for _, value := range authorization {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", value)
	}
	return ctx
}
