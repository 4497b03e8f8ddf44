package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	pb "github.com/sneckauth/sneck/examples/grpc/songspb"
	"github.com/sneckauth/sneck/examples/internal/songs"
	"github.com/sneckauth/sneck/examples/internal/songstest"
)

func start(t *testing.T, introspectionURL, secret string) *grpc.ClientConn {
	guard, err := songs.NewGuard(introspectionURL, secret)
	require.NoError(t, err)
	server, err := newServer(guard)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestCalls(t *testing.T) {
	tokens, introspectionURL, secret := songstest.Issue(t)
	conn := start(t, introspectionURL, secret)
	for _, row := range []struct {
		method   string
		request  proto.Message
		response proto.Message
		token    string
		want     string
	}{
		{pb.Songs_Add_FullMethodName, &pb.AddRequest{Title: "Imagine"}, &pb.AddResponse{}, tokens.Writer, `{"song":{"title":"Imagine","user":"bob"}}`},
		{pb.Songs_Add_FullMethodName, &pb.AddRequest{}, &pb.AddResponse{}, tokens.Reader, "PermissionDenied " + songstest.NeedsScope("songs:write")},
		{pb.Songs_Add_FullMethodName, &pb.AddRequest{}, &pb.AddResponse{}, tokens.Foreign, "Unauthenticated " + songstest.BadToken},
		{pb.Songs_Add_FullMethodName, &pb.AddRequest{}, &pb.AddResponse{}, "", "Unauthenticated " + songstest.NeedsToken},
		{pb.Songs_Add_FullMethodName, &pb.AddRequest{}, &pb.AddResponse{}, "two tokens", "InvalidArgument " + songstest.BadRequest},
		{pb.Songs_List_FullMethodName, &pb.ListRequest{}, &pb.ListResponse{}, tokens.Reader, `{"songs":[{"title":"Imagine","user":"bob"}]}`},
		{pb.Songs_List_FullMethodName, &pb.ListRequest{}, &pb.ListResponse{}, tokens.Admin, "PermissionDenied " + songstest.NeedsScope("songs:read")},
		{pb.Songs_List_FullMethodName, &pb.ListRequest{}, &pb.ListResponse{}, "", "Unauthenticated " + songstest.NeedsToken},
		{pb.Songs_OfUser_FullMethodName, &pb.OfUserRequest{User: "alice"}, &pb.ListResponse{}, tokens.Reader, `{}`},
		{pb.Songs_OfUser_FullMethodName, &pb.OfUserRequest{User: "bob"}, &pb.ListResponse{}, tokens.Reader, "PermissionDenied "},
		{pb.Songs_OfUser_FullMethodName, &pb.OfUserRequest{User: "bob"}, &pb.ListResponse{}, tokens.Admin, `{"songs":[{"title":"Imagine","user":"bob"}]}`},
		{pb.Songs_Welcome_FullMethodName, &pb.WelcomeRequest{}, &pb.WelcomeResponse{}, "", `{"text":"hello stranger"}`},
		{pb.Songs_Welcome_FullMethodName, &pb.WelcomeRequest{}, &pb.WelcomeResponse{}, tokens.Reader, `{"text":"hello alice"}`},
		{pb.Songs_Welcome_FullMethodName, &pb.WelcomeRequest{}, &pb.WelcomeResponse{}, "nonsense", "Unauthenticated " + songstest.BadToken},
		{healthpb.Health_Check_FullMethodName, &healthpb.HealthCheckRequest{}, &healthpb.HealthCheckResponse{}, "", `{"status":"SERVING"}`},
	} {
		var trailer metadata.MD
		err := conn.Invoke(with(t.Context(), row.token), row.method, row.request, row.response, grpc.Trailer(&trailer))
		var got string
		if err == nil {
			got = asJSON(t, row.response)
		} else {
			got = status.Code(err).String() + " "
			for _, challenge := range trailer["www-authenticate"] {
				got += challenge
			}
		}
		assert.Equal(t, row.want, got, "%s with %q", row.method, row.token)
	}
}

// A stream is there as long as its token.
func TestWatch(t *testing.T) {
	tokens, introspectionURL, secret := songstest.Issue(t)
	client := pb.NewSongsClient(start(t, introspectionURL, secret))
	_, err := client.Add(with(t.Context(), tokens.Writer), &pb.AddRequest{Title: "Imagine"})
	require.NoError(t, err)
	for _, test := range []struct {
		token string
		code  codes.Code
	}{{tokens.Brief, codes.Unauthenticated}, {"", codes.Unauthenticated}} {
		ctx, cancel := context.WithTimeout(with(t.Context(), test.token), time.Minute)
		defer cancel()
		stream, err := client.Watch(ctx, &pb.ListRequest{})
		require.NoError(t, err)
		if test.token != "" {
			song, err := stream.Recv()
			require.NoError(t, err)
			assert.Equal(t, "Imagine", song.Title)
		}
		_, err = stream.Recv()
		assert.Equal(t, test.code, status.Code(err))
		assert.Len(t, stream.Trailer()["www-authenticate"], 1)
	}
}

func with(ctx context.Context, token string) context.Context {
	if token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// asJSON writes a message without spaces, of which protojson puts some in at
// random.
func asJSON(t *testing.T, m proto.Message) string {
	text, err := protojson.Marshal(m)
	require.NoError(t, err)
	var compact bytes.Buffer
	require.NoError(t, json.Compact(&compact, text))
	return compact.String()
}
