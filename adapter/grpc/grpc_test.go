package grpc_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sneckauth/sneck"
	adapter "github.com/sneckauth/sneck/adapter/grpc"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// An outcome is all that a client sees of a refusal.
type outcome struct {
	Code      codes.Code
	Message   string
	Challenge []string
	Reason    string
	Scope     string
	Retry     time.Duration
	Pushback  []string
}

// see returns what a client sees, and fails for details of any other kind.
func see(t testing.TB, err error, header, trailer metadata.MD) outcome {
	t.Helper()
	s := status.Convert(err)
	out := outcome{Code: s.Code(), Message: s.Message(), Challenge: trailer["www-authenticate"], Pushback: trailer["grpc-retry-pushback-ms"]}
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			assert.Equal(t, adapter.Domain, d.Domain)
			out.Reason, out.Scope = d.Reason, d.Metadata["scope"]
		case *errdetails.RetryInfo:
			out.Retry = d.RetryDelay.AsDuration()
		default:
			t.Errorf("unexpected detail %T", detail)
		}
	}
	assert.Empty(t, header, "a client does not repeat a call whose answer has begun")
	return out
}

const (
	malformed = "The request must carry exactly one well-formed access token"
	invalid   = "The access token is expired, revoked, malformed, or not valid here"
	lacks     = "The access token does not grant what this request needs"
	unknown   = "The access token could not be checked, try again later"
)

var (
	noToken  = outcome{Code: codes.Unauthenticated, Message: "The call needs an access token", Challenge: []string{`Bearer realm="api"`}}
	badForm  = outcome{Code: codes.InvalidArgument, Message: malformed, Challenge: challenge("invalid_request", malformed, ""), Reason: "INVALID_REQUEST"}
	badToken = outcome{Code: codes.Unauthenticated, Message: invalid, Challenge: challenge("invalid_token", invalid, ""), Reason: "INVALID_TOKEN"}
)

func challenge(code, description, more string) []string {
	return []string{`Bearer realm="api", error="` + code + `", error_description="` + description + `"` + more}
}

var verifiers = map[string]error{
	"outage":    &sneck.UnavailableError{Err: errors.New("no answer"), RetryAfter: 1500 * time.Millisecond},
	"weird":     errors.New("no idea"),
	"elsewhere": sneck.ErrUnrecognized,
}

// failing knows the tokens, and fails for some others.
func failing(ctx context.Context, token string) (*sneck.Token, error) {
	if err := verifiers[token]; err != nil {
		return nil, err
	}
	return tokens.Verify(ctx, token)
}

var rows = []struct {
	name          string
	authorization []string
	want          outcome
}{
	{"no token", nil, noToken},
	{"another scheme", []string{"Basic YTpi"}, noToken},
	{"empty token", []string{"Bearer "}, badForm},
	{"two tokens", []string{"Bearer writer", "Bearer writer"}, badForm},
	{"two tokens in one", []string{"Bearer writer, Bearer writer"}, badForm},
	{"unknown", []string{"Bearer nonsense"}, badToken},
	{"nobody's", []string{"Bearer elsewhere"}, badToken},
	{"characters of no token", []string{"Bearer a%b"}, badToken},
	{"expired", []string{"Bearer old"}, badToken},
	{"for another", []string{"Bearer abroad"}, badToken},
	{"bound to a key", []string{"Bearer bound"}, badToken},
	{"DPoP, which is off", []string{"DPoP bound"}, noToken},
	{"too few scopes", []string{"Bearer reader"}, outcome{
		Code: codes.PermissionDenied, Message: lacks, Challenge: challenge("insufficient_scope", lacks, `, scope="write"`),
		Reason: "INSUFFICIENT_SCOPE", Scope: "write",
	}},
	{"outage", []string{"Bearer outage"}, outcome{
		Code: codes.Unavailable, Message: unknown,
		Reason: "TEMPORARILY_UNAVAILABLE", Retry: 1500 * time.Millisecond, Pushback: []string{"1500"},
	}},
	{"unclear", []string{"Bearer weird"}, outcome{
		Code: codes.Unavailable, Message: unknown, Reason: "TEMPORARILY_UNAVAILABLE", Retry: time.Second, Pushback: []string{"1000"},
	}},
	{"good", []string{"Bearer writer"}, outcome{Code: codes.OK}},
	{"good, by another spelling", []string{"bearer writer"}, outcome{Code: codes.OK}},
}

