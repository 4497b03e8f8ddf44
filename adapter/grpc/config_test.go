package grpc_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	adapter "github.com/sneckauth/sneck/adapter/grpc"
	"github.com/sneckauth/sneck/middleware"
	"github.com/sneckauth/sneck/scopes"
)

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := adapter.New(adapter.Config{})
	require.EqualError(t, err, "adapter/grpc: Guard is missing (hint: middleware.New)\n"+
		`adapter/grpc: Rules is missing, so nothing could be called (hint: {"/songs.v1.Songs/": {Scopes: scopes.All("songs")}})`)

	read := middleware.Policy{Scopes: scopes.All("read")}
	_, err = adapter.New(adapter.Config{
		Guard: newGuard(t, middleware.Config{}),
		Rules: map[string]middleware.Policy{
			"a.Service/A":  read,
			"/b.Service":   read,
			"/c.Service/":  read,
			"/d.Service/D": {},
			"/e.Service/E": {Scopes: scopes.ReadWrite{}.Required()},
			"/f.Service/F/": {Scopes: scopes.Methods(map[string]scopes.Requirement{
				"get": scopes.AnyToken(),
			})},
			"/g .Service/": read,
		},
		Unguarded: []string{"/c.Service/", "h.Service/", "/i.Service/I", "/i.Service/I", "//"},
	})
	require.Error(t, err)
	assert.Equal(t, `adapter/grpc: Rules has "/b.Service", which is no method or service (hint: /package.Service/Method or /package.Service/)
adapter/grpc: Rules["/d.Service/D"]: middleware: scopes: the requirement is met by no token (hint: name a scope, or say scopes.AnyToken)
adapter/grpc: Rules["/e.Service/E"] needs other scopes by HTTP method, but every call is a POST (hint: a rule for each method of the service)
adapter/grpc: Rules has "/f.Service/F/", which is no method or service (hint: /package.Service/Method or /package.Service/)
adapter/grpc: Rules["/f.Service/F/"]: middleware: scopes: method "get" is not in upper case (hint: methods are case-sensitive)
adapter/grpc: Rules has "/g .Service/", which is no method or service (hint: /package.Service/Method or /package.Service/)
adapter/grpc: Rules has "a.Service/A", which is no method or service (hint: /package.Service/Method or /package.Service/)
adapter/grpc: "/c.Service/" is in Rules and in Unguarded
adapter/grpc: Unguarded has "h.Service/", which is no method or service (hint: /grpc.health.v1.Health/)
adapter/grpc: Unguarded has "/i.Service/I" twice
adapter/grpc: Unguarded has "//", which is no method or service (hint: /grpc.health.v1.Health/)`, err.Error())
}

// What a rule was made of may be changed later; the rule is not.
func TestRulesAreCopied(t *testing.T) {
	others, acr := []string{"https://other.example"}, []string{"gold"}
	g, err := adapter.New(adapter.Config{Guard: newGuard(t, middleware.Config{}), Rules: map[string]middleware.Policy{
		"/a.Service/A": {Scopes: scopes.AnyToken(), Audience: others},
		"/a.Service/B": {Scopes: scopes.AnyToken(), ACR: acr},
	}})
	require.NoError(t, err)
	others[0], acr[0] = audience, ""
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", "Bearer reader"))
	for _, method := range []string{"/a.Service/A", "/a.Service/B"} {
		_, err := g.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: method}, func(context.Context, any) (any, error) {
			t.Errorf("%s was called", method)
			return nil, nil
		})
		assert.Equal(t, codes.Unauthenticated, status.Code(err), method)
	}
}

func TestCheckServices(t *testing.T) {
	services := map[string]grpc.ServiceInfo{
		"songs.v1.Songs":        {Methods: []grpc.MethodInfo{{Name: "Add"}, {Name: "List"}}},
		"songs.v1.Albums":       {Methods: []grpc.MethodInfo{{Name: "List"}}},
		"grpc.health.v1.Health": {Methods: []grpc.MethodInfo{{Name: "Check"}}},
	}
	read := middleware.Policy{Scopes: scopes.All("read")}
	for _, test := range []struct {
		rules     []string
		unguarded []string
		want      string
	}{
		{[]string{"/songs.v1.Songs/", "/songs.v1.Songs/Add", "/songs.v1.Albums/List"}, []string{"/grpc.health.v1.Health/"}, ""},
		{[]string{"/songs.v1.Songs/", "/songs.v1.Songs/Ad", "/songs.v1.Albums/"}, []string{"/grpc.health.v1.Health/Watch"},
			"adapter/grpc: /grpc.health.v1.Health/Check has no rule, so that every call of it is refused\n" +
				"adapter/grpc: the rule /grpc.health.v1.Health/Watch is for nothing that the server has\n" +
				"adapter/grpc: the rule /songs.v1.Songs/Ad is for nothing that the server has"},
	} {
		rules := make(map[string]middleware.Policy)
		for _, name := range test.rules {
			rules[name] = read
		}
		g, err := adapter.New(adapter.Config{Guard: newGuard(t, middleware.Config{}), Rules: rules, Unguarded: test.unguarded})
		require.NoError(t, err)
		if err := g.CheckServices(services); test.want == "" {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, test.want)
		}
	}
}
