package sneck_test

import (
	"context"
	"fmt"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/scopes"
)

// A handler asks the token of its request; without one, nothing is granted.
func ExampleFromContext() {
	handle := func(ctx context.Context) {
		fmt.Println(sneck.FromContext(ctx).Has("notes:read"))
	}
	handle(context.Background())
	handle(sneck.NewContext(context.Background(), &sneck.Token{Scopes: scopes.MustParse("notes:read")}))
	// Output:
	// false
	// true
}

// Each verifier knows its own tokens by their prefix, so that no authority is
// shown the token of another.
func ExampleFirst() {
	named := func(name string) sneck.Verifier {
		return sneck.VerifierFunc(func(context.Context, string) (*sneck.Token, error) {
			return &sneck.Token{Subject: name}, nil
		})
	}
	v := sneck.First(
		sneck.Prefixed(named("hydra"), "ory_at_"),
		sneck.Prefixed(named("ours"), "sneck_at_"),
	)
	token, err := v.Verify(context.Background(), "sneck_at_1")
	fmt.Println(token.Subject, err)
	_, err = v.Verify(context.Background(), "somebody-else's")
	fmt.Println(err)
	// Output:
	// ours <nil>
	// sneck: token not recognized by this verifier
}