// Unary calls and streams are refused alike, and with the challenges that the
// same guard sends over HTTP.
func TestDecisions(t *testing.T) {
	guard := newGuard(t, middleware.Config{Verifier: sneck.VerifierFunc(failing)})
	policy := middleware.Policy{Scopes: scopes.All("write")}
	client := start(t, adapter.Config{Guard: guard, Rules: map[string]middleware.Policy{service: policy}})
	web := guard.Protect(policy)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			ctx := with(t.Context(), row.authorization...)
			var header, trailer metadata.MD
			answer, err := client.UnaryCall(ctx, &pb.SimpleRequest{}, grpc.Header(&header), grpc.Trailer(&trailer))
			if row.want.Code == codes.OK {
				require.NoError(t, err)
				assert.Equal(t, "bob", answer.Username)
				return
			}
			assert.Equal(t, row.want, see(t, err, header, trailer))

			stream, err := client.FullDuplexCall(ctx)
			require.NoError(t, err)
			_, err = stream.Recv()
			header, _ = stream.Header()
			assert.Equal(t, row.want, see(t, err, header, stream.Trailer()))

			r := httptest.NewRequest(http.MethodPost, unary, nil)
			r.Header["Authorization"] = row.authorization
			rec := httptest.NewRecorder()
			web.ServeHTTP(rec, r)
			assert.Equal(t, rec.Header()["Www-Authenticate"], row.want.Challenge)
			assert.Equal(t, map[int]codes.Code{
				http.StatusBadRequest: codes.InvalidArgument, http.StatusUnauthorized: codes.Unauthenticated,
				http.StatusForbidden: codes.PermissionDenied, http.StatusServiceUnavailable: codes.Unavailable,
			}[rec.Code], row.want.Code)
		})
	}
}

func TestStepUp(t *testing.T) {
	client := start(t, adapter.Config{Guard: newGuard(t, middleware.Config{}), Rules: map[string]middleware.Policy{
		unary: {Scopes: scopes.AnyToken(), ACR: []string{"two-factors"}, MaxAge: time.Minute},
	}})
	var header, trailer metadata.MD
	_, err := client.UnaryCall(with(t.Context(), "Bearer reader"), &pb.SimpleRequest{}, grpc.Header(&header), grpc.Trailer(&trailer))
	const text = "The user must sign in again"
	assert.Equal(t, outcome{
		Code: codes.Unauthenticated, Message: text, Reason: "INSUFFICIENT_USER_AUTHENTICATION",
		Challenge: challenge("insufficient_user_authentication", text, `, acr_values="two-factors", max_age="60"`),
	}, see(t, err, header, trailer))
}

// The rule of a method counts, then that of its service, then nothing opens it.
func TestRules(t *testing.T) {
	var seen []string
	guard := newGuard(t, middleware.Config{Observe: func(_ context.Context, d middleware.Decision) {
		seen = append(seen, d.Rule+" "+string(d.Reason))
	}})
	l := listen(t)
	g, err := adapter.New(adapter.Config{
		Guard: guard,
		Rules: map[string]middleware.Policy{
			service:          {Scopes: scopes.All("read"), Name: "tests"},
			empty:            {Scopes: scopes.All("write")},
			"/other.Service": {},
		},
	})
	require.ErrorContains(t, err, "/other.Service")
	assert.Nil(t, g)
	g, err = adapter.New(adapter.Config{
		Guard: guard,
		Rules: map[string]middleware.Policy{
			service:           {Scopes: scopes.All("read"), Name: "tests"},
			empty:             {Scopes: scopes.All("write")},
			"/open.Service/A": {Scopes: scopes.AnyToken(), Optional: true},
		},
		Unguarded: []string{"/open.Service/"},
	})
	require.NoError(t, err)
	unknownMethods := grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error { return status.Error(codes.Unimplemented, "reached") })
	serve(t, l, g, &songs{}, unknownMethods)
	conn := connect(t, l.Addr().String())
	for _, row := range []struct {
		method, token string
		want          codes.Code
		rule          string
	}{
		{unary, "reader", codes.OK, "tests admitted"},
		{empty, "reader", codes.PermissionDenied, empty + " scope"},
		{empty, "writer", codes.OK, empty + " admitted"},
		{service + "None", "reader", codes.Unimplemented, "tests admitted"},
		{"/grpc.testing.TestServiceX/UnaryCall", "writer", codes.PermissionDenied, "unlisted forbidden"},
		{"/grpc.testing.TestService/UnaryCall/x", "writer", codes.Unimplemented, "tests admitted"},
		{"/GRPC.testing.TestService/UnaryCall", "writer", codes.PermissionDenied, "unlisted forbidden"},
		{"/unary", "writer", codes.Unimplemented, ""},
		{"/other.Service/A", "writer", codes.PermissionDenied, "unlisted forbidden"},
		{"/other.Service/A", "none", codes.Unauthenticated, "unlisted invalid"},
		{"/open.Service/B", "", codes.Unimplemented, ""},
		{"/open.Service/B", "none", codes.Unimplemented, ""},
		{"/open.Service/A", "", codes.Unimplemented, "/open.Service/A anonymous"},
		{"/open.Service/A", "none", codes.Unauthenticated, "/open.Service/A invalid"},
	} {
		seen = nil
		ctx := t.Context()
		if row.token != "" {
			ctx = with(ctx, "Bearer "+row.token)
		}
		err := conn.Invoke(ctx, row.method, &pb.SimpleRequest{}, &pb.SimpleResponse{})
		assert.Equal(t, row.want, status.Code(err), "%v: %v", row, err)
		if row.rule == "" {
			assert.Empty(t, seen, row)
		} else {
			assert.Equal(t, []string{row.rule}, seen, row)
		}
	}
}

