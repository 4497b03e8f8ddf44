package grpc_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	adapter "github.com/sneckauth/sneck/adapter/grpc"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

// Whatever a client calls a method and puts into the metadata: who gets in has
// called a method that has a rule, with the one token that is good.
func FuzzUnary(f *testing.F) {
	guard, err := adapter.New(adapter.Config{
		Guard: newGuard(f, middleware.Config{}),
		Rules: map[string]middleware.Policy{
			service:     {Scopes: scopes.All("write")},
			"/a.A/Open": {Scopes: scopes.AnyToken(), Optional: true},
		},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(unary, "authorization", "Bearer writer", "x", "")
	f.Add(unary, "authorization", "Bearer writer", "AUTHORIZATION", "Bearer writer")
	f.Add("//grpc.testing.TestService/UnaryCall", ":authority", "a", "cookie", "a=b")
	f.Add("/a.A/Open", "authorization-bin", "Bearer writer", "dpop", "x.y.z")
	f.Fuzz(func(t *testing.T, method, name, value, name2, value2 string) {
		md := metadata.Pairs(name, value, name2, value2)
		reached := false
		answer, err := guard.Unary(metadata.NewIncomingContext(t.Context(), md), nil, &grpc.UnaryServerInfo{FullMethod: method},
			func(context.Context, any) (any, error) { reached = true; return "answer", nil })
		if reached != (err == nil) || reached != (answer != nil) {
			t.Fatalf("reached %v, answer %v, error %v", reached, answer, err)
		}
		credentials := md.Get("authorization")
		switch {
		case err != nil && status.Convert(err).Message() == "":
			t.Fatalf("refused without a word: %v", err)
		case reached && method == "/a.A/Open":
			if len(credentials) > 1 {
				t.Fatalf("admitted with %q", credentials)
			}
		case reached:
			if !strings.HasPrefix(method, service) {
				t.Fatalf("admitted to %q", method)
			}
			if len(credentials) != 1 || !strings.EqualFold(strings.Join(strings.Fields(credentials[0]), " "), "bearer writer") {
				t.Fatalf("admitted with %q", credentials)
			}
		}
	})
}
