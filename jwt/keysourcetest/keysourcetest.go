// Package keysourcetest checks that a [jwt.KeySource] keeps its contract.
package keysourcetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/sneckauth/sneck/jwt"
)

// Run checks a source that has a key of the algorithm and ID, and is up. It
// reports what is wrong with t.
func Run(t *testing.T, source jwt.KeySource, alg, kid string) {
	t.Helper()
	ctx := t.Context()
	found := func() {
		switch key, err := source.Key(ctx, alg, kid); {
		case err != nil:
			t.Errorf("Key(%q, %q): %v", alg, kid, err)
		case key == nil:
			t.Errorf("Key(%q, %q) returned neither a key nor an error", alg, kid)
		case key.Algorithm() != alg:
			t.Errorf("Key(%q, %q) returned a key of %q", alg, kid, key.Algorithm())
		}
	}
	found()

	// What a token may carry as its key ID.
	for _, other := range []string{
		"no-such-key", kid + "x", "../" + kid, "https://evil.example/" + kid, "' OR '1'='1", "%2e%2e/", "\x00", "é", strings.Repeat("k", 512),
	} {
		key, err := source.Key(ctx, alg, other)
		if key != nil || !errors.Is(err, jwt.ErrNoKey) {
			t.Errorf("Key(%q, %.40q) returned %v, %v; want nil and an error that wraps ErrNoKey", alg, other, key, err)
		}
	}
	for _, other := range []string{"none", "HS256", "", strings.ToLower(alg)} {
		if key, err := source.Key(ctx, other, kid); key != nil || err == nil {
			t.Errorf("Key(%q, %q) returned %v, %v; want nil and an error", other, kid, key, err)
		}
	}

	// A caller that is gone gets a key that is at hand or an error, but is
	// never told that there is no such key.
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := source.Key(gone, alg, kid); errors.Is(err, jwt.ErrNoKey) {
		t.Errorf("Key with a done context says %v", err)
	}

	var all sync.WaitGroup
	for range 8 {
		all.Go(found)
	}
	all.Wait()
}