// A path that is no "/service/method" matches no rule, whatever gRPC makes of
// it.
func TestMalformedNames(t *testing.T) {
	g, err := adapter.New(adapter.Config{
		Guard: newGuard(t, middleware.Config{}), Unguarded: []string{"/open.Service/"},
		Rules: map[string]middleware.Policy{service: {Scopes: scopes.AnyToken()}},
	})
	require.NoError(t, err)
	for _, name := range []string{"", "/", "//", unary[1:], "open.Service/A", "//open.Service/A", "/open.Service", "/ /open.Service/A"} {
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", "Bearer writer"))
		_, err := g.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: name}, func(context.Context, any) (any, error) {
			t.Errorf("%q is admitted", name)
			return nil, nil
		})
		assert.Equal(t, codes.PermissionDenied, status.Code(err), name)
	}
}

// A client that asks again when it is told to gets through.
func TestRetry(t *testing.T) {
	calls := 0
	flaky := sneck.VerifierFunc(func(ctx context.Context, token string) (*sneck.Token, error) {
		if calls++; calls < 3 {
			return nil, &sneck.UnavailableError{Err: errors.New("no answer"), RetryAfter: 20 * time.Millisecond}
		}
		return tokens.Verify(ctx, token)
	})
	g, err := adapter.New(adapter.Config{
		Guard: newGuard(t, middleware.Config{Verifier: flaky}),
		Rules: map[string]middleware.Policy{unary: {Scopes: scopes.All("read")}},
	})
	require.NoError(t, err)
	l := listen(t)
	serve(t, l, g, &songs{})
	client := dial(t, l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultServiceConfig(`{"methodConfig": [{
		"name": [{}], "retryPolicy": {"maxAttempts": 4, "initialBackoff": "100s", "maxBackoff": "100s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`))
	ctx, cancel := context.WithTimeout(with(t.Context(), "Bearer reader"), 20*time.Second)
	defer cancel()
	answer, err := client.UnaryCall(ctx, &pb.SimpleRequest{})
	require.NoError(t, err, "else it waits for a hundred seconds by itself")
	assert.Equal(t, "alice", answer.Username)
	assert.Equal(t, 3, calls)
}

// A client that goes away is not told about an outage.
func TestGone(t *testing.T) {
	slow := sneck.VerifierFunc(func(ctx context.Context, _ string) (*sneck.Token, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	g, err := adapter.New(adapter.Config{
		Guard: newGuard(t, middleware.Config{Verifier: slow}),
		Rules: map[string]middleware.Policy{unary: {Scopes: scopes.All("read")}},
	})
	require.NoError(t, err)
	for _, test := range []struct {
		cause error
		want  codes.Code
	}{{context.Canceled, codes.Canceled}, {context.DeadlineExceeded, codes.DeadlineExceeded}} {
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", "Bearer reader"))
		var cancel context.CancelFunc
		if test.cause == context.Canceled {
			ctx, cancel = context.WithCancel(ctx)
			cancel()
		} else {
			ctx, cancel = context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
		}
		_, err := g.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: unary}, nil)
		assert.Equal(t, test.want, status.Code(err))
	}
}

// What the policy refuses is let through without a token, and reported.
func TestShadow(t *testing.T) {
	var seen []middleware.Decision
	client := start(t, adapter.Config{
		Guard: newGuard(t, middleware.Config{Observe: func(_ context.Context, d middleware.Decision) { seen = append(seen, d) }}),
		Rules: map[string]middleware.Policy{unary: {Scopes: scopes.All("write"), DangerouslyShadow: true}},
	})
	answer, err := client.UnaryCall(with(t.Context(), "Bearer reader"), &pb.SimpleRequest{})
	require.NoError(t, err)
	assert.Equal(t, "nobody", answer.Username)
	require.Len(t, seen, 1)
	assert.Equal(t, middleware.ReasonScope, seen[0].Reason)
	assert.True(t, seen[0].Shadow)
}
