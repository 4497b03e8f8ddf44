package cache_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/sneckauth/sneck"
	"github.com/sneckauth/sneck/authtest"
	"github.com/sneckauth/sneck/cache"
)

// asked counts the questions that come to a verifier.
type asked struct {
	sneck.Verifier
	times int
}

func (a *asked) Verify(ctx context.Context, token string) (*sneck.Token, error) {
	a.times++
	return a.Verifier.Verify(ctx, token)
}

// A token is asked about once in the time of TTL, or after it was revoked.
func Example() {
	ctx := context.Background()
	authority := &asked{Verifier: authtest.MapVerifier{"s3cr3t": {Subject: "alice"}}}
	remembered, err := cache.New(cache.Config{Verifier: authority, TTL: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer remembered.Close()

	for range 3 {
		token, err := remembered.Verify(ctx, "s3cr3t")
		if err != nil {
			log.Print(err)
			return
		}
		fmt.Println(token.Subject, "after questions:", authority.times)
	}
	if err := remembered.Revoke(ctx, cache.Revocation{Subject: "alice"}); err != nil {
		log.Print(err)
	}
	if _, err := remembered.Verify(ctx, "s3cr3t"); err != nil {
		log.Print(err)
	}
	fmt.Println("questions:", authority.times)
	// Output:
	// alice after questions: 1
	// alice after questions: 1
	// alice after questions: 1
	// questions: 2
}
