package grpc_test

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	adapter "github.com/sneckauth/sneck/adapter/grpc"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// open opens a stream with a token that lives for a minute, on a server in
// memory.
func open(ctx context.Context, t *testing.T, outlive bool, handler func(pb.TestService_FullDuplexCallServer) error) pb.TestService_FullDuplexCallClient {
	t.Helper()
	l := bufconn.Listen(1 << 16)
	g, err := adapter.New(adapter.Config{
		Guard: newGuard(t, middleware.Config{Verifier: authtest.MapVerifier{
			"minute": {Subject: "alice", Audience: []string{audience}, Expires: time.Now().Add(time.Minute)},
		}}),
		Rules: map[string]middleware.Policy{fullDuplex: {Scopes: scopes.AnyToken()}}, DangerouslyOutliveToken: outlive,
	})
	require.NoError(t, err)
	serve(t, l, g, &songs{duplex: handler})
	client := dial(t, "passthrough:///buf", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	stream, err := client.FullDuplexCall(with(ctx, "Bearer minute"))
	require.NoError(t, err)
	return stream
}

func receive(t *testing.T, stream pb.TestService_FullDuplexCallClient) (string, error) {
	t.Helper()
	m, err := stream.Recv()
	return string(m.GetPayload().GetBody()), err
}

func TestStreamEndsWithItsToken(t *testing.T) {
	for _, test := range []struct {
		name    string
		after   time.Duration
		handler func(pb.TestService_FullDuplexCallServer) error
	}{
		{"receives", time.Minute, echo},
		{"waits", time.Minute, func(stream pb.TestService_FullDuplexCallServer) error {
			if err := answer(stream); err != nil {
				return err
			}
			<-stream.Context().Done()
			return nil // as if all had been said
		}},
		{"sends", 2 * time.Minute, func(stream pb.TestService_FullDuplexCallServer) error {
			if err := answer(stream); err != nil {
				return err
			}
			time.Sleep(2 * time.Minute)
			for range 3 { // whatever the error
				_ = answer(stream)
			}
			_, err := stream.Recv()
			return err
		}},
		{"fails late", 2 * time.Minute, func(stream pb.TestService_FullDuplexCallServer) error {
			if err := answer(stream); err != nil {
				return err
			}
			time.Sleep(2 * time.Minute)
			return status.Error(codes.NotFound, "no more songs")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				stream := open(t.Context(), t, false, test.handler)
				require.NoError(t, stream.Send(&pb.StreamingOutputCallRequest{}))
				body, err := receive(t, stream)
				require.NoError(t, err)
				assert.Equal(t, "alice", body)

				_, err = receive(t, stream)
				header, _ := stream.Header()
				delete(header, "content-type")
				assert.Equal(t, badToken, see(t, err, header, stream.Trailer()))
				assert.Equal(t, test.after, time.Since(begun))
			})
		})
	}
}

// What ends before the token ends as the handler says.
func TestStreamEndsBeforeItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream := open(t.Context(), t, false, func(stream pb.TestService_FullDuplexCallServer) error {
			for {
				if _, err := stream.Recv(); err == io.EOF {
					return status.Error(codes.NotFound, "no more songs")
				} else if err != nil {
					return err
				}
			}
		})
		for range 3 {
			require.NoError(t, stream.Send(&pb.StreamingOutputCallRequest{}))
		}
		require.NoError(t, stream.CloseSend())
		_, err := receive(t, stream)
		assert.Equal(t, codes.NotFound, status.Code(err))
	})
}

// A client that goes away ends the wait for its messages, and is not told
// about its token.
func TestStreamClientGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stream := open(ctx, t, false, func(stream pb.TestService_FullDuplexCallServer) error {
			if err := answer(stream); err != nil {
				return err
			}
			_, err := stream.Recv()
			ended <- err
			return err
		})
		_, err := receive(t, stream)
		require.NoError(t, err)
		cancel()
		assert.Equal(t, codes.Canceled, status.Code(<-ended))
	})
}

func TestStreamOutlivesItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream := open(t.Context(), t, true, echo)
		for range 3 {
			require.NoError(t, stream.Send(&pb.StreamingOutputCallRequest{}))
			body, err := receive(t, stream)
			require.NoError(t, err)
			assert.Equal(t, "alice", body)
			time.Sleep(time.Hour)
		}
	})
}

// A breaking stream is what an interceptor before the guard has made of one.
type breaking struct {
	grpc.ServerStream
	ctx context.Context
}

func (s breaking) Context() context.Context { return s.ctx }
func (breaking) RecvMsg(any) error          { panic("broken") }

// What panics below the guard can be recovered above it, and ends no server.
func TestStreamPanicsWhereItIsCalled(t *testing.T) {
	g, err := adapter.New(adapter.Config{
		Guard: newGuard(t, middleware.Config{Verifier: authtest.MapVerifier{
			"hour": {Subject: "alice", Audience: []string{audience}, Expires: time.Now().Add(time.Hour)},
		}}),
		Rules: map[string]middleware.Policy{fullDuplex: {Scopes: scopes.AnyToken()}},
	})
	require.NoError(t, err)
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", "Bearer hour"))
	info := &grpc.StreamServerInfo{FullMethod: fullDuplex}
	assert.PanicsWithValue(t, "broken", func() {
		_ = g.Stream(nil, breaking{ctx: ctx}, info, func(_ any, ss grpc.ServerStream) error { return ss.RecvMsg(nil) })
	})
}
